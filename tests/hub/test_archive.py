"""What somebody can do to keep everybody's backups from being made, or from being unpacked."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import ROOT

sys.path.insert(0, str(ROOT / "hub"))
import archive
import backup


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "ada"
    folder.mkdir()
    (folder / "work.txt").write_text("ada's work")
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)  # Python's own does not go down so far


def save(tmp_path: Path, part: str, folder: Path, databases: tuple[str, ...] = ()) -> archive.Archive:
    """An archive of one part, that was closed and is whole."""
    taken = archive.Archive(tmp_path / "one.tar.gz", {part: {"folder": str(folder)}})
    try:
        taken.add(part, folder, databases)
        taken.close()
    except BaseException:
        taken.drop()
        raise
    assert archive.check(tmp_path / "one.tar.gz")["files"] == taken.files
    return taken


def unpacked(tmp_path: Path, part: str) -> Path:
    """Where its files are afterwards."""
    backup.unpack(tmp_path / "one.tar.gz", {part: tmp_path / "new"})
    return tmp_path / "new"


def test_what_was_handed_in_and_looks_like_a_database_is_a_file(tmp_path):
    state = tmp_path / "state"
    (state / "exchange" / "files").mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(state / "exchange" / "ngshare.db")) as database:
        database.execute("create table one (x)")
    sent = state / "exchange" / "files" / "0b9e.ipynb"
    sent.write_bytes(b"SQLite format 3\0" + b"but it is none")  # which no SQLite can read, let alone write
    (sent.parent / "0b9e.ipynb-journal").write_bytes(b"not left out")
    taken = save(tmp_path, "state", state, backup.DATABASES["state"])
    assert not taken.changed
    new = unpacked(tmp_path, "state") / "exchange"
    for path in (sent, sent.with_name("0b9e.ipynb-journal")):
        assert (new / "files" / path.name).read_bytes() == path.read_bytes()
    with contextlib.closing(sqlite3.connect(new / "ngshare.db")) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_a_database_of_the_hub_s_that_is_damaged_stops_it(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "jupyterhub.sqlite").write_bytes(b"SQLite format 3\0" + b"damaged")
    with pytest.raises(archive.ClassroomError, match=r"jupyterhub\.sqlite: the database can't be read whole"):
        save(tmp_path, "state", tmp_path / "state", backup.DATABASES["state"])


def test_folders_in_folders_and_files_that_are_a_hole_are_left_out_and_named(tmp_path, home):
    (home / "hole.bin").touch()
    os.truncate(home / "hole.bin", 1 << 40)
    at = os.open(home, os.O_RDONLY)
    for _ in range(1500):  # more than a process may open, and than Python goes down
        os.mkdir("deeper", dir_fd=at)
        at, above = os.open("deeper", os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(at)
    folder = home
    for _ in range(14):  # a path of 3500 bytes: it is there, and no path below the new home
        folder /= "n" * 250
        folder.mkdir()
    (folder / "file").touch()
    taken = save(tmp_path, "home/ada", home)
    assert set(taken.refused.values()) == {
        "a file that says it has 1,100 GB, and is mostly a hole",
        "a folder in more than 100 folders",
        "a path of more than 3000 bytes",
    }
    new = unpacked(tmp_path, "home/ada")
    assert (new / "work.txt").read_text() == "ada's work"
    assert (new / "deeper" / "deeper").is_dir()


def test_a_home_that_changes_all_the_time_is_saved(tmp_path, home):
    ends = threading.Event()

    def stir() -> None:
        while not ends.is_set():
            for number in range(50):
                (home / f"d{number}").mkdir()
            for number in range(50):
                (home / f"d{number}").rmdir()

    stirring = threading.Thread(target=stir)
    stirring.start()
    try:
        for _ in range(20):
            (tmp_path / "one.tar.gz").unlink(missing_ok=True)
            save(tmp_path, "home/ada", home)
    finally:
        ends.set()
        stirring.join()
    assert (unpacked(tmp_path, "home/ada") / "work.txt").read_text() == "ada's work"


def test_a_name_that_is_no_text_comes_back(tmp_path, home):
    name = os.fsdecode(b"\xff\n\x1b[2J")
    (home / name).write_text("odd")
    save(tmp_path, "home/ada", home)
    assert (unpacked(tmp_path, "home/ada") / name).read_text() == "odd"
