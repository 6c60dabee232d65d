"""How many people one machine holds: simulated users of a real hub, who all open a notebook at the same moment.

    python benchmarks/hub.py
    python benchmarks/hub.py --users 1,2 --quick     does it run at all?

It starts hub/demo.py on this machine (127.0.0.1 only, a folder of its own that it removes), with as many accounts as it
takes. Users log in and have their server started a few at a time, and stay. Then all of them at once do what JupyterLab
does when somebody opens a notebook (its page, the file, a kernel, the socket to it, until the kernel answers); then all
run the cell of its imports; then all save. N is raised until the 95th percentile of opening passes the limit, or N is
the last, or the time is over. Writes benchmarks/hub-cpu.json, with memory and processor time per user.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "assignments" / "checkpoint-01" / "checkpoint-01.ipynb"
LIMIT_SECONDS = 10.0  # of opening a notebook; above it people press the button again
AT_ONCE = 4  # servers that start at the same time
REPEATS = 2  # openings of each user with each number of users
PATIENCE = 300  # seconds after which something counts as failed


class User:
    """Somebody with a browser."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self.name, self.password = name, password
        self.web = httpx.AsyncClient(base_url=address, follow_redirects=True, timeout=PATIENCE, trust_env=False)
        self.home = f"/user/{name}/"

    def token(self, path: str) -> str:
        """What a page sends back to show that it is one of ours."""
        return next(cookie.value for cookie in self.web.cookies.jar if (cookie.name, cookie.path) == ("_xsrf", path))

    async def come(self) -> float:
        """Log in and wait for the server to be there; how long that took."""
        began = time.perf_counter()
        (await self.web.get("/hub/login")).raise_for_status()
        said = {"username": self.name, "password": self.password, "_xsrf": self.token("/hub/")}
        (await self.web.post("/hub/login", data=said)).raise_for_status()
        while time.perf_counter() - began < PATIENCE:
            answer = await self.web.get(f"/hub/spawn-pending/{self.name}", follow_redirects=False)
            if answer.headers.get("location", "").startswith(self.home):
                (await self.web.get(f"{self.home}lab")).raise_for_status()
                await self.ask("PUT", f"contents/{NOTEBOOK.name}", body=notebook(json.loads(NOTEBOOK.read_text())))
                return time.perf_counter() - began
            if answer.status_code != 200:
                break
            await asyncio.sleep(0.5)
        raise RuntimeError(f"{self.name}: no server (HTTP {answer.status_code}) after {PATIENCE} s")

    async def ask(self, method: str, path: str, body: object = None) -> object:
        """Something of the server's own interface."""
        headers = {"X-XSRFToken": self.token(self.home)}
        answer = await self.web.request(method, f"{self.home}api/{path}", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def open(self) -> None:
        """Open the notebook, as far as the kernel that answers."""
        (await self.web.get(f"{self.home}lab/tree/{NOTEBOOK.name}")).raise_for_status()
        self.content = (await self.ask("GET", f"contents/{NOTEBOOK.name}?content=1"))["content"]
        wanted = {"path": NOTEBOOK.name, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        self.session = await self.ask("POST", "sessions", body=wanted)
        place = f"{self.home}api/kernels/{self.session['kernel']['id']}/channels"
        url = self.web.base_url.copy_with(scheme="ws", path=place)
        cookies = self.web.build_request("GET", self.home).headers["cookie"]
        self.channel = await websocket_connect(HTTPRequest(str(url), headers={"Cookie": cookies}))
        await answered(self.channel, "kernel_info_request", {})

    async def run(self) -> None:
        """Run the cell with the imports."""
        code = next(cell["source"] for cell in self.content["cells"] if "from deeppractice" in cell["source"])
        reply = await answered(self.channel, "execute_request", {"code": code, "silent": False, "store_history": True})
        if reply["status"] != "ok":
            raise RuntimeError(f"{self.name}: the cell ended with {reply.get('ename')}: {reply.get('evalue')}")

    async def save(self) -> None:
        """Save the notebook."""
        await self.ask("PUT", f"contents/{NOTEBOOK.name}", body=notebook(self.content))

    async def close(self) -> None:
        """End the kernel, as *Shut Down Kernel* does."""
        self.channel.close()
        await self.ask("DELETE", f"sessions/{self.session['id']}")


def notebook(content: dict) -> dict:
    return {"type": "notebook", "format": "json", "content": content}


async def answered(channel, kind: str, content: dict) -> dict:
    """Ask the kernel something, and what it answers; asked again until it listens."""
    end = time.perf_counter() + PATIENCE
    identifier = ""
    while time.perf_counter() < end:
        if not identifier or kind == "kernel_info_request":  # a kernel that starts does not hear the first one
            identifier = uuid.uuid4().hex
            header = {"msg_id": identifier, "msg_type": kind, "session": "load", "username": "", "version": "5.3"}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
            await channel.write_message(json.dumps(message))
        with suppress(asyncio.TimeoutError):
            async with asyncio.timeout(5):
                while (text := await channel.read_message()) is not None:
                    said = json.loads(text)
                    if said["channel"] == "shell" and said["header"]["msg_type"] == kind.replace("_request", "_reply"):
                        return said["content"]
                raise RuntimeError("the socket to the kernel was closed")
    raise RuntimeError(f"the kernel did not answer within {PATIENCE} s")


class Machine:
    """hub/demo.py, started with so many accounts, and stopped when `last` is closed."""

    def __init__(self, accounts: int, place: Path, last: ExitStack) -> None:
        self.port, self.log = free_port(), place / "demo.log"
        line = [sys.executable, str(ROOT / "hub" / "demo.py"), f"--port={self.port}", f"--state={place / 'hub'}"]
        with open(self.log, "wb") as file:
            self.process = subprocess.Popen([*line, f"--students={accounts}"], stdout=file, stderr=file)
        last.callback(self.stop)
        self.address = f"http://127.0.0.1:{self.port}"
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"^accounts .*\n^password +(\S+)$", self.log.read_text(), re.M)):
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"the hub did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.5)
        self.password = found[1]
        names = re.search(r"\(instructor\), (.*) \(students\)", self.log.read_text())[1]
        self.names = names.split(", ")

    def stop(self) -> None:
        """End it, and with it everybody's servers."""
        self.process.terminate()  # of a terminal's Ctrl-C it has heard already; a second time does no harm
        self.process.wait(120)

    def memory_mb(self) -> dict[str, float]:
        """What the hub's own processes and people's servers hold; what several share is divided among them."""
        mine, theirs = 0.0, 0.0
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                held = process.memory_full_info().pss / 1e6
                inside = any("bwrap" in Path(above.name()).name for above in (process, *process.parents()))
                mine, theirs = (mine, theirs + held) if inside else (mine + held, theirs)
        return {"hub": mine, "users": theirs}


def free_port() -> int:
    """A port whose neighbours inside, which hub/jupyterhub_config.py uses, are free too."""
    for port in random.sample(range(8200, 9400, 10), 50):
        with suppress(OSError), ExitStack() as held:
            for one in (port, *range(10_000 + port, 10_010 + port)):
                held.enter_context(socket.socket()).bind(("127.0.0.1", one))
            return port
    sys.exit("no free ports for a hub between 8200 and 9400 and 10,000 above")


async def step(machine: Machine, users: list[User], number: int, repeats: int) -> dict:
    """Have so many users, let them all open their notebook together, and say what that took."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def come(user: User) -> float:
        async with gate:
            return await user.come()

    new = [User(machine.address, name, machine.password) for name in machine.names[len(users) : number]]
    users += new
    came = await asyncio.gather(*map(come, new))
    await asyncio.sleep(2)
    taken: dict[str, list[float]] = {what: [] for what in ("open", "run", "save")}
    busy: dict[str, list[float]] = {what: [] for what in taken}
    for _ in range(repeats):
        for what in taken:  # all of them at once, and none goes on before all are so far
            seconds, cpu = await together(users, what)
            taken[what] += seconds
            busy[what].append(cpu / number)
        memory = machine.memory_mb()
        await asyncio.gather(*(user.close() for user in users))
    found = {"users": number, "start_median": round(statistics.median(came), 2)}
    for what, seconds in taken.items():
        found[f"{what}_median"] = round(statistics.median(seconds), 3)
        found[f"{what}_p95"] = round(sorted(seconds)[-(-len(seconds) * 95 // 100) - 1], 3)
        found[f"{what}_cpu_seconds_each"] = round(statistics.median(busy[what]), 3)
    return found | {"memory_mb_each": round(memory["users"] / number), "memory_mb_hub": round(memory["hub"])}


async def together(users: list[User], what: str) -> tuple[list[float], float]:
    """All do the same at once: how long it took each, and how long the machine's processors were busy in all."""

    async def timed(user: User) -> float:
        began = time.perf_counter()
        await getattr(user, what)()
        return time.perf_counter() - began

    psutil.cpu_percent()
    began = time.perf_counter()
    seconds = await asyncio.gather(*map(timed, users))
    return list(seconds), psutil.cpu_percent() / 100 * os.cpu_count() * (time.perf_counter() - began)


async def measure(machine: Machine, numbers: list[int], repeats: int, seconds: float) -> tuple[list[dict], str]:
    """The steps, and why there are no more."""
    users: list[User] = []
    steps: list[dict] = []
    began = time.monotonic()
    for number in numbers:
        room = psutil.virtual_memory().available / 1e6
        more = (number - len(users)) * (steps[-1]["memory_mb_each"] if steps else 0)
        if more > 0.9 * room:
            return steps, f"{number} users need {more:.0f} MB more, and {room:.0f} MB are free"
        try:
            async with asyncio.timeout(max(1.0, seconds - (time.monotonic() - began))):
                steps.append(await step(machine, users, number, repeats))
        except TimeoutError:
            return steps, f"the time was over with {number} users"
        except (RuntimeError, httpx.HTTPError) as error:
            return steps, f"with {number} users: {error or type(error).__name__}"
        print(", ".join(f"{name} {value}" for name, value in steps[-1].items()), flush=True)
        if steps[-1]["open_p95"] > LIMIT_SECONDS:
            return steps, f"with {number} users opening passes {LIMIT_SECONDS:g} s"
    return steps, f"{numbers[-1]} users are the most that are tried"


def limits(steps: list[dict]) -> dict:
    """What would be used up first: how many users memory and processors would do for, by the last step."""
    last, cores = steps[-1], os.cpu_count()
    memory = psutil.virtual_memory().total / 1e6 - last["memory_mb_hub"]
    processors = LIMIT_SECONDS * cores / max(0.001, last["open_cpu_seconds_each"])
    return {"by memory": int(memory / max(1, last["memory_mb_each"])), "by processors, all at once": int(processors)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", default="1,2,5,10,20,40", help="numbers of users, in this order")
    parser.add_argument("--minutes", type=float, default=10, help="no longer than this (default: 10)")
    parser.add_argument("--quick", action="store_true", help="open once instead of twice, and write nothing")
    options = parser.parse_args()
    numbers = [int(number) for number in options.users.split(",")]
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    try:
        with tempfile.TemporaryDirectory(prefix="hub-load-") as place, ExitStack() as last:
            machine = Machine(max(numbers), Path(place), last)
            left = 60 * options.minutes - (time.monotonic() - began)
            steps, why = asyncio.run(measure(machine, numbers, 1 if options.quick else REPEATS, left))
    except KeyboardInterrupt:
        sys.exit("interrupted: the hub is stopped, its folder is gone, and nothing was written")
    if not steps:
        sys.exit(f"nothing was measured: {why}")
    fine = [one["users"] for one in steps if one["open_p95"] <= LIMIT_SECONDS]
    result = {
        "what": "simulated users of a hub on one machine, who all do the same at once; the limit: 95 % of openings of"
        f" a notebook take at most {LIMIT_SECONDS:g} s",
        "device": f"{platform.machine()}, {os.cpu_count()} processors, {psutil.virtual_memory().total / 1e9:.0f} GB",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "users_within_limit": max(fine, default=0),
        "ended": why,
        "users_that_would_fit": limits(steps),
        "steps": steps,
    }
    print(f"{result['users_within_limit']} users; {why}; would fit: {result['users_that_would_fit']}")
    if not options.quick:
        Path(__file__).with_name("hub-cpu.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
