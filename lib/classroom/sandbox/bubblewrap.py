"""The sandbox as a command line of bubblewrap, for both ways in, and the check that this machine can run it.

A root caller first drops to an unprivileged uid without any capability: bubblewrap then makes all namespaces as an
ordinary user's would be, and a nested /proc can be mounted (started by real root that is refused).
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from classroom.sandbox import policy, rootless
from classroom.sandbox.policy import Limits, SandboxError, Staged

OLDEST = (0, 8)  # --size and --disable-userns


def command(
    argv: Sequence[str],
    *,
    staged: Staged,
    nested: bool,
    limits: Limits | None = None,
    variables: Mapping[str, str] | None = None,
    seccomp_fd: int | None = None,
    read_only: Sequence[tuple[Path, str]] = (),
    writable: Sequence[tuple[Path, str]] = (),
    private: Sequence[tuple[str, int]] = (),
    cgroup_procs: Sequence[Path] = (),
    counted: bool = True,
    info_fd: int | None = None,
) -> list[str]:
    """The command that runs `argv` inside. Start it from a thread that outlives it: it dies with that thread.

    Every descriptor that it inherits (`pass_fds`) is handed on to `argv`, except `seccomp_fd`.

    Args:
        argv: the program, with paths as they are inside (`policy.python()`).
        staged: from `policy.stage()`.
        nested: True for the warm template: `argv` may make user namespaces of its own and gets no limits, because what
            it forks isolates itself further. False for a cold kernel: no user namespaces, rlimits, the filter.
        limits: sizes of the private folders, and the rlimits of a cold kernel.
        variables: the environment inside; `policy.environment()` by default.
        seccomp_fd: a descriptor with the filter (`seccomp.descriptor`), inherited by the command.
        read_only: further places, (outside, inside).
        writable: as `read_only`, and written through to the outside.
        private: further private folders, (place inside, bytes).
        cgroup_procs: the cgroup.procs files of the groups to join before anything else.
        counted: whether a cgroup counts memory; see `Limits.rlimits`.
        info_fd: an inherited descriptor that bubblewrap writes JSON to, with `child-pid`: the first process inside.

    Raises:
        SandboxError: if a program that this needs is not installed, or bubblewrap is too old.
    """
    limits = limits or Limits()
    mounts = [(staged.library, policy.LIBRARY), *policy.environment_mounts()]
    bwrap = find_bwrap()  # first, so that its absence is what is reported
    bridge, moved = _bridge([outside for outside, _ in [*mounts, *read_only, *writable]], staged)
    inner = list(argv) if nested else [*_prlimit(limits, counted), *argv]
    line = [bwrap, "--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    # The template is root of its own namespaces only: it makes new ones for each child. SETFCAP is what the kernel asks
    # of a parent whose uid 0 is mapped further in; PTRACE lets it measure children that hide from others of their uid.
    uid = str(0 if nested else policy.STUDENT_UID)
    line += ["--uid", uid, "--gid", uid, "--hostname", "sandbox"]
    for capability in ("CAP_SYS_ADMIN", "CAP_SETFCAP", "CAP_SYS_PTRACE") if nested else ():
        line += ["--cap-add", capability]
    if not nested:
        line += ["--disable-userns"]
    for name, value in (policy.environment() if variables is None else variables).items():
        line += ["--setenv", name, value]
    for place in ("/etc", "/opt"):
        line += ["--perms", "0755", "--dir", place]
    line += system_places()
    line += ["--proc", "/proc", "--dev", "/dev"]
    for place in policy.WRITABLE:
        line += ["--perms", "0755" if place == policy.HOME else "1777", "--size", str(limits.file_mb << 20)]
        line += ["--tmpfs", place]
    for place, size in private:
        line += ["--perms", "0700", "--size", str(size), "--tmpfs", place]
    for outside, inside in [*mounts, *read_only]:
        line += ["--ro-bind", str(moved.get(outside, outside)), inside]
    for name in sorted(os.listdir(staged.etc)):
        line += ["--ro-bind", str(moved.get(staged.etc, staged.etc) / name), f"/etc/{name}"]
    for place in policy.hidden_places(mounts):
        line += ["--ro-bind", str(moved.get(staged.empty, staged.empty)), place]
    for outside, inside in writable:
        line += ["--bind", str(moved.get(outside, outside)), inside]
    if not nested:  # a covered /proc can't be mounted again further in; there the child covers its own
        for place in policy.MASKED:
            if os.path.exists(place):
                line += ["--ro-bind", "/dev/null", place]
    # Without these the small file systems that bubblewrap makes for / and /dev are writable, and shared by siblings.
    line += ["--remount-ro", "/", "--remount-ro", "/dev", "--chdir", policy.HOME]
    if seccomp_fd is not None:
        line += ["--seccomp", str(seccomp_fd)]
    if info_fd is not None:
        line += ["--info-fd", str(info_fd)]
    return [*_join(cgroup_procs), *bridge, *_drop(), *line, "--", *inner]


def check() -> None:
    """See that an empty sandbox starts.

    Raises:
        SandboxError: saying what is missing and what to do.
    """
    found = version()
    if found < OLDEST:
        shown = ".".join(map(str, found))
        raise SandboxError(
            f"bubblewrap {shown} is too old, 0.8 or newer is needed (Debian 12, Ubuntu 24.04, Fedora 38 have it)"
        )
    trial = [find_bwrap(), "--unshare-user", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc"]
    trial += ["--", "/bin/true"]
    done = subprocess.run([*_drop(), *trial], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SandboxError(diagnosis(done.stderr.strip()))


def version() -> tuple[int, ...]:
    """Bubblewrap's version.

    Raises:
        SandboxError: if it is not installed.
    """
    return _version(find_bwrap())


def diagnosis(said: str) -> str:
    """What to do about bubblewrap's complaint."""
    first = f"bubblewrap can't make a sandbox here ({said.splitlines()[0] if said else 'it said nothing'}). "
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return first + (
            "Ubuntu's AppArmor keeps programs from making user namespaces. Allow it to bubblewrap: put\n"
            "  abi <abi/4.0>,\n  include <tunables/global>\n"
            "  profile bwrap /usr/bin/bwrap flags=(unconfined) {\n    userns,\n  }\n"
            "into /etc/apparmor.d/bwrap and run `sudo apparmor_parser -r /etc/apparmor.d/bwrap`"
        )
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return first + "User namespaces are off for ordinary users: `sudo sysctl kernel.unprivileged_userns_clone=1`"
    if _sysctl("user/max_user_namespaces") == "0" or "/proc/sys/user/max_" in said:
        return first + "User namespaces are off: `sudo sysctl user.max_user_namespaces=10000`"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return first + (
            "This is a pod, whose filters forbid namespaces or a fresh /proc. It needs `hostUsers: false`, and in the\n"
            "container's securityContext\n"
            "  {seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}, procMount: Unmasked}\n"
            "which a cluster's administrator has to allow; or grade outside of the cluster"
        )
    if _in_container():
        return first + (
            "This is a container, whose own filters forbid namespaces or a fresh /proc. Start it with\n"
            "  docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined …\n"
            "(the container stays one; it lets processes in it make namespaces of their own), or grade outside of it"
        )
    return first + "User namespaces seem to be forbidden; `unshare --user --map-root-user true` has to work"


def _in_container() -> bool:
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return True
    try:
        return "container=" in Path("/proc/1/environ").read_text(errors="replace")
    except OSError:  # another user's process: not ours to read, so nothing is known
        return False


def _sysctl(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text().strip()
    except OSError:
        return None


def find_bwrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError(
            "bubblewrap is not installed (no `bwrap` on PATH); students' code runs in it. "
            "`sudo apt install bubblewrap`, or `sudo dnf install bubblewrap`"
        )
    return found


@lru_cache
def _version(bwrap: str) -> tuple[int, ...]:
    done = subprocess.run([bwrap, "--version"], capture_output=True, text=True, timeout=30)
    words = done.stdout.split()
    try:
        return tuple(int(part) for part in words[-1].split("."))
    except (IndexError, ValueError):
        raise SandboxError(f"`{bwrap} --version` said {done.stdout or done.stderr!r}: is this bubblewrap?") from None


def system_places() -> list[str]:
    line = []
    for place in policy.SYSTEM:
        if os.path.islink(place):
            line += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            line += ["--ro-bind", place, place]
    for place in policy.ETC:
        line += ["--ro-bind-try", place, place]
    return line


def _prlimit(limits: Limits, counted: bool) -> list[str]:
    """Set inside the new user namespace, so that processes are counted there and not over all sandboxes."""
    names = {"RLIMIT_MSGQUEUE": "msgqueue", "RLIMIT_MEMLOCK": "memlock", "RLIMIT_RTPRIO": "rtprio"}
    values = limits.rlimits(counted=counted).items()
    return [
        "/usr/bin/prlimit",
        *(f"--{names.get(name, name.removeprefix('RLIMIT_').lower())}={value}" for name, value in values),
        "--",
    ]


def _join(cgroup_procs: Sequence[Path]) -> list[str]:
    """A shell that enters the groups by itself and becomes the rest: nothing has run outside of them."""
    if not cgroup_procs:
        return []
    script = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 > "$1" || exit 97; shift; n=$((n-1)); done; exec "$@"'
    return ["/bin/sh", "-c", script, "join", str(len(cgroup_procs)), *map(str, cgroup_procs)]


def _bridge(sources: Sequence[Path], staged: Staged) -> tuple[list[str], dict[Path, Path]]:
    """For root: a way to places that the dropped uid can't walk to, such as an environment below /root.

    They are mounted once more, in a mount namespace of the sandbox's own, where it can; nothing outside changes.

    Returns:
        The beginning of the command, and where each such place is then.

    Raises:
        SandboxError: if the place itself, not only the way to it, is closed to other users.
    """
    if os.geteuid() != 0:
        return [], {}
    wanted = [*sources, staged.etc, staged.empty]
    closed = [place for place in dict.fromkeys(wanted) if not all(_open_to_us(above) for above in place.parents)]
    for place in sources:
        if not _open_to_us(place) or any(not _open_to_us(path) for path in (place / "bin", place / "pyvenv.cfg")):
            raise SandboxError(
                f"{place} is closed to other users, and students' code runs as one; `chmod -R o+rX {place}` opens it"
            )
    if not closed:
        return [], {}
    return rootless.bridge(closed, beside=wanted)


def _open_to_us(path: Path) -> bool:
    """Whether the dropped uid may enter and list a folder, or read a file, by its mode."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return True
    wanted = 5 if path.is_dir() else 4
    mode = found.st_mode >> 3 if found.st_gid == policy.SANDBOX_UID else found.st_mode
    return mode & wanted == wanted


def _drop() -> list[str]:
    """Root gives up everything first; an ordinary user has nothing to give up."""
    if os.geteuid() != 0:
        return []
    return rootless.become(policy.SANDBOX_UID)
