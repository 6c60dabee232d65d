"""The cold sandbox: a Jupyter kernel as a session, and as a kernel of Jupyter's own tools.

In order. Session: outputs of every kind, the working directory's files, an error, no network and nobody's files; a cell
over its time and the next one; too much output; `exit`; then each way to die (deaf to the interrupt, total time, memory
with a control group and without one, a full kernel's death, `os._exit`, a flood of output), and that later cells are
not run; forged and broken messages; links in the place of its sockets; nothing left after the end, closing twice,
closing while a cell runs; two at a time; a name that leads out of the home; no such kernel, one that does not start,
one that never listens; a kernel of another environment. Provisioner: nbclient, restart and interrupt, limits from the
kernelspec, what is copied from beside a notebook and what is not, kernelspecs that are not ours; stock
`nbgrader autograde` over a tiny course.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from nbformat.v4 import new_code_cell, new_notebook

from classroom.errors import ClassroomError
from classroom.sandbox import jailed, kernel, policy, provisioner
from classroom.sandbox.cold import ColdSession, open_cold
from classroom.sandbox.policy import Limits, SandboxError
from classroom.session import Session

LIMITS = Limits(seconds=120, memory_mb=400, processes=64, cell_output_bytes=20_000, output_bytes=1_000_000, file_mb=16)


def stages() -> set[Path]:
    """What this process has staged and not yet removed."""
    return {path for path in Path(os.environ.get("TMPDIR", "/tmp")).glob(f"classroom-stage-*.{os.getpid()}.*")}


@pytest.fixture(scope="module")
def session():
    session = open_cold(LIMITS, {"data.csv": b"1,2\n", "deep/er/note.txt": "ä".encode()}, threads=1)
    yield session
    session.close()


def text_of(result) -> str:
    return "".join(output.get("text", "") for output in result.outputs)


def test_outputs(session: ColdSession) -> None:
    assert isinstance(session, Session)
    result = session.run("import sys\nprint('out'); print('err', file=sys.stderr)\n6 * 7", seconds=10)
    assert (result.status, result.reason) == ("ok", "")
    assert [(o["output_type"], o.get("name")) for o in result.outputs] == [
        ("stream", "stdout"),
        ("stream", "stderr"),
        ("execute_result", None),
    ]
    assert result.outputs[2]["data"]["text/plain"] == "42"
    shown = "from IPython.display import display, clear_output\nh = display('a', display_id='x'); h.update('b')"
    assert session.run(shown, seconds=10).outputs[0]["data"]["text/plain"] == "'b'"
    assert text_of(session.run("print(1); clear_output(); print(2)", seconds=10)) == "2\n"
    assert (
        text_of(session.run("import os\nos.system('echo child')\nos.write(1, b'raw')", seconds=10)).count("child") == 1
    )
    result = session.run("1 / 0", seconds=10)
    assert (result.status, result.outputs[0]["ename"]) == ("error", "ZeroDivisionError")
    assert session.run("def (", seconds=10).status == "error"
    assert session.run("", seconds=10).outputs == []
    # nbformat's own word on all of it
    cells = [new_code_cell("x", outputs=session.run("display(1); print(2); 3", seconds=10).outputs)]
    nbformat.validate(new_notebook(cells=cells))


def test_files_and_place(session: ColdSession) -> None:
    seen = "import os\nprint(os.getcwd(), open('data.csv').read().strip(), open('deep/er/note.txt').read())"
    assert text_of(session.run(seen, seconds=10)) == "/home/student 1,2 ä\n"
    assert session.run("open('data.csv', 'a').write('x')", seconds=10).status == "ok"
    where = f"[os.path.exists(p) for p in ({str(Path(__file__))!r}, {sys.prefix!r} + '/pyvenv.cfg')]"
    assert session.run(where, seconds=10).outputs[0]["data"]["text/plain"] == "[False, False]"
    assert session.run("import deeppractice, numpy; deeppractice.__file__", seconds=60).status == "ok"
    assert session.run("from classroom.cli import main", seconds=10).outputs[0]["ename"] == "ModuleNotFoundError"
    refused = session.run("import socket; socket.create_connection(('192.0.2.1', 80), 2)", seconds=10)
    assert refused.outputs[0]["ename"] == "OSError"  # network is unreachable
    # The folder of the kernel's own sockets is no way to fill the host's disk.
    full = session.run("open('/run/kernel/x', 'wb').write(bytes(3 << 20))", seconds=10)
    assert "No space left" in full.outputs[0]["evalue"]


def test_time_of_a_cell(session: ColdSession) -> None:
    result = session.run("n = 1\nimport time\nwhile True: time.sleep(0.01)", seconds=0.5)
    assert (result.status, result.outputs[-1]["ename"]) == ("timeout", "KeyboardInterrupt")
    assert 0.4 < result.seconds < 20
    result = session.run("sum(range(10_000_000)); n", seconds=20)
    assert (result.status, result.outputs[0]["data"]["text/plain"]) == ("ok", "1")
    assert 0 < result.cpu_seconds < 10


def test_too_much_output(session: ColdSession) -> None:
    result = session.run("print('x' * 500_000)\nprint('tail')\n5", seconds=10)
    assert result.status == "ok"
    assert len(text_of(result)) < 25_000
    assert "output cut here" in text_of(result)
    assert session.run("print(1)", seconds=10).outputs[0]["text"] == "1\n"


def one(source: str, limits: Limits = LIMITS, seconds: float = 20.0) -> tuple:
    """Run a cell in a session of its own, then another; the first one's result and the session."""
    session = open_cold(limits, {})
    try:
        result = session.run(source, seconds=seconds)
        after = session.run("1", seconds=5)
    finally:
        usage = session.close()
    return result, after, usage


def test_ways_to_die(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = "import signal, time\nsignal.signal(2, signal.SIG_IGN)\nwhile True: time.sleep(1)"
    flood = "while True: print('y' * 10_000)"
    cases = {
        "exit": ("exit()", LIMITS, 20.0),
        "gone": ("import os; os._exit(0)", LIMITS, 20.0),
        "crash": ("import os; os.kill(os.getpid(), 11)", LIMITS, 20.0),
        "memory": ("x = bytearray(900 << 20)", LIMITS, 20.0),
        "deaf": (deaf, LIMITS, 0.3),
        "total": (deaf, Limits.from_dict(LIMITS.as_dict() | {"seconds": 4}), 60.0),
        "output": (flood, Limits.from_dict(LIMITS.as_dict() | {"memory_mb": 1500}), 20.0),
    }
    with ThreadPoolExecutor(4) as pool:
        done = dict(zip(cases, pool.map(lambda case: one(*case), cases.values()), strict=True))
    assert {name: (result.status, result.reason) for name, (result, _, _) in done.items()} == {
        "exit": ("ok", ""),
        "gone": ("died", "exit"),
        "crash": ("died", "crash"),
        "memory": ("died", "memory"),
        "deaf": ("died", "time"),
        "total": ("died", "time"),
        "output": ("died", "output"),
    }
    for _, after, usage in done.values():
        assert (after.status, after.outputs) == ("not-run", [])
        assert usage.seconds > 0
        assert usage.memory_mb > 5
        assert usage.processes >= 1
    assert done["total"][0].seconds < 20
    assert done["memory"][2].memory_mb <= 401


def test_memory_without_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jailed.Group, "create", lambda limits: None)
    # One process meets its own limit, and goes on; four of them together meet the watchdog.
    session = open_cold(LIMITS, {})
    assert session.run("x = bytearray(900 << 20)", seconds=20).outputs[0]["ename"] == "MemoryError"
    several = "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n"
    several += "        x = b'x' * (150 << 20); time.sleep(60)\ntime.sleep(60)"
    result = session.run(several, seconds=30)
    assert (result.status, result.reason) == ("died", "memory")
    assert session.close().memory_mb > 400
    # Empty files take memory too.
    session = open_cold(Limits.from_dict(LIMITS.as_dict() | {"memory_mb": 120}), {})
    result = session.run("for n in range(10**7): open(f'/tmp/{n}', 'w').close()", seconds=30)
    assert (result.status, result.reason) == ("died", "memory")
    session.close()


@pytest.mark.parametrize(
    "forged",
    [
        # on the socket where outputs go: no JSON, an output that is none, a parent that is none
        "k.session.send(k.iopub_socket, 'stream', content={'name': 7}, parent=k.get_parent())",
        "k.session.send(k.iopub_socket, 'display_data', content={'data': {'text/plain': 5}}, parent=k.get_parent())",
        "k.session.send(k.iopub_socket, 'error', content=[1], parent=k.get_parent())",
        "k.iopub_socket.send_multipart([b'stream', b'<IDS|MSG>', b'', b'{', b'{', b'{', b'{'])",
        "k.iopub_socket.send_multipart([b'x'])",
        "k.session.send(k.iopub_socket, 'status', content={'execution_state': 'idle'}, parent=k.get_parent())",
    ],
)
def test_forged_messages(forged: str) -> None:
    """Whatever a kernel in the student's hands sends, the session answers in one of its ways, soon."""
    own = open_cold(LIMITS, {})
    began = time.monotonic()
    try:
        result = own.run(f"k = get_ipython().kernel\n{forged}", seconds=5)
        assert result.status in ("ok", "error", "died")
        nbformat.validate(new_notebook(cells=[new_code_cell("x", outputs=result.outputs)]))
        if result.status != "died":
            assert own.run("1", seconds=5).status in ("ok", "died")
    finally:
        own.close()
    assert time.monotonic() - began < 20


def test_nothing_is_left(session: ColdSession) -> None:
    before, descriptors = stages(), len(os.listdir("/proc/self/fd"))
    own = open_cold(LIMITS, {})
    mark = f"left-{os.getpid()}"
    deaf = f"trap '' TERM HUP INT; sleep 77; : {mark}"
    leave = f"import subprocess\nsubprocess.Popen(['sh', '-c', {deaf!r}], start_new_session=True)"
    assert own.run(leave, seconds=10).status == "ok"
    assert marked(mark)
    usage = own.close()
    assert own.close() is usage
    assert own.run("1", seconds=1).status == "not-run"
    assert not marked(mark)
    assert stages() == before
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def marked(mark: str) -> list[str]:
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and mark.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(entry)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_two_at_a_time(session: ColdSession) -> None:
    other = open_cold(LIMITS, {})
    try:
        assert session.run("open('/tmp/mine', 'w').write('x'); mine = 5", seconds=5).status == "ok"
        seen = other.run("import os; os.listdir('/tmp'), 'mine' in globals(), len(os.listdir('/dev/shm'))", seconds=5)
        assert seen.outputs[0]["data"]["text/plain"] == "([], False, 0)"
    finally:
        other.close()


REPLACED = """
import os, socket, time
for number in (1, 2):
    os.unlink(f"/run/kernel/k-{number}")
    os.symlink(PLACE, f"/run/kernel/k-{number}")
for number in range(3, 200):
    try:
        found = socket.socket(fileno=os.dup(number))
        accepted = not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if accepted and "/run/kernel/k-" in str(found.getsockname()):
            found.shutdown(2)
    except OSError:
        pass
time.sleep(2)
"""


def test_a_link_in_the_place_of_its_sockets_leads_nowhere(tmp_path_factory) -> None:
    """We connect again when a connection is lost, and must not do so to a service of the host."""
    place = tmp_path_factory.mktemp("service") / "socket"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(place))
        service.listen()
        service.setblocking(False)
        own = open_cold(LIMITS, {})
        assert own.run(REPLACED.replace("PLACE", repr(str(place))), seconds=8).status == "died"
        own.close()
        with pytest.raises(BlockingIOError):
            service.accept()


def test_closing_while_a_cell_runs() -> None:
    """As a worker does when nobody waits for the result any more."""
    own = open_cold(LIMITS, {})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(own.run, "import time; time.sleep(60)", seconds=60)
        time.sleep(0.5)
        began = time.monotonic()
        own.close()
        assert running.result().status == "died"
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "."])
def test_names_that_lead_out(name: str) -> None:
    before = stages()
    with pytest.raises(SandboxError, match="leads out"):
        open_cold(LIMITS, {name: b""})
    assert stages() == before


def kernelspec(folder: Path, name: str, argv: list[str], **more) -> None:
    place = folder / "kernels" / name
    place.mkdir(parents=True)
    spec = {"argv": argv, "display_name": name, "language": "python", **more}
    (place / "kernel.json").write_text(json.dumps(spec))


def test_kernels_that_do_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stages()
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with pytest.raises(SandboxError, match=r"no Jupyter kernel 'nothing'.*python3"):
        open_cold(LIMITS, {}, kernel_name="nothing")
    kernelspec(tmp_path, "ends", ["/bin/sh", "-c", "echo no such luck; exit 3"])
    with pytest.raises(SandboxError, match="ended; it said: no such luck"):
        open_cold(LIMITS, {}, kernel_name="ends")
    kernelspec(tmp_path, "missing", ["/usr/nowhere/python", "{connection_file}"])
    with pytest.raises(SandboxError, match="/usr/nowhere/python"):
        open_cold(LIMITS, {}, kernel_name="missing")
    kernelspec(tmp_path, "outside", [str(tmp_path / "bin" / "python"), "{connection_file}"])
    with pytest.raises(SandboxError, match="not in a Python environment"):
        open_cold(LIMITS, {}, kernel_name="outside")
    kernelspec(tmp_path, "sleeps", ["/bin/sleep", "60"])
    with policy.stage() as staged:
        started = kernel.start_kernel(kernel.find_spec("sleeps"), {"key": ""}, limits=LIMITS, staged=staged)
        with pytest.raises(SandboxError, match="did not listen within"):
            started.wait(0.5)
        started.close()
    assert stages() == before


def test_kernel_of_another_environment(tmp_path: Path) -> None:
    """Its folder is mounted where it stands; a variable that would be made from the caller's own stays outside."""
    other = tmp_path / "env"
    (other / "bin").mkdir(parents=True)
    (other / "bin" / "python").symlink_to("/usr/bin/python3")
    (other / "pyvenv.cfg").write_text("home = /usr/bin\n")
    for place in (other, *tmp_path.parents[:0], tmp_path):
        place.chmod(0o755)
    code = "import sys, os; print(sys.prefix, os.environ.get('A'), os.environ.get('B')); print(os.listdir(sys.argv[2]))"
    spec = KernelSpec(
        argv=[str(other / "bin" / "python"), "-c", code, "{connection_file}", "{resource_dir}"],
        env={"A": "plain", "B": "${HOME}"},
        resource_dir=str(other / "bin"),
    )
    with policy.stage() as staged:
        started = kernel.start_kernel(spec, {"key": ""}, limits=LIMITS, staged=staged)
        assert started.jailed.wait(20)
        assert f"{other} plain None" in started.jailed.said()
        assert "['python']" in started.jailed.said()
        started.close()


def kernel_of(environment: Path) -> KernelSpec:
    return KernelSpec(argv=[str(environment / "bin" / "python"), "{connection_file}"], resource_dir=str(environment))


def test_of_another_environment_nothing_but_its_python_is_mounted(tmp_path: Path, monkeypatch) -> None:
    """`home` in pyvenv.cfg may be ~/bin: the folder above it is then the home, with all that is in it."""
    home, other = tmp_path / "home", tmp_path / "env"
    for place in (home / "bin", home / "python" / "bin", home / "python" / "lib" / "python3.11", other / "bin"):
        place.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    cfg = other / "pyvenv.cfg"
    cfg.write_text(f"home = {home}/bin\n")
    with pytest.raises(
        SandboxError, match=r"its Python is in .*home/bin, but there is none of which the library is in"
    ):
        kernel._program(kernel_of(other))
    (home / "lib" / "python3.11").mkdir(parents=True)
    (home / "lib" / "python3.11" / "os.py").touch()
    with pytest.raises(SandboxError, match=r"a Python is installed in .*home, which is your home"):
        kernel._program(kernel_of(other))
    monkeypatch.setenv("HOME", str(home / "me"))
    with pytest.raises(SandboxError, match="which contains your home"):
        kernel._program(kernel_of(other))
    monkeypatch.setenv("HOME", str(tmp_path / "else"))
    (home / "course").mkdir()
    (home / "course" / "nbgrader_config.py").touch()
    monkeypatch.chdir(home / "course")
    with pytest.raises(SandboxError, match="which contains the course's folder"):
        kernel._program(kernel_of(other))
    cfg.write_text(f"home = {home}/python/bin\n")
    (home / "python" / "lib" / "python3.11" / "os.py").touch()
    assert kernel._program(kernel_of(other))[1] == [(other, str(other)), (home / "python", str(home / "python"))]
    (home / "pyvenv.cfg").write_text("home = /usr/bin\n")  # the environment itself
    with pytest.raises(SandboxError, match="which contains the course's folder"):
        kernel._program(kernel_of(home))


@pytest.fixture
def sandboxed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernelspec that runs Python in the sandbox."""
    made = provisioner.install_kernelspec("sandboxed", prefix=tmp_path / "prefix", limits={"memory_mb": 300})
    monkeypatch.setenv("JUPYTER_PATH", str(made.parents[1]))
    return "sandboxed"


def test_nbclient(sandboxed: str, tmp_path: Path) -> None:
    before = stages()
    work = tmp_path / "work"
    work.mkdir()
    (work / "data.csv").write_text("5")
    cells = [
        "import os, socket\nos.getuid(), socket.gethostname(), open('data.csv').read()",
        "import time; time.sleep(60)",
        "7",
        "x = bytearray(900 << 20)",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        notebook,
        kernel_name=sandboxed,
        timeout=2,
        interrupt_on_timeout=True,
        allow_errors=True,
        resources={"metadata": {"path": str(work)}},
    )
    with pytest.raises(nbclient.exceptions.DeadKernelError):  # the last cell goes over the kernelspec's limit of memory
        client.execute()
    shown = [cell.outputs[0] if cell.outputs else None for cell in notebook.cells]
    assert shown[0]["data"]["text/plain"] == "(1000, 'sandbox', '5')"
    assert shown[1]["ename"] == "KeyboardInterrupt"
    assert shown[2]["data"]["text/plain"] == "7"
    assert stages() == before


def test_restart(sandboxed: str) -> None:
    before = stages()
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name=sandboxed)
    try:
        client.execute_interactive("x = 1", timeout=20)
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=30)
        assert client.execute_interactive("x", timeout=20)["content"]["ename"] == "NameError"
        assert manager.is_alive()
        manager.signal_kernel(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while manager.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not manager.is_alive()
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    assert stages() == before


def test_files_beside_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part" / ".git").mkdir(parents=True)
    for name in ("a.csv", "part/b.py", "x.ipynb", ".hidden", "part/.git/c"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    assert provisioner.beside(tmp_path) == {"a.csv": b"a.csv", "part/b.py": b"part/b.py"}
    monkeypatch.setattr(provisioner, "MOST_BYTES", 10)
    with pytest.raises(SandboxError, match="more than 500 files or 0 MB"):
        provisioner.beside(tmp_path)
    (tmp_path / "gradebook.db").write_text("")
    assert provisioner.beside(tmp_path) == {}
    assert provisioner.beside(Path.home()) == {}


def test_kernelspecs(tmp_path: Path) -> None:
    made = provisioner.install_kernelspec("a.b-1", prefix=tmp_path)
    assert made == tmp_path / "share" / "jupyter" / "kernels" / "a.b-1"
    assert provisioner.install_kernelspec("a.b-1", prefix=tmp_path) == made  # ours: written again
    (made.parent / "plain").mkdir()
    (made.parent / "plain" / "kernel.json").write_text('{"argv": []}')
    with pytest.raises(ClassroomError, match="a kernel without the sandbox"):
        provisioner.install_kernelspec("plain", prefix=tmp_path)
    for bad in ("", "a b", "../x", "ä"):
        with pytest.raises(ClassroomError, match="expected letters"):
            provisioner.install_kernelspec(bad, prefix=tmp_path)
    with pytest.raises(ClassroomError, match="no such limit"):
        provisioner.install_kernelspec("x", prefix=tmp_path, limits={"hours": 1})


def test_stock_autograde(sandboxed: str, tiny, tmp_path: Path) -> None:
    """Stock nbgrader, told in its configuration which kernel to use whatever the submission says."""
    canary = tmp_path / "canary"
    canary.write_text("secret")
    spy = f"import os, socket\nprint(socket.gethostname(), os.path.exists({str(canary)!r}))"
    tiny.hand_in("ann", "tiny", f"{spy}\ndef double(x): return 2 * x")
    path = tiny.hand_in("bob", "tiny", f"{spy}\ndef double(x): return x")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.kernelspec.name = "python3"
    nbformat.write(notebook, path)
    config = tiny.root / "nbgrader_config.py"
    config.write_text(f'{config.read_text()}\nc.ExecutePreprocessor.kernel_name = "{sandboxed}"\n')
    environment = {**tiny.environment(), "CLASSROOM_DIR": "course"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", "tiny"],
        cwd=tiny.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for student, passed in (("ann", True), ("bob", False)):
        graded = nbformat.read(tiny.root / "course" / "autograded" / student / "tiny" / "tiny.ipynb", as_version=4)
        outputs = [cell.outputs for cell in graded.cells if cell.cell_type == "code"]
        assert outputs[0][0]["text"] == "sandbox False\n"
        assert (outputs[1] == []) == passed
