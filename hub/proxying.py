"""JupyterHub's proxy, configured: it says in words what is not there, and is no other program's process.

    python hub/proxying.py CONFIGURABLE-HTTP-PROXY OPTION…

starts it as JupyterHub's configuration has it. JupyterHub tells the proxy to ask the hub for pages of errors; while
there is no hub, all that somebody would read is "Service Unavailable". So that option is left out, and the proxy has a
page of its own (hub/servers/away).
"""

import errno
import itertools
import os
import shutil
import socket
import sys
from pathlib import Path

import psutil

AWAY = Path(__file__).resolve().parent / "servers" / "away"
_PROGRAM = "configurable-http-proxy"


def with_hub(line: list[str]) -> list[str]:
    """A command that is ended when the process that starts it is, however that ends."""
    return [shutil.which("setpriv") or "/usr/bin/setpriv", "--pdeathsig", "TERM", "--", *line]


def set_up(c: object, *, program: Path, pid_file: Path, ends_with_hub: bool) -> None:
    """Configure the hub's proxy.

    Args:
        c: the configuration that is being made.
        program: configurable-http-proxy.
        pid_file: where its number is kept.
        ends_with_hub: whether it ends when the hub does, or a hub that is started again finds it.
    """
    line = [sys.executable, str(Path(__file__).resolve()), str(program)]
    c.ConfigurableHTTPProxy.command = with_hub(line) if ends_with_hub else line
    c.ConfigurableHTTPProxy.pid_file = str(pid_file)
    forget(pid_file)


def forget(pid_file: Path) -> None:
    """Remove the number of a proxy that runs no more. JupyterHub would end whatever process has it by now."""
    if not pid_file.exists():
        return
    try:
        if _PROGRAM in " ".join(psutil.Process(int(pid_file.read_text())).cmdline()):
            return
    except (ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        pass  # no number, no process, or somebody else's: in any case not our proxy
    pid_file.unlink()


def options(said: list[str]) -> list[str]:
    """JupyterHub's options for the proxy, with our page of errors instead of the hub's."""
    kept = list(said)
    while "--error-target" in kept:
        at = kept.index("--error-target")
        del kept[at : at + 2]
    return [*kept, "--error-path", str(AWAY)]


def taken(said: list[str]) -> str:
    """Why the proxy could not listen, or "". It would say so itself, and go on without: the hub would never know."""
    values = dict(itertools.pairwise(said))
    host, port = values.get("--ip", ""), int(values.get("--port", 8000))
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is in use: `ss -ltnp` shows by whom"
            return f"{host}:{port}: {(error.strerror or str(error)).lower()}"
    return ""


if __name__ == "__main__":
    if why := taken(sys.argv[2:]):
        sys.exit(f"The hub's proxy can't listen: {why}")
    os.execv(sys.argv[1], [sys.argv[1], *options(sys.argv[2:])])
