"""The warm fork against cells that try to get out; what is looked at is the effect, not a message.

In order: reading (the repository, homes, files that everybody outside may read, the host's variables, what a job before
left in memory); writing anywhere but home, /tmp and /dev/shm, planting for the next job; network (listeners of every
kind outside that nobody reaches, kinds of sockets, names); other processes (template, host, siblings: seeing, killing,
tracing, their sockets and memory); privileges (namespaces, mounts, uids, capabilities, devices, parts of the kernel,
limits raised); inherited descriptors; the job's socket (floods, half frames, lengths, descriptors sent along, the pid
of its other end); what should survive the end (daemons, double forks, a killed process 1, stopped processes).
"""

import os
import socket
import time
from pathlib import Path

import psutil
import pytest

from classroom import session as session_module
from classroom.sandbox import Limits, Template

from .conftest import SMALL

ROOT = Path(__file__).resolve().parents[3]


# Reading


def test_files_outside_can_not_be_read(template, told, tmp_path):
    canary = tmp_path / "canary-5e1f"
    canary.write_text("secret")
    places = [tmp_path, *tmp_path.parents]
    for place in places[:-2]:
        if place.stat().st_uid == os.getuid() and place != Path("/"):
            place.chmod(place.stat().st_mode | 0o005)
    canary.chmod(0o644)
    wanted = [
        str(canary),
        str(ROOT / "course.yml"),
        str(ROOT),
        str(Path.home()),
        "/root",
        "/etc/shadow",
        "/var",
        "/run",
        "/sys",
    ]
    wanted += ["/boot", "/srv", "/mnt", "/media"]
    search = """
        found = []
        for place, folders, names in os.walk("/"):
            if place == "/":
                folders[:] = [name for name in folders if name not in ("proc", "usr")]
            if place.endswith("-packages"):
                folders[:] = [name for name in folders if name == "classroom"]
            found += [f"{place}/{name}" for name in names if name.startswith("canary-")]
        for number in filter(str.isdigit, os.listdir("/proc")):  # and through whatever process there is
            for way in ("root", "cwd"):
                for path in wanted:
                    if not isinstance(attempt(os.stat, f"/proc/{number}/{way}{path}"), str):
                        found.append((number, way, path))
        tell([found, [path for path in wanted if os.path.exists(path)], os.listdir("/home")])
    """
    with template.open(SMALL, {}) as session:
        assert told(session, search, wanted=wanted) == [[], [], ["student"]]


def test_the_rest_of_classroom_is_not_there(session, told):
    modules = ["classroom.sandbox", "classroom.gradebook", "classroom.autograde", "classroom.session"]
    looked = f"import importlib; tell([attempt(importlib.import_module, name) for name in {modules}])"
    assert told(session, looked) == ["ModuleNotFoundError"] * len(modules)


def test_the_hosts_variables_are_not_there(sandbox, told, monkeypatch):
    monkeypatch.setenv("CANARY_TOKEN", "token-" + "93ac")
    look = """
        text = json.dumps(dict(os.environ))
        for name in os.listdir("/proc"):
            if name.isdigit():
                text += open(f"/proc/{name}/environ").read() + open(f"/proc/{name}/cmdline").read()
        tell([("93" + "ac") in text, "CANARY" in text])
    """
    with Template(preload=[]) as template, template.open(SMALL, {}) as session:
        assert told(session, look) == [False, False]


MEMORY = """
def in_memory(first, second):
    "How often first + second stands in this process's memory, where this line does not put it together."
    wanted, count = bytes(a ^ 1 for a in bytes(a ^ 1 for a in first.encode())), 0
    with open("/proc/self/mem", "rb", 0) as memory:
        for line in open("/proc/self/maps"):
            span, access, *_, = line.split()
            if not access.startswith("rw") or "[v" in line:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            while start < end:
                memory.seek(start)
                data = memory.read(min(1 << 24, end - start))
                at = data.find(wanted)
                while at >= 0:
                    count += data[at + len(wanted):at + len(wanted) + len(second)] == second.encode()
                    at = data.find(wanted, at + 1)
                start += 1 << 24
    return count
"""


def test_memory_of_the_job_before_is_not_there(template, told):
    with template.open(SMALL, {"names.txt": b"forty-" + b"two canaries"}) as one:
        seen = told(one, MEMORY + "x = open('names.txt').read() * 1000; tell(in_memory('forty-', 'two can'))")
        assert seen > 500  # the search finds what is there
    with template.open(SMALL, {}) as two:
        assert told(two, MEMORY + "tell(in_memory('forty-', 'two can'))") == 0


def test_what_a_usual_proc_tells_is_masked(session, told):
    masked = ["/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/timer_list"]
    read = f"tell([len(open(path).read()) for path in {masked} if os.path.exists(path)])"
    assert set(told(session, read)) <= {0}


# Writing


def test_nothing_but_home_tmp_and_shm_can_be_written(session, told):
    attempts = """
        places = set()
        for place, folders, names in os.walk("/"):
            if place.startswith(("/proc/", "/usr/share", "/opt/environment/lib", "/usr/lib")) and place.count("/") > 5:
                folders.clear()
            try:
                with open(f"{place}/planted", "w"):
                    places.add(place)
            except OSError:
                pass
        tell(sorted(places))
    """
    assert told(session, attempts) == ["/dev/shm", "/home/student", "/tmp"]
    settings = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/self/oom_score_adj"]
    settings += ["/proc/self/mem", "/proc/self/uid_map", "/proc/self/comm", "/proc/self/coredump_filter"]
    opened = f"tell([attempt(open, path, 'w') for path in {settings}])"
    assert set(told(session, opened)) == {"Read-only file system"}


def test_nothing_planted_is_there_for_the_next_job(template, told):
    listing = """
        seen = {}
        for top in ("/home", "/tmp", "/dev", "/opt/library", "/etc"):
            for place, folders, names in os.walk(top):
                for name in [*folders, *names]:
                    found = os.lstat(f"{place}/{name}")
                    seen[f"{place}/{name}"] = [found.st_mode, found.st_size, 0 if top == "/dev" else found.st_mtime]
        tell({k: v for k, v in seen.items() if k not in ("/dev/pts", "/dev/shm", "/home/student")})
    """
    plant = """
        import numpy, IPython, builtins
        for place in ("/home/student", "/tmp", "/dev/shm"):
            for name in ("numpy.py", "sitecustomize.py", ".pythonrc", "usercustomize.py"):
                open(f"{place}/{name}", "w").write("raise SystemExit")
        os.makedirs("/home/student/.ipython/profile_default/startup")
        open("/home/student/.ipython/profile_default/startup/00.py", "w").write("raise SystemExit")
        os.symlink("/etc/passwd", "/tmp/link")
        os.mkfifo("/dev/shm/fifo")
        numpy.ones = builtins.open = None
        tell(1)
    """
    with template.open(SMALL, {}) as session:
        before = told(session, listing)
    with template.open(SMALL, {}) as session:
        assert told(session, plant) == 1
    with template.open(SMALL, {}) as session:
        assert told(session, listing) == before
        assert told(session, "import numpy; tell(numpy.ones(2).sum())") == 2.0


# Network


def test_listeners_outside_are_not_reached(template, told, tmp_path):
    path, name = str(tmp_path / "listener"), "\0classroom-test-listener"
    kinds = [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)), (socket.AF_UNIX, path)]
    listeners = []
    for family, address in [*kinds, (socket.AF_UNIX, name)]:
        try:
            listener = (
                socket.create_server(address, family=family) if family != socket.AF_UNIX else socket.socket(family)
            )
        except OSError:  # a machine without IPv6
            continue
        if family == socket.AF_UNIX:
            listener.bind(address)
            listener.listen()
        listener.setblocking(False)
        listeners.append(listener)
    os.chmod(path, 0o777)
    ports = [listener.getsockname()[1] for listener in listeners if listener.family != socket.AF_UNIX]
    reach = f"""
        def reached(family, address, kind=socket.SOCK_STREAM):
            with socket.socket(family, kind) as one:
                one.settimeout(1)
                one.connect(address)
                return "reached"
        tries = [(1, {path!r}), (1, {name!r}), (1, "/run/systemd/private"), (1, "/run/dbus/system_bus_socket")]
        for port in {ports}:
            tries += [(2, ("127.0.0.1", port)), (10, ("::1", port))]
        answers = [attempt(reached, family, address) for family, address in tries]
        answers += [attempt(reached, 2, ("127.0.0.1", 53), socket.SOCK_DGRAM)]
        answers += [attempt(reached, 2, ("192.0.2.1", 80))]
        names = [attempt(socket.gethostbyname, name) for name in ("example.org", "localhost.example.org")]
        tell(answers + ["reached" for name in names if name.count(".") == 3])
    """
    with template.open(SMALL, {}) as session:
        assert "reached" not in told(session, reach, seconds=30)
    for listener in listeners:
        with pytest.raises(BlockingIOError):
            listener.accept()
        listener.close()


def test_only_sockets_between_own_processes(session, told):
    families = """
        made = [family for family in range(0, 64) for kind in (1, 2, 3, 5)
                if not isinstance(attempt(socket.socket, family, kind), str)]
        tell(sorted(set(made)))
    """
    assert told(session, families) == [socket.AF_UNIX]


# Other processes


def test_siblings_and_the_template_are_neither_seen_nor_touched(template, told):
    with template.open(SMALL, {}) as victim, template.open(SMALL, {}) as attacker:
        told(
            victim,
            """
            treasure = "untouched"
            sleeper = subprocess.Popen(["sleep", "1000"])
            listener = socket.socket(socket.AF_UNIX)
            listener.bind("\\0victim"); listener.listen(); listener.settimeout(0)
            open("/dev/shm/victim", "w").write("x")
            tell(1)
            """,
        )
        attack = """
            seen = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
            own = set(map(int, os.listdir("/proc/self/task")))
            killed = [n for n in range(1, 3000) if n not in own and attempt(os.kill, n, signal.SIGKILL) is None]
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            attempt(os.kill, -1, signal.SIGKILL)
            traced = [n for n in range(1, 200) if call(101, 16, n, 0, 0) == 0]
            reached = attempt(socket.socket(socket.AF_UNIX).connect, "\\0victim")
            tell([seen, killed, traced, reached is None, os.listdir("/dev/shm"), os.getppid()])
        """
        assert told(attacker, attack) == [[], [], [], False, [], 0]
        check = "tell([treasure, sleeper.poll(), attempt(listener.accept), os.listdir('/dev/shm')])"
        assert told(victim, check) == ["untouched", None, "Resource temporarily unavailable", ["victim"]]


def test_the_host_is_not_reached_through_the_other_end_of_the_socket(session, told):
    # Linux gives a pidfd of whoever made a pair of sockets to whoever holds the other end.
    attack = """
        import fcntl
        done = []
        for name in os.listdir("/proc/self/fd"):
            if not str(attempt(os.readlink, f"/proc/self/fd/{name}")).startswith("socket"):
                continue
            other = attempt(socket.socket(fileno=os.dup(int(name))).getsockopt, socket.SOL_SOCKET, 77)
            if isinstance(other, str) or "Pid:\\t1\\n" in open(f"/proc/self/fdinfo/{other}").read():
                continue  # an old kernel, or a pair of our own
            done += [attempt(signal.pidfd_send_signal, other, number) for number in (0, signal.SIGKILL)]
            done += [fcntl_answer for n in range(1, 11) for fcntl_answer in [attempt(fcntl.ioctl, other, 0xFF00 | n)]]
            done += [call(438, other, n, 0) for n in range(3)]  # pidfd_getfd
        tell([answer for answer in done if not isinstance(answer, str)])
    """
    assert told(session, attack) == []


# Privileges


def test_no_privilege_and_no_way_to_one(session, told):
    calls = """
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        caps = {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        new = [0x10000000, 0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000, 0x2000000, 0x80]
        got = [flag for flag in new if call(272, flag) == 0]                        # unshare
        got += [flag for flag in new[:-1] if call(56, flag | 17, 0, 0, 0, 0) != "EPERM"]    # clone
        got += [name for name in os.listdir("/proc/self/ns") if call(308, os.open(f"/proc/self/ns/{name}", 0), 0) == 0]
        got += [n for n in (161, 155, 165, 166) if call(n, b"/tmp", b"/tmp", b"tmpfs", 0, 0) == 0]
        got += [(name, n) for name in ("setuid", "setgid", "setegid") for n in (0, 64711, 65534)
                if attempt(getattr(os, name), n) is None]
        got += [n for n in (0, 64711) if attempt(os.setgroups, [n]) is None]
        got += [n for n in (321, 298, 425, 323, 250, 248, 249, 310, 311, 246, 175, 169, 101, 319, 447, 29, 435)
                if call(n, 0, 0, 0, 0, 0) not in ("EPERM", "ENOSYS")]
        tell([sorted(caps), status["NoNewPrivs"].strip(), status["Seccomp"].strip(), got])
    """
    assert told(session, calls) == [[0], "1", "2", []]


def test_programs_with_the_setuid_bit_and_devices_give_nothing(session, told):
    tries = """
        kinds = [(0o20666, os.makedev(1, 11)), (0o60666, os.makedev(254, 0))]
        made = [attempt(os.mknod, "/tmp/device", *kind) for kind in kinds]
        ran = subprocess.run("su -c id; mount -t tmpfs x /tmp; chroot /tmp; unshare -U id; sudo id",
                             shell=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        tell([made, "uid=0" in ran.stdout, sorted(set(os.listdir("/dev")))])
    """
    made, root, devices = told(session, tries)
    assert made == ["Operation not permitted"] * 2
    assert not root
    allowed = {
        "core",
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
    }
    assert set(devices) <= allowed | {"zero", "console"}


def test_limits_can_not_be_raised(session, told):
    raised = """
        names = ["NPROC", "NOFILE", "FSIZE", "CORE", "MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE"]
        kinds = [getattr(resource, "RLIMIT_" + name) for name in names]
        higher = [(resource.getrlimit(kind)[1] + 1,) * 2 for kind in kinds]
        tell([attempt(resource.setrlimit, kind, value) for kind, value in zip(kinds, higher)]
             + [attempt(os.nice, -1), attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))])
    """
    assert None not in told(session, raised)


# Descriptors and the job's socket


def test_no_descriptor_of_the_hosts_is_inherited(session, told):
    kinds = (
        "tell(sorted({attempt(os.readlink, f'/proc/self/fd/{n}').split(':')[0] for n in os.listdir('/proc/self/fd')}))"
    )
    assert set(told(session, kinds)) <= {"/dev/null", "pipe", "socket", "anon_inode", "No such file or directory"}
    sockets = """
        import stat
        ends = [n for n in range(100) if not isinstance(attempt(os.fstat, n), str)]
        ends = [n for n in ends if stat.S_ISSOCK(os.fstat(n).st_mode)]
        mine = [n for n in ends if socket.socket(fileno=os.dup(n)).getsockopt(1, 17, 12)[:4] != bytes(4)]
        tell(len(ends) - len(mine))
    """
    assert told(session, sockets) == 1  # the job's


FIND = """
import os, socket, struct
for number in range(3, 100):
    try:
        job = socket.socket(fileno=os.dup(number))
    except OSError:
        continue
    if job.getsockopt(1, 17, 12)[:4] == bytes(4):  # whose other end is nobody's in here
        break
"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("while True: job.sendall(bytes(1 << 20))", "crash"),
        ("job.sendall(struct.pack('>I', 0xFFFFFFFF) + b'x' * 1000)", "output"),
        ("while True: job.sendall(b'\\xff' * (1 << 20))", "output"),
        ("job.sendall(struct.pack('>I', 100) + b'{')\nwhile True: pass", "time"),
        ("job.sendall(struct.pack('>I', 2) + b'[]')", "crash"),
        ("job.sendall(struct.pack('>I', 200000) + b'[' * 200000)", "crash"),
        ("job.shutdown(2)", None),
        ("job.setsockopt(1, 8, 1 << 30)\nfor n in range(100): os.dup(number)\nos.close(number)", None),
    ],
)
def test_what_comes_over_the_socket_can_not_hurt(template, monkeypatch, source, reason):
    monkeypatch.setattr(session_module, "GRACE_SECONDS", 0.5)
    resident = psutil.Process().memory_info().rss
    with template.open(SMALL, {}) as session:
        began = time.monotonic()
        result = session.run("import signal; signal.signal(2, signal.SIG_IGN)\n" + FIND + source, seconds=1)
        assert result.status == "died"
        assert reason in (None, result.reason)
        assert time.monotonic() - began < 25  # 1.5 s when idle
    assert psutil.Process().memory_info().rss - resident < 100 << 20


def test_descriptors_sent_along_are_dropped(template, told):
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    with template.open(SMALL, {}) as session:
        told(session, "tell(1)")
        before = handles()
        send = FIND + "socket.send_fds(job, [struct.pack('>I', 60)], [0, 1, 2] * 50)\nprint('sent')"
        assert session.run(send, seconds=5).status == "died"  # it said half a frame that is none
    assert handles() <= before


# Surviving the end


def test_nothing_survives_the_end(template):
    mark = f"7{os.getpid()}.25"
    start = f"""
import os, signal, subprocess
def daemon():
    os.setsid()
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
for _ in range(5):
    if os.fork() == 0:
        daemon()
        if os.fork() == 0:
            os.closerange(0, 100)
            os.execv("/bin/sleep", ["sleep", "{mark}"])
        os._exit(0)
stopped = subprocess.Popen(["sleep", "{mark}"])
os.kill(stopped.pid, signal.SIGSTOP)
"""

    def sleepers() -> int:
        return sum(mark in " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))

    for end in (
        "print(1)",
        "os._exit(0)",
        "os.kill(1, signal.SIGKILL); os.abort()",
        "for n in range(3, 64): os.close(n)",
    ):
        with template.open(SMALL, {}) as session:
            assert session.run(start, seconds=10).status == "ok"
            deadline = time.monotonic() + 10
            while sleepers() < 6 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert sleepers() == 6
            session.run(end, seconds=5)
        assert sleepers() == 0


def test_killing_process_1_ends_nothing_but_oneself(template, told):
    with template.open(SMALL, {}) as other, template.open(SMALL, {}) as session:
        session.run("import os, signal\nos.kill(1, signal.SIGKILL)", seconds=5)
        session.run("subprocess = __import__('subprocess'); subprocess.run(['kill', '-9', '1', '-1'])", seconds=5)
        assert told(other, "tell(1)") == 1
    with template.open(SMALL, {}) as session:
        assert told(session, "tell(1)") == 1


def test_a_bomb_is_cleared_away(template, told, monkeypatch):
    monkeypatch.setattr(session_module, "GRACE_SECONDS", 1)
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    began = time.monotonic()
    with template.open(Limits(processes=40), {}) as session, template.open(SMALL, {}) as other:
        session.run(bomb, seconds=0.5)
        assert told(other, "tell(2)") == 2
    assert time.monotonic() - began < 30
    process = psutil.Process(template._process._running.pid)
    assert len(process.children(recursive=True)) == 2  # bubblewrap's inner half and the template
