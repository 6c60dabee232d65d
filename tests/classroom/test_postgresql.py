"""The gradebook on PostgreSQL: a real server, from release to export, with nbgrader's own commands on it.

The server is Debian's, started here on a socket in a folder of its own, as the user `postgres` where we are root (it
refuses to run as root). In order: the whole cycle; what nbgrader itself reads; people's work, an amendment, and a
person forgotten; a row that somebody holds; a server that is gone.
"""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import sqlalchemy as sa
from nbgrader.apps.api import NbGraderAPI

from classroom.amend import amend
from classroom.errors import ClassroomError
from classroom.export import export
from classroom.feedback import feedback
from classroom.folder import Folder
from classroom.forget import forget
from classroom.gradebook import normal_url, shown_url
from classroom.release import release
from classroom.report import grades
from classroom.results import write_result
from classroom.writer import Writer

RIGHT = "def double(x):\n    return 2 * x"


class Server:
    """A PostgreSQL server of our own."""

    def __init__(self, place: Path, programs: Path) -> None:
        self.place, self.programs = place, programs
        self.before: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(place, user.pw_uid, user.pw_gid)
            self.before = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

    def call(self, program: str, *words: str) -> None:
        command = [*self.before, str(self.programs / program), *words]
        environment = {**os.environ, "HOME": str(self.place), "LC_ALL": "C.UTF-8"}
        subprocess.run(command, check=True, cwd=self.place, env=environment, stdout=subprocess.DEVNULL, timeout=120)

    def start(self) -> None:
        options = f"-k {self.place} -c listen_addresses='' -c fsync=off -c max_connections=20"
        self.call("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self.call("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def url(self, name: str) -> str:
        return f"postgresql://grader@/{name}?host={self.place}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # A short path: a socket's address has room for 107 letters.
    place = Path(tempfile.mkdtemp(prefix="pg-"))
    place.chmod(0o755)
    made = Server(place, found[-1].parent)
    made.call("initdb", "-D", "data", "-U", "grader", "--auth=trust", "--no-sync", "--encoding=UTF8")
    made.start()
    yield made
    made.stop()
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def released(server, tiny_template, tmp_path_factory) -> Path:
    """The tiny course, released into the database `released`: nbgrader makes the tables."""
    server.call("createdb", "-h", str(server.place), "-U", "grader", "released")
    root = tmp_path_factory.mktemp("postgresql") / "course-folder"
    shutil.copytree(tiny_template, root, ignore=shutil.ignore_patterns("course", "assignments"))
    with open(root / "course.yml", "a") as course_yml:
        course_yml.write(f"gradebook: {server.url('released')}\n")
    with warnings.catch_warnings():  # nbgrader's own
        warnings.simplefilter("ignore")
        release(Folder(root), ["tiny"], lambda text: None)
    return root


@pytest.fixture
def course(server, released, tmp_path, request) -> Iterator[Folder]:
    """A copy of it with a database of its own."""
    name = request.node.name[:40]
    server.call("createdb", "-h", str(server.place), "-U", "grader", "-T", "released", name)
    root = Path(shutil.copytree(released, tmp_path / "course-folder"))
    text = (root / "course.yml").read_text()
    (root / "course.yml").write_text(text.replace(server.url("released"), server.url(name)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Folder(root)


def grade(folder: Folder, make_result, **submissions: dict) -> list[dict]:
    done = []
    with Writer(folder, "tiny", lambda text: None) as writer:
        for student, what in submissions.items():
            record = make_result(folder, student, **what)
            place = folder.path("submitted", "tiny", student)  # formgrader looks for it, and compares the times
            place.mkdir(parents=True, exist_ok=True)
            (place / "timestamp.txt").write_text(record["timestamp"])
            write_result(folder.record("result", "tiny", student), record)
            done.append(writer.merge(record))
    return done


def test_the_address_has_a_driver_that_is_there():
    for url in ("postgresql://u@h/d", "postgres://u@h/d"):
        assert sa.create_engine(normal_url(url)).driver == "psycopg"
    for url in ("postgresql+psycopg://u@h/d", "sqlite:////tmp/x.db", "mysql://u@h/d"):
        assert normal_url(url) == url
    assert shown_url("postgresql+psycopg://u:secret@h/d") == "postgresql+psycopg://u:***@h/d"


def test_the_whole_cycle(course, tiny, make_result, server):
    """As the person at the keyboard has it: real submissions, run in the sandbox."""
    tiny.root = course.root
    tiny.hand_in("ada", "tiny", RIGHT)
    tiny.hand_in("bob", "tiny", "def double(x):\n    return x + 2", when="2026-02-07 10:00:00 UTC")
    tiny.hand_in("cleo", "tiny", "import os\nos._exit(0)")
    report = tiny.report("autograde", "tiny")
    assert {who: found["outcome"] for who, found in report["submissions"].items()} == {
        "ada": "graded", "bob": "graded", "cleo": "student-error",
    }  # fmt: skip
    rows = {row["student"]: row for row in tiny.report("status", "tiny")["students"]}
    assert {who: row["parts"]["double-tests"] for who, row in rows.items()} == {"ada": 3, "bob": 0, "cleo": 0}
    assert not (course.home / "gradebook.db").exists()
    assert tiny.report("feedback", "tiny")["made"] == ["ada", "bob", "cleo"]
    lines = Path(tiny.report("export")["file"]).read_text().splitlines()
    assert [line.split(",")[3] for line in lines[1:]] == ["ada", "bob", "cleo"]
    assert [again["again"] for again in tiny.report("autograde", "tiny")["submissions"].values()] == [False] * 3
    nbgrader(tiny, "export", "--to=stock.csv")
    assert sorted((course.root / "stock.csv").read_text().splitlines()) == sorted(lines)


def nbgrader(tiny, *words: str) -> None:
    """Run a command of stock nbgrader's."""
    command = [str(Path(sys.executable).with_name("nbgrader")), *words]
    options = {"cwd": tiny.root, "env": tiny.environment(), "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(command, check=False, **options)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.full
def test_stock_nbgrader_grades_on_the_same_database(course, tiny, make_result):
    tiny.root = course.root
    tiny.hand_in("ada", "tiny", RIGHT)
    grade(course, make_result, ada={"answers": {"double": RIGHT}})
    before = grades(course, "tiny")
    nbgrader(tiny, "autograde", "tiny", "--force")
    nbgrader(tiny, "generate_feedback", "tiny", "--force")
    assert grades(course, "tiny") == before


def test_what_nbgrader_reads_for_formgrader(course, make_result):
    late = {"answers": {"double": RIGHT, "why": "So."}, "when": "2026-02-07 10:00:00 UTC"}
    grade(course, make_result, ada={"answers": {"why": "So."}}, bob=late, cleo={"failed": ("double-tests",)})
    reads = NbGraderAPI(coursedir=course.coursedir, parent=course.app)
    assert [found["name"] for found in reads.get_assignments()] == ["tiny"]
    assert reads.get_notebooks("tiny")[0]["num_submissions"] == 3
    found = {one["student"]: one for one in reads.get_submissions("tiny")}
    assert {who: (one["score"], one["needs_manual_grade"]) for who, one in found.items()} == {
        "ada": (3, True), "bob": (3, True), "cleo": (0, False),
    }  # fmt: skip
    assert {one["student"]: one["failed_tests"] for one in reads.get_notebook_submissions("tiny", "tiny")} == {
        "ada": False, "bob": False, "cleo": True,
    }  # fmt: skip
    assert len(reads.get_students()) == 3
    assert reads.get_student_submissions("bob")[0]["score"] == 3
    assert reads.get_student_notebook_submissions("bob", "tiny")[0]["code_score"] == 3
    assert grades(course, "tiny")["bob"]["penalty"] == 0.3


def test_peoples_work_an_amendment_and_a_person_forgotten(course, make_result):
    answers = {"double": RIGHT, "why": "So."}
    grade(course, make_result, ada={"answers": answers}, bob={"answers": answers})
    with course.gradebook() as gradebook:
        given = gradebook.find_grade("why", "tiny", "tiny", "ada")
        given.manual_score, given.extra_credit, given.needs_manual_grade = 0.5, 0.25, False
        gradebook.db.commit()
    assert grade(course, make_result, ada={"answers": answers})[0]["review"] == {}
    assert grade(course, make_result, ada={"answers": answers | {"why": "No."}})[0]["review"] == {"tiny": ["why"]}
    source = course.path("source", "tiny") / "tiny.ipynb"
    notebook = nbformat.read(source, as_version=4)
    meta = {**notebook.cells[1].metadata.nbgrader, "grade_id": "more-tests", "points": 2}
    notebook.cells.append(nbformat.v4.new_code_cell("assert 1", id="more-tests", metadata={"nbgrader": meta}))
    nbformat.write(notebook, source)
    fresh = Folder(course.root)

    def again() -> dict:
        grade(fresh, make_result, ada={"answers": answers | {"why": "No."}}, bob={"answers": answers})
        return {"submissions": {}}

    report = amend(fresh, "tiny", again, lambda text: None)
    assert report["cells"]["new"] == ["more-tests"]
    assert grades(fresh, "tiny")["ada"]["points"] == 3 + 2 + 0.75
    feedback(fresh, "tiny", lambda text: None)
    export(fresh, lambda text: None)
    assert forget(fresh, "ada", lambda text: None)["submissions"] == 1
    assert grades(fresh, "tiny").keys() == {"bob"}
    with fresh.gradebook() as gradebook:
        assert [student.id for student in gradebook.students] == ["bob"]
    assert "ada" not in json.dumps((fresh.home / "grades.csv").read_text())


def test_a_row_that_somebody_holds_and_a_server_that_is_gone(course, make_result, server):
    record = make_result(course, "ada", {"why": "So."})
    grade(course, make_result, ada={})
    url = normal_url(course.coursedir.db_url)
    engine = sa.create_engine(url)
    with engine.connect() as holder:
        holder.execute(sa.text("lock table grade in exclusive mode"))
        with (
            Writer(course, "tiny", lambda text: None, wait=1) as writer,
            pytest.raises(ClassroomError, match="another program has held it for too long"),
        ):
            writer.merge(record)
    with engine.connect() as holder, Writer(course, "tiny", lambda text: None, wait=20) as writer:
        holder.execute(sa.text("lock table grade in exclusive mode"))
        later = threading.Timer(0.5, holder.rollback)
        later.start()
        assert writer.merge(record)["changed"]
        later.join()
    engine.dispose()
    server.stop()
    try:
        with pytest.raises(ClassroomError, match=r"the database says.*is the server up.*~/\.pgpass"):
            grades(Folder(course.root), "tiny")
        with pytest.raises(ClassroomError, match="is the server up"):
            Writer(course, "tiny", lambda text: None).__enter__()
    finally:
        server.start()
    with Writer(course, "tiny", lambda text: None) as writer:
        assert list(writer.pending()) == []
