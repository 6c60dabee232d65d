"""One warm template for all tests of this folder: starting one takes as long as fifty submissions."""

import json
import shutil
import tempfile
import textwrap
from pathlib import Path

import pytest

from classroom.sandbox import Limits, SandboxError, Template, bubblewrap

SMALL = Limits(memory_mb=1024, processes=100, file_mb=32)

# What every cell of the tests may use: `attempt` gives the name of the error instead of raising it.
PRELUDE = """
import ctypes, errno, json, os, resource, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def attempt(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except BaseException as error:
        return getattr(error, "strerror", None) or type(error).__name__

def call(number, *arguments):
    answer = libc.syscall(number, *arguments)
    return errno.errorcode[ctypes.get_errno()] if answer == -1 else answer

def tell(value):
    print(json.dumps(value, default=str))
"""


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Skip where this machine can't make a sandbox, and say why."""
    try:
        bubblewrap.check()
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def public_library():
    """A copy of lib/ that other users can read: root's clone may lie in a folder that is closed to them."""
    with tempfile.TemporaryDirectory(prefix="public-library-") as folder:
        library = Path(folder) / "lib"
        for name in ("classroom", "deeppractice"):
            source = Path(__file__).resolve().parents[3] / "lib" / name
            shutil.copytree(source, library / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [Path(folder), library, *library.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield str(library)


@pytest.fixture(scope="session")
def template(sandbox):
    with Template() as template:
        yield template


@pytest.fixture
def session(template):
    """A submission with small limits."""
    with template.open(SMALL, {}) as session:
        yield session


@pytest.fixture(scope="session")
def told():
    """Run code that calls `tell(value)`, with some names bound, and give back the value."""

    def run(session, source: str, seconds: float = 20, **names):
        bound = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        result = session.run(PRELUDE + bound + textwrap.dedent(source), seconds=seconds)
        assert result.status == "ok", result
        return json.loads(result.outputs[-1]["text"].splitlines()[-1])

    return run
