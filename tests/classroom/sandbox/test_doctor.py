"""`classroom doctor`: that every layer holds on this machine, and that every probe can tell when one does not.

In order: both ways in hold here; sessions without a sandbox, and without limits either, lose every row that they
should, and what the probes wrote or started is gone afterwards, also when they are killed; a session that does not
start; the table; `quick_check` with a sandbox and without, and how long it takes; the command where bubblewrap is
missing, and where there are no user namespaces; as an ordinary user without a cgroup; the exit codes and the JSON.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from classroom.insecure import open_insecure
from classroom.sandbox import baits, doctor, owners, probes
from classroom.sandbox.cold import open_cold
from classroom.sandbox.doctor import quick_check
from classroom.sandbox.policy import Limits, SandboxError
from classroom.sandbox.probes import Row, probe
from classroom.sandbox.template import Template
from classroom.session import CellResult

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


# The environment by its real path: .venv may be a link in a folder that other users can't enter.
PYTHON = str(Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name)


class Lax:
    """A session without a sandbox and without limits, for probes that the insecure one would still stop."""

    def __init__(self, _limits: Limits, files: dict[str, bytes]) -> None:
        most = Limits(cell_output_bytes=10**8, output_bytes=10**8, memory_mb=10**6, processes=10**6, file_mb=10**6)
        self._session = open_insecure(most, files)

    def run(self, source: str, *, seconds: float) -> CellResult:
        if source.endswith("never_end()"):
            return CellResult(status="timeout")
        if source.startswith("import time; time.sleep("):
            source = "pass"  # as if there had been no limit, without waiting for the end
        return self._session.run(source, seconds=60)

    def close(self):
        return self._session.close()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What doctor says of this machine, and of sessions that are none; side by side, since most of it is waiting."""
    folder = tmp_path_factory.mktemp("course")
    os.environ["COURSE_SECRET"] = "x"
    lines: dict[str, list[str]] = {"here": [], "weak": []}
    weak = {"insecure": open_insecure, "lax": Lax}
    with ThreadPoolExecutor(2) as pool:
        here = pool.submit(doctor.doctor, lines["here"].append, folder=folder)
        other = pool.submit(doctor.doctor, lines["weak"].append, folder=folder, ways=tuple(weak), openers=weak)
        result = {"here": here.result(), "weak": other.result(), "lines": lines, "left": list(folder.iterdir())}
    del os.environ["COURSE_SECRET"]
    return result


def missing(report: dict, way: str) -> set[str]:
    return {row["layer"] for row in report["rows"] if row["way"] == way and not row["holds"]}


def test_all_layers_hold_here(found: dict) -> None:
    report = found["here"]
    assert report["holds"], [row for row in report["rows"] if not row["holds"]]
    layers = [{row["layer"] for row in report["rows"] if row["way"] == way} for way in ("warm", "cold")]
    assert layers[0] == layers[1]
    assert len(layers[0]) == 16
    assert all(row["advice"] == "" and row["happened"] for row in report["rows"])
    assert found["lines"]["here"][-1].startswith("all 33 layers hold")


def test_every_probe_can_fail(found: dict) -> None:
    report = found["weak"]
    assert not report["holds"]
    walls = {"namespaces", "processes", "network", "file system", "privileges", "system calls", "environment"}
    held = set() if os.geteuid() == 0 else {"privileges"}  # an ordinary user has none anyway
    assert walls - held <= missing(report, "insecure")
    every = {row["layer"] for row in report["rows"] if row["way"] == "lax"}
    assert missing(report, "lax") >= every - held - {"limits"}
    assert "disk" in missing(report, "insecure")
    for row in report["rows"]:
        assert row["holds"] == (row["advice"] == "")
    table = "\n".join(found["lines"]["weak"])
    assert "MISSING" in table
    assert "-> " in table
    assert "do not grade untrusted notebooks here" in table
    network = next(row for row in report["rows"] if row["layer"] == "network" and row["way"] == "insecure")
    assert "connect to the host's loopback: connected" in network["happened"]


def test_probes_clear_up(found: dict) -> None:
    assert found["left"] == []
    for place in ("/", "/usr", "/etc", "/dev", sys.prefix, Path.home(), "/tmp"):
        ours = (".classroom-", f".canary-{owners.mark()}")
        assert not [path for path in Path(place).iterdir() if path.name.startswith(ours)]


BAIT = """
import os, signal, sys
from pathlib import Path
from classroom.sandbox import baits
with baits.process("a-mark") as victim, baits.canaries(Path(sys.argv[1]), "a-token"):
    print(victim.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_doctor_had_laid_out_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    host = subprocess.run([sys.executable, "-c", BAIT, tmp_path], stdout=subprocess.PIPE, check=False)
    victim = Path(f"/proc/{int(host.stdout)}/cmdline")
    deadline = time.monotonic() + 10
    while victim.exists() and victim.read_bytes():  # an ended one that nobody has waited for has no command line
        assert time.monotonic() < deadline, "it outlives who started it"
        time.sleep(0.02)
    assert [path.name.rpartition("-")[2] for path in tmp_path.iterdir()] == ["token"]
    with baits.canaries(tmp_path, "another"):  # the next one clears up
        assert [path.name.rpartition("-")[2] for path in tmp_path.iterdir()] == ["another"]
    assert not list(tmp_path.iterdir())


def test_session_that_does_not_start(tmp_path: Path) -> None:
    def broken(_limits: Limits, _files: dict) -> None:
        raise SandboxError("no such luck")

    for quick in (True, False):
        rows = probe(broken, way="x", folder=tmp_path, quick=quick)
        assert [(row.way, row.layer, row.happened, row.holds) for row in rows] == [
            ("x", "start", "no such luck", False)
        ]


def test_cell_that_does_not_end(tmp_path: Path) -> None:
    """A fault in the probe's own cell is never taken for a layer that holds."""

    class Crashing(Lax):
        def run(self, source: str, *, seconds: float) -> CellResult:
            return CellResult(status="died", reason="crash")

    rows = probe(Crashing, way="x", folder=tmp_path, quick=True)
    assert [row.holds for row in rows] == [False]
    assert "ended with died crash" in rows[0].happened


def test_table() -> None:
    lines: list[str] = []
    doctor._print([Row("cold", "a layer", "try " * 20, "it " * 30, False, "do this")], lines.append)
    assert "MISSING" in lines[1].splitlines()[0]
    assert len(lines[1].splitlines()) == 3
    assert all(len(line) <= 120 for line in lines[1].splitlines())
    assert lines[2] == "       -> do this"


def test_quick_check(tmp_path: Path) -> None:
    quick_check()
    quick_check(open_cold, folder=tmp_path)
    with Template(preload=()) as template:
        template.wait()
        began = time.monotonic()
        quick_check(template.open, folder=tmp_path)
        took = time.monotonic() - began
    assert took < 20  # well below a second on an idle machine
    with pytest.raises(SandboxError) as caught:
        quick_check(open_insecure, folder=tmp_path)
    message = str(caught.value)
    assert "network: MISSING (connect to the host's loopback: connected" in message
    assert message.splitlines()[-1].startswith("students' code is not run here without its sandbox")
    assert "--insecure" in message
    assert list(tmp_path.iterdir()) == []


def command(*words: str, prefix: tuple[str, ...] = (), **options) -> subprocess.CompletedProcess:
    line = [*prefix, PYTHON, "-m", "classroom", "doctor", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, **options)


def test_without_bubblewrap(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(PYTHON)
    done = command("--json", str(tmp_path / "out.json"), cwd=tmp_path, env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 2
    assert "bubblewrap is not installed" in done.stdout
    assert "sudo apt install bubblewrap" in done.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert (report["holds"], report["exit"], len(report["rows"])) == (False, 2, 1)
    assert "Traceback" not in done.stderr


def test_without_user_namespaces(public_library: str) -> None:
    """For real: inside a bubblewrap that lets no further ones be made."""
    outer = ("bwrap", "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--")
    if os.geteuid() == 0:
        outer = ("setpriv", "--reuid=64712", "--regid=64712", "--clear-groups", *outer)
    done = command(prefix=outer, cwd="/", env={**os.environ, "HOME": "/", "PYTHONPATH": public_library})
    assert done.returncode == 2, done.stdout + done.stderr
    assert "1 of 1 layers MISSING" in done.stdout
    assert "sysctl user.max_user_namespaces" in done.stdout


ORDINARY = """
import sys
from pathlib import Path
from classroom.sandbox import cgroups, doctor
from classroom.sandbox.cold import open_cold
from classroom.sandbox.template import Template
print(cgroups.kind())
with Template(preload=()) as template:
    doctor.quick_check(template.open, folder=Path(sys.argv[1]))
doctor.quick_check(open_cold, folder=Path(sys.argv[1]))
print("all hold")
"""


@root_only
def test_as_an_ordinary_user(tmp_path: Path, public_library: str) -> None:
    drop = {"user": 64712, "group": 64712, "extra_groups": []}
    environment = {**os.environ, "HOME": "/nonexistent", "PYTHONPATH": public_library}
    line = [PYTHON, "-c", ORDINARY, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, cwd="/", env=environment, **drop)
    assert done.stdout == "none\nall hold\n", done.stdout + done.stderr


@pytest.mark.full
@root_only
def test_all_as_an_ordinary_user(public_library: str) -> None:
    drop = {"user": 64712, "group": 64712, "extra_groups": []}
    environment = {**os.environ, "HOME": "/nonexistent", "PYTHONPATH": public_library}
    done = command(cwd="/", env=environment, **drop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rlimits and a watchdog hold memory" in done.stdout


def test_kernelspec_by_command(found: dict, tmp_path: Path) -> None:
    """`--kernelspec` writes one, into this environment: taken away again."""
    from classroom import commands
    from classroom.sandbox import provisioner

    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "doctor", lambda *_, **__: dict(found["here"]))
        patch.setattr(provisioner.sys, "prefix", str(tmp_path))
        arguments = type("Arguments", (), {"course": None, "kernelspec": "sandboxed", "json": None})
        patch.chdir(tmp_path)
        patch.setattr(commands, "say", made.append)
        code, report = commands.doctor(arguments)
    assert code == 0
    assert Path(report["kernelspec"], "kernel.json").exists()
    assert 'c.ExecutePreprocessor.kernel_name = "sandboxed"' in "\n".join(made)


def test_probe_limits_are_small() -> None:
    """A machine with little memory can be looked at too."""
    assert probes.LIMITS.memory_mb <= 512


def test_a_canary_is_readable_by_everybody_whatever_the_umask(tmp_path: Path) -> None:
    """Else a sandbox that shows it would pass, since another user may not read it."""
    before = os.umask(0o077)
    try:
        with baits.canaries(tmp_path, "a-token") as made:
            ours = [path for path in made if path.endswith("a-token")]
            assert [os.stat(path).st_mode & 0o777 for path in ours] == [0o644] * len(ours)
            assert len(ours) >= 2
    finally:
        os.umask(before)
