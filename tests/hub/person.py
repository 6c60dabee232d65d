"""Somebody at a hub, as their browser would be: logs in, starts a server, and types into a terminal of it."""

import fcntl
import json
import os
import re
import secrets
import socket
import tempfile
import time
from pathlib import Path
from typing import TextIO
from urllib.parse import urlparse

import requests
import websocket

_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")  # a terminal's colours and modes
_OURS: dict[int, TextIO] = {}  # ports of hubs that this process has used, with their locks
LONGEST = 240  # seconds; a hub and its servers start in a tenth of that on a machine with nothing else to do


class Person:
    """One account at the hub at `url`, logged in; `kept` are cookies that the browser has from before."""

    def __init__(self, url: str, name: str, password: str, kept: dict[str, str] | None = None) -> None:
        self.url, self.name = url.rstrip("/"), name
        self.web = requests.Session()
        self.web.trust_env = False
        self.web.cookies.update(kept or {})
        self.answer = self._log_in(password)
        self.token = ""
        if "/hub/login" not in self.answer.url and self.answer.ok:
            self.token = self.hub("POST", f"users/{name}/tokens", json={"note": "a test"}).json()["token"]

    def _log_in(self, password: str) -> requests.Response:
        self.web.get(f"{self.url}/hub/login", timeout=60)
        fields = {"username": self.name, "password": password, "_xsrf": self._xsrf()}
        return self.web.post(f"{self.url}/hub/login?next=/hub/home", data=fields, timeout=60)

    def _xsrf(self) -> str:
        return next(cookie.value for cookie in self.web.cookies if cookie.name == "_xsrf" and cookie.path == "/hub/")

    def hub(self, method: str, path: str, **what) -> requests.Response:
        """Ask the hub's API, as the hub's own pages do."""
        headers = {"X-XSRFToken": self._xsrf(), "Referer": f"{self.url}/hub/home"}
        return self.web.request(method, f"{self.url}/hub/api/{path}", headers=headers, timeout=60, **what)

    def change_password(self, name: str, password: str) -> requests.Response:
        """Give somebody a new one, as an administrator does where people sign up."""
        url = f"{self.url}/hub/change-password/{name}"
        self.web.get(url, timeout=60)
        fields = {"new_password": password, "new_password_confirmation": password, "_xsrf": self._xsrf()}
        return self.web.post(url, data=fields, timeout=60)

    def server(self, method: str, path: str, **what) -> requests.Response:
        """Ask one's own server; `path` is below /user/NAME/."""
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(method, f"{self.url}/user/{self.name}/{path}", headers=headers, timeout=60, **what)

    def start(self) -> None:
        """Start one's server, and wait until it answers."""
        answer = self.hub("POST", f"users/{self.name}/server")
        assert answer.status_code in (201, 202, 400), answer.text  # 400: it runs already
        headers = {"Authorization": f"token {self.token}", "Accept": "text/event-stream"}
        url = f"{self.url}/hub/api/users/{self.name}/server/progress"
        said = []
        with requests.get(url, headers=headers, stream=True, timeout=LONGEST) as progress:
            for line in progress.iter_lines():
                if line.startswith(b"data: "):
                    said.append(json.loads(line.removeprefix(b"data: ")))
                    if said[-1].get("ready") or said[-1].get("failed"):
                        break
        assert said[-1:] and said[-1].get("ready"), said  # noqa: PT018

    def stop(self) -> None:
        """Stop one's server, and wait until it is gone."""
        self.hub("DELETE", f"users/{self.name}/server")
        until = time.monotonic() + 60
        while self.hub("GET", f"users/{self.name}").json()["servers"]:
            assert time.monotonic() < until, "the server does not stop"
            time.sleep(0.5)

    def put(self, path: str, text: str) -> None:
        """Write a file in one's home, as JupyterLab does."""
        model = {"type": "file", "format": "text", "content": text}
        answer = self.server("PUT", f"api/contents/{path}", json=model)
        assert answer.ok, answer.text

    def run(self, line: str, seconds: float = LONGEST) -> str:
        """Type a line into a new terminal; what it puts out."""
        terminal = self.server("POST", "api/terminals").json()["name"]
        address = self.url.replace("http", "ws", 1)
        url = f"{address}/user/{self.name}/terminals/websocket/{terminal}"
        header = [f"Authorization: token {self.token}"]
        connection = websocket.create_connection(url, timeout=seconds, header=header)
        end = f"end-{secrets.token_hex(8)}"
        try:
            # The shell shows what is typed; quotes keep the mark of the end out of that.
            typed = f"stty -echo cols 4000; {line}; echo '{end[:6]}''{end[6:]}'\r"
            connection.send(json.dumps(["stdin", typed]))
            text = ""
            while end not in text:
                kind, *rest = json.loads(connection.recv())
                if kind == "stdout":
                    text += rest[0]
                assert kind != "disconnect", text
        finally:
            connection.close()
            self.server("DELETE", f"api/terminals/{terminal}")
        return _CONTROLS.sub("", text.replace("\r\n", "\n")).partition(end)[0]

    def execute(self, kernel: str, code: str, until: str = "") -> tuple[str, str]:
        """Run something in a kernel (the id of one, or "" for a new one); the kernel's id, and what was put out.

        Returns when the kernel is idle again, or has put out `until`, and leaves it running.
        """
        kernel = kernel or self.server("POST", "api/kernels", json={"name": "python3"}).json()["id"]
        url = f"{self.url.replace('http', 'ws', 1)}/user/{self.name}/api/kernels/{kernel}/channels"
        header = [f"Authorization: token {self.token}"]
        connection = websocket.create_connection(url, timeout=LONGEST, header=header)
        asked = secrets.token_hex(8)
        about = {"msg_id": asked, "msg_type": "execute_request", "username": "", "session": asked, "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        message = {"header": about, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        connection.send(json.dumps(message))
        text, idle = "", False
        try:
            while not idle and not (until and until in text):
                got = json.loads(connection.recv())
                if got["parent_header"].get("msg_id") == asked:
                    text += str(got["content"].get("text", ""))
                    idle = got["content"].get("execution_state") == "idle"
        finally:
            connection.close()
        return kernel, text


def free_port() -> int:
    """A port P for a hub, free with the ten that it takes beside it (10000 + P without its last digit).

    They stay this process's until it ends: a hub that is started again finds them as they were.
    """
    for port in (*_OURS, *(8100 + (os.getpid() * 7 + step) % 150 * 10 for step in range(150))):
        inside = 10_000 + port % 10_000 // 10 * 10
        if all(_is_free(one) for one in (port, *range(inside, inside + 10))) and _is_ours(port):
            return port
    raise OSError("no free ports for a hub")


def _is_ours(port: int) -> bool:
    """Whether no other process of tests has it, which is kept so by a lock."""
    if port not in _OURS:
        file = open(Path(tempfile.gettempdir()) / f"hub-port-{os.getuid()}-{port}", "w")  # noqa: SIM115  (kept open)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        os.set_inheritable(file.fileno(), False)
        _OURS[port] = file
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def inside(url: str) -> int:
    """The first of the ports that only its machine sees: the hub's; then the proxy's, the exchange's, the graders'."""
    return 10_000 + urlparse(url).port % 10_000 // 10 * 10
