"""`classroom simulate`: the class that it makes, and what comes out when it is graded.

In order: proportions and kinds; the same seed, the same bytes; what each odd kind looks like; a course of stock
nbgrader's with two notebooks; made again, made elsewhere; bad input; the comparison with what was expected; mutations;
then classes of the tiny project through collect, autograde and status: every odd and hostile kind once.
"""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path
from random import Random

import nbformat
import pytest

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.simulate import COLUMNS, PROPORTIONS, compare, plan, read_key, simulate
from classroom.simulate.honest import ODD
from classroom.simulate.hostile import HOSTILE, WITNESS
from classroom.simulate.material import read_material, right_work
from classroom.simulate.mutations import MUTATIONS


def made(root: Path, students: int, **options) -> dict:
    said: list[str] = []
    return simulate(Folder(root), "tiny", students, said.append, **options) | {"said": said}


def content(place: Path) -> dict[str, str]:
    files = sorted(path for path in place.rglob("*") if path.is_symlink() or path.is_file())
    return {
        str(path.relative_to(place)): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.mark.parametrize(
    ("students", "counts"),
    [
        (1, {"right": 1}),
        (10, {"right": 5, "partial": 2, "wrong": 1, "odd": 1, "hostile": 1}),
        (200, {"right": 96, "partial": 28, "wrong": 28, "odd": 24, "hostile": 24}),
    ],
)
def test_groups_come_in_their_proportions(tiny, students, counts):
    kinds = plan(read_material(Folder(tiny.root), "tiny"), students, seed=0)
    assert Counter(kind.group for kind in kinds) == counts
    assert sum(PROPORTIONS.values()) == 100


def test_two_hundred_students_have_every_odd_and_hostile_kind(tiny):
    kinds = {kind.name for kind in plan(read_material(Folder(tiny.root), "tiny"), 200, seed=3)}
    assert kinds >= {kind.name for kind in (*ODD, *HOSTILE)}
    assert kinds >= MUTATIONS.keys()


def test_the_same_seed_makes_the_same_class_byte_for_byte(tiny, tmp_path):
    first = made(tiny.root, 60, to=tmp_path / "first")
    second = made(tiny.root, 60, to=tmp_path / "second")
    other = made(tiny.root, 60, seed=1, to=tmp_path / "other")
    assert content(tmp_path / "first") == content(tmp_path / "second") != content(tmp_path / "other")
    assert Path(first["key"]).read_bytes() == Path(second["key"]).read_bytes() != Path(other["key"]).read_bytes()


def test_the_key_says_who_is_what(tiny):
    report = made(tiny.root, 30)
    key = read_key(Path(report["key"]))
    assert list(key) == [f"s{number:04d}" for number in range(1, 31)]
    assert tuple(key["s0001"]) == COLUMNS
    assert {path.name for path in Path(report["folder"]).iterdir()} == key.keys()  # nothing but students in it
    assert sum(report["kinds"].values()) == 30
    assert f"classroom collect tiny --from {Folder(tiny.root).shown(Path(report['folder']))}" in report["said"][-1]


def one(root: Path, name: str):
    """A submission of one kind, as its student makes it."""
    work = right_work(read_material(Folder(root), "tiny"))
    work.when = "2026-02-05 10:00:00 UTC"
    kind = next(kind for kind in (*ODD, *HOSTILE) if kind.name == name)
    kind.make(work, Random(0))
    return work


def test_odd_files_are_what_they_are_said_to_be(tiny):
    def data(kind: str) -> bytes:
        return one(tiny.root, kind).every_file()["tiny.ipynb"]

    assert json.loads(data("nbformat 3"))["nbformat"] == 3
    assert "worksheets" in json.loads(data("nbformat 3"))
    assert data("byte-order mark").startswith(b"\xef\xbb\xbf{")
    assert b"}\r\n" in data("CRLF")
    assert "\\r\\n" in data("CRLF").decode()
    with pytest.raises(UnicodeDecodeError):
        data("Latin-1").decode("utf-8")
    assert "vérifié" in json.dumps(json.loads(data("Latin-1").decode("latin-1")), ensure_ascii=False)
    assert len(data("5 MB of outputs")) > 5_000_000
    assert {cell["id"] for cell in json.loads(data("same ids"))["cells"]} == {"cell"}
    assert all("id" not in cell for cell in json.loads(data("Colab"))["cells"])
    assert one(tiny.root, "renamed").every_file().keys() == {"tiny (1).ipynb", "timestamp.txt"}
    assert "timestamp.txt" not in one(tiny.root, "no time").every_file()
    names = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in json.loads(data("split cell"))["cells"]]
    assert names.count("double") == 2


def test_an_answer_with_two_statements_is_split_between_them(tiny):
    work = right_work(read_material(Folder(tiny.root), "tiny"))
    work.code().source = "a = 1\ndef double(x):\n    return 2 * x"
    next(kind for kind in ODD if kind.name == "split cell").make(work, Random(0))
    assert [cell.source for cell in work.notebook.cells[:2]] == ["a = 1", "def double(x):\n    return 2 * x"]


def test_right_and_wrong_answers_are_notebooks_of_the_release(tiny):
    report = made(tiny.root, 40, groups=["right", "partial", "wrong"])
    released = nbformat.read(tiny.root / "assignments/tiny/tiny.ipynb", as_version=4).cells
    answers = set()
    for student in Path(report["folder"]).iterdir():
        notebook = nbformat.read(student / "tiny.ipynb", as_version=4)
        nbformat.validate(notebook)
        assert [cell.id for cell in notebook.cells] == [cell.id for cell in released]
        assert notebook.cells[1].source == released[1].source  # the tests as released, without the hidden line
        answers.add(notebook.cells[0].source)
    assert "def double(x):\n    return 2 * x" in answers
    assert "def double(x):\n    return 3 * x" in answers  # a constant
    assert len(answers) >= 7
    assert not any("SOLUTION" in answer for answer in answers)


def test_a_course_with_two_notebooks_and_files_and_without_a_course_yml(new_course):
    import shutil

    import nbgrader

    folder = new_course("ps1")
    (folder.root / "course.yml").unlink()
    (folder.root / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'course101'\n")
    example = Path(nbgrader.__file__).parent / "docs" / "source" / "user_guide" / "source" / "ps1"
    shutil.copytree(example, folder.root / "source" / "ps1")
    assert folder.run("release", "ps1").returncode == 0
    report = simulate(Folder(folder.root), "ps1", 40, lambda text: None)
    place = Path(report["folder"])
    assert not {"odd: renamed"} & report["kinds"].keys()  # which of two notebooks it was, nobody could say
    right = next(s for s, row in read_key(Path(report["key"])).items() if row["kind"] == "right")
    assert {path.name for path in (place / right).iterdir()} == {
        "problem1.ipynb", "problem2.ipynb", "jupyter.png", "timestamp.txt",
    }  # fmt: skip


def test_made_again_it_replaces_itself_and_nothing_else(tiny, tmp_path):
    made(tiny.root, 20)
    report = made(tiny.root, 5)
    assert len(list(Path(report["folder"]).iterdir())) == 5
    (tmp_path / "mine").mkdir()
    made(tiny.root, 2, to=tmp_path / "mine")  # an empty folder may be filled
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(ClassroomError, match="is there and is no simulated class; name another folder with --to"):
        made(tiny.root, 2, to=tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_where_nothing_can_be_written_that_is_said(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClassroomError, match=r"cannot write .*file/\.class\.new.*: not a directory"):
        made(tiny.root, 2, to=tmp_path / "file" / "class")


@pytest.mark.parametrize(
    ("students", "options", "message"),
    [
        (0, {}, "--students: expected a number from 1 to 100000, got 0"),
        (10**6, {}, "--students: expected a number from 1 to 100000, got 1000000"),
        (5, {"groups": ["good"]}, "no group 'good'; there are right, partial, wrong, odd, hostile"),
    ],
)
def test_bad_input_is_named(tiny, students, options, message):
    with pytest.raises(ClassroomError) as error:
        made(tiny.root, students, **options)
    assert str(error.value) == message


def test_a_project_that_cannot_be_simulated_is_named(tiny):
    folder = Folder(tiny.root)
    with pytest.raises(ClassroomError, match="no project 'tinny'; did you mean tiny"):
        simulate(folder, "tinny", 5, print)
    path = tiny.root / "assignments/tiny/tiny.ipynb"
    text = path.read_text()
    path.write_text(text.replace('"language": "python"', '"language": "R"'))
    with pytest.raises(ClassroomError, match=r"tiny: submissions are made in Python, tiny\.ipynb is in R"):
        simulate(folder, "tiny", 5, print)
    path.write_text(text.replace('"solution": true', '"solution": false'))
    with pytest.raises(ClassroomError, match="tiny: there is no code cell to answer"):
        simulate(folder, "tiny", 5, print)
    path.unlink()
    with pytest.raises(ClassroomError, match="first: classroom release tiny"):
        simulate(folder, "tiny", 5, print)


@pytest.mark.parametrize(
    ("group", "outcome", "points", "got", "difference"),
    [
        ("right", "graded", "full", ("graded", 3), None),
        ("odd", "graded", "full", ("graded", 2), "expected full of 3 points, got 2"),
        ("wrong", "graded", "less", ("graded", 3), "expected less of 3 points, got 3"),
        ("wrong", "graded", "any", ("graded", 3), None),
        ("hostile", "graded|student-error", "any", ("student-error", 0), None),
        ("hostile", "graded|student-error", "any", ("failed", None), "expected graded|student-error, got failed"),
        ("hostile", "refused", "none", ("refused", None), None),
        ("hostile", "refused", "none", None, None),  # refused at intake
        ("hostile", "refused", "none", ("refused", 3), "expected no points, got 3"),
        ("odd", "graded", "full", None, "expected graded, got refused"),
    ],
)
def test_what_came_out_is_held_against_what_was_expected(group, outcome, points, got, difference):
    key = {
        "s1": {"group": "right", "kind": "right", "outcome": "graded", "points": "full"},
        "s2": {"group": group, "kind": "x", "outcome": outcome, "points": points},
    }
    rows = [{"student": "s1", "outcome": "graded", "points": 3}]
    rows += [{"student": "s2", "outcome": got[0], "points": got[1]}] if got else []
    assert compare(key, rows) == ([f"s2 ({group}: x): {difference}"] if difference else [])


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_changes_the_source_or_says_that_it_cannot(name):
    source = "def f(n):\n    s = 0\n    for i in range(1, n):\n        s += i\n    return s if n > 2 else [0][:n]"
    changed = MUTATIONS[name](source, Random(0))
    assert changed
    assert changed != source
    if name != "syntax error":
        compile(changed, "answer", "exec")
    magic = MUTATIONS[name]("%time x = 1", Random(0))  # no Python: nothing to change, except at its end
    assert magic is None or magic != "%time x = 1"


def graded(course, students: int, *limits: str, **options) -> list[str]:
    """Simulate, collect, grade; the differences from what was expected."""
    report = made(course.root, students, **options)
    assert course.run("collect", "tiny", "--from", report["folder"]).returncode == 0
    done = course.run("autograde", "tiny", *limits)
    assert done.returncode == 0, done.stdout + done.stderr
    return compare(read_key(Path(report["key"])), course.report("status", "tiny")["students"])


def test_every_odd_and_hostile_kind_is_graded_as_expected(tiny):
    """And nothing got out: no file written elsewhere, nothing of the course read."""
    (tiny.root / "course.yml").write_text((tiny.root / "course.yml").read_text() + "# a canary in the course\n")
    limits = ("--cell-timeout", "3", "--timeout", "60", "--memory", "1000")
    assert graded(tiny, 72, *limits, groups=["right", "odd", "hostile"]) == []
    for place in (tiny.root, Path("/"), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/etc"), Path.home()):
        assert not (place / WITNESS).exists(), place
    executed = list((tiny.root / "course" / "autograded").rglob("*.ipynb"))
    assert len(executed) > 50
    for path in executed:
        text = path.read_text()
        assert "a canary" not in text, path
        assert "found /" not in text, path


@pytest.mark.full
def test_a_class_of_two_hundred_is_graded_as_expected(tiny):
    assert graded(tiny, 200, "--cell-timeout", "3", "--timeout", "60", "--memory", "1000") == []
    with open(tiny.root / tiny.report("export")["file"], newline="") as file:
        assert len(list(csv.DictReader(file))) > 190
