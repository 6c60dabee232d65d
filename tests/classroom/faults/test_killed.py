"""Killed with SIGKILL at random points, and the same command typed again: nothing lost, nothing twice.

In order: the whole command; its worker; the sandbox's template; a worker that stays away; a scheduler of one's own,
with its worker. After each, the result files, the gradebook and autograded/ are those of an undisturbed run, what a
person entered in between stays, no result that stood was made again, and no process, mount, control group, temporary
or half-written file is left.
"""

import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest

from classroom.engine import Engine

from .conftest import PROJECT, Class, difference, wait_for

COMMAND = ("autograde", PROJECT)


def by_hand(made: Class, given: dict[str, float]) -> None:
    """Grade one more submission by hand, if there is one that stands in the gradebook."""
    waiting = sorted(made.merged() - given.keys())
    if waiting:
        given[waiting[0]] = 0.25 * (1 + len(given))
        made.manual(waiting[0], given[waiting[0]], f"seen by a person: {waiting[0]}")


def expect(made: Class, calm: dict, given: dict[str, float]) -> None:
    """See that all is as after an undisturbed run, save what a person entered."""
    found, wanted = made.state(), calm["state"]
    grades = {row[:2]: row[2:] for row in found["gradebook"]["grades"]}
    comments = {row[:2]: row[2:] for row in found["gradebook"]["comments"]}
    for student, points in given.items():
        assert grades[student, "why"][1] == points
        assert comments[student, "why"][1] == f"seen by a person: {student}"

    def automatic(state: dict) -> dict:
        book = dict(state["gradebook"])
        book["grades"] = [
            row[:3] + ((row[4:]) if row[1] != "why" or row[0] not in given else ()) for row in book["grades"]
        ]
        book["comments"] = [row[:3] for row in book["comments"]]
        return state | {"gradebook": book}

    assert difference(automatic(found), automatic(wanted)) == []
    assert made.left_behind() == []


def until_done(made: Class, *words: str) -> str:
    code, said = made.run(*COMMAND, *words)
    assert code == 0, made.log()
    return said


@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 5), *(pytest.param(seed, 6, marks=pytest.mark.full) for seed in range(2, 6))]
)
def test_the_whole_command(seed, kills, new_class, calm):
    """At any point between its first import and its last result."""
    chance, given, stood = random.Random(seed), {}, {}
    for _ in range(kills):
        process = new_class.start(*COMMAND)
        time.sleep(chance.uniform(0.1, 1.0) * calm["seconds"])
        new_class.processes()
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)
        by_hand(new_class, given)
        now = new_class.stamps()
        assert stood.items() <= now.items(), "a result that stood was made again"
        stood = now
    until_done(new_class)
    assert stood.items() <= new_class.stamps().items()
    expect(new_class, calm, given)
    assert "9 submissions, 0 graded now" in until_done(new_class)
    expect(new_class, calm, given)


@pytest.mark.parametrize("part", ["worker", "template"])
@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 2), *(pytest.param(seed, 2, marks=pytest.mark.full) for seed in range(2, 6))]
)
def test_a_part_of_it(part, seed, kills, new_class, calm):
    """The batch goes on by itself and tries again what the part was at; only before the first start it ends with 2."""
    chance, done = random.Random(f"{part} {seed}"), 0
    find = new_class.worker if part == "worker" else new_class.template
    while True:
        before = len(new_class.log())
        process = new_class.start(*COMMAND, "--jobs", "1")
        try:
            while done < kills and process.poll() is None:
                wait_for(lambda: find() or process.poll() is not None, what=part)  # noqa: B023 (called at once)
                time.sleep(chance.uniform(0, 1.5))
                done += new_class.kill(find())
            code = process.wait(120)
        finally:
            process.kill()
        said = new_class.log()[before:]
        if code == 0:
            break
        assert code == 2, said
        # Its template ended in the test of the sandbox, or in a worker that was starting.
        assert "it is started anew, try again" in said or "the workers did not start" in said
    assert done > 0
    expect(new_class, calm, {})


def test_a_worker_that_its_nanny_gives_up_on(monkeypatch):
    """As Dask's does with one that is killed at certain moments of its start: the engine starts another."""
    monkeypatch.setattr("classroom.engine.IDLE_SECONDS", 0.2)

    def work(payload: bytes) -> bytes:
        return json.dumps({"number": json.loads(payload)["number"], "state": "graded"}).encode()

    with Engine(jobs=1, function=work) as engine:
        engine.client()
        (nanny,) = engine._local._cluster.workers.values()
        nanny.close_gracefully()  # so that it starts no other
        os.kill(nanny.pid, signal.SIGKILL)
        found = [outcome["state"] for _, outcome in engine.outcomes((None, {"number": n}) for n in range(3))]
    assert found == ["graded"] * 3


class Cluster:
    """A `dask scheduler` and a `dask worker` on this machine, started again when they are gone, as a service would."""

    def __init__(self, made: Class) -> None:
        self.made = made
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.tmp = str(made.tmp.parent / "cluster")
        self.parts: dict[str, subprocess.Popen] = {}

    def up(self) -> None:
        place = ["--preload", "classroom.worker", "--local-directory", self.tmp]
        options = {
            "scheduler": ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"],
            "worker": [
                self.address,
                "--no-dashboard",
                "--no-nanny",
                "--nthreads",
                "2",
                "--death-timeout",
                "20",
                *place,
            ],
        }
        for part, words in options.items():
            if part not in self.parts or self.parts[part].poll() is not None:
                self.parts[part] = self.made.start(
                    *words, python=("-m", f"distributed.cli.dask_{part}"), log=part, TMPDIR=self.tmp
                )

    def down(self) -> None:
        for process in reversed(self.parts.values()):
            process.terminate()
        for process in self.parts.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.mark.parametrize(
    ("seed", "kills"), [(1, 3), *(pytest.param(seed, 4, marks=pytest.mark.full) for seed in range(2, 6))]
)
def test_a_scheduler_of_ones_own(seed, kills, new_class, calm):
    """The command says so and ends with 2; with the scheduler back, it goes on."""
    chance, given, stood, hit = random.Random(seed), {}, {}, 0
    cluster = Cluster(new_class)
    words = (*COMMAND, "--scheduler", cluster.address)
    try:
        for number in range(kills):
            cluster.up()
            before = len(new_class.log())
            process = new_class.start(*words)
            part = "worker" if number % 3 == 2 else "scheduler"
            time.sleep(chance.uniform(0.3, 1.0) * calm["seconds"])
            new_class.processes()
            cluster.parts[part].kill()
            cluster.parts[part].wait()
            if part == "worker":
                cluster.up()
            code = process.wait(120)
            said = new_class.log()[before:]
            # Killed before the command had found it, or after.
            clear = "no Dask scheduler answers" in said or "the same command goes on" in said
            assert code == 0 or (part == "scheduler" and code == 2 and clear), said
            hit += code == 2
            by_hand(new_class, given)
            now = new_class.stamps()
            assert stood.items() <= now.items(), "a result that stood was made again"
            stood = now
        cluster.up()
        until_done(new_class, *words[2:])
    finally:
        cluster.down()
    expect(new_class, calm, given)
