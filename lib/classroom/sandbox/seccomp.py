"""The system calls that a submission may not make, as a filter for the kernel's seccomp.

The namespaces and the missing privileges are the walls; this takes away the calls that have nothing to do with running
a notebook and that flaws of kernels are usually found in. What is not named here is allowed, but calls younger than the
list answer "not implemented", as an older kernel would.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/{bpf_common,filter,seccomp}.h.
"""

import errno
import os
import platform
import struct
from collections.abc import Sequence

from classroom.sandbox.policy import SandboxError

# (x86-64, aarch64); None where the architecture has no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "move_pages": (279, 239), "migrate_pages": (256, 238),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "sysfs": (139, None), "ustat": (136, None),
    # the machine
    "reboot": (169, 142), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "create_module": (174, None), "query_module": (178, None),
    "get_kernel_syms": (177, None), "swapon": (167, 224), "swapoff": (168, 225), "sethostname": (170, 161),
    "setdomainname": (171, 162), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "nfsservctl": (180, 42), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "syslog": (103, 116), "lookup_dcookie": (212, 18), "vhangup": (153, 58), "uselib": (134, None),
    "_sysctl": (156, None),
    # parts of the kernel with a history
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "vmsplice": (278, 75),
}  # fmt: skip
# "Not implemented", so that a library that has another way takes it. memfd and System V memory escape RLIMIT_DATA.
_ABSENT: dict[str, tuple[int | None, int | None]] = {
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "clone3": (435, 435),  # its flags are in memory, where a filter can't look; glibc then uses clone
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    # how many there may be is counted for a user, over all sandboxes; and they tell which files others open
    "inotify_init": (253, None), "inotify_init1": (294, 26),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
_NEWEST = 462  # mseal; calls above are younger than this list
_CLONE, _SOCKET, _MMAP, _IOCTL, _PERSONALITY = (56, 220), (41, 198), (9, 222), (16, 29), (135, 92)
_FCNTL = (72, 25)

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_MAP_SHARED_ANONYMOUS = 0x21
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # put characters into a terminal
# A lease on a file of the environment, which is the caller's own where that is not root, makes others wait to open it.
_F_SETLEASE, _F_NOTIFY = 1024, 1026
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LD, _JEQ, _JGE, _AND, _RET = 0x20, 0x15, 0x35, 0x54, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data


def program(*, allow_inet: bool = False, shared_memory: bool = True, machine: str | None = None) -> bytes:
    """The filter, as an array of struct sock_filter, for prctl or for `bwrap --seccomp`.

    Args:
        allow_inet: let internet sockets be made, and be asked for interfaces; libzmq aborts without. The cold kernel's
            network namespace has no interface that leads anywhere.
        shared_memory: allow shared anonymous maps, which RLIMIT_DATA does not count; False where no cgroup counts them.
        machine: as `uname -m`; this machine's by default.

    Raises:
        SandboxError: on an architecture that there is no table for.
    """
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        raise SandboxError(
            f"the sandbox's filter of system calls knows {' and '.join(_ARCHITECTURES)}, not {machine}; grade on such "
            "a machine, or with --insecure"
        )
    which, arch = _ARCHITECTURES[machine]
    eperm, enosys = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS

    # The architecture first: a number means another call in another one (32-bit code reaches its table by int 0x80).
    code = [_one(_LD, _ARCH), _one(_JEQ, arch, 1, 0), _one(_RET, _KILL), _one(_LD, _NR)]
    if machine == "x86_64":
        code += [_one(_JGE, _X32, 0, 1), _one(_RET, _KILL)]
    code += [_one(_JGE, _NEWEST + 1, 0, 1), _one(_RET, enosys)]
    for table, answer in ((_DENIED, eperm), (_ABSENT, enosys)):
        for numbers in table.values():
            if numbers[which] is not None:
                code += [_one(_JEQ, numbers[which], 0, 1), _one(_RET, answer)]

    families = [_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK] if allow_inet else [_AF_UNIX]
    code += _unless_equal(_SOCKET[which], 0, families, eperm)
    code += _unless_equal(_PERSONALITY[which], 0, [0, 0xFFFFFFFF], eperm)
    # clone's flags are its first argument on both architectures.
    code += _if_masked(_CLONE[which], 0, _NEW_NAMESPACES, None, eperm)
    for request in (_TIOCSTI, _TIOCLINUX):
        code += _if_masked(_IOCTL[which], 1, 0xFFFFFFFF, request, eperm)
    for request in (_F_SETLEASE, _F_NOTIFY):
        code += _if_masked(_FCNTL[which], 1, 0xFFFFFFFF, request, eperm)
    if not shared_memory:
        code += _if_masked(_MMAP[which], 3, _MAP_SHARED_ANONYMOUS, _MAP_SHARED_ANONYMOUS, enosys)
    return b"".join([*code, _one(_RET, _ALLOW)])


def numbers(names: Sequence[str]) -> dict[str, int]:
    """The numbers of some of the calls that are taken away, on this machine."""
    which, _ = _ARCHITECTURES[platform.machine()]
    found = {name: (_DENIED | _ABSENT)[name][which] for name in names}
    return {name: number for name, number in found.items() if number is not None}


def descriptor(code: bytes) -> int:
    """A file descriptor to read the filter from, for `bwrap --seccomp`; the caller closes it."""
    read, write = os.pipe()
    try:
        os.write(write, code)  # a filter is smaller than a pipe's buffer
    finally:
        os.close(write)
    return read


def _one(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


def _unless_equal(number: int, argument: int, allowed: list[int], answer: int) -> list[bytes]:
    """In call `number`: answer so unless the low half of the argument is one of `allowed`."""
    rest = len(allowed)
    body = [_one(_LD, _ARGS + 8 * argument)]
    body += [_one(_JEQ, value, rest - i, 0) for i, value in enumerate(allowed)]
    body += [_one(_RET, answer), _one(_LD, _NR)]
    return [_one(_JEQ, number, 0, len(body)), *body]


def _if_masked(number: int, argument: int, mask: int, value: int | None, answer: int) -> list[bytes]:
    """In call `number`: answer so if (argument & mask) == value; with value None, if it is not zero."""
    test = _one(_JEQ, 0, 1, 0) if value is None else _one(_JEQ, value, 0, 1)
    body = [_one(_LD, _ARGS + 8 * argument), _one(_AND, mask), test, _one(_RET, answer), _one(_LD, _NR)]
    return [_one(_JEQ, number, 0, len(body)), *body]
