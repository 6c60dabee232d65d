"""Control groups: the limits that the kernel counts over all processes of a submission.

In order: where groups can be made, from the texts of machines of several kinds (version 1, version 2, both, a container
whose root is a group, an odd mount point, nothing of ours); then, where this machine has such groups, for real: memory
counted over children, forks refused, what was used, a child that enters by an inherited descriptor under another uid,
killing, closing twice, a group that is closed while its processes run, the groups of a dead owner; none for a user who
owns none. Version 2: the files that are written, in a folder made for it, and its killing on the machine's own
hierarchy where one is mounted.
"""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from classroom.sandbox import cgroups, owners, policy
from classroom.sandbox.cgroups import Group
from classroom.sandbox.policy import Limits

# The environment by its real path: .venv may be a link in a folder that other users can't enter.
PYTHON = str(Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name)

needs_group = pytest.mark.skipif(cgroups.kind() == "none", reason="no cgroup can be written here")


def mounted(kind: str, point: Path, options: str = "rw", root: str = "/") -> str:
    return f"30 20 0:30 {root} {str(point).replace(' ', chr(92) + '040')} rw - {kind} cgroup {options}\n"


def test_where_groups_can_be_made(tmp_path: Path) -> None:
    for place in ("memory/user/me", "pids/user/me", "both/user/me", "odd name/a"):
        (tmp_path / place).mkdir(parents=True)
    memory = mounted("cgroup", tmp_path / "memory", "rw,memory")
    pids = mounted("cgroup", tmp_path / "pids", "rw,pids")
    own = "8:pids:/user/me\n4:cpu,memory:/user/me\n0::/\n"
    found = [("memory", tmp_path / "memory/user/me"), ("pids", tmp_path / "pids/user/me")]
    assert cgroups.find(own, memory + pids) == found
    assert cgroups.find(own, memory) == []  # one without the other is of no use
    (tmp_path / "cpu/user/me").mkdir(parents=True)
    cpu = mounted("cgroup", tmp_path / "cpu", "rw,cpu")  # so that each submission has one share of the processor
    assert cgroups.find(own, memory + pids + cpu) == [*found, ("cpu", tmp_path / "cpu/user/me")]
    assert cgroups.find("", memory + pids) == []
    # In a container the group's path is the host's, and only its own part is mounted.
    inner = mounted("cgroup", tmp_path / "memory", "rw,memory", "/docker/1") + mounted(
        "cgroup", tmp_path / "pids", "rw,pids", "/docker/1"
    )
    own = "8:pids:/docker/1\n4:memory:/docker/1\n"
    assert cgroups.find(own, inner) == [("memory", tmp_path / "memory"), ("pids", tmp_path / "pids")]
    own = "8:pids:/elsewhere\n4:memory:/elsewhere\n"
    assert cgroups.find(own, inner) == [("memory", tmp_path / "memory"), ("pids", tmp_path / "pids")]

    # Version 2: our group, as far as it has both controllers and may hand them on.
    place = tmp_path / "odd name" / "a"
    two = mounted("cgroup2", tmp_path / "odd name")
    (place / "cgroup.controllers").write_text("cpu memory pids")
    (place / "cgroup.subtree_control").write_text("cpu memory pids")
    assert cgroups.find("0::/a\n", two) == [("v2", place)]
    (place / "classroom.host").mkdir()  # where a process of ours has moved itself and us
    assert cgroups.find("0::/a/classroom.host\n", two) == [("v2", place)]
    (place / "cgroup.controllers").write_text("cpu pids")
    assert cgroups.find("0::/a\n", two) == []
    assert cgroups.find("0::/a\n", "") == []


def test_version_2_files(tmp_path: Path) -> None:
    """What is written, in a plain folder: version 2's memory controller is rarely where tests run."""
    for name in ("memory.swap.max", "memory.oom.group"):
        (tmp_path / name).write_text("")
    cgroups._limit("v2", tmp_path, Limits(memory_mb=3, processes=5))
    names = ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max")
    assert [(tmp_path / name).read_text() for name in names] == [str(3 << 20), "0", "1", "5"]
    (tmp_path / "memory.peak").write_text(str(5 << 20))
    (tmp_path / "memory.events").write_text("low 0\noom_kill 2\n")
    (tmp_path / "pids.peak").write_text("4\n")
    (tmp_path / "pids.events").write_text("max 7\n")
    assert Group({"v2": tmp_path}).usage() == cgroups.Used(5.0, 2, 4, 7)


def test_version_2_kill() -> None:
    points = [
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line
    ]
    if not points or not os.access(points[0], os.W_OK):
        pytest.skip("no version 2 hierarchy can be written here")
    place = Path(points[0]) / f"classroom.{owners.mark()}.test"
    place.mkdir()
    sleeper = subprocess.Popen(["sleep", "60"])
    (place / "cgroup.procs").write_text(str(sleeper.pid))
    group = Group({"v2": place})
    assert group.members() == [sleeper.pid]
    group.close()
    assert sleeper.wait(5) == -9
    assert not place.exists()


def run_in(entered: Group, code: str, **options) -> subprocess.CompletedProcess:
    """Run Python in the group, which it enters by the descriptors that it inherits."""
    enter = "import os\n" + "".join(f"os.write({fd}, b'0')\n" for fd in entered.procs_fds)
    return subprocess.run(
        [PYTHON, "-c", enter + code],
        pass_fds=entered.procs_fds,
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


@needs_group
def test_memory_of_all_together() -> None:
    hold = (
        "import time\nfor _ in range(4):\n if os.fork() == 0:\n  b = bytearray(40 << 20); time.sleep(1); os._exit(7)\n"
    )
    hold += "print(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)))"
    with Group.create(Limits(memory_mb=100, processes=20)) as group:
        done = run_in(group, hold)
        used = group.usage()
    # The kernel may take any of them, the parent too.
    assert done.returncode == -9 or "-9" in done.stdout, done.stdout
    assert used.oom_kills >= 1
    assert 60 < used.memory_mb <= 101
    assert used.processes >= 2
    assert not any(place.exists() for place in group.places.values())


@needs_group
def test_number_of_processes() -> None:
    bomb = "import time\ntry:\n for n in range(50):\n"
    bomb += "  if os.fork() == 0: (os.close(1), os.close(2), time.sleep(60))\nexcept BlockingIOError: print(n)"
    with Group.create(Limits(memory_mb=500, processes=10)) as group:
        done = run_in(group, bomb)
        assert int(done.stdout) == 9
        assert group.usage().refused >= 1
        assert len(group.members()) == 9
        began = time.monotonic()
        group.kill()
        assert not group.members()
        assert time.monotonic() - began < 30


@needs_group
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_entering_as_another_user() -> None:
    with Group.create(Limits()) as group:
        uid = policy.SANDBOX_UID
        done = run_in(group, "print(open('/proc/self/cgroup').read())", user=uid, group=uid, extra_groups=[], cwd="/")
        assert next(iter(group.places.values())).name in done.stdout, done.stderr


@needs_group
def test_closing() -> None:
    group = Group.create(Limits())
    sleeper = subprocess.Popen(["sleep", "60"])
    for path in group.procs:
        path.write_text(str(sleeper.pid))
    assert group.members() == [sleeper.pid]
    group.close()
    group.close()
    assert sleeper.wait(5) == -9
    assert group.members() == []


@needs_group
def test_groups_of_a_dead_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, time\nfrom classroom.sandbox.cgroups import Group\nfrom classroom.sandbox.policy import Limits\n"
    code += "g = Group.create(Limits())\nprint(*g.places.values(), flush=True)\n"
    code += "for p in g.procs: p.write_text('0')\nif os.fork(): os.kill(os.getpid(), 9)\ntime.sleep(60)"
    done = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    left = [Path(word) for word in done.stdout.readline().split()]
    done.stdout.close()
    assert done.wait(10) == -9
    assert left
    assert all(place.exists() for place in left)
    mine = Group.create(Limits())
    monkeypatch.setattr(cgroups, "_places", None)  # as a new process would, which is when it is swept
    with Group.create(Limits()):
        assert not any(place.exists() for place in left)
        assert all(place.exists() for place in mine.places.values())
    mine.close()


def test_none_of_ours(public_library: str) -> None:
    code = "from classroom.sandbox import cgroups\nfrom classroom.sandbox.policy import Limits\n"
    code += "print(cgroups.Group.create(Limits()), cgroups.kind())"
    line = [PYTHON, "-c", code]
    if os.geteuid() == 0:
        line = ["setpriv", "--reuid=64712", "--regid=64712", "--clear-groups", *line]
    elif cgroups.kind() != "none":
        pytest.skip("this user owns a cgroup")
    environment = {**os.environ, "PYTHONPATH": public_library}
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, cwd="/", env=environment)
    assert done.stdout == "None none\n", done.stderr


@needs_group
def test_half_made_groups_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    places = cgroups._bases()
    monkeypatch.setattr(cgroups, "_numbers", itertools.count(10_000))
    monkeypatch.setattr(cgroups, "_places", [*places[:1], ("pids", Path("/proc"))])
    assert Group.create(Limits()) is None
    assert not list(places[0][1].glob("classroom.*.10000"))
