"""The self-test's probes: what is tried in a session, and what follows from what happened.

Each layer of the sandbox is shown by trying to break it, with effects that are looked at from outside where there are
any: whether a listener was reached, a process still lives, a file was written.
"""

import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from classroom.outputs import SLACK, size_of
from classroom.sandbox import baits, policy, seccomp
from classroom.sandbox.policy import Limits, SandboxError
from classroom.session import CellResult, Session

Opener = Callable[[Limits, dict[str, bytes]], Session]

LIMITS = Limits(
    seconds=60,
    cell_seconds=20,
    memory_mb=512,
    processes=64,
    cell_output_bytes=50_000,
    output_bytes=2_000_000,
    file_mb=16,
)
SHORT = 5.0  # seconds of the session that has to end at its total limit; a cold one needs some of them to start
_NAMESPACES = ("user", "pid", "net", "ipc", "uts", "mnt", "cgroup")
# Calls whose nonsense arguments the kernel would answer with something else than EPERM and ENOSYS.
# Variables that bubblewrap, IPython or a kernel set by themselves: of these the caller's own would show nothing.
_SET_INSIDE = ("PWD", "OLDPWD", "SHLVL", "_", "TERM", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "PAGER", "GIT_PAGER")
_CALLS = ("keyctl", "vmsplice", "memfd_create", "mount_setattr", "fanotify_init")
_WORDS = {
    "EPERM": "refused",
    "EACCES": "refused",
    "EINVAL": "no such user inside",  # setuid(0)
    "ENOENT": "not there",
    "EROFS": "read-only",
    "ECONNREFUSED": "nobody listens",
    "ENODEV": "no interface",
    "ENETUNREACH": "no network",
    "ENOSYS": "not implemented",
    "ENOSPC": "full",
    "EFBIG": "too large",
    "EAGAIN": "refused",
}
_REINSTALL = "bubblewrap does not do its work here; `bwrap --version` should be 0.8 or newer, from your distribution"
_NO_LIMIT = (
    "run as root, or where a cgroup with memory and pids is yours (`systemd-run --user --scope -p Delegate=yes …`)"
)
_OURS = "this is a fault of ours or of this machine's kernel: please report it, and grade elsewhere"


@dataclass
class Row:
    """One layer in one way in: how it was tried, what happened, whether it holds, and if not, what to do."""

    way: str
    layer: str
    tried: str
    happened: str
    holds: bool
    advice: str = ""

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def probe(open_session: Opener, *, way: str, folder: Path | None = None, quick: bool = False) -> list[Row]:
    """Try to break each layer of the sandbox that `open_session` opens.

    Args:
        open_session: makes a session, as `Template.open` does.
        way: what the rows call it.
        folder: the course's folder, which must not be seen inside; the current one by default.
        quick: only what needs no limit to be run into: well below a second.

    Returns:
        A row a layer. If no session starts, one row that says why.
    """
    parts = [_walls] if quick else [_walls_and_limits, _memory, _total, _end]
    with ThreadPoolExecutor(len(parts)) as pool:
        futures = [pool.submit(part, open_session, folder or Path.cwd()) for part in parts]
        try:
            rows = [row for future in futures for row in future.result()]
        except SandboxError as error:
            rows = [Row("", "start", "start a session", str(error), False, "see above")]
    for row in rows:
        row.way = way
        if row.holds:
            row.advice = ""
    return rows


def _walls(open_session: Opener, folder: Path) -> list[Row]:
    session = open_session(LIMITS, {})
    try:
        return _try_walls(session, folder)
    finally:
        session.close()


def _walls_and_limits(open_session: Opener, folder: Path) -> list[Row]:
    session = open_session(LIMITS, {})
    try:
        return _try_walls(session, folder) + _try_limits(session)
    finally:
        session.close()


def _try_walls(session: Session, folder: Path) -> list[Row]:
    """What is tried without running into a limit, in one cell."""
    token = f"classroom-{secrets.token_hex(8)}"
    environment = {*policy.environment(threads=1), *_SET_INSIDE}
    variable = next((name for name in os.environ if name not in environment), "")
    numbers = seccomp.numbers(_CALLS)
    outside = {name: os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES}
    places = ["/", "/usr", "/etc", "/dev", policy.ENVIRONMENT, policy.LIBRARY, sys.prefix, str(folder)]
    with (
        baits.listeners(token) as (listeners, port),
        baits.process(token) as victim,
        baits.canaries(folder, token) as canaries,
    ):
        cell = {
            "namespaces": ["namespaces", outside],
            "processes": ["processes", token, victim.pid],
            "network": ["network", port, token],
            "files": ["files", canaries, places, f".{token}"],
            "privileges": ["privileges"],
            "calls": ["calls", numbers],
            "variables": ["variables", variable],
        }
        happened = _ask(session, cell)
        if victim.poll() is not None:
            happened["processes"]["signal a process of the host"] = "!it ended"
        for listener in listeners:
            if baits.was_reached(listener):
                happened["network"]["the listener"] = "!was reached"
        for place in places:
            left = os.path.join(place, f".{token}")
            if os.path.lexists(left):
                happened["files"][f"write into {place}"] = "!is on the host"
                os.unlink(left)
    words = {
        "namespaces": ("namespaces", "compare all seven with the host's", _REINSTALL),
        "processes": ("processes", "find and signal a process of the host", _REINSTALL),
        "network": ("network", "connect to a listener of the host", _REINSTALL),
        "files": ("file system", "read secrets of the host, write where it is shared", _REINSTALL),
        "privileges": ("privileges", "become root, mount, chroot, make a user namespace", _OURS),
        "calls": ("system calls", f"call {', '.join(numbers)}", "the kernel needs CONFIG_SECCOMP_FILTER"),
        "variables": ("environment", "read a variable of the caller's", _OURS),
    }
    return [_row(*words[key], happened[key]) for key in words]


def _try_limits(session: Session) -> list[Row]:
    """Run into the limits of disk, processes, output and a cell's time; each stays within the session."""
    private = [*policy.WRITABLE, "/run/kernel"]
    asked = {"fill": ["fill", private, LIMITS.file_mb + 1], "raise_limits": ["raise_limits"]}
    asked["fork_many"] = ["fork_many", LIMITS.processes + 40]
    happened = _ask(session, asked)
    rows = [
        _row(
            "disk",
            f"write {LIMITS.file_mb + 1} MB into each private folder of {LIMITS.file_mb}",
            _OURS,
            happened["fill"],
        ),
        _row("processes, number", f"start more than {LIMITS.processes}", _NO_LIMIT, happened["fork_many"]),
        _row("limits", "raise one from inside", _OURS, happened["raise_limits"]),
    ]
    size = 40 * LIMITS.cell_output_bytes
    arrived = size_of(session.run(f"print('x' * {size})", seconds=20).outputs)
    small = arrived <= LIMITS.cell_output_bytes + SLACK
    happened = {"print": f"{arrived:,} bytes arrived" if small else f"!{arrived:,} bytes arrived"}
    rows.append(_row("output", f"print {size:,} bytes, {LIMITS.cell_output_bytes:,} are allowed", _OURS, happened))
    began = time.monotonic()
    slow = session.run("import time; time.sleep(30)", seconds=0.3)
    took, after = time.monotonic() - began, session.run("1", seconds=5)
    what = f"{slow.status} after {took:.1f} s, next cell {after.status}"
    holds = slow.status == "timeout" and took < 10 and after.status == "ok"
    rows.append(_row("time of a cell", "sleep past the limit", _OURS, {"sleep": what if holds else f"!{what}"}))
    return rows


def _memory(open_session: Opener, _folder: Path) -> list[Row]:
    session = open_session(LIMITS, {})
    try:
        share = LIMITS.memory_mb * 6 // 10
        result = _run(session, {"hoard": ["hoard", share, 3]})
        if result.status == "ok":
            happened = _answer(result)["hoard"]
        else:
            what = f"{result.status} ({result.reason})"
            happened = {"end": what if (result.status, result.reason) == ("died", "memory") else f"!{what}"}
    finally:
        session.close()
    tried = f"hold {3 * share} MB in three processes, {LIMITS.memory_mb} are allowed"
    return [_row("memory", tried, _NO_LIMIT, happened)]


def _total(open_session: Opener, _folder: Path) -> list[Row]:
    """Run past the session's total limit, in a cell that may take longer than that."""
    began = time.monotonic()
    session = open_session(Limits.from_dict(LIMITS.as_dict() | {"seconds": SHORT}), {})
    try:
        result = session.run("import time; time.sleep(60)", seconds=60)
        if result.status == "timeout":  # interrupted, as at a cell's limit: then the next one is refused
            result = session.run("1", seconds=60)
    finally:
        session.close()
    took = time.monotonic() - began
    what = f"{result.status} ({result.reason}) after {took:.1f} s"
    holds = (result.status, result.reason) == ("died", "time") and took < SHORT + 10
    return [_row("time in all", "sleep past the session's limit", _OURS, {"sleep": what if holds else f"!{what}"})]


def _end(open_session: Opener, _folder: Path) -> list[Row]:
    """React to no interrupt, with a process left behind that does not either."""
    mark = f"classroom-{secrets.token_hex(8)}"
    session = open_session(LIMITS, {})
    try:
        _ask(session, {"haunt": ["haunt", mark]})
        seen = bool(baits.marked(mark))
        result = session.run(f"{_source()}\nnever_end()", seconds=0.5)
    finally:
        session.close()
    what = f"{result.status} ({result.reason}) after {result.seconds:.1f} s"
    holds = (result.status, result.reason) == ("died", "time")
    deadline = time.monotonic() + 2
    while (left := baits.marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # it made a session of its own, and has a child
    gone = "gone with it" if seen else "!was not seen while it ran: can't be told"
    return [
        _row("interrupt ignored", "never end, deaf to signals", _OURS, {"end": what if holds else f"!{what}"}),
        _row(
            "end of all processes", "leave one behind that ignores signals", _OURS, {"one": "!left" if left else gone}
        ),
    ]


def _row(layer: str, tried: str, advice: str, happened: dict[str, str]) -> Row:
    """What got through begins with `!`; else, in short, how it was refused."""
    through = [f"{attempt}: {what[1:]}" for attempt, what in happened.items() if what.startswith("!")]
    shown = "; ".join(through) or ", ".join(dict.fromkeys(_in_words(what) for what in happened.values()))
    return Row("", layer, tried, shown, not through, advice)


def _in_words(what: str) -> str:
    """`EPERM after 62` as `refused after 62`."""
    first, _, rest = what.partition(" ")
    return f"{_WORDS.get(first, first)} {rest}".strip()


def _source() -> str:
    return (Path(__file__).parent / "attempts.py").read_text()


def _run(session: Session, asked: dict[str, Sequence]) -> CellResult:
    cell = (
        f"{_source()}\nimport json\n"
        f"_asked = json.loads({json.dumps(json.dumps(asked))})\n"
        "print(json.dumps({key: globals()[name](*rest) for key, (name, *rest) in _asked.items()}))"
    )
    return session.run(cell, seconds=LIMITS.cell_seconds)


def _ask(session: Session, asked: dict[str, Sequence]) -> dict[str, dict[str, str]]:
    """Have functions of attempts.py called in the session.

    Raises:
        SandboxError: if the cell does not come to its end.
    """
    result = _run(session, asked)
    if result.status != "ok":
        said = "; ".join(f"{output.get('ename')}: {output.get('evalue')}" for output in result.outputs)
        raise SandboxError(f"the self-test's cell ended with {result.status} {result.reason} {said}")
    return _answer(result)


def _answer(result: CellResult) -> dict:
    text = "".join(output["text"] for output in result.outputs if output.get("name") == "stdout")
    return json.loads(text.strip().splitlines()[-1])
