"""What the self-test's cells try, inside the sandbox. This file's text is sent there as a cell, so it stands alone.

Every function tries to get through one layer, harmlessly where it succeeds, and returns {attempt: what happened}, where
what got through begins with "!".
"""

import contextlib
import ctypes
import errno
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER = 0x10000000
_MS_NODEV = 4


def _named(number: int) -> str:
    return errno.errorcode.get(number, str(number))


def _try(attempt) -> str:
    """Run it; what it returns got through, an OSError is a refusal."""
    try:
        return f"!{attempt()}"
    except OSError as error:
        return _named(error.errno) if error.errno else str(error)


def _in_child(attempt) -> str:
    """As `_try`, in a child process, for what would change this one."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, _try(attempt).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as said:
        answer = said.read().decode()
    os.waitpid(pid, 0)
    return answer or "ended by a signal"


def _call(function, *arguments) -> int:
    """A function of C's library that says -1 and errno."""
    result = function(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def namespaces(outside: dict) -> dict:
    """The namespaces that we share with the host, by name; `outside` has the host's."""
    return {
        name: "!the host's" if os.readlink(f"/proc/self/ns/{name}") == theirs else "our own"
        for name, theirs in outside.items()
    }


def processes(mark: str, pid: int) -> dict:
    """Find a process of the host that has `mark` in its command, and signal it by its number outside."""
    seen, listed = "not seen", 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            listed += 1
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                if mark.encode() in file.read():
                    seen = f"!seen as {entry}"
    if seen != "not seen":  # else this number is another process here; the host looks whether the right one lives
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    return {"see a process of the host": seen, "processes listed": str(listed)}


def network(port: int, name: str) -> dict:
    """Connect to a listener of the host: over loopback, by an abstract socket, by its other addresses."""

    def connect(family: int, address) -> str:
        with socket.socket(family) as sock:
            sock.settimeout(1)
            sock.connect(address)
        return "connected"

    def interfaces() -> str:
        with open("/proc/net/dev") as file:
            names = [line.split(":")[0].strip() for line in file if ":" in line]
        if names in ([], ["lo"]):
            raise OSError(errno.ENODEV, "none")
        return " ".join(names)

    return {
        "connect to the host's loopback": _try(lambda: connect(socket.AF_INET, ("127.0.0.1", port))),
        "connect to the host's abstract socket": _try(lambda: connect(socket.AF_UNIX, "\0" + name)),
        "network interfaces": _try(interfaces),
    }


def files(canaries: list, places: list, name: str) -> dict:
    """Read the host's secrets, and write a file of this name into each place."""
    happened = {}
    for path in canaries:

        def read(path: str = path) -> str:
            with open(path, "rb") as file:
                return f"{len(file.read())} bytes read"

        happened[f"read {path}"] = _try(read)
    for place in places:

        def write(place: str = place) -> str:
            with open(os.path.join(place, name), "x") as file:
                file.write("x")
            return "written"

        happened[f"write into {place}"] = _try(write)
    return happened


def privileges() -> dict:
    """Become root, mount, leave the root, make namespaces; what privileges there are."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    capabilities = int(status["CapEff"], 16) | int(status["CapBnd"], 16)

    def mount() -> str:
        place = tempfile.mkdtemp()
        _call(_libc.mount, b"tmpfs", place.encode(), b"tmpfs", _MS_NODEV, None)
        _libc.umount2(place.encode(), 2)
        os.rmdir(place)
        return "mounted"

    def become_root() -> str:
        os.setuid(0)
        return "root"

    return {
        "become root": "!root already" if os.getuid() == 0 else _in_child(become_root),
        "capabilities": "none" if not capabilities else f"!{capabilities:x}",
        "gain privileges by a setuid program": "not possible"
        if int(status["NoNewPrivs"]) == 1
        else "!no_new_privs is not set",
        "mount": _in_child(mount),
        "chroot": _in_child(lambda: (os.chroot("/tmp"), "changed")[1]),
        "make a user namespace": _in_child(lambda: (_call(_libc.unshare, _CLONE_NEWUSER), "made")[1]),
    }


def calls(numbers: dict) -> dict:
    """Make system calls that the filter takes away, with arguments that the kernel itself would answer otherwise."""
    happened = {}
    for name, number in numbers.items():
        answer = _try(lambda number=number: _call(_libc.syscall, number, -1, -1, -1, -1, -1, -1))
        happened[name] = answer if answer in ("EPERM", "ENOSYS") else f"!reached the kernel ({answer.lstrip('!')})"
    return happened


def variables(name: str) -> dict:
    """Look for a variable of the host's environment."""
    return {"read a variable of the host": "!read" if name in os.environ else "not there"}


def fill(places: list, megabytes: int) -> dict:
    """Write more than allowed into each private folder."""

    def write(place: str) -> str:
        path = os.path.join(place, "fill")
        block = bytes(1 << 20)
        try:
            for part in range(2):  # two files, since one alone also meets the limit of a file's size
                with open(f"{path}{part}", "wb") as file:
                    for _ in range(megabytes // 2 + 1):
                        file.write(block)
        finally:
            for part in range(2):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{path}{part}")
        return f"{megabytes} MB written"

    return {f"fill {place}": _try(lambda place=place: write(place)) for place in places}


def fork_many(number: int) -> dict:
    """Start so many processes at one time."""
    children, refused = [], ""
    try:
        for _ in range(number):
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            children.append(pid)
    except OSError as error:
        refused = _named(error.errno)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return {f"start {number} processes": f"{refused} after {len(children)}" if refused else f"!{len(children)} started"}


def raise_limits() -> dict:
    """Raise a limit of this process above what was set."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)

    def lift() -> str:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (1 << 40, 1 << 40))
        except ValueError as error:  # what the module makes of EPERM
            raise OSError(errno.EPERM, str(error)) from None
        return "raised"

    return {"raise a limit": "!there was none" if hard == resource.RLIM_INFINITY else _in_child(lift)}


def hoard(megabytes: int, number: int) -> dict:
    """Hold memory in several processes at one time; each alone stays below the limit."""
    read, write = os.pipe()
    children = []
    for _ in range(number):
        pid = os.fork()
        if pid == 0:
            try:
                held = bytearray(megabytes << 20)
                held[:: resource.getpagesize()] = b"x" * len(held[:: resource.getpagesize()])
                os.write(write, b"+")
                time.sleep(30)
            finally:
                os._exit(0)
        children.append(pid)
    os.close(write)
    held = b""
    deadline = time.monotonic() + 12
    os.set_blocking(read, False)
    ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while len(held) < number and time.monotonic() < deadline:
        if any(os.waitid(os.P_PID, pid, ended) for pid in children):
            break
        with contextlib.suppress(BlockingIOError):
            got = os.read(read, 10)
            held += got
            if not got:
                break
        time.sleep(0.02)
    time.sleep(0.5)  # a watchdog needs a moment
    alive = 0
    for pid in children:
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            alive += 1
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    total = megabytes * number
    what = f"hold {total} MB in {number} processes"
    if alive < number:
        return {what: f"{alive} of {number} left"}
    return {what: f"!{total} MB held" if len(held) == number else "!too slow on this machine: can't be told"}


def haunt(mark: str) -> dict:
    """Leave a process behind: a session of its own, deaf to polite signals, with `mark` in its command."""
    script = 'trap "" HUP INT TERM; sleep 60'
    subprocess.Popen(["/bin/sh", "-c", f"{script}; : {mark}"], start_new_session=True)
    return {"left": "behind"}


def never_end() -> None:
    """Neither come to an end nor react to an interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        time.sleep(1)
