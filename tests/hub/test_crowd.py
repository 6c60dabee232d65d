"""Twenty students hand in at the same moment, one of them hostile; then the instructor collects and grades them all.

All have accounts and tokens of a demo hub, and go through its exchange as their JupyterLab would (see crowd.py). The
time from the first press to the last answer is written to _build/hub-crowd.json.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import pytest
import requests

from .person import free_port
from .running import COURSE, ROOT, Hub, copy_course

PROJECT, SCOPE = "checkpoint-01", "access:services!service=ngshare"
STUDENTS = ["ada", "ben", "carol", *(f"student{number:02}" for number in range(4, 21))]
HOSTILE, VICTIM = STUDENTS[:2]  # the former is graded first, as it takes longest
MINE = f"{COURSE}/{PROJECT}"
BURST, MOST_SENT = 100, 100  # the latter is the exchange's
RECORD = ROOT / "_build" / "hub-crowd.json"

RIGHT = """\
def compare(a, b):
    if len(a) != len(b) or len(a) < 2:
        raise ValueError("expected as many accuracies of B as of A, and two or more")
    d = np.asarray(a) - np.asarray(b)
    return d.mean(), d.std(ddof=1) / np.sqrt(len(d))"""
LENGTH = """\
def code_length(probabilities, labels, first):
    N, K = probabilities.shape
    with np.errstate(divide="ignore"):
        return first * np.log2(K) - np.log2(probabilities[np.arange(first, N), labels[first:]]).sum()"""
# By cell: an answer, and the points that it earns; there are two for each part.
ANSWERS = {
    "compare": [
        (RIGHT, 2),
        (RIGHT.replace(" or len(a) < 2", ""), 1.5),  # a single split is no error
        (RIGHT.replace("ddof=1", "ddof=0"), 1.5),  # no S - 1
        ("def compare(a, b):\n    return 0.0, 0.0", 0),
        (None, 0),
    ],
    "code-length": [
        (LENGTH, 2),
        (LENGTH.replace(", labels[first:]]).", ", labels[first:]].clip(1e-9))."), 1.5),  # nothing is impossible
        ("def code_length(probabilities, labels, first)\n    return 0", 0),  # no Python
        (None, 0),
    ],
}

ATTACK = f"""\
import os, signal, time
from pathlib import Path

tried = 0
for place in {{places!r}}:
    tried += 1
    for kind in ("rb", "ab"):
        try:
            with open(place, kind) as file:
                print("OPENED", place, kind)
                if kind == "ab":
                    file.write(b"taken")
        except OSError:
            pass
print("TRIED", tried)
for _ in range(300):
    try:
        if os.fork() == 0:
            time.sleep(3600)
    except OSError:
        break
print("x" * 100_000_000)
for process in (os.getppid(), 1):
    try:
        os.kill(process, signal.SIGKILL)
    except OSError:
        pass


{RIGHT}"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """A demo hub with twenty students; the checkpoint is due in two days."""
    with tempfile.TemporaryDirectory(prefix="hub-") as name:
        folder, port = Path(name), free_port()
        copy_course(folder / "course")
        settings = folder / "course" / "course.yml"
        due = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d} 23:59"
        text = re.sub(rf"^  {PROJECT}: {{due: [^,]*,", f"  {PROJECT}: {{due: {due},", settings.read_text(), flags=re.M)
        settings.write_text(text)
        line = [sys.executable, str(ROOT / "hub" / "demo.py"), "--port", str(port), "--state", name, "--students=20"]
        hub = Hub(folder, port, line, folder / "state")
        try:
            hub.start()
            hub.password, hub.course = (folder / "password").read_text(), folder / "course"
            hub.exchange = f"http://127.0.0.1:{hub.inside + 2}/services/ngshare/"
            yield hub
        finally:
            hub.stop()


class Instructor:
    """The instructor, who presses formgrader's buttons and may ask the exchange for everything."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.headers = hub, {"Authorization": f"token {hub.log_in('ines').token}"}

    def formgrader(self, path: str, **what) -> object:
        """Ask formgrader's own API, or press one of its buttons (with `data`)."""
        url = f"{self.hub.url}/services/{COURSE}/formgrader/api/{path}"
        answer = requests.request("POST" if what else "GET", url, headers=self.headers, timeout=240, **what)
        assert answer.ok, answer.text
        return answer.json()

    def press(self, button: str) -> str:
        """Press a button of the project; what it says."""
        done = self.formgrader(f"assignment/{PROJECT}/{button}", data="{}")
        assert done["success"], done
        return done.get("log", "")

    def exchange(self, path: str) -> dict:
        """What is in the exchange."""
        answer = requests.get(self.hub.exchange + path, headers=self.headers, timeout=120)
        assert answer.ok, answer.text
        return answer.json()


def answers() -> dict[str, tuple[dict[str, str], float]]:
    """By honest student what they answer, and the points for it: all combinations, each at most once."""
    pairs = [(first, second) for first in ANSWERS["compare"] for second in ANSWERS["code-length"]]
    found = {}
    for name, chosen in zip(STUDENTS[1:], pairs, strict=False):
        said = {cell: text for cell, (text, _) in zip(ANSWERS, chosen, strict=True) if text}
        found[name] = (said, sum(points for _, points in chosen))
    return found


def files(*given: tuple[str, bytes]) -> dict[str, str]:
    """Files as a form that the exchange reads."""
    return {"files": json.dumps([{"path": name, "content": base64.b64encode(data).decode()} for name, data in given])}


def hostile(hub: Hub) -> tuple[list[list[tuple]], list[int]]:
    """The hostile one's requests: a burst, each kind of trick, the rest; and the codes of the answers to the tricks."""
    name = f"{PROJECT}.ipynb"
    notebook = nbformat.read(hub.course / "assignments" / PROJECT / name, as_version=4)
    places = [str(path) for path in (hub.course, hub.state) for path in path.rglob("*") if path.is_file()]
    places += [str(hub.course / "course" / "submitted" / who / PROJECT / name) for who in (VICTIM, HOSTILE)]  # by then
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "compare":
            cell.source = ATTACK.format(places=places)
    attack = nbformat.writes(notebook).encode()
    notebook.cells[0].source = "x" * 25_000_000
    huge, deep = nbformat.writes(notebook).encode(), b'{"cells": ' + b"[" * 1_000_000
    sent = f"submission/{MINE}"
    tricks = [
        ("POST", f"{sent}?student_id={VICTIM}&user={VICTIM}", files((name, attack)), 200),  # as whoever the token says
        ("POST", sent, files((name, attack)) | {"student_id": VICTIM, "user": VICTIM}, 200),
        ("POST", f"{sent}/{VICTIM}", files((name, attack)), 405),
        ("GET", f"{sent}/{VICTIM}", None, 403),
        ("GET", f"submissions/{MINE}", None, 403),
        ("POST", f"feedback/{MINE}/{VICTIM}?timestamp=2026-01-01 00:00:00.0", files((name, attack)), 403),
        ("POST", f"assignment/{MINE}?replace=true", files((name, attack)), 403),
        ("POST", f"assignment/{COURSE}/mine", files((name, attack)), 403),
        ("DELETE", f"assignment/{MINE}", None, 405),
        ("POST", f"submission/{COURSE}/..%2F..%2F{VICTIM}", files((name, attack)), 404),
        ("POST", sent, files((f"../{VICTIM}/{name}", attack)), 400),
        ("POST", sent, files(("/etc/passwd", attack)), 400),
        ("POST", sent, files((name, attack), (name, attack)), 400),
        ("POST", sent, {"files": "[" * 1_000_000}, 400),
        ("POST", sent, files((name, deep)), 200),
        ("POST", sent, files((name, huge)), 200),
    ]
    burst = [("POST", sent, files((name, attack + b"\n" * number))) for number in range(BURST)]
    return [burst[:-20], [one[:3] for one in tricks], burst[-20:]], [code for *_, code in tricks]


def unchanged(hub: Hub) -> dict[str, str]:
    """What grading reads and must leave as it is, by the hash of each file."""
    places = [hub.course / name for name in ("solutions", "assignments", "course/submitted", "course/attempts")]
    found = [hub.course / "course.yml", hub.course / "nbgrader_config.py", hub.state / "exchange" / "ngshare.db"]
    found += [path for place in (*places, hub.state / "exchange" / "files") for path in place.rglob("*")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found if path.is_file()}


@pytest.fixture(scope="module")
def handed_in(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What happened to each, after all have handed in."""
    ines = Instructor(hub)
    for button in ("assign", "release"):
        ines.press(button)
    tokens = {}
    for name in STUDENTS:
        person = hub.log_in(name)
        tokens[name] = person.hub("POST", f"users/{name}/tokens", json={"scopes": [SCOPE]}).json()["token"]
    folder = tmp_path_factory.mktemp("crowd")
    at = {"folder": str(folder), "course": COURSE, "project": PROJECT, "exchange": hub.exchange}
    at["students"] = [(name, tokens[name], said) for name, (said, _) in answers().items()]
    phases, codes = hostile(hub)
    at["hostile"] = (HOSTILE, tokens[HOSTILE], phases)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "NGSHARE"))}
    kept |= {"NGSHARE_URL": hub.exchange, "JUPYTER_CONFIG_PATH": str(ROOT / "hub" / "servers" / "student")}
    kept |= {"JUPYTER_PLATFORM_DIRS": "1", "PYTHONPATH": str(ROOT / "lib")}
    line = [sys.executable, str(Path(__file__).with_name("crowd.py"))]
    done = subprocess.run(line, input=json.dumps(at), env=kept, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-4000:]
    return {name: json.loads((folder / f"{name}.json").read_text()) | {"expected": codes} for name in STUDENTS}


def test_everybody_is_in_the_exchange_once_and_as_they_were(hub, handed_in):
    ines, honest = Instructor(hub), list(answers())
    assert {name: handed_in[name]["told"] for name in honest} == {name: [] for name in honest}
    begin = min(handed_in[name]["begin"] for name in honest)
    waits = sorted(handed_in[name]["end"] - handed_in[name]["begin"] for name in honest)
    record = {"students": len(STUDENTS), "seconds": round(max(handed_in[name]["end"] for name in honest) - begin, 1)}
    record |= {"half_waited_seconds": round(waits[len(waits) // 2], 1), "processors": os.cpu_count()}
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    print(record)

    sent = ines.exchange(f"submissions/{MINE}")["submissions"]
    counts = Counter(one["student_id"] for one in sent)
    assert counts == dict.fromkeys(honest, 1) | {HOSTILE: MOST_SENT}
    for one in sent:
        if one["student_id"] in honest:
            answer = ines.exchange(f"submission/{MINE}/{one['student_id']}?timestamp={one['timestamp']}")
            [file] = answer["files"]
            assert file["path"] == f"{PROJECT}.ipynb"
            data = base64.b64decode(file["content"])
            assert hashlib.sha256(data).hexdigest() == handed_in[one["student_id"]]["bytes"], one


def test_the_hostile_one_got_what_the_exchange_allows(hub, handed_in):
    burst, tricks, rest = handed_in[HOSTILE]["codes"]
    assert tricks == handed_in[HOSTILE]["expected"]
    assert set(burst) == {200}
    taken = MOST_SENT - len(burst) - tricks.count(200)
    assert Counter(rest) == {200: taken, 429: len(rest) - taken}
    ines = Instructor(hub)
    assert ines.exchange(f"assignments/{COURSE}")["assignments"] == [PROJECT]
    [file] = ines.exchange(f"assignment/{MINE}")["files"]
    released = (hub.course / "assignments" / PROJECT / f"{PROJECT}.ipynb").read_bytes()
    assert base64.b64decode(file["content"]) == released


def test_the_instructor_collects_and_grades_all(hub, handed_in):
    ines = Instructor(hub)
    said = ines.press("collect")
    assert f"{len(STUDENTS)} collected" in said, said
    refused = [line for line in said.splitlines() if line.startswith("refused")]
    print(*refused, sep="\n")
    assert len(refused) == 1, said  # what is no JSON to its end
    assert refused[0].startswith(f"refused    {HOSTILE}"), refused
    [row] = [row for row in ines.formgrader("assignments") if row["name"] == PROJECT]
    assert row["num_submissions"] == len(STUDENTS)
    assert {row["student"] for row in ines.formgrader(f"submissions/{PROJECT}")} == set(STUDENTS)
    for name in answers():
        place = hub.course / "course" / "submitted" / name / PROJECT / f"{PROJECT}.ipynb"
        assert hashlib.sha256(place.read_bytes()).hexdigest() == handed_in[name]["bytes"]

    before = unchanged(hub)
    kept = {key: value for key, value in os.environ.items() if key != "CLASSROOM_DIR"}
    kept["PYTHONPATH"] = str(ROOT / "lib")
    line = [sys.executable, "-P", "-m", "classroom", "autograde", PROJECT]
    done = subprocess.run(line, cwd=hub.course, env=kept, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert unchanged(hub) == before

    rows = {row["student"]: row for row in ines.formgrader(f"submissions/{PROJECT}")}
    points = {name: rows[name]["score"] for name in STUDENTS}
    expected = {name: earned for name, (_, earned) in answers().items()}
    assert {name: points[name] for name in expected} == expected
    assert all(rows[name]["autograded"] for name in STUDENTS)
    assert points[HOSTILE] <= 2, "its one answer is right"
    graded = (hub.course / "course" / "autograded" / HOSTILE / PROJECT / f"{PROJECT}.ipynb").read_text()
    assert re.search(r"TRIED \d{2}", graded), "it ran"
    assert re.findall(r"OPENED (/\S*)", graded) == []
