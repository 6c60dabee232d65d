"""The walls that a forked child puts up around itself before it runs a line of a student's.

Where it starts: the child is process 1 of a PID namespace that the template made for it, in the template's own file
system, which bubblewrap has made read-only. What it does, in this order: joins its control group; closes every
descriptor but its own socket; private mounts, a fresh read-only /proc, small private home, /tmp and /dev/shm; its own
user, network, IPC, host name and cgroup namespaces; resource limits; drops all privileges; the filter of system calls.

Source: Linux, man-pages namespaces(7), user_namespaces(7), pid_namespaces(7), capabilities(7), mount(2), seccomp(2).
"""

import ctypes
import os
import platform
import resource
from collections.abc import Mapping, Sequence

_libc = ctypes.CDLL(None, use_errno=True)

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
NEWUSER, NEWPID, NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 4, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
_SECCOMP = {"x86_64": 317, "aarch64": 277}  # number of the call seccomp(2)
_TERMINALS = 64  # pseudo-terminals that a child may open at a time


class IsolationError(OSError):
    """A wall could not be put up; nothing of the student's has run."""


def call(name: str, *arguments: object) -> int:
    """A function of libc that answers -1 and errno.

    Raises:
        IsolationError: with the reason, and the function and its arguments.
    """
    converted = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    answer = getattr(_libc, name)(*converted)
    if answer < 0:
        code = ctypes.get_errno()
        raise IsolationError(code, f"{os.strerror(code)}, in {name}{arguments}")
    return answer


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones; of PID, the next child does."""
    call("unshare", flags)


def enter_pid_namespace(fd: int) -> None:
    """Let the next child be born in the PID namespace that `fd` names."""
    call("setns", fd, NEWPID)


def set_dumpable(value: bool) -> None:
    """Whether other processes of this uid may look into our memory, as far as their namespace lets them."""
    call("prctl", _PR_SET_DUMPABLE, int(value), 0, 0, 0)


def join_groups(fds: Sequence[int]) -> None:
    """Enter the control groups whose opened cgroup.procs these are."""
    for fd in fds:
        os.write(fd, b"0")


def keep_only(*fds: int) -> None:
    """Close every descriptor but these; 0 to 2 lead nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    low = 3
    for fd in sorted(fds):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 2**31 - 1)  # one system call, however many


def private_files(places: Mapping[str, int], size: int, inodes: int, masked: Sequence[str]) -> None:
    """A mount namespace of our own with a fresh /proc and empty folders at `places` (path: mode) of limited size.

    Afterwards the mounts can be changed no more once the user namespace is left: this one belongs to the outer one.
    """
    unshare(NEWNS)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    fixed = _MS_NOSUID | _MS_NOEXEC | _MS_NODEV
    _mount("proc", "/proc", "proc", fixed)
    for path in masked:
        if os.path.exists(path):
            _mount("/dev/null", path, None, _MS_BIND)
    _mount(None, "/proc", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | fixed)
    for path, mode in places.items():
        options = f"size={size},nr_inodes={inodes},mode={mode:o}"
        _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    options = f"newinstance,ptmxmode=0666,mode=620,max={_TERMINALS}"
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, options)


def private_namespaces(proc: int, uid: int) -> None:
    """Everything else of our own; the one uid that exists in it is `uid`.

    Args:
        proc: a descriptor of a /proc that can be written, in which "self" is us.
        uid: user and group number to appear as.
    """
    outer = os.getuid()
    unshare(NEWUSER | NEWNET | NEWIPC | NEWUTS | NEWCGROUP)
    for name, text in (("setgroups", "deny"), ("gid_map", f"{uid} {outer} 1"), ("uid_map", f"{uid} {outer} 1")):
        write_at(proc, f"self/{name}", text)


def write_at(folder: int, path: str, text: str) -> None:
    """Write a file of /proc, named from an open folder."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def limit(limits: Mapping[str, int]) -> None:
    """Set hard and soft resource limits; a limit that is lower already stays."""
    for name, value in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def drop_privileges(last_capability: int) -> None:
    """No capability, now or by starting any program."""
    for capability in range(last_capability + 1):
        call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x2008_0522, 0)  # version 3, ourselves
    nothing = (ctypes.c_uint32 * 6)()
    call("capset", ctypes.byref(header), ctypes.byref(nothing))
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def filter_calls(program: bytes) -> None:
    """Load the seccomp filter, an array of struct sock_filter, for all threads."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    header = Program(len(program) // 8, program)
    number = _SECCOMP[platform.machine()]
    call("syscall", number, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(header))


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if value is None else value.encode() for value in (source, target, kind, options)]
    call("mount", encoded[0], encoded[1], encoded[2], flags, encoded[3])
