"""What the fault tests share: a small class, an undisturbed run of it, and looks at what a command left behind.

Commands run as processes of their own, with a temporary folder of their own: so what is left in it, who still has it
mounted, and which of our processes still run can be told, whatever else this machine does.
"""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from classroom.folder import Folder
from classroom.results import read_result
from classroom.sandbox import cgroups

PROJECT = "tiny"
RIGHT = "def double(x):\n    return 2 * x"
SLOWLY = "import time\ntime.sleep({})\n" + RIGHT
ANSWERS = {
    "ada": RIGHT,
    "ben": SLOWLY.format(0.6),
    "cid": "def double(x):\n    return x",
    "dot": "import os\nos._exit(3)",
    "eva": SLOWLY.format(0.9),
    "fay": "raise ValueError('no')",
    "gus": RIGHT,
    "hal": SLOWLY.format(0.3),
}
REFUSED = "ida"
TAG = "CLASSROOM_FAULT_TEST"

# The sandbox's template with little to import: it is ready sooner, and that is all that changes.
QUICK = """\
import importlib.abc, importlib.util, sys

class Quick(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "classroom.sandbox.template":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.PRELOAD = ("deeppractice",)

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Quick())
"""


class Class:
    """A released course with submissions, in which commands are typed and killed.

    Args:
        root: the course's folder.
        tmp: its temporary folder, which the sandbox's user can pass through.
        quick: whether the sandbox's template has little to import.
    """

    def __init__(self, root: Path, tmp: Path, *, quick: bool = True) -> None:
        self.root, self.tmp, self.quick = root, tmp, quick
        self.tag = uuid.uuid4().hex
        self.seen: set[int] = set()  # processes of ours, as far as somebody looked

    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.root), "TMPDIR": str(self.tmp), TAG: self.tag}
        if self.quick:
            own["PYTHONPATH"] = str(self.tmp.parent / "quick")
        return {**os.environ, **own, "JUPYTER_PLATFORM_DIRS": "1", "PYTHONWARNINGS": "ignore"}

    def start(
        self, *words: str, python: tuple[str, ...] = ("-m", "classroom"), log: str = "log", **variables: str
    ) -> subprocess.Popen:
        """Type a command; what it says goes to a file beside the course's folder."""
        with open(self.root.parent / log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, *python, *words],
                cwd=self.root,
                env=self.environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, *words: str, seconds: float = 180, **options: object) -> tuple[int, str]:
        """Type a command and wait for its end: the exit code, and what it said."""
        before = len(self.log())
        code = self.start(*words, **options).wait(seconds)
        return code, self.log()[before:]

    def log(self) -> str:
        path = self.root.parent / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    # Who runs

    def processes(self) -> dict[int, str]:
        """Our processes and their command lines: by the tag in their environment or our folder among their mounts."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if (place / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    continue
                ours = f"{TAG}={self.tag}".encode() in (place / "environ").read_bytes()
                if ours or f"{self.tmp.parent}/" in (place / "mountinfo").read_text():
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        self.seen |= found.keys()
        return found

    def worker(self) -> int | None:
        """The process that the engine's nanny watches."""
        return next((pid for pid, line in self.processes().items() if "spawn_main" in line), None)

    def template(self) -> int | None:
        """The warm template itself, not bubblewrap around it and not its children."""
        found = {pid: line for pid, line in self.processes().items() if "classroom.inside.template" in line}
        return next((pid for pid in found if parent(pid) in found and "bwrap" in name(parent(pid))), None)

    @staticmethod
    def kill(pid: int | None) -> bool:
        """Kill a process; whether there was one."""
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    # What is there

    def manual(self, student: str, points: float, comment: str) -> None:
        """Give points by hand and a comment, as formgrader does."""
        with Folder(self.root).gradebook() as gradebook:
            grade = gradebook.find_grade("why", PROJECT, PROJECT, student)
            grade.manual_score, grade.needs_manual_grade = points, False
            gradebook.find_comment("why", PROJECT, PROJECT, student).manual_comment = comment
            gradebook.db.commit()

    def merged(self) -> set[str]:
        """Whose grades stand in the gradebook."""
        with contextlib.closing(sqlite3.connect(f"file:{self.root}/course/gradebook.db?mode=ro", uri=True)) as db:
            return {
                student
                for (student,) in db.execute(
                    "select student_id from submitted_notebook n join submitted_assignment s on s.id = n.assignment_id"
                )
            }

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Of each result file that stands what changes when it is written again."""
        found = {}
        for path in (self.root / "course/results").glob("*/[!.]*.result.json"):
            status = path.stat()
            found[path.name] = (status.st_ino, status.st_mtime_ns)
        return found

    def outcome(self, name: str) -> str:
        """What a result file says came out."""
        (path,) = (self.root / "course/results").glob(f"*/{name}")
        return read_result(path, head=True)["outcome"]

    def state(self) -> dict:
        """All that grading makes: result files without times and machines, the gradebook's rows, autograded/."""
        results = {}
        for path in sorted((self.root / "course/results").glob("*/*")):
            if path.name.endswith(("release.json", "feedback.json")):
                continue
            record = read_result(path)
            assert record.get("outcome") not in (None, "damaged", "failed"), f"{path.name}: {record}"
            assert path.name == f"{record['student']}.result.json", "left behind in results/"
            kept = ("student", "project", "submission", "grader", "outcome", "note", "rebuilt", "timestamp")
            results[record["student"]] = {field: record.get(field) for field in (*kept, "answers", "code", "points")}
        top = self.root / "course/autograded"
        graded = {str(path.relative_to(top)): path.read_bytes() if path.is_file() else None for path in top.rglob("*")}
        return {"results": results, "gradebook": gradebook(self.root), "autograded": graded}

    def left_behind(self) -> list[str]:
        """What a command should have cleared away: processes, mounts, control groups, temporary files."""
        deadline = time.monotonic() + 15
        while (found := self._left()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _left(self) -> list[str]:
        found = [f"process {pid}: {line[:150]}" for pid, line in self.processes().items()]
        found += [
            f"mount {line}"
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if str(self.tmp.parent) in line
        ]
        found += [str(path) for path in [*self.tmp.iterdir(), *self.tmp.parent.glob("cluster/classroom-*")]]
        for _, base in cgroups.find(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()):
            groups = [place for place in base.glob("classroom.*.*") if place.name != "classroom.host"]
            found += [str(place) for place in groups if int(place.name.split(".")[2]) in self.seen]
        steps = [self.root / "course" / step for step in ("attempts", "submitted", "results", "autograded", "feedback")]
        hidden = [path for step in steps for path in step.rglob(".*") if path.name != ".attempt.json"]
        return found + [str(path) for path in hidden]

    def end(self) -> None:
        """Kill what a failed test has left."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def gradebook(root: Path) -> dict[str, list[tuple]]:
    """The gradebook's rows without its made-up ids."""
    whose = "join submitted_notebook n on n.id = x.notebook_id join submitted_assignment s on s.id = n.assignment_id"
    of = f"select s.student_id, (select c.name from base_cell c where c.id = x.cell_id), x.* from {{}} x {whose}"
    queries = {
        "students": "select id from student",
        "submissions": "select student_id, timestamp, extension from submitted_assignment",
        "notebooks": "select s.student_id, n.flagged, n.late_submission_penalty from submitted_notebook n "
        "join submitted_assignment s on s.id = n.assignment_id",
        "grades": of.format("grade").replace("x.*", "auto_score, manual_score, extra_credit, needs_manual_grade"),
        "comments": of.format("comment").replace("x.*", "auto_comment, manual_comment"),
        "merged": "select project, student, outcome, answers from classroom_merged",
    }
    with contextlib.closing(sqlite3.connect(root / "course/gradebook.db")) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        return {name: sorted(db.execute(query).fetchall(), key=repr) for name, query in queries.items()}


def difference(found: dict, wanted: dict) -> list[str]:
    """Where two states differ, part by part."""
    lines = []
    for part, whole in wanted.items():
        left, right = found[part], whole
        for key in sorted(left.keys() | right.keys()):
            if left.get(key, "missing") != right.get(key, "missing"):
                lines.append(f"{part} {key}: {left.get(key, 'missing')!r:.3000} != {right.get(key, 'missing')!r:.3000}")
    return lines


def shared_secret(root: Path) -> None:
    """One secret for the class and its copies: each would make its own, and what grades stand on be another."""
    (root / "course" / "secret").write_bytes(bytes(32))


def parent(pid: int) -> int:
    """A process's parent; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def name(pid: int) -> str:
    """A process's short name."""
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def wait_for(condition, seconds: float = 60, what: str = "something"):
    """Wait until a condition holds; what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def class_template(tiny_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny course with nine submissions: right, wrong, slow, raising, one that ends itself, one that is none."""
    from ..conftest import CourseFolder

    root = tmp_path_factory.mktemp("faults") / "template"
    shutil.copytree(tiny_template, root)
    folder = CourseFolder.__new__(CourseFolder)
    folder.root = root
    for student, answer in ANSWERS.items():
        folder.hand_in(
            student, PROJECT, answer, "2026-02-07 10:00:00 UTC" if student == "gus" else "2026-02-05 10:00:00 UTC"
        )
    folder.hand_in(REFUSED, PROJECT, RIGHT).write_text("no notebook")
    shared_secret(root)
    return root


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A temporary folder that the sandbox's user can pass through (pytest's own cannot be entered by others)."""
    top = Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp"))
    os.chmod(top, 0o755)
    for place in ("tmp", "cluster", "quick"):
        (top / place).mkdir()
        os.chmod(top / place, 0o755)
    (top / "quick" / "sitecustomize.py").write_text(QUICK)
    try:
        yield top / "tmp"
    finally:
        shutil.rmtree(top)


@pytest.fixture
def new_class(class_template: Path, tmp_path: Path) -> Iterator[Class]:
    """A copy of the class, not graded."""
    with temporary_folder() as tmp:
        made = Class(Path(shutil.copytree(class_template, tmp_path / "class")), tmp)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(scope="session")
def calm(class_template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What an undisturbed run makes of the class, and the `seconds` that it takes."""
    with temporary_folder() as tmp:
        made = Class(Path(shutil.copytree(class_template, tmp_path_factory.mktemp("calm") / "class")), tmp)
        began = time.monotonic()
        code, said = made.run("autograde", PROJECT)
        seconds = time.monotonic() - began
        assert code == 0, said
        assert made.left_behind() == []
        state = made.state()
    outcomes = {student: record["outcome"] for student, record in state["results"].items()}
    assert outcomes == dict.fromkeys(ANSWERS, "graded") | {"dot": "student-error", REFUSED: "refused"}
    return json.loads(json.dumps({"seconds": seconds})) | {"state": state}
