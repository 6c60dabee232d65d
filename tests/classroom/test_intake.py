"""Where submissions come from: nbgrader's exchange, archives, downloads; and what is never followed.

In order: the exchange (owner, clock, claims, links), archives (names, links, bombs, damage), patterns and whose files
they are, names of files, and what stands under submitted/ without having come through here.
"""

import gzip
import io
import os
import pwd
import shutil
import stat
import tarfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from classroom.errors import ClassroomError, RefusedError
from classroom.folder import Folder
from classroom.handout import reasons
from classroom.intake import collect, read_regular, read_submission, refusals, take
from classroom.intake.files import FolderTree
from classroom.intake.names import match
from classroom.intake.run import MOST_STRAYS

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's own
ME = pwd.getpwuid(os.getuid()).pw_name  # the owner of what this test hands in
CLAIM = "2026-02-05 10:00:00.123456 UTC"


@pytest.fixture
def release(tiny) -> bytes:
    return (tiny.root / "assignments/tiny/tiny.ipynb").read_bytes()


@pytest.fixture
def folder(tiny, tmp_path, monkeypatch) -> Folder:
    monkeypatch.setenv("CLASSROOM_DIR", "course")
    for name, value in tiny.environment().items():
        monkeypatch.setenv(name, value)
    with open(tiny.root / "nbgrader_config.py", "a") as file:
        file.write(f"c.Exchange.root = {str(tmp_path / 'exchange')!r}\n")
    return Folder(tiny.root)


@pytest.fixture
def inbound(folder, tmp_path) -> Path:
    place = tmp_path / "exchange/test-course/inbound"
    place.mkdir(parents=True)
    return place


def go(folder: Folder, source: Path | None = None, **options) -> dict:
    said = []
    report = collect(folder, "tiny", source, said.append, **options)
    return {**report, "said": "\n".join(said)}


def refused(report: dict) -> dict[tuple[str, str], str]:
    return {(r["student"], r["file"]): r["reason"] for r in report["refused"]}


def notes(report: dict) -> list[str]:
    return [note["note"] for note in report["notes"]]


def stamp(folder: Folder, student: str) -> str:
    return (folder.path("submitted", "tiny", student) / "timestamp.txt").read_text()


# The exchange.


def submit(inbound: Path, student: str, data: bytes, claim: str = CLAIM, random: str = "+cmFuZG9t", **files) -> Path:
    """As `nbgrader submit` leaves it."""
    place = inbound / f"{student}+tiny+{claim}{random}"
    place.mkdir()
    for name, content in {"tiny.ipynb": data, "timestamp.txt": claim.encode(), **files}.items():
        (place / name.replace("__", ".")).write_bytes(content)
    (place / "submission_secret.txt").write_text("ab12" * 32)
    return place


def test_an_exchange_as_nbgrader_leaves_it(folder, inbound, release):
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    submit(inbound, ME, release, claim=f"{before:%Y-%m-%d %H:%M:%S.%f} UTC", notes__txt=b"mine")
    (inbound / f"{ME}+other+{CLAIM}+x").mkdir()  # another project's
    report = go(folder)
    assert report["collected"] == [ME]
    assert notes(report) == []
    assert refused(report) == {(ME, "notes.txt"): "not part of the project; there is tiny.ipynb"}
    place = folder.path("submitted", "tiny", ME)
    assert sorted(path.name for path in place.iterdir()) == ["submission_secret.txt", "timestamp.txt", "tiny.ipynb"]
    arrived = datetime.strptime(stamp(folder, ME), "%Y-%m-%d %H:%M:%S UTC")
    assert 0 <= (arrived - before).total_seconds() < 60
    assert go(folder)["unchanged"] == [ME]


def test_the_servers_clock_counts_and_a_claim_that_disagrees_is_said(folder, inbound, release):
    place = submit(inbound, ME, release)  # it says February 2026, on time; the project is due on the 6th
    long_ago = (1_770_000_000, 1_770_000_000)
    for path in (place, *place.iterdir()):
        os.utime(path, long_ago)  # a student can set these back
    report = go(folder)
    assert report["collected"] == [ME]
    assert f"it says {CLAIM}, but arrived at" in notes(report)[0]
    assert abs(datetime.strptime(stamp(folder, ME), "%Y-%m-%d %H:%M:%S UTC").timestamp() - time.time()) < 90_000
    # A file that is exchanged afterwards arrives when it is exchanged.
    first = stamp(folder, ME)
    time.sleep(1.1)
    (place / "tiny.ipynb").write_bytes(release + b"\n")
    os.utime(place / "tiny.ipynb", long_ago)
    assert go(folder)["collected"] == [ME]
    assert stamp(folder, ME) > first
    # But a folder that was only touched is the same submission.
    time.sleep(1.1)
    second = stamp(folder, ME)
    (place / "tiny.ipynb").chmod(0o644)
    os.utime(place)
    assert go(folder)["unchanged"] == [ME]
    assert stamp(folder, ME) == second


def test_the_owner_has_to_be_the_student(folder, inbound, release):
    submit(inbound, "somebody-else", release)
    report = go(folder)
    assert report["collected"] == []
    name = f"somebody-else+tiny+{CLAIM}+cmFuZG9t"
    assert refused(report) == {(name, ""): f"it belongs to {ME}, not to somebody-else"}
    assert refusals(folder, "tiny", "somebody-else") == []
    assert [record["stray"] for record in refusals(folder, "tiny")] == [True]
    with open(folder.root / "nbgrader_config.py", "a") as file:
        file.write("c.ExchangeCollect.check_owner = False\n")
    report = go(Folder(folder.root))
    assert report["collected"] == ["somebody-else"]
    assert "check_owner is off" in report["said"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_nobody_is_told_what_somebody_else_writes_into_their_name(folder, inbound, release):
    """A name in the exchange is text of whoever made the folder, and a page of reasons would show it to the student."""
    submit(inbound, ME, release)
    for number in range(30):
        place = inbound / f"{ME}+tiny+2026-02-05 CALL 555 {number:02} AND PAY+x"
        place.mkdir()
        os.chown(place, 1, 1)
    for name, made in (("a-link", os.symlink), ("b-file", lambda _, path: path.write_text("x"))):
        made("elsewhere", place := inbound / f"{ME}+tiny+2026-02-05 CALL {name}+x")
        os.chown(place, 1, 1, follow_symlinks=False)
    report = go(folder)
    assert report["collected"] == [ME]
    assert not any(record["student"] == ME for record in refusals(folder, "tiny"))
    assert reasons(folder, "tiny") == {}
    other = pwd.getpwuid(1).pw_name
    assert len(report["refused"]) == MOST_STRAYS
    assert f"12 folders more that belong to {other}" in report["said"]
    assert all("CALL" not in record["reason"] for record in report["refused"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_files_of_somebody_else_are_not_taken(folder, inbound, release):
    os.chown(submit(inbound, ME, release) / "tiny.ipynb", 1, 1)
    assert refused(go(folder))[ME, "tiny.ipynb"] == f"belongs to {pwd.getpwuid(1).pw_name}"


def test_links_in_the_exchange_lead_nowhere(folder, inbound, release, tmp_path):
    secret = tmp_path / "gradebook.db"
    secret.write_bytes(release)
    place = submit(inbound, ME, release)
    for name in ("tiny.ipynb", "timestamp.txt"):
        (place / name).unlink()
        (place / name).symlink_to(secret)
    elsewhere = tmp_path / "elsewhere"
    submit(tmp_path, ME, release).rename(elsewhere)
    (inbound / f"{ME}+tiny+2026-02-06 10:00:00 UTC").symlink_to(elsewhere)
    hard = submit(inbound, ME, release, claim="2026-02-04 10:00:00 UTC", random="")
    (hard / "tiny.ipynb").unlink()
    os.link(secret, hard / "tiny.ipynb")
    report = go(folder)
    assert report["collected"] == []
    assert sorted((r["file"], r["reason"]) for r in report["refused"]) == [
        ("", "a link, not a file"),
        ("", "nothing taken: no tiny.ipynb, tiny.ipynb is a hard link"),
        ("", "nothing taken: no tiny.ipynb, tiny.ipynb is a link, not a file"),
        ("timestamp.txt", "a link, not a file"),
        ("tiny.ipynb", "a hard link"),
        ("tiny.ipynb", "a link, not a file"),
    ]


def test_names_in_the_exchange(folder, inbound, release):
    for name in ("..+tiny+2026-02-05 10:00:00 UTC+x", "+tiny+2026", "a b+tiny+2026-02-05 10:00:00 UTC+x"):
        (inbound / name).mkdir()
    with open(folder.root / "nbgrader_config.py", "a") as file:
        file.write("c.ExchangeCollect.check_owner = False\n")
    folder = Folder(folder.root)
    submit(inbound, "with+plus", release, claim="2026-02-05 10:00:00 +0000")
    report = go(folder)
    assert report["collected"] == ["with+plus"]
    assert set(refused(report)) == {("..", ""), ("a b", "")}


def test_no_exchange_says_what_to_do(folder):
    with pytest.raises(ClassroomError, match=r"no exchange: .*inbound is missing; .* --from PATH"):
        go(folder)
    with pytest.raises(ClassroomError, match="--pattern is for --from"):
        go(folder, pattern="moodle")


# Archives.


def test_zip_and_tar_with_or_without_a_folder_around(folder, release, tmp_path):
    files = {f"{student}/tiny.ipynb": release for student in ("ada", "ben")}
    files |= {f"{student}/timestamp.txt": b"2026-02-05 10:00:00 UTC" for student in ("ada", "ben")}
    for top in ("", "class/"):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(top + name, data)
        made = ["a.zip"]
        for packer in ("", "gz", "bz2", "xz"):
            made.append(f"a.tar.{packer}".rstrip("."))
            with tarfile.open(tmp_path / made[-1], f"w:{packer}") as archive:
                for name, data in files.items():
                    member = tarfile.TarInfo("./" + top + name)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        for name in made:
            report = go(folder, tmp_path / name)
            assert report["collected"] + report["unchanged"] == ["ada", "ben"], name
            assert report["refused"] == []
    assert (folder.path("submitted", "tiny", "ada") / "tiny.ipynb").read_bytes() == release


def hostile_zip(path: Path, release: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, data: bytes = release, mode: int = stat.S_IFREG) -> None:
            member = zipfile.ZipInfo(name)
            member.external_attr, member.compress_type = (mode | 0o644) << 16, zipfile.ZIP_DEFLATED
            archive.writestr(member, data)

        add("honest/tiny.ipynb")
        add("/etc/tiny.ipynb")
        add("up/../../tiny.ipynb")
        add("C:/tiny.ipynb")
        add("windows\\tiny.ipynb")  # as some programs write a path: a path
        add("link/tiny.ipynb", b"/etc/passwd", stat.S_IFLNK)
        add("device/tiny.ipynb", b"", stat.S_IFCHR)
        add("bomb/tiny.ipynb", b"0" * 50_000_000)
        add("twice/tiny.ipynb")
        with pytest.warns(UserWarning, match="Duplicate"):
            add("twice/tiny.ipynb", b"{}")
        add("case/Tiny.ipynb")
        add("__MACOSX/honest/._tiny.ipynb", b"x")


def hostile_tar(path: Path, release: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, data: bytes = release, kind: bytes = tarfile.REGTYPE, target: str = "") -> None:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, target, len(data)
            archive.addfile(member, io.BytesIO(data))

        add("honest/tiny.ipynb")
        add("/etc/tiny.ipynb")
        add("up/../../tiny.ipynb")
        add("link/tiny.ipynb", b"", tarfile.SYMTYPE, "/etc/passwd")
        add("hard/tiny.ipynb", b"", tarfile.LNKTYPE, "honest/tiny.ipynb")
        add("device/tiny.ipynb", b"", tarfile.CHRTYPE)
        add("pipe/tiny.ipynb", b"", tarfile.FIFOTYPE)
        add("twice/tiny.ipynb")
        add("twice/tiny.ipynb", b"{}")
        add("case/Tiny.ipynb")


@pytest.mark.parametrize("make", [hostile_zip, hostile_tar])
def test_hostile_archives(make, folder, release, tmp_path):
    make(tmp_path / "archive", release)
    around = sorted(tmp_path.rglob("*"))
    report = go(folder, tmp_path / "archive")
    reasons = {student: reason for (student, file), reason in refused(report).items() if file == ""}
    expected = {
        "/": "/etc/tiny.ipynb: an absolute path",
        "up": "up/../../tiny.ipynb: a path that leads out of the archive",
        "link": "nothing taken: no tiny.ipynb, tiny.ipynb is a link, not a file",
        "device": "nothing taken: no tiny.ipynb, tiny.ipynb is not a regular file",
        "twice": "nothing taken: no tiny.ipynb, tiny.ipynb is there more than once in the archive",
    }
    if make is hostile_zip:
        assert report["collected"] == ["case", "honest", "windows"]
        expected["C:"] = "C:/tiny.ipynb: an absolute path"
        expected["bomb"] = "nothing taken: no tiny.ipynb, tiny.ipynb is packed more than 100 times"
    else:
        assert report["collected"] == ["case", "honest"]
        expected |= {"hard": expected["link"], "pipe": expected["device"]}
    assert reasons == expected
    outside = [path for path in sorted(tmp_path.rglob("*")) if "copy/course" not in str(path)]
    assert outside == [path for path in around if "copy/course" not in str(path)]  # nothing was unpacked


def test_archives_that_grow_or_are_damaged(folder, release, tmp_path):
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as file:
        member = tarfile.TarInfo("ada/tiny.ipynb")
        member.size = 300_000_000
        file.write(member.tobuf())
        for _ in range(300):
            file.write(bytes(1_000_000))
    assert (tmp_path / "bomb.tar.gz").stat().st_size < 400_000
    began = time.process_time()
    with pytest.raises(ClassroomError, match="unpacks to more than 100 times its size"):
        go(folder, tmp_path / "bomb.tar.gz")
    assert time.process_time() - began < 10
    hostile_zip(tmp_path / "a.zip", release)
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(release)[:-20])
    for name, damaged in {"cut.zip": data[:-100], "no.tar.gz": b"\x1f\x8b" + b"x" * 600}.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ClassroomError, match=r"damaged|expected a folder, a zip or a tar"):
            go(folder, tmp_path / name)
    place = data.index(b"honest/tiny.ipynb") + 200  # inside the first file's packed bytes
    (tmp_path / "bit.zip").write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
    assert "damaged in the archive" in refused(go(folder, tmp_path / "bit.zip"))["honest", "tiny.ipynb"]


# Patterns.


def download(place: Path, names: list[str], data: bytes) -> Path:
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


MOODLE = [
    "Jane Doe_123456_assignsubmission_file_/tiny.ipynb",
    "Jane Doe_123456_assignsubmission_onlinetext_/onlinetext.html",
    "Zoë O’Hara-Müller_123457_assignsubmission_file_/Tiny (1).ipynb",
    "张伟_123458_assignsubmission_file_/tiny.ipynb",
    "José de la Cruz_123459_assignsubmission_file_tiny.ipynb",  # without folders
]


def test_as_downloaded_from_moodle(folder, release, tmp_path):
    shutil.make_archive(str(tmp_path / "moodle"), "zip", download(tmp_path / "m", MOODLE, release))
    with folder.gradebook() as gradebook:
        gradebook.add_student("u042", first_name="Jane", last_name="Doe")
    report = go(folder, tmp_path / "moodle.zip")
    assert report["names"] == {
        "Jane Doe_123456": "u042",  # the gradebook knows her
        "José de la Cruz_123459": "jose-de-la-cruz",
        "Zoë O’Hara-Müller_123457": "zoe-ohara-muller",
        "张伟_123458": "moodle-123458",
    }
    assert report["collected"] == sorted(report["names"].values())
    assert "name       Jane Doe_123456 is u042" in report["said"]
    assert refused(report) == {("u042", "onlinetext.html"): "not part of the project; there is tiny.ipynb"}
    assert set(notes(report)) == {
        "no timestamp.txt: counts as on time",
        "Tiny (1).ipynb was taken as tiny.ipynb",
    }
    assert go(folder, tmp_path / "moodle.zip", pattern="moodle")["collected"] == []


def test_as_downloaded_from_canvas(folder, release, tmp_path):
    names = ["doejane_12345_67890_tiny-1.ipynb", "roeben_LATE_12346_67891_tiny.ipynb", "li_777_67892_homework.ipynb"]
    with folder.gradebook() as gradebook:
        gradebook.add_student("u042", first_name="Jane", last_name="Doe")
        gradebook.add_student("u043", lms_user_id="777")
    report = go(folder, download(tmp_path / "canvas", names, release))
    assert report["names"] == {"doejane_12345": "u042", "roeben_12346": "roeben", "li_777": "u043"}
    assert report["collected"] == ["roeben", "u042", "u043"]
    assert "late, without a time: how much is taken off can't be said" in notes(report)
    # A late one never replaces one that was on time.
    shutil.rmtree(tmp_path / "canvas")
    report = go(folder, download(tmp_path / "canvas", ["doejane_LATE_12345_67899_tiny-2.ipynb"], release + b"\n"))
    assert (report["collected"], [aside["student"] for aside in report["set_aside"]]) == ([], ["u042"])


def test_two_people_of_one_name_are_nobody(folder, release, tmp_path):
    names = [f"Jane Doe_{number}_assignsubmission_file_/tiny.ipynb" for number in (1, 2)]
    report = go(folder, download(tmp_path / "m", names, release))
    assert report["collected"] == []
    reason = "Jane Doe_1 and Jane Doe_2 would both be jane-doe; give one another name: unpack the archive, and rename "
    reason += "the folder or file"
    assert [r["reason"] for r in report["refused"]] == [reason, reason]
    # The advice helps.
    (tmp_path / "m" / "Jane Doe_2_assignsubmission_file_").rename(
        tmp_path / "m" / "Jane Doe B_2_assignsubmission_file_"
    )
    assert go(folder, tmp_path / "m")["collected"] == ["jane-doe", "jane-doe-b"]


def test_two_people_of_one_name_whose_numbers_are_known(folder, release, tmp_path):
    names = [f"doejane_1234{number}_67890_tiny-1.ipynb" for number in (1, 2)]
    place = download(tmp_path / "canvas", names, release)
    assert "enter both with their numbers (nbgrader db student add" in go(folder, place)["refused"][0]["reason"]
    with folder.gradebook() as gradebook:
        gradebook.add_student("jane1", first_name="Jane", last_name="Doe", lms_user_id="12341")
        gradebook.add_student("jane2", first_name="Jane", last_name="Doe", lms_user_id="12342")
    assert go(folder, place)["collected"] == ["jane1", "jane2"]


def test_nbgraders_own_layouts(folder, release, tmp_path, tiny):
    course = tiny.root / "course.yml"
    course.write_text(course.read_text().replace("projects:\n", "projects:\n  other: {due: null, weight: 1}\n"))
    folder = Folder(folder.root)
    place = download(tmp_path / "s", ["ada/tiny/tiny.ipynb", "ada/other/other.ipynb", "ben/tiny.ipynb"], release)
    report = go(folder, place)
    assert (report["collected"], report["refused"]) == (["ada", "ben"], [])
    copied = download(tmp_path / "inbound", [f"cleo+tiny+{CLAIM}+x/tiny.ipynb"], release)
    assert go(folder, copied)["collected"] == ["cleo"]  # whoever copies vouches for name and time
    assert stamp(folder, "cleo") == "2026-02-05 10:00:00 UTC"


def test_a_file_that_is_there_twice(folder, release, tmp_path):
    report = go(folder, download(tmp_path / "s", ["ada/tiny/tiny.ipynb", "ada/tiny.ipynb"], release))
    assert report["collected"] == ["ada"]
    assert refused(report) == {("ada", "tiny.ipynb"): "there twice; the first was taken"}


def test_a_pattern_of_ones_own(folder, release, tmp_path):
    names = ["hw/2026-02-05-231500_Ada.Lovelace.ipynb", "hw/2026-02-31_ben.ipynb", "hw/readme.txt"]
    place = download(tmp_path / "own", names, release)
    course = folder.root / "course.yml"
    course.write_text(course.read_text().replace("timezone: UTC", "timezone: Europe/Paris"))
    folder = Folder(folder.root)
    report = go(folder, place, pattern=r"(?P<time>[\d-]+)_(?P<student>.+)\.ipynb")
    assert report["collected"] == ["Ada.Lovelace"]
    assert stamp(folder, "Ada.Lovelace") == "2026-02-05 22:15:00 UTC"  # a time without a zone is the course's
    assert refused(report) == {
        ("ben", ""): "its name says the time '2026-02-31', which is none",
        ("hw", ""): "its name does not fit the pattern",
    }


def test_patterns_that_are_none_or_in_doubt(folder, release, tmp_path):
    place = download(tmp_path / "mixed", [MOODLE[0], "ada/tiny.ipynb"], release)
    with pytest.raises(ClassroomError, match=r"1 of 2 notebooks have names as from moodle, but ada/tiny\.ipynb"):
        go(folder, place)
    with pytest.raises(ClassroomError, match="not a regular expression"):
        go(folder, place, pattern="(")
    with pytest.raises(ClassroomError, match="expected a group named student"):
        go(folder, place, pattern="moodel")
    assert go(folder, place, pattern="moodle")["collected"] == ["jane-doe"]


# Names of files.


@pytest.mark.parametrize(
    ("given", "expected", "found"),
    [
        (["a.ipynb"], ["a.ipynb"], {"a.ipynb": "a.ipynb"}),
        (["A.IPYNB"], ["a.ipynb"], {"A.IPYNB": "a.ipynb"}),
        (["e\u0301.ipynb"], ["\u00e9.ipynb"], {"e\u0301.ipynb": "\u00e9.ipynb"}),
        (["sub/a.ipynb"], ["a.ipynb"], {"sub/a.ipynb": "a.ipynb"}),
        (["a (1).ipynb", "data.csv"], ["a.ipynb", "data.csv"], {"a (1).ipynb": "a.ipynb", "data.csv": "data.csv"}),
        (["checkpoint-01-2.ipynb"], ["checkpoint-01.ipynb"], {"checkpoint-01-2.ipynb": "checkpoint-01.ipynb"}),
        (["Copy of a.ipynb"], ["a.ipynb", "b.ipynb"], {"Copy of a.ipynb": "a.ipynb"}),
        (["a-Copy1.ipynb", "b.ipynb"], ["a.ipynb", "b.ipynb"], {"a-Copy1.ipynb": "a.ipynb", "b.ipynb": "b.ipynb"}),
        (["homework.ipynb"], ["a.ipynb"], {"homework.ipynb": "a.ipynb"}),  # one and one
        (["homework.ipynb"], ["a.ipynb", "b.ipynb"], {}),
        (["x.ipynb", "y.ipynb"], ["a.ipynb"], {}),
        (["a (1).ipynb", "a (2).ipynb"], ["a.ipynb"], {}),  # which?
        (["a.ipynb", "a (1).ipynb"], ["a.ipynb"], {"a.ipynb": "a.ipynb"}),
        ([".ipynb_checkpoints/a-checkpoint.ipynb"], ["a.ipynb"], {}),
        (["data.txt"], ["data.csv"], {}),
    ],
)
def test_which_file_is_which(given, expected, found):
    assert match(given, expected)[0] == found
    taken, said = take({name: name.encode() for name in given}, expected)
    assert taken == {wanted: name.encode() for name, wanted in found.items()}
    assert len(said) == sum(name != wanted for name, wanted in found.items())


# What stands under submitted/.


def test_read_submission(tmp_path, release):
    place = tmp_path / "ada" / "tiny"
    place.mkdir(parents=True)
    (place / "Mine.ipynb").write_bytes(release)
    (place / "solutions").symlink_to("/")
    (place / "data").mkdir()
    (place / "data" / "more.csv").symlink_to("/etc/passwd")
    os.mkfifo(place / "pipe")
    (place / "submission_secret.txt").write_text("../../etc")
    found = read_submission(place, ["tiny.ipynb"])
    assert found.files == {"tiny.ipynb": release}
    assert found.notes == ["Mine.ipynb was taken as tiny.ipynb"]
    assert dict(found.refusals) == {
        "data/more.csv": "not part of the project; there is tiny.ipynb",
        "pipe": "not part of the project; there is tiny.ipynb",
        "solutions": "not part of the project; there is tiny.ipynb",
        "submission_secret.txt": "expected letters and digits",
    }
    assert (
        dict(read_submission(place, ["tiny.ipynb", "data/more.csv"]).refusals)["data/more.csv"] == "a link, not a file"
    )
    (place / "timestamp.txt").write_text("never")
    with pytest.raises(RefusedError, match="expected a time such as"):
        read_submission(place, ["tiny.ipynb"])
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    with pytest.raises(RefusedError, match="a link, not a file"):
        read_submission(place, ["tiny.ipynb"])


def test_one_of_two_notebooks_is_taken(tmp_path, release):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "one.ipynb").write_bytes(release)
    found = read_submission(tmp_path / "ada", ["one.ipynb", "two.ipynb"])
    assert (list(found.files), found.notes) == (["one.ipynb"], ["without two.ipynb"])


def test_many_files_deep_folders_and_odd_names(tmp_path, release):
    place = tmp_path / "ada"
    place.mkdir()
    (place / "tiny.ipynb").write_bytes(release)
    for number in range(200):
        (place / f"{number}.txt").touch()
    deep = place.joinpath(*["d"] * 30)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    with open(os.fsencode(place) + b"/\xff\n\x1b[31m.txt", "w"):
        pass
    found = read_submission(place, ["tiny.ipynb"])
    assert len(found.refusals) == 51
    assert found.refusals[-1][1] == "152 more files, not taken either"
    for name, reason in found.refusals:
        (name + reason).encode()


def test_a_folder_that_becomes_a_link_while_we_look(tmp_path):
    """Between listing and reading a student exchanges a folder for a link: the file behind it is not read."""
    (tmp_path / "ada" / "data").mkdir(parents=True)
    (tmp_path / "ada" / "data" / "x.csv").write_text("mine")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.csv").write_text("not mine")
    with FolderTree(tmp_path / "ada") as tree:
        (entry,) = tree.entries()
        assert tree.read(entry) == b"mine"
        shutil.rmtree(tmp_path / "ada" / "data")
        (tmp_path / "ada" / "data").symlink_to(tmp_path / "secret")
        with pytest.raises(RefusedError, match="a link, not a file"):
            tree.read(entry)


def test_read_regular(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    assert read_regular(tmp_path / "a") == b"x" * 100
    with pytest.raises(RefusedError, match="expected at most"):
        read_regular(tmp_path / "a", most=99)
    with pytest.raises(RefusedError, match="No such file"):
        read_regular(tmp_path / "b")
    with pytest.raises(RefusedError, match="not a regular file"):
        read_regular(tmp_path)
