"""A course that git finds on 127.0.0.1, as students get it by a link."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from .person import free_port


def git(folder: Path, *words: str) -> str:
    """What git says."""
    line = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
    return subprocess.run(line, cwd=folder, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def served(folder: Path, files: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """A repository `course` in a folder, with files on its branch `student`; its work tree and its address."""
    work = folder / "course"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch=student")
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text, encoding="utf-8")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "The course")
    port = free_port()
    line = ["git", "daemon", f"--base-path={folder}", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen([*line, "--reuseaddr", str(folder)])
    try:
        yield work, f"git://127.0.0.1:{port}/course"
    finally:
        left = psutil.Process(daemon.pid).children(recursive=True)
        for process in [*left, daemon]:
            process.terminate()
        daemon.wait(20)
