"""What a submission may see and use: one policy, read by both ways in (the cold kernel and the warm fork).

Inside there are the system, the Python environment, `deeppractice` and the few modules that run cells, all read-only,
and a private home, /tmp and /dev/shm of limited size. Nothing of the course folder, of other submissions, of anybody's
home, and no network. `bubblewrap.command` turns this into a command line;
`seccomp.program` is its list of system calls.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from classroom.errors import ClassroomError
from classroom.sandbox import owners
from classroom.sandbox.copies import copy_package

SANDBOX_UID = 64711  # root drops to this uid (and gid) first; nobody has it in a Debian, Ubuntu or Fedora system
STUDENT_UID = 1000  # what the submission sees itself as
USER = "student"
HOME = "/home/student"
TMP = "/tmp"
SHM = "/dev/shm"
WRITABLE = (HOME, TMP, SHM)  # private, gone at the end; the only places that can be written
ENVIRONMENT = "/opt/environment"  # the Python environment, wherever it is outside
LIBRARY = "/opt/library"  # deeppractice and classroom.inside

# Read-only, where they exist; a system with /lib as a link into /usr keeps the link.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/fonts", "/etc/alternatives")
# Readable by everybody in a usual /proc, and of no use to a notebook.
# In folders of the system, and nobody's to read: work of others and, in settings, addresses with passwords.
PRIVATE = ("/usr/local/share/nbgrader", "/usr/local/etc/jupyter", "/usr/etc/jupyter", f"{ENVIRONMENT}/etc/jupyter")
MASKED = ("/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/kcore", "/proc/sched_debug", "/proc/timer_list")

COURSE_FILES = ("nbgrader_config.py", "gradebook.db", "course.yml")  # at the top of a course's folder
_STAGE = "classroom-stage-"
_ETC_FILES = {
    "passwd": f"{USER}:x:{STUDENT_UID}:{STUDENT_UID}:student:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "group": f"{USER}:x:{STUDENT_UID}:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


class SandboxError(ClassroomError):
    """Something that the sandbox needs is missing on this machine; the message says what to do."""


class ExaminerCrashedError(SandboxError):
    """The process of the tests crashed: by a fault of the machine, or by what a submission gave it to read."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use. The values are generous for a notebook and mean for a bomb."""

    seconds: float = 1200  # wall time of a submission in all
    cell_seconds: float = 60  # wall time of a cell
    memory_mb: int = 4096  # of all its processes together
    processes: int = 256  # threads count too, as the kernel counts them
    cell_output_bytes: int = 1_000_000
    output_bytes: int = 10_000_000
    file_mb: int = 1024  # size of the private home, /tmp and /dev/shm each, and of the largest file

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ClassroomError(
                    f"limit {field.name}: expected a number above zero, got {getattr(self, field.name)}"
                )

    def as_dict(self) -> dict:
        """For a job, as JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Limits":
        """The limits of a job.

        Raises:
            ClassroomError: for a name that is no limit, or a value that is not above zero.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ClassroomError(f"no such limit: {', '.join(sorted(unknown))}")
        return cls(**values)

    def rlimits(self, *, counted: bool) -> dict[str, int]:
        """Limits of each single process, by their names in the module `resource`.

        Args:
            counted: whether a cgroup counts the memory of all processes together. Without one RLIMIT_DATA stands in
                for it, a process at a time (RLIMIT_AS can't: torch reserves far more addresses than it uses).
        """
        limits = {
            "RLIMIT_CORE": 0,
            "RLIMIT_FSIZE": self.file_mb << 20,
            "RLIMIT_NOFILE": 4096,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_MEMLOCK": 8 << 20,
            "RLIMIT_MSGQUEUE": 0,
            "RLIMIT_RTPRIO": 0,
            "RLIMIT_SIGPENDING": 1024,  # counted for a user, over all sandboxes
        }
        if not counted:
            limits["RLIMIT_DATA"] = self.memory_mb << 20
        return limits


def environment(threads: int | None = None) -> dict[str, str]:
    """The variables inside; nothing of the caller's own environment is handed on.

    Args:
        threads: for BLAS and OpenMP; None leaves it to them (all cores).
    """
    variables = {
        "PATH": f"{Path(python()).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": HOME,
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TMPDIR": TMP,
        "PYTHONPATH": LIBRARY,
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": f"{HOME}/.config/matplotlib",
        "NBGRADER_EXECUTION": "autograde",
    }
    if threads is not None:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
        variables |= dict.fromkeys(names, str(threads))
    return variables


def python() -> str:
    """This environment's interpreter, as a path inside the sandbox."""
    prefix = Path(sys.prefix)
    if in_system(prefix):
        return sys.executable
    return f"{ENVIRONMENT}/bin/{Path(sys.executable).name}"


def inside_path(path: str) -> str:
    """Where a path of this Python environment stands inside the sandbox; other paths come back as they are."""
    prefix = Path(sys.prefix)
    if not in_system(prefix) and Path(path).is_relative_to(prefix):
        return str(Path(ENVIRONMENT) / Path(path).relative_to(prefix))
    return path


def environment_mounts() -> Iterator[tuple[Path, str]]:
    """The Python environment: (place outside, place inside), all to be mounted read-only.

    Raises:
        SandboxError: if Python itself lies in a private folder of the submission's, or the course in the environment.
    """
    prefix, base = Path(sys.prefix), Path(sys.base_prefix)
    if any((prefix / name).exists() for name in COURSE_FILES):
        raise SandboxError(
            f"the Python environment {prefix} is the course's folder itself, which students' code must not see; make "
            "the environment in a folder of its own (`python -m venv .venv`)"
        )
    if not in_system(prefix):
        require_harmless(prefix)
        yield prefix, ENVIRONMENT
    if base != prefix and not in_system(base):
        # The environment's interpreter is a link to this place, so it stands inside where it stands outside.
        for place in WRITABLE:
            if base.resolve().is_relative_to(place):
                raise SandboxError(
                    f"Python itself is installed under {place}, which is private to each submission in the sandbox; "
                    f"make the environment with a Python that is elsewhere (this one is {base})"
                )
        require_harmless(base)
        yield base, str(base)


def require_harmless(place: Path) -> None:
    """See that a Python can be shown to students' code: nothing of the caller's or of the course comes along.

    Raises:
        SandboxError: if the place is, or contains, the caller's home, the course's folder, or everything.
    """
    top, here = place.resolve(), Path.cwd()
    kept = {"your home": Path(os.path.expanduser("~"))}
    course = next((one for one in (here, *here.parents) if any((one / name).exists() for name in COURSE_FILES)), None)
    kept |= {"the course's folder": course} if course else {}
    for name, folder in kept.items():
        if folder.resolve().is_relative_to(top):
            what = "is" if folder.resolve() == top else "contains"
            raise SandboxError(
                f"a Python is installed in {place}, which {what} {name}; students' code must see nothing of that, so "
                "make the environment with a Python that has a folder of its own"
            )


@dataclass(frozen=True)
class Staged:
    """A private folder with copies of what the sandbox gets to see of ours; use it in a `with`, or call close()."""

    root: Path

    @property
    def library(self) -> Path:
        """Holds `deeppractice` and `classroom.inside`."""
        return self.root / "library"

    @property
    def etc(self) -> Path:
        """passwd, group, hosts and nsswitch.conf, which name nobody but the student."""
        return self.root / "etc"

    @property
    def empty(self) -> Path:
        """An empty folder, to cover what must not be seen."""
        return self.root / "empty"

    def close(self) -> None:
        """Remove the folder; a second call does nothing."""
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> "Staged":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stage() -> Staged:
    """Copy `deeppractice` and `classroom.inside` to where the sandbox's uid can read them (not so in a 0700 clone)."""
    top = Path(tempfile.gettempdir())
    owners.sweep(top, _STAGE)
    root = Path(tempfile.mkdtemp(prefix=f"{_STAGE}{owners.mark()}-", dir=top))
    staged = Staged(root)
    try:
        for place in (staged.library, staged.etc, staged.empty, staged.library / "classroom"):
            place.mkdir()
        for name, text in _ETC_FILES.items():
            (staged.etc / name).write_text(text)
        package = Path(__file__).parent.parent
        (staged.library / "classroom" / "__init__.py").write_text('"""The part of classroom that runs cells."""\n')
        copy_package(package / "inside", staged.library / "classroom" / "inside")
        copy_package(_package("deeppractice"), staged.library / "deeppractice")
        for place, _, names in os.walk(root):
            os.chmod(place, 0o755)
            for name in names:
                os.chmod(os.path.join(place, name), 0o644)
        if os.geteuid() == 0:
            os.chown(root, 0, SANDBOX_UID)
            os.chmod(root, 0o750)
        else:
            os.chmod(root, 0o700)
    except BaseException:
        staged.close()
        raise
    return staged


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SandboxError(f"the package {name} is not installed in {sys.prefix}; run `pip install -e .` there")
    return Path(next(iter(spec.submodule_search_locations)))


def in_system(place: Path) -> bool:
    """Whether a place is in the system's folders, which are mounted anyway; `/` itself, which no Python owns, too."""
    return place == Path("/") or any(place.is_relative_to(top) for top in SYSTEM)


def hidden_places(mounts: Sequence[tuple[Path, str]]) -> Iterator[str]:
    """What is to be covered in the mounted folders: `PRIVATE`, and the rest of `classroom` where that is installed.

    The exchange, with everybody's submissions, is the caller's own where that is not root: its rights would not help.
    """
    for place in PRIVATE:
        inner = Path(place)
        outside = Path(sys.prefix) / inner.relative_to(ENVIRONMENT) if inner.is_relative_to(ENVIRONMENT) else inner
        if outside.is_dir() and any(
            inner.is_relative_to(shown) for _, shown in [*mounts, *((top, top) for top in SYSTEM)]
        ):
            yield place
    for source in [Path(entry) for entry in sys.path if entry.endswith("-packages")]:
        if not (source / "classroom").is_dir():
            continue
        for outside, inside in [*mounts, *((Path(top), top) for top in SYSTEM)]:
            if source.is_relative_to(outside):
                yield str(Path(inside) / source.relative_to(outside) / "classroom")
                break
