"""Ports that servers are given (hub/given.py): theirs before they run, and nobody else's at any moment."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from .hub_yml import module
from .person import LONGEST
from .running import REACHED

SERVER = """\
import os, tornado.httpserver, tornado.ioloop, tornado.netutil, tornado.web
class Page(tornado.web.RequestHandler):
    def get(self):
        self.finish(str(os.getuid()))
server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Page)]))
server.add_sockets(tornado.netutil.bind_sockets(1, "127.0.0.1"))  # a port that is not free for it
tornado.ioloop.IOLoop.current().start()
"""
NOBODY, OTHER = 65534, 65533
ASK = """\
import socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect(chr(0) + sys.argv[1])
print(socket.recv_fds(asked, 1, 1)[:2])
"""
other_accounts = pytest.mark.skipif(
    os.geteuid() != 0 or not REACHED,
    reason="starts programs in the names of other accounts: needs root, and a clone that they can reach",
)


@pytest.fixture
def server() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="given-") as folder:  # pytest's own is closed to other accounts
        file = Path(folder) / "server.py"
        file.write_text(SERVER)
        file.parent.chmod(0o755)
        file.chmod(0o644)
        yield file


def answer(number: int) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://127.0.0.1:{number}", timeout=LONGEST
    ) as said:
        return said.read().decode()


def is_taken(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def started(line: list[str], account: int, **how) -> subprocess.Popen:
    become = {"user": account, "group": account} if account else {}
    return subprocess.Popen(line, cwd="/", env={"PATH": os.environ["PATH"]}, **become, **how)


def test_a_server_inherits_its_port(server):
    given = module("given")
    port = given.opened(0)
    number = port.getsockname()[1]
    process = started(given.with_port(port, [str(server)]), 0, pass_fds=[port.fileno()])
    try:
        port.close()
        assert answer(number) == str(os.getuid())
    finally:
        process.kill()
        process.wait()


@other_accounts
def test_a_server_that_somebody_else_starts_fetches_its_port_and_nobody_else_gets_it(server):
    given = module("given")
    port = given.opened(0)
    number = port.getsockname()[1]

    async def all_of_it() -> subprocess.Popen:
        counter = given.Counter(port, NOBODY)
        with closing(counter):
            giving = asyncio.create_task(counter.serve())
            line = counter.command([str(server)])
            ask = [sys.executable, "-I", "-c", ASK, line[line.index("-c") + 2]]
            thief = started(ask, OTHER, stdout=subprocess.PIPE, text=True)
            said, _ = await asyncio.to_thread(thief.communicate, timeout=LONGEST)
            assert said == "(b'', [])\n", "what is not the account's own gets nothing"
            assert not giving.done()
            assert is_taken(number)
            process = started(line, NOBODY)
            await asyncio.wait_for(giving, LONGEST)
        return process

    with ThreadPoolExecutor(1) as own:  # Playwright leaves its event loop in the thread of the tests
        process = own.submit(lambda: asyncio.run(all_of_it())).result()
    try:
        assert is_taken(number), "from the first moment on, and when the hub has closed it"
        assert answer(number) == str(NOBODY)
    finally:
        process.kill()
        process.wait()


def test_systemd_and_its_spawner_leave_the_command_as_it_is():
    given = module("given")
    assert not set("{}$\n%") & set(given._FETCH)
    compile(given._FETCH, "fetch", "exec")
