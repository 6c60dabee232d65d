"""The engine with jobs of its own: order and number in flight; a worker killed once, three times, between two jobs and
in the middle of all; failures of ours; an engine that is killed; addresses that may not be used, do not answer, or are
no scheduler; a scheduler that goes away in mid-batch, one without workers, a worker with another environment."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from classroom import engine as engine_module
from classroom.engine import TRIES, Engine
from classroom.errors import ClassroomError
from classroom.scheduler import Certificates, _reason, check_address, security


def worker():
    """A function that workers get as its code, since they cannot import a test."""

    class EnvironmentDiffersError(Exception):
        """As in classroom.job: the engine knows it by its name."""

    def work(payload: bytes) -> bytes:
        """A job that does what its `do` says."""
        job = json.loads(payload)
        outcome = {"number": job["number"], "state": "graded", "pid": os.getpid()}
        marks = job.get("marks")  # a folder with a file for each try
        tries = 0
        if marks:
            tries = len(os.listdir(marks)) + 1
            open(os.path.join(marks, f"{tries}-{job['number']}"), "w").close()
        what = job.get("do", "")
        if what == "die" or (what == "die-once" and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "infra" or (what == "infra-once" and tries == 1):
            outcome |= {"state": "infra-error", "note": "the template ended"}
        if what == "crash" and not (job.get("last_try") and tries == 3):
            outcome |= {"state": "infra-error", "note": "the examiner crashed", "crashed": tries > job.get("well", 0)}
        if what == "raise":
            raise OSError("the disk is full")
        if what == "differs":
            raise EnvironmentDiffersError("this worker has torch 1, the engine torch 2")
        time.sleep(job.get("seconds", 0))
        return json.dumps(outcome).encode()

    return work


work = worker()


@pytest.fixture(scope="module")
def engine():
    with Engine(jobs=2, function=work) as made:
        yield made


def run(engine: Engine, jobs: list[dict]) -> dict[int, dict]:
    pairs = ((f"student-{n}", {"number": n, **job}) for n, job in enumerate(jobs))
    return {outcome["number"]: outcome for _, outcome in engine.outcomes(pairs)}


def test_all_come_back_with_their_owner_and_few_are_under_way(engine):
    taken, returned, most = 0, 0, 0

    def jobs():
        nonlocal taken
        for number in range(100):
            taken += 1
            yield f"student-{number}", {"number": number}

    for owner, outcome in engine.outcomes(jobs()):
        assert owner == f"student-{outcome['number']}"
        most = max(most, taken - returned)
        returned += 1
    assert returned == 100
    assert most <= 2 * 2 + 1  # so that memory does not grow with the class


def test_no_job_at_all(engine):
    assert run(engine, []) == {}


def test_a_worker_that_is_killed_costs_nobody_anything(engine, tmp_path):
    found = run(engine, [{}, {"do": "die-once", "marks": str(tmp_path)}, {}, {}, {}])
    assert [found[n]["state"] for n in range(5)] == ["graded"] * 5
    assert len(list(tmp_path.iterdir())) == 2  # it ran twice, and is there once


def test_a_job_that_kills_its_worker_each_time_is_given_up(engine, tmp_path):
    jobs = [{"do": "die", "marks": str(tmp_path)}]
    found = run(engine, jobs)
    assert found[0]["state"] == "infra-error"
    assert "the worker process died" in found[0]["note"]
    assert len(list(tmp_path.iterdir())) == TRIES
    assert run(engine, [{}])[0]["state"] == "graded"  # the next batch is not touched


def test_failures_of_ours_are_tried_again(engine, tmp_path):
    once, always = tmp_path / "once", tmp_path / "always"
    once.mkdir()
    always.mkdir()
    found = run(
        engine, [{"do": "infra-once", "marks": str(once)}, {"do": "infra", "marks": str(always)}, {"do": "raise"}]
    )
    assert (found[0]["state"], found[0]["tries"]) == ("graded", 2)
    assert (found[1]["state"], found[1]["note"], found[1]["tries"]) == ("infra-error", "the template ended", TRIES)
    assert (found[2]["state"], found[2]["note"]) == ("infra-error", "OSError: the disk is full")
    assert len(list(always.iterdir())) == TRIES


def test_only_after_crashes_alone_a_job_is_told_that_it_is_the_last_try(engine, tmp_path):
    for name in ("crash", "mixed"):
        (tmp_path / name).mkdir()
    jobs = [
        {"do": "crash", "marks": str(tmp_path / "crash")},
        {"do": "crash", "marks": str(tmp_path / "mixed"), "well": 1},
    ]
    found = run(engine, jobs)
    assert (found[0]["state"], found[0]["tries"]) == ("graded", TRIES)
    assert (found[1]["state"], found[1]["tries"]) == ("infra-error", TRIES), "the first try failed in another way"


def test_another_environment_ends_the_batch_with_one_message(engine):
    with pytest.raises(ClassroomError, match="this worker has torch 1, the engine torch 2"):
        run(engine, [{"do": "differs"}, {}, {}])
    assert run(engine, [{}])[0]["state"] == "graded"


def test_a_worker_killed_from_outside_between_and_in_mid_batch(engine):
    pid = run(engine, [{}])[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    found = run(engine, [{"seconds": 0.05} for _ in range(20)])
    assert {outcome["state"] for outcome in found.values()} == {"graded"}
    pid = found[0]["pid"]
    threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
    found = run(engine, [{"seconds": 0.1} for _ in range(20)])
    assert len(found) == 20
    assert {outcome["state"] for outcome in found.values()} == {"graded"}


def test_no_one_else_on_this_machine_can_join(engine):
    """The local scheduler speaks TLS with a certificate that only this batch has."""
    from distributed import Client

    address = engine.client().scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    with pytest.raises((OSError, TypeError, ValueError)):
        Client(address.replace("tls:", "tcp:"), timeout=2, set_as_default=False)


ALONE = """
import os, sys, time, json
from classroom.engine import Engine

def work(payload):
    open(sys.argv[1] if len(sys.argv) > 1 else os.environ["PID_FILE"], "w").write(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    engine = Engine(jobs=1, function=work)
    list(engine.outcomes([(None, {"number": 0})]))
"""


def test_no_process_is_left_when_the_engine_is_killed(tmp_path):
    (tmp_path / "alone.py").write_text(ALONE)
    mark = tmp_path / "pid"
    environment = {**os.environ, "PID_FILE": str(mark)}
    process = subprocess.Popen([sys.executable, str(tmp_path / "alone.py")], env=environment)
    try:
        wait_for(lambda: mark.exists() and mark.read_text())
        worker = int(mark.read_text())
        process.kill()
        process.wait(10)
        wait_for(lambda: not alive(worker), 10)
    finally:
        process.kill()


# Schedulers of one's own


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786", "tls://far:1"])
def test_addresses_that_may_be_used(address):
    assert check_address(address) == address


def test_an_address_without_a_protocol():
    assert check_address("127.0.0.1:8786") == "tcp://127.0.0.1:8786"


@pytest.mark.parametrize("address", ["tcp://10.1.2.3:8786", "scheduler.example.org:8786", "tcp://127.example.org:1"])
def test_outside_this_machine_only_with_tls(address):
    with pytest.raises(ClassroomError, match="only with TLS"):
        Engine(scheduler=address)


@pytest.mark.parametrize("address", ["", "far", "ucx://far:1", "http://far:80", "tls://far", "tls://:8786"])
def test_what_is_no_address(address):
    with pytest.raises(ClassroomError, match="expected an address such as"):
        check_address(address)


def test_certificates_that_are_missing_are_named(tmp_path):
    with pytest.raises(ClassroomError, match=r"--tls-ca FILE, or the variable DASK_DISTRIBUTED__COMM__TLS__CA_FILE"):
        security("tls://far:1", Certificates())
    with pytest.raises(ClassroomError, match=r"--tls-ca: there is no file nowhere.pem"):
        security("tls://far:1", Certificates("nowhere.pem", "a", "b"))
    with pytest.raises(ClassroomError, match=r"--tls-ca is for a scheduler with an address tls://"):
        security("tcp://127.0.0.1:1", Certificates("ca.pem"))


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("classroom.scheduler.CONNECT_SECONDS", 2)
    with socket.socket() as taken:  # a port on which nobody listens
        taken.bind(("127.0.0.1", 0))
        began = time.monotonic()
        with Engine(scheduler=f"127.0.0.1:{taken.getsockname()[1]}") as engine, pytest.raises(ClassroomError) as raised:
            engine.client()
    assert "no Dask scheduler answers at tcp://127.0.0.1:" in str(raised.value)
    assert "(nothing listens there: connection refused); is it running" in str(raised.value)
    assert time.monotonic() - began < 20  # 2 s, and what a busy machine adds


def wrapped(error: BaseException) -> OSError:
    """As Dask raises it."""
    outer = OSError("Timed out trying to connect to tls://far:1 after 8 s")
    outer.__cause__ = OSError(f"in <distributed.comm.tcp.TLSConnector object at 0x7f>: {type(error).__name__}: x")
    outer.__cause__.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (wrapped(ConnectionRefusedError(111, "Connection refused")), "nothing listens there: connection refused"),
        (wrapped(socket.gaierror(-2, "Name or service not known")), "no such host"),
        (wrapped(ssl.SSLCertVerificationError("x")), "its certificate is not signed by that authority"),
        (wrapped(ssl.SSLError("wrong version")), "it does not speak TLS, or does not accept the certificate"),
        (wrapped(OSError(113, "No route to host")), "no route to host"),
        (TimeoutError(), ""),
        (MemoryError(), "what answers there is something else"),
        (KeyError("type"), "what answers there is something else"),
    ],
)
def test_why_no_scheduler_answers_is_said_without_names_of_objects(error, said):
    assert _reason(error) == said


LEFT = """
import atexit, signal
from distributed.deploy import spec
from classroom.engine import Engine

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the worker inherits it
    engine = Engine(jobs=1, function=print)
    engine.client()
    atexit.unregister(spec.close_clusters)  # as when it does not get through
"""


def test_a_worker_that_is_left_and_does_not_end_does_not_keep_the_command(tmp_path):
    (tmp_path / "left.py").write_text(LEFT)
    assert subprocess.run([sys.executable, str(tmp_path / "left.py")], timeout=60, check=False).returncode == 0


CLOSED = """
import multiprocessing, sys, time
from classroom.engine import Engine

if __name__ == "__main__":
    began = time.monotonic()
    Engine(jobs=1, function=print).close()  # while it still starts
    print(multiprocessing.active_children(), time.monotonic() - began)
"""


def test_closed_while_it_starts_it_leaves_nothing(tmp_path):
    (tmp_path / "closed.py").write_text(CLOSED)
    command = [sys.executable, str(tmp_path / "closed.py")]
    done = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout[:3], done.stderr) == (0, "[] ", "")


def test_a_scheduler_of_this_machine_whose_worker_is_older_than_the_code(tmp_path):
    message = r"does not run the code that this command would: .*; start it again"
    with (
        Scheduler(tmp_path) as scheduler,
        Engine(scheduler=scheduler.address, function=work) as engine,
        pytest.raises(ClassroomError, match=message),
    ):
        run(engine, [{"do": "differs"}])


def test_a_port_that_never_answers(monkeypatch):
    monkeypatch.setattr("classroom.scheduler.CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with (
            Engine(scheduler=f"127.0.0.1:{silent.getsockname()[1]}") as engine,
            pytest.raises(ClassroomError) as raised,
        ):
            engine.client()
    assert "no Dask scheduler answers at" in str(raised.value)
    assert time.monotonic() - began < 20  # 2 s, and what a busy machine adds


class Scheduler:
    """A `dask scheduler` process on this machine, with as many workers as asked for."""

    def __init__(self, tmp_path, workers: int = 1) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.tmp_path = tmp_path
        self.processes: list[subprocess.Popen] = []
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        for _ in range(workers):
            self.add_worker()

    def start(self, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def add_worker(self) -> subprocess.Popen:
        options = ["--no-dashboard", "--no-nanny", "--nthreads", "1", "--local-directory", str(self.tmp_path)]
        return self.start("worker", self.address, *options, "--death-timeout", "5")

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def test_a_scheduler_that_goes_away_in_mid_batch(tmp_path):
    kept = []

    def batch(engine: Engine, scheduler: Scheduler) -> None:
        for _, outcome in engine.outcomes((None, {"number": n, "seconds": 0.1}) for n in range(200)):
            kept.append(outcome["number"])
            if len(kept) == 3:
                scheduler.scheduler.kill()

    with Scheduler(tmp_path) as scheduler, Engine(scheduler=scheduler.address, function=work) as engine:
        with pytest.raises(ClassroomError, match=r"the scheduler at tcp://127.0.0.1:\d+ .*; what is done is kept"):
            batch(engine, scheduler)
        assert len(kept) >= 3


def test_a_scheduler_that_stops_answering(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 1)

    def batch(engine: Engine, scheduler: Scheduler) -> None:
        for _ in engine.outcomes((None, {"number": n, "seconds": 0.1}) for n in range(200)):
            scheduler.scheduler.send_signal(signal.SIGSTOP)

    with Scheduler(tmp_path) as scheduler, Engine(scheduler=scheduler.address, function=work) as engine:
        with pytest.raises(ClassroomError, match="does not answer any more"):
            batch(engine, scheduler)
        engine.close()  # within seconds, though nobody answers


def test_a_scheduler_without_workers_waits_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(engine_module, "WORKERS_SECONDS", 2)
    said: list[str] = []
    scheduler = Scheduler(tmp_path, workers=0)
    with scheduler, Engine(scheduler=scheduler.address, function=work, say=said.append) as engine:
        with pytest.raises(ClassroomError, match=r"no worker at tcp://127.0.0.1:\d+ for 2 s"):
            run(engine, [{}])
        assert "waiting for a worker at tcp://127.0.0.1:" in said[0]
        monkeypatch.setattr(engine_module, "WORKERS_SECONDS", 60)
        scheduler.add_worker()
        assert run(engine, [{}])[0]["state"] == "graded"


def test_a_worker_without_classroom_is_named(tmp_path):
    """A scheduler and a worker in another environment: its Python does not find this package."""
    code = textwrap.dedent(
        """
        import sys
        sys.modules["classroom"] = None
        from distributed.cli.dask_worker import main
        main()
        """
    )
    with Scheduler(tmp_path, workers=0) as scheduler:
        options = ["--no-dashboard", "--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path)]
        command = [sys.executable, "-c", code, scheduler.address, *options]
        scheduler.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        with Engine(scheduler=scheduler.address) as engine, pytest.raises(ClassroomError) as raised:
            run(engine, [{"start": "warm"}])
        assert "has no classroom installed" in str(raised.value)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False
