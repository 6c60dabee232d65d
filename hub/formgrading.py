"""formgrader's server of one course, kept running as a service of the hub.

    python hub/formgrading.py FOLDER LOG COMMAND…

The hub starts this, and gives up as a whole if a service of it does not answer. So COMMAND runs in FOLDER as a child;
while it does not come up (the folder is not there, or not the grader's; a file of settings has a mistake), this
program answers in its place, tells the course's instructors what COMMAND said, and tries again: after 5 seconds, then
after twice as long each time, at most every 2 minutes.

The port is this program's all the time, and COMMAND, a server of Jupyter's, is given it (given.py).
"""

import asyncio
import contextlib
import html
import os
import signal
import sys
from collections import deque
from http import HTTPStatus
from urllib.parse import urlparse

from given import opened, with_port
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from proxying import with_hub
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler, authenticated

AS_ROOT = "--ServerApp.allow_root=True"  # in COMMAND: else root neither runs it nor reads the course's settings
LONGEST_START = 120  # seconds, until COMMAND listens
_PAUSES = (5, 120)  # seconds: the first, and the longest
_GRACE = 8  # seconds to end in; the hub waits 10
_LINES, _LONGEST_LINE = 25, 500  # of what COMMAND said last
_CHECK = "from traitlets.config.loader import PyFileConfigLoader as L; L('nbgrader_config.py', '.').load_config()"
_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>formgrader is not running</title>
<style>html {{ background: Canvas; }}
body {{ font: 1.05rem/1.5 sans-serif; max-width: 60rem; margin: 4rem auto; padding: 0 1rem; }}
p {{ overflow-wrap: anywhere; }}
pre {{ background: #eee; color: #111; padding: 1rem; overflow: auto; }}</style></head>
<body><main><h1>formgrader is not running</h1>
<p>The course <strong>{course}</strong> could not be opened: <strong>{why}</strong></p>
<p>Other courses, and the servers of students, are not touched by this. It is tried again by itself, at the latest in
{pause} seconds: load this page again after that. The folder is <code>{folder}</code>. The hub's log has all of it:
<code>{log}</code></p>
<p>The last lines:</p><pre tabindex="0">{lines}</pre></main></body></html>
"""


class Keeper:
    """Runs the command, and knows why it does not run."""

    def __init__(self, folder: str, log: str, command: list[str]) -> None:
        self.folder, self.log, self.command = folder, log, command
        place = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
        self.port = opened(place.port, place.hostname)
        self.lines: deque[str] = deque(maxlen=_LINES)
        self.why, self.pause, self.child = "", _PAUSES[0], None
        page = [(r".*/oauth_callback", HubOAuthCallbackHandler), (r".*", Page, {"keeper": self})]
        self.page = Application(page, cookie_secret=os.urandom(32))

    async def keep(self) -> None:
        """Run it again and again; between, answer in its place."""
        while True:
            up = await self._run()
            self.pause = _PAUSES[0] if up else self.pause
            print(f"formgrader of {self._course}: {self.why}; again in {self.pause} s", file=sys.stderr, flush=True)
            server = HTTPServer(self.page)
            server.add_socket(self.port.dup())
            await asyncio.sleep(self.pause)
            server.stop()
            await server.close_all_connections()
            self.pause = min(2 * self.pause, _PAUSES[1])

    @property
    def _course(self) -> str:
        return os.environ["JUPYTERHUB_SERVICE_NAME"]

    async def _run(self) -> bool:
        """Run the command until it ends; whether it had come up."""
        self.lines.clear()
        if os.geteuid() == 0 and AS_ROOT not in self.command:
            self.why = "it would run as root, since this machine has no account for it. hub/install makes the grader's"
            return False
        try:
            os.listdir(self.folder)  # what may be entered may not be read
            # A server with a broken file of settings comes up, with other settings than the course's.
            await self._start([sys.executable, "-P", "-c", _CHECK], comes_up=False)
            if self.child.returncode:
                self.why = next((line for line in reversed(self.lines) if line.strip()), self.why)
                return False
            up = await self._start(with_port(self.port, self.command), comes_up=True)
        except OSError as error:
            self.why = f"{error.filename or self.folder}: {(error.strerror or str(error)).lower()}"
            return False
        if not up:
            self.why = next((line for line in reversed(self.lines) if "Error" in line), self.why).strip()
        return up

    async def _start(self, line: list[str], *, comes_up: bool) -> bool:
        """Start a program and wait for its end; whether it answered before."""
        # It ends with this program.
        self.child = await asyncio.create_subprocess_exec(
            *with_hub(line),
            cwd=self.folder,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[self.port.fileno()] if comes_up else [],
        )
        reading, up = asyncio.create_task(self._read()), comes_up and await self._comes_up()
        if comes_up and not up and self.child.returncode is None:
            self.why = f"its server did not answer within {LONGEST_START} seconds"
            await self.end()
        else:
            self.why = f"its server ended with exit code {await self.child.wait()}"
        with contextlib.suppress(TimeoutError):  # something that it started may hold the pipe open
            await asyncio.wait_for(reading, 5)
        return up

    async def _read(self) -> None:
        """Hand on what the command says, and remember the end of it."""
        rest = b""
        while said := await self.child.stderr.read(1 << 16):
            sys.stderr.buffer.write(said)
            sys.stderr.flush()
            *whole, rest = (rest + said).split(b"\n")
            self.lines.extend(line.decode(errors="replace")[:_LONGEST_LINE] for line in whole)
            rest = rest[:_LONGEST_LINE]

    async def _comes_up(self) -> bool:
        """Whether the command answers; until it does, what is asked waits at the socket."""
        reader, writer = await asyncio.open_connection(*self.port.getsockname()[:2])
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer, end = asyncio.ensure_future(reader.read(1)), asyncio.ensure_future(self.child.wait())
        try:
            await asyncio.wait({answer, end}, timeout=LONGEST_START, return_when=asyncio.FIRST_COMPLETED)
            return answer.done() and not end.done()
        finally:
            answer.cancel()
            end.cancel()
            writer.close()

    async def end(self) -> None:
        """End the command: asked first, then made to."""
        if self.child is None or self.child.returncode is not None:
            return
        self.child.terminate()
        try:
            await asyncio.wait_for(self.child.wait(), _GRACE)
        except TimeoutError:
            self.child.kill()
            await self.child.wait()

    def shown(self, pause: int) -> str:
        """The page, for those who teach the course."""
        said = {"course": self._course, "why": self.why, "folder": self.folder, "log": self.log}
        said |= {"lines": "\n".join(self.lines) or "(none)"}
        return _PAGE.format(pause=pause, **{key: html.escape(text) for key, text in said.items()})


class Page(HubOAuthenticated, RequestHandler):
    """Whatever of the course's is asked for: why it is not there."""

    def initialize(self, keeper: Keeper) -> None:
        """See tornado: what this answers for."""
        self.keeper = keeper

    @authenticated
    def get(self) -> None:
        """Say why; who may not open formgrader is sent away before."""
        self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
        self.finish(self.keeper.shown(self.keeper.pause))


async def main() -> None:
    """Keep the command running until the hub ends this program."""
    folder, log, *command = sys.argv[1:]
    keeper = Keeper(folder, log, command)
    keeping = asyncio.create_task(keeper.keep())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, keeping.cancel)
    try:
        await keeping
    except asyncio.CancelledError:
        await keeper.end()


if __name__ == "__main__":
    asyncio.run(main())
