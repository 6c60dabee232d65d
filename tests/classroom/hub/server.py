"""A Jupyter server of a test's own, set up as the hub sets up people's."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "for-the-test"
HEADERS = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}


class Server:
    """A server with `root` for its folder.

    Args:
        role: which of hub/servers it is set up by.
        log: the file for what it says.
        environment: what is set beside the variables of Jupyter, which are not handed on.
        options: more of the command line.
    """

    def __init__(self, root: Path, role: str, log: Path, environment: dict[str, str], *options: str) -> None:
        self.log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        line = [sys.executable, "-P", "-m", "jupyter_server", "--ServerApp.open_browser=False"]
        line += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        line += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}", "--ServerApp.allow_root=True"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "NGSHARE"))}
        ours = {"JUPYTER_CONFIG_PATH": str(ROOT / "hub" / "servers" / role), "JUPYTER_PLATFORM_DIRS": "1"}
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                [*line, *options], cwd=root, env=kept | environment | ours, stdout=file, stderr=file
            )

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + 90
        while True:
            try:
                answer = requests.get(f"{self.address}/api/status", headers=HEADERS, timeout=30)
                assert answer.ok, answer.text
                return
            except requests.ConnectionError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.2)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=30)
