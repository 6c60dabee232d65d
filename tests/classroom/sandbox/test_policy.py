"""The policy, its filter of system calls and its command line.

In order: limits that are no limits; the environment's variables; the filter, call by call, on both architectures, in an
interpreter of its code (unknown architecture, other architecture's numbers, x32, calls too new, arguments that decide),
its numbers against the kernel's headers; what is staged, removed, and swept after a crash; what a program inside sees,
reads and writes; a `classroom` that is installed without -e; namespaces within namespaces for the template; a course
in the environment's folder, a closed folder above the environment, and an environment that is closed itself;
bubblewrap missing, too old, or not bubblewrap; no user namespaces, for real, and what is said of each cause.
"""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from classroom.errors import ClassroomError
from classroom.sandbox import bubblewrap, owners, policy, seccomp
from classroom.sandbox.policy import Limits, SandboxError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another uid")


# The environment by its real path: .venv may be a link in a folder that other users can't enter.
PYTHON = str(Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name)


@pytest.fixture(scope="module")
def staged():
    with policy.stage() as staged:
        yield staged


def inside(staged, script: str, *, nested: bool = False, **options) -> subprocess.CompletedProcess:
    """What a shell script says inside."""
    line = bubblewrap.command(["/bin/sh", "-c", script], staged=staged, nested=nested, **options)
    return subprocess.run(line, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_limits() -> None:
    assert Limits.from_dict(Limits(memory_mb=7).as_dict()) == Limits(memory_mb=7)
    for bad in ({"seconds": 0}, {"memory_mb": -1}, {"processes": 0}):
        with pytest.raises(ClassroomError, match=next(iter(bad))):
            Limits(**bad)
    with pytest.raises(ClassroomError, match="no such limit: memory"):
        Limits.from_dict({"memory": 3})
    assert "RLIMIT_DATA" not in Limits().rlimits(counted=True)
    assert Limits(memory_mb=1).rlimits(counted=False)["RLIMIT_DATA"] == 1 << 20


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_SECRET", "x")
    assert "COURSE_SECRET" not in policy.environment()
    assert policy.environment(3)["OMP_NUM_THREADS"] == "3"
    assert policy.python().startswith((policy.ENVIRONMENT, "/usr"))
    assert policy.inside_path("/elsewhere/python") == "/elsewhere/python"
    assert policy.inside_path(str(Path(sys.prefix) / "bin" / "x")) in (f"{policy.ENVIRONMENT}/bin/x", "/usr/bin/x")


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x80000000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def answer(code: bytes, arch: int, number: int, *arguments: int) -> int:
    """What the filter answers to a call: its code, run as the kernel would (only the operations that it uses)."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    program = list(struct.iter_unpack("=HBBI", code))
    accumulator = position = 0
    while True:
        operation, if_true, if_false, value = program[position]
        position += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == 0x15:
            position += if_true if accumulator == value else if_false
        elif operation == 0x35:
            position += if_true if accumulator >= value else if_false
        elif operation == 0x54:
            accumulator &= value
        else:
            assert operation == 0x06, f"operation {operation:#x} is not in the interpreter"
            return value


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter(machine: str) -> None:
    which, arch = list(ARCH).index(machine), ARCH[machine]
    strict = seccomp.program(machine=machine, shared_memory=False)
    loose = seccomp.program(machine=machine, allow_inet=True)

    def ask(code: bytes, numbers: tuple, *arguments: int) -> int:
        return answer(code, arch, numbers[which], *arguments)

    for code in (strict, loose):
        assert len(code) // 8 < 4096
        for name, numbers in seccomp._DENIED.items():
            assert numbers[which] is None or ask(code, numbers) == EPERM, name
        for name, numbers in seccomp._ABSENT.items():
            assert numbers[which] is None or ask(code, numbers) == ENOSYS, name
        assert answer(code, 0x40000003, 20) == KILL  # 32-bit x86
        assert answer(code, arch, seccomp._NEWEST) == ALLOW
        assert answer(code, arch, seccomp._NEWEST + 1) == ENOSYS
        for read_write_futex in ((0, 63), (1, 64), (202, 98)):
            assert ask(code, read_write_futex) == ALLOW
        # A thread, a fork, then each kind of namespace.
        assert ask(code, seccomp._CLONE, 0x3D0F00) == ask(code, seccomp._CLONE, 0x1200011) == ALLOW
        for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
            assert ask(code, seccomp._CLONE, 0x11 | flag) == EPERM
        assert ask(code, seccomp._SOCKET, 1) == ALLOW
        for family in (17, 38, 40):  # packets, the kernel's cryptography, other virtual machines
            assert ask(code, seccomp._SOCKET, family) == EPERM
        assert ask(code, seccomp._PERSONALITY, 0xFFFFFFFF) == ALLOW
        assert ask(code, seccomp._PERSONALITY, 0x0040000) == EPERM
        assert ask(code, seccomp._IOCTL, 0, 0x5401) == ALLOW
        assert ask(code, seccomp._IOCTL, 0, 0x5412) == EPERM
        assert ask(code, seccomp._IOCTL, 0, 0x1_0000_5412) == EPERM  # the kernel looks at the low half only
    for family in (2, 10, 16):
        assert ask(strict, seccomp._SOCKET, family) == EPERM
        assert ask(loose, seccomp._SOCKET, family) == ALLOW
    assert ask(strict, seccomp._MMAP, 0, 4096, 3, 0x21) == ENOSYS
    assert ask(strict, seccomp._MMAP, 0, 4096, 3, 0x22) == ask(loose, seccomp._MMAP, 0, 4096, 3, 0x21) == ALLOW
    if machine == "x86_64":
        assert answer(loose, arch, 0x40000000 | 1) == KILL


def test_filter_for_another_machine() -> None:
    with pytest.raises(SandboxError, match="not riscv64"):
        seccomp.program(machine="riscv64")


@pytest.mark.parametrize(
    ("which", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_numbers_are_the_kernels(which: int, header: str) -> None:
    if not os.path.exists(header):
        pytest.skip("the kernel's headers are not installed (linux-libc-dev)")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    ours = seccomp._DENIED | seccomp._ABSENT | {"clone": seccomp._CLONE, "socket": seccomp._SOCKET}
    ours |= {"ioctl": seccomp._IOCTL, "mmap": seccomp._MMAP, "personality": seccomp._PERSONALITY}
    for name, numbers in ours.items():
        assert found.get(name, str(numbers[which])) == str(numbers[which]), name


def test_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"], stdout=subprocess.DEVNULL)
    stale = tmp_path / f"classroom-stage-{owners.mark(ended.pid)}-x"
    stale.mkdir()
    ended.wait()
    foreign = tmp_path / "classroom-stage-1.1.1-x"  # of another PID namespace: may be alive
    foreign.mkdir()
    with policy.stage() as staged, policy.stage() as other:
        assert not stale.exists()
        assert foreign.exists()
        assert other.root != staged.root
        assert {path.name for path in staged.library.iterdir()} == {"deeppractice", "classroom"}
        assert {path.name for path in (staged.library / "classroom").iterdir()} == {"__init__.py", "inside"}
        assert (staged.library / "deeppractice" / "runtime.py").exists()
        assert staged.root.stat().st_mode & 0o007 == 0
        if os.geteuid() == 0:
            assert staged.root.stat().st_gid == policy.SANDBOX_UID
            assert staged.root.stat().st_mode & 0o777 == 0o750
    assert not staged.root.exists()
    staged.close()


def test_what_is_inside(staged, tmp_path: Path) -> None:
    (tmp_path / "extra").write_text("more")
    tmp_path.chmod(0o755)
    script = f"""
        id -un; id -u; pwd; hostname; ls /; ls -A /home /tmp /dev/shm $HOME; cat /extra/extra; echo
        for place in / /usr /etc /dev /opt {policy.ENVIRONMENT} {policy.LIBRARY} /extra /home /proc/sys; do
            touch $place/x 2>/dev/null && echo WROTE $place
        done
        for place in $HOME /tmp /dev/shm; do touch $place/x || echo READONLY $place; done
        env | cut -d= -f1 | sort | tr '\\n' ' '; echo
        ls /proc | grep -c '^[0-9]'
        ulimit -c; ulimit -n
        cat /proc/mounts
        {policy.python()} -c 'import deeppractice, classroom.inside; print(deeppractice.__file__)'
        {policy.python()} -c 'import classroom.cli' 2>&1 | tail -1
        cat /proc/kallsyms 2>&1 | head -c 1 | wc -c
    """
    done = inside(staged, script, read_only=[(tmp_path, "/extra")], limits=Limits(file_mb=8))
    said = done.stdout
    assert said.startswith("student\n1000\n/home/student\nsandbox\n"), said + done.stderr
    assert "WROTE" not in said
    assert "READONLY" not in said
    assert "\nmore\n" in said
    assert f"{policy.LIBRARY}/deeppractice/__init__.py" in said
    assert "No module named 'classroom.cli'" in said
    assert "\n0\n4096\n" in said
    variables = set(policy.environment()) | {"PWD", "OLDPWD", "_", "SHLVL"}
    assert set(next(line for line in said.splitlines() if "TMPDIR" in line).split()) <= variables
    # No name of the host's folders: not the environment's, not ours, not the course's.
    for path in (sys.prefix, str(Path(policy.__file__).parents[3]), str(staged.root), os.path.expanduser("~")):
        assert path in ("/usr", "/") or path not in said, path
    for place in policy.WRITABLE:
        assert re.search(rf"^tmpfs {place} .*size=8192k", said, re.M), said


def test_classroom_installed_in_the_environment(staged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "site-packages" / "classroom"
    package.mkdir(parents=True)
    (package / "secret.py").write_text("x")
    tmp_path.chmod(0o755)
    monkeypatch.setattr(sys, "path", [*sys.path, str(package.parent)])
    mounts = [*policy.environment_mounts(), (tmp_path, "/opt/other")]
    monkeypatch.setattr(policy, "environment_mounts", lambda: iter(mounts))
    done = inside(staged, "ls -A /opt/other/lib/site-packages/classroom; echo $?")
    assert done.stdout == "0\n", done.stderr


@pytest.mark.parametrize("nested", [False, True])
def test_namespaces_within(staged, nested: bool) -> None:
    """The template may make namespaces for its children, with a /proc of their own; a cold kernel may make none."""
    done = inside(staged, "unshare --pid --mount --fork mount -t proc proc /proc", nested=nested)
    assert (done.returncode == 0) == nested, done.stderr
    done = inside(staged, "unshare --user true", nested=nested)
    assert (done.returncode == 0) == nested, done.stderr


def test_python_in_a_private_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/tmp/python")
    with pytest.raises(SandboxError, match="installed under /tmp"):
        list(policy.environment_mounts())


def test_course_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gradebook.db").write_text("")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(SandboxError, match="is the course's folder itself"):
        list(policy.environment_mounts())


@root_only
def test_closed_folders(staged, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    place = closed / "place"
    place.mkdir(parents=True)
    (place / "file").write_text("reached")
    place.chmod(0o755)
    closed.chmod(0o700)
    for nested in (False, True):
        done = inside(staged, "cat /extra/file", nested=nested, read_only=[(place, "/extra")])
        assert done.stdout == "reached", done.stderr
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    place.chmod(0o700)
    with pytest.raises(SandboxError, match=f"chmod -R o\\+rX {place}"):
        inside(staged, "true", read_only=[(place, "/extra")])


def path_with(monkeypatch: pytest.MonkeyPatch, folder: Path, bwrap: str | None) -> None:
    """A PATH with everything but bubblewrap, and with a script of that name if one is given."""
    for top in os.environ["PATH"].split(os.pathsep):
        for program in Path(top).glob("*"):
            link = folder / program.name
            if program.name != "bwrap" and not link.is_symlink():
                link.symlink_to(program)
    if bwrap is not None:
        (folder / "bwrap").write_text(f"#!/bin/sh\n{bwrap}\n")
        (folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("bwrap", "message"),
    [
        (None, "bubblewrap is not installed.*apt install bubblewrap"),
        ("echo bubblewrap 0.6.1", "bubblewrap 0.6.1 is too old, 0.8 or newer"),
        ("echo hello", "is this bubblewrap"),
    ],
)
def test_no_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bwrap: str | None, message: str) -> None:
    path_with(monkeypatch, tmp_path, bwrap)
    with pytest.raises(SandboxError, match=message):
        bubblewrap.check()


def test_check_passes_here() -> None:
    bubblewrap.check()


def without_namespaces(*argv: str) -> subprocess.CompletedProcess:
    """Run where no user namespace can be made: inside bubblewrap's own, which forbids more of them."""
    outer = ["bwrap", "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--", *argv]
    if os.geteuid() == 0:
        outer = ["setpriv", "--reuid=64712", "--regid=64712", "--clear-groups", *outer]
    return subprocess.run(outer, capture_output=True, text=True, timeout=60, cwd="/")


def test_no_user_namespaces(public_library: str) -> None:
    code = "import sys, json\nfrom classroom.sandbox import bubblewrap\ntry: bubblewrap.check()\n"
    code += "except bubblewrap.SandboxError as error: print(json.dumps(str(error)))"
    done = without_namespaces("env", f"PYTHONPATH={public_library}", PYTHON, "-c", code)
    message = json.loads(done.stdout)
    assert message.startswith("bubblewrap can't make a sandbox here (bwrap: "), message
    assert "sudo sysctl user.max_user_namespaces=" in message


@pytest.mark.parametrize(
    ("settings", "container", "advice"),
    [
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, False, "apparmor_parser -r /etc/apparmor.d/bwrap"),
        ({"kernel/unprivileged_userns_clone": "0"}, False, "sysctl kernel.unprivileged_userns_clone=1"),
        ({"user/max_user_namespaces": "0"}, False, "sysctl user.max_user_namespaces=10000"),
        ({}, True, "--security-opt seccomp=unconfined"),
        ({}, False, "`unshare --user --map-root-user true` has to work"),
    ],
)
def test_advice(monkeypatch: pytest.MonkeyPatch, settings: dict, container: bool, advice: str) -> None:
    monkeypatch.setattr(bubblewrap, "_sysctl", settings.get)
    monkeypatch.setattr(bubblewrap, "_in_container", lambda: container)
    said = bubblewrap.diagnosis("bwrap: No permissions to create a new namespace\nmore")
    assert "No permissions to create a new namespace" in said
    assert "more" not in said
    assert advice in said


def test_advice_in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_sysctl", {}.get)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")  # every pod has it
    said = bubblewrap.diagnosis("bwrap: No permissions to create new namespace")
    assert "procMount: Unmasked" in said
    assert "docker run" not in said
