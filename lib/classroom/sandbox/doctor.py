"""`classroom doctor`: which layers of the sandbox hold on this machine, in both ways in, each tried by breaking it.

Grading begins with `quick_check`, a part of it: where a layer is missing it refuses.
"""

import os
import platform
import textwrap
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from classroom.sandbox import bubblewrap, cgroups
from classroom.sandbox.policy import SandboxError
from classroom.sandbox.probes import Opener, Row, probe

WAYS = ("warm", "cold")
_WIDTHS = (6, 21, 37, 42)  # way, layer, how tried, what happened
_REFUSED = (
    "students' code is not run here without its sandbox. `classroom doctor` shows all of it; --insecure runs it "
    "all the same, as you, with your files in its reach"
)


def doctor(
    say: Callable[[str], None],
    *,
    folder: Path | None = None,
    ways: Sequence[str] = WAYS,
    openers: dict[str, Opener] | None = None,
) -> dict:
    """Try all layers and print a table.

    Args:
        say: prints a line.
        folder: the course's folder, which must not be seen inside; the current one by default.
        ways: which ways in.
        openers: how sessions are opened, by way; the sandbox's own by default (tests weaken it here).

    Returns:
        `{"holds": all of them, "machine": {...}, "rows": [...], "seconds": ...}`; exit code 0 only if it holds.
    """
    began = time.monotonic()
    machine = _machine()
    rows: list[Row] = []
    try:
        bubblewrap.check()
    except SandboxError as error:
        rows.append(Row("", "bubblewrap", "start an empty sandbox", "it does not start", False, str(error)))
    else:
        rows.append(Row("", "bubblewrap", "start an empty sandbox", machine["bubblewrap"], True))
        with ThreadPoolExecutor(len(ways)) as pool:
            for found in pool.map(lambda way: _try_way(way, folder, openers), ways):
                rows += found
    holds = all(row.holds for row in rows)
    _print(rows, say)
    counted = {"none": "no cgroup is ours: rlimits and a watchdog hold memory"}.get(
        machine["cgroup"], machine["cgroup"]
    )
    say(f"\nmemory and processes: {counted}; kernel {machine['kernel']}; {machine['user']}")
    seconds = round(time.monotonic() - began, 1)
    missing = sum(not row.holds for row in rows)
    say(
        f"all {len(rows)} layers hold ({seconds} s)"
        if holds
        else f"{missing} of {len(rows)} layers MISSING: do not grade untrusted notebooks here ({seconds} s)"
    )
    return {"holds": holds, "machine": machine, "rows": [row.as_dict() for row in rows], "seconds": seconds}


def quick_check(open_session: Opener | None = None, *, folder: Path | None = None) -> None:
    """What grading does before a batch: well below a second, beside the template's start.

    Args:
        open_session: as grading itself opens its sessions (`Template.open`); without one, only that a sandbox starts.
        folder: the course's folder.

    Raises:
        SandboxError: if a layer is missing, with what to do.
    """
    try:
        bubblewrap.check()
        rows = probe(open_session, way="", folder=folder, quick=True) if open_session is not None else []
    except SandboxError as error:
        raise SandboxError(f"{error}\n{_REFUSED}") from None
    missing = [row for row in rows if not row.holds]
    if missing:
        lines = [f"{row.layer}: MISSING ({row.happened}); {row.advice}" for row in missing]
        raise SandboxError("\n".join([*lines, _REFUSED]))


def _try_way(way: str, folder: Path | None, openers: dict[str, Opener] | None) -> list[Row]:
    if openers is not None:
        return probe(openers[way], way=way, folder=folder)
    try:
        if way == "warm":
            from classroom.sandbox.template import Template

            with Template(preload=()) as template:
                template.wait()
                return probe(template.open, way=way, folder=folder)
        from classroom.sandbox.cold import open_cold

        return probe(open_cold, way=way, folder=folder)
    except SandboxError as error:
        return [Row(way, "start", "start a session", str(error), False, "see above")]


def _machine() -> dict[str, str]:
    try:
        version = "bubblewrap " + ".".join(map(str, bubblewrap.version()))
    except SandboxError:
        version = "none"
    return {
        "bubblewrap": version,
        "cgroup": cgroups.kind(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "user": "as root, dropped to an unprivileged user" if os.geteuid() == 0 else "as an ordinary user",
    }


def _print(rows: Sequence[Row], say: Callable[[str], None]) -> None:
    """A table for people; what is missing is followed by what to do."""
    say(_line("way", "layer", "tried", "what happened", ""))
    for row in rows:
        say(_line(row.way, row.layer, row.tried, row.happened, "holds" if row.holds else "MISSING"))
        if not row.holds:
            say(textwrap.indent(f"-> {row.advice}", "       "))


def _line(way: str, layer: str, tried: str, happened: str, holds: str) -> str:
    """One row, with long cells wrapped."""
    cells = [
        textwrap.wrap(cell, width) or [""] for cell, width in zip((way, layer, tried, happened), _WIDTHS, strict=True)
    ]
    cells.append([holds])
    lines = []
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = [part.ljust(width) for part, width in zip(parts, (*_WIDTHS, 7), strict=True)]
        lines.append(" ".join(padded).rstrip())
    return "\n".join(lines)
