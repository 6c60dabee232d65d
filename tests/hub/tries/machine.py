"""What is tried on the machine itself: files, becoming somebody else, other people's processes."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from register import FACTS, OPEN, attempt


def read(place: str) -> str:
    """A file's text, or what a folder holds."""
    path = Path(FACTS[place])
    return str(sorted(os.listdir(path))) if path.is_dir() else path.read_bytes().decode(errors="replace")


# ---------------------------------------------------------------- files
for words, place in {
    "list another student's home": "other_home",
    "read a file in another student's home, by its path": "other_file",
    "list the course's folder": "course",
    "list the solutions": "solutions",
    "read a solution with its hidden tests": "solution",
    "read the gradebook": "gradebook",
    "read what somebody handed in, in the course's folder": "submitted",
    "list the exchange's files": "exchange_files",
    "read the exchange's database": "exchange_db",
    "read the hub's database": "hub_db",
    "read the hub's cookie secret": "cookie_secret",
    "read the proxy's token": "proxy_token",
    "read hub.yml": "hub_yml",
}.items():
    attempt(words)(lambda place=place: read(place))


@attempt("read the accounts' password hashes (/etc/shadow)")
def _() -> str:
    return Path("/etc/shadow").read_text()


@attempt("write a file into another student's home")
def _() -> str:
    Path(FACTS["other_home"], "from-outside").write_text("x")
    return "written"


for words, place in {
    "write into the environment that everybody's servers run from": "environment",
    "write into the settings of everybody's servers": "servers",
    "write into the course's folder": "course",
}.items():

    @attempt(words)
    def _(place=place) -> str:
        path = Path(FACTS[place], f"written-{os.getpid()}")
        path.write_text("x")
        path.unlink()
        return "written"


# ---------------------------------------------------------------- becoming somebody, and others' processes
@attempt("become root (setuid, sudo)")
def _() -> str:
    if os.getuid() == 0:
        return "root already"
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return "sudo"
    os.setuid(0)
    return "setuid"


@attempt("be taken for root by a program that asks the kernel who is there (SO_PEERCRED, abstract socket)")
def _() -> str:
    with socket.socket(socket.AF_UNIX) as asks:
        asks.settimeout(20)
        asks.connect("\0" + FACTS["trusts_root"])
        said = asks.recv(100).decode()
    if said != "welcome, root":
        raise PermissionError(said)
    return said


@attempt("start a thousand processes")
def _() -> str:
    children = []
    try:
        while len(children) < 1000:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)
    return f"{len(children)} at once"


@attempt("change a setting of the kernel (/proc/sys and what is beside it)")
def _() -> str:
    found = []
    for top in (path for path in Path("/proc").iterdir() if not path.name.isdigit()):
        if top.is_symlink() or top.name == "thread-self":
            continue
        for path in [top, *(top.rglob("*") if top.is_dir() else ())]:
            if path.is_file() and not path.is_symlink() and os.access(path, os.W_OK):
                found.append(str(path))
    # Everybody may write these: settings of one's own namespaces, and what the kernel shall tell one about load.
    everybodys = ("/ns_last_pid", "/proc/sys/net", "/proc/pressure")
    found = [name for name in found if not any(part in name for part in everybodys)]
    if not found:
        raise PermissionError("none may be written")
    return f"{len(found)}: {found[:5]}"


for kind, file in {"proc": "sys/kernel/core_pattern", "sysfs": "kernel/uevent_helper"}.items():

    @attempt(f"the same in namespaces of one's own, with a fresh mount of {kind}")
    def _(kind=kind, file=file) -> str:
        own = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--fork", "sh", "-c"]
        tried = f"mkdir -p ~/mounted && mount -t {kind} {kind} ~/mounted && : >>~/mounted/{file}"
        done = subprocess.run([*own, tried], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise PermissionError(done.stderr.strip()[-100:])
        return "could be written"


@attempt("read other people's environment variables (/proc/*/environ), tokens among them")
def _() -> str:
    own = os.environ["JUPYTERHUB_API_TOKEN"].encode()
    found = []
    for process in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = process.read_bytes()
        except OSError:
            continue
        if b"TOKEN=" in text and own not in text:
            found.append(f"{process}: {process.with_name('cmdline').read_bytes()[:100]}")
    if not found:
        raise PermissionError("none can be read")
    return str(found)


@attempt("read tokens from the command lines of processes")
def _() -> str:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(secret in text for secret in FACTS["secrets"]):
            found.append(str(process))
    if not found:
        raise PermissionError("none stands there")
    return str(found)


def others() -> dict[str, int]:
    return {"the hub's": FACTS["hub_pid"], "another student's server's": FACTS["other_pid"]}


for whose in ("the hub's", "another student's server's"):

    @attempt(f"trace {whose} process (ptrace)")
    def _(whose=whose) -> str:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(16, others()[whose], None, None) != 0:  # PTRACE_ATTACH
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return "attached"

    @attempt(f"look into {whose} process (/proc/PID/root, cwd, mem)")
    def _(whose=whose) -> str:
        process = Path("/proc", str(others()[whose]))
        got, why = [], None
        for name in ("root", "cwd", "fd"):
            try:
                got.append(str(os.listdir(process / name)))
            except OSError as error:
                why = error
        try:
            (process / "mem").open("rb").close()
            got.append("mem")
        except OSError as error:
            why = error
        if not got:
            raise why
        return str(got)

    @attempt(f"send {whose} process a signal")
    def _(whose=whose) -> str:
        os.kill(others()[whose], signal.SIGCONT)
        return "sent"


@attempt("read another student's file through the root of any process (/proc/*/root)")
def _() -> str:
    why: OSError = PermissionError("there is no process")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            return Path(f"{process}/root{FACTS['other_file']}").read_text()
        except OSError as error:
            why = error
    raise why


@attempt("listen to what another student's kernel puts out (ZeroMQ on 127.0.0.1)")
def _() -> str:
    import zmq

    context = zmq.Context()
    listener = context.socket(zmq.SUB)
    listener.setsockopt(zmq.SUBSCRIBE, b"")
    listener.setsockopt(zmq.HANDSHAKE_IVL, 3000)
    for port in FACTS["ports"]:
        listener.connect(f"tcp://127.0.0.1:{port}")
    for _ in range(40):
        if listener.poll(200):
            parts = b"".join(listener.recv_multipart())
            if FACTS["canary"].encode() in parts:
                return "heard " + FACTS["canary"]
    context.destroy(linger=0)
    raise PermissionError(f"nothing to hear on {len(FACTS['ports'])} ports")


# ---------------------------------------------------------------- what is open, and said so
@attempt("see the processes of other accounts, and their command lines", OPEN)
def _() -> str:
    if not Path("/proc", str(FACTS["other_pid"]), "cmdline").exists():
        raise PermissionError("they are not there")
    return Path("/proc", str(FACTS["other_pid"]), "cmdline").read_text()


@attempt("leave a file in a temporary folder for others to read", OPEN)
def _() -> str:
    got = [name for name in FACTS["temporary"] if Path(name).exists()]
    if not got:
        raise PermissionError("others' temporary files are not there")
    return str(got)


@attempt("see the names of other accounts (/etc/passwd)", OPEN)
def _() -> str:
    if FACTS["other"] not in Path("/etc/passwd").read_text():
        raise PermissionError("they are not there")
    return "seen"
