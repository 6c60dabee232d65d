"""Grading on other machines: a scheduler and two workers at addresses of their own, in network namespaces, over TLS.

Both workers take part, see neither the course's folder nor a student's name, one is killed in mid-batch, and somebody
with certificates of another authority gets in at neither end. A worker with another environment is named, and an engine
that is killed leaves no job behind.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from classroom.results import read_result

from .certificates import make_certificates

RIGHT = "def double(x):\n    return 2 * x"
SLOWLY = "import time\ntime.sleep(1)\ndef double(x):\n    return 2 * x"
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and iproute2"
)


class Cluster:
    """A scheduler in one namespace, and workers in one each, linked to it by a cable of their own.

    Args:
        place: for logs and the workers' files.
        hidden: a folder that workers do not see.
    """

    def __init__(self, place: Path, hidden: Path) -> None:
        self.place, self.hidden = place, hidden
        self.net = f"198.18.{os.getpid() % 250}"  # a range for tests, which no network uses
        self.tag = f"cls{os.getpid()}"
        self.namespaces: list[str] = []
        self.processes: dict[str, subprocess.Popen] = {}
        self.tls = make_certificates(place / "tls")
        self.address = f"tls://{self.net}.1:8786"

    def __enter__(self) -> "Cluster":
        try:
            self._add_namespace("s")
            self._link(0, inside=self._name("s"), outside=None)
            for number, worker in enumerate("ab", 1):
                self._add_namespace(worker)
                self._link(number, inside=self._name("s"), outside=self._name(worker))
            options = ["--host", "tls://0.0.0.0:8786", "--no-dashboard", "--no-show"]
            self._start("s", "scheduler", *options)
            self.add_worker("a", 1)
            self.add_worker("b", 2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()
        for name in self.namespaces:
            ip("netns", "delete", name)

    def add_worker(self, name: str, number: int) -> None:
        scheduler = f"tls://{self.net}.{4 * number + 1}:8786"
        options = ["--no-dashboard", "--no-nanny", "--nthreads", "1", "--preload", "classroom.worker"]
        options += ["--host", f"{self.net}.{4 * number + 2}", "--local-directory", str(self.place / name)]
        self._start(name, "worker", scheduler, *options)

    def log(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text()

    def _start(self, name: str, what: str, *options: str) -> None:
        tls = ["--tls-ca-file", self.tls["ca"], "--tls-cert", self.tls["cert"], "--tls-key", self.tls["key"]]
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options, *tls]
        # A name of its own, and the course's folder out of sight: as on another machine.
        script = f'hostname machine-{name} && mount -t tmpfs none {self.hidden} && exec "$@"'
        net = f"--net=/run/netns/{self._name(name)}"
        line = ["unshare", "--uts", "--mount", "sh", "-c", script, "sh", "nsenter", net, *command]
        with open(self.place / f"{name}.log", "w") as log:
            self.processes[name] = subprocess.Popen(line, stdout=log, stderr=log, cwd="/")

    def _name(self, name: str) -> str:
        return f"{self.tag}{name}"

    def _add_namespace(self, name: str) -> None:
        ip("netns", "add", self._name(name))
        self.namespaces.append(self._name(name))
        ip("-n", self._name(name), "link", "set", "lo", "up")

    def _link(self, number: int, *, inside: str, outside: str | None) -> None:
        """A cable between the scheduler's namespace and another one, or the tests' own."""
        near, far = f"{self.tag}n{number}", f"{self.tag}f{number}"
        ip("link", "add", near, "type", "veth", "peer", "name", far)
        ip("link", "set", near, "netns", inside)
        if outside is not None:
            ip("link", "set", far, "netns", outside)
        for name, namespace, host in ((near, inside, 1), (far, outside, 2)):
            where = ["-n", namespace] if namespace else []
            ip(*where, "address", "add", f"{self.net}.{4 * number + host}/30", "dev", name)
            ip(*where, "link", "set", name, "up")


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


@pytest.fixture
def cluster(tiny, tmp_path):
    with Cluster(tmp_path, tiny.root) as made:
        yield made


@needs_root
def test_two_workers_on_other_addresses(tiny, cluster, tmp_path):
    students = [f"student{number:02}" for number in range(16)]
    for student in students:
        tiny.hand_in(student, "tiny", SLOWLY)
    tls = [word for name, path in cluster.tls.items() for word in (f"--tls-{name}", path)]
    # One of them is killed while it works.
    killer = threading.Thread(target=kill_after_a_result, args=(cluster.processes["b"], tiny, "machine-b"))
    killer.start()
    done = tiny.run("autograde", "tiny", "--scheduler", cluster.address, *tls)
    killer.join()
    logs = "\n".join(cluster.log(name) for name in "sab")
    assert done.returncode == 0, done.stdout + done.stderr + logs
    results = [read_result(tiny.root / f"course/results/tiny/{student}.result.json") for student in students]
    assert [result["outcome"] for result in results] == ["graded"] * 16
    assert [row["total"] for row in tiny.report("status", "tiny")["students"]] == [3] * 16
    assert {result["host"] for result in results} == {"machine-a", "machine-b"}
    assert cluster.processes["b"].poll() is not None
    assert "student0" not in logs

    # Certificates of another authority, none, and no TLS at all.
    other = make_certificates(tmp_path / "other", "somebody else")
    strangers = [word for name, path in other.items() for word in (f"--tls-{name}", path)]
    began = time.monotonic()
    done = tiny.run("autograde", "tiny", "--force", "--scheduler", cluster.address, *strangers)
    assert done.returncode == 2
    assert "no Dask scheduler answers at" in done.stderr
    assert "do the certificates match?" in done.stderr
    assert time.monotonic() - began < 20
    done = tiny.run("autograde", "tiny", "--scheduler", cluster.address)
    assert done.returncode == 2
    assert "needs certificates: --tls-ca FILE" in done.stderr
    done = tiny.run("autograde", "tiny", "--scheduler", cluster.address.replace("tls", "tcp"))
    assert done.returncode == 2
    assert "outside this machine only with TLS" in done.stderr


def kill_after_a_result(process: subprocess.Popen, course, host: str) -> None:
    place = course.root / "course/results/tiny"
    end = time.monotonic() + 100
    while not any(read_result(path).get("host") == host for path in place.glob("*.result.json")):
        if time.monotonic() > end:
            return
        time.sleep(0.05)
    process.kill()


@contextlib.contextmanager
def here(place: Path, **variables: str):
    """A scheduler and a worker with one thread on this machine; the address."""
    module, local = "distributed.cli.dask_", ["--no-dashboard", "--host", "127.0.0.1"]
    file = place / "scheduler.json"
    options = ["--no-nanny", "--nthreads", "1", "--local-directory", str(place), "--scheduler-file", str(file)]
    scheduler = [sys.executable, "-m", f"{module}scheduler", *local, "--port", "0", "--scheduler-file", str(file)]
    worker = [sys.executable, "-m", f"{module}worker", *local, *options, "--preload", "classroom.worker"]
    processes = []
    try:
        for line in (scheduler, worker):
            with open(place / "log", "a") as log:
                environment = {**os.environ, **variables}
                processes.append(subprocess.Popen(line, cwd=place, env=environment, stdout=log, stderr=log))
        end = time.monotonic() + 60
        while not (file.exists() and file.read_text().endswith("}")):
            assert time.monotonic() < end, (place / "log").read_text()
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def test_a_worker_with_another_environment(tiny, tmp_path):
    """Its deeppractice is another one."""
    tiny.hand_in("a", "tiny", RIGHT)
    source = Path(__file__).resolve().parents[2] / "lib"
    for package in ("classroom", "deeppractice"):
        shutil.copytree(source / package, tmp_path / "other" / package)
    with open(tmp_path / "other/deeppractice/checks.py", "a") as file:
        file.write("\n# another version\n")
    with here(tmp_path, PYTHONPATH=str(tmp_path / "other")) as address:
        done = tiny.run("autograde", "tiny", "--scheduler", address)
    assert done.returncode == 2, done.stdout + done.stderr + (tmp_path / "log").read_text()
    assert "does not run the code that this command would" in done.stderr
    assert not (tiny.root / "course/results/tiny/a.result.json").exists()


def test_a_killed_engine_leaves_no_job_on_the_cluster(tiny, tmp_path):
    """The worker's only thread is free again long before the job's time is over."""
    mark = "import time\ntime.sleep(500)"
    tiny.hand_in("a", "tiny", RIGHT)
    tiny.hand_in("b", "tiny", mark)
    with here(tmp_path) as address:
        words = ["autograde", "tiny", "--scheduler", address, "--cell-timeout", "500"]
        engine = subprocess.Popen(
            tiny.command(*words), cwd=tiny.root, env=tiny.environment(), stdout=subprocess.PIPE, text=True
        )
        with engine:
            assert "a: graded" in engine.stdout.readline()
            time.sleep(1)  # b is running now: there is nobody else
            engine.kill()
        began = time.monotonic()
        done = tiny.run("autograde", "tiny", "--scheduler", address, "--student", "a", "--force")
        assert done.returncode == 0, done.stdout + done.stderr
        assert time.monotonic() - began < 60
