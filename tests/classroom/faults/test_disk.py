"""A disk without room, and a course folder that may only be read: one clear message, exit code 2, nothing half-written.

Each command sees a small file system of its own, in a mount namespace of its own; the machine's are not touched. In
order: the class's folder full from the start and in mid-batch; the temporary folder full; every command that writes,
with the class's folder or only the gradebook read-only. With room again, the same command ends as it always would.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PROJECT, Class, difference

COMMAND = f'"$PYTHON" -m classroom autograde {PROJECT}'
MESSAGES = ("no space left on device", "disk is full", "disk i/o error")
NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


def in_a_small_world(made: Class, script: str) -> str:
    """Run a shell script where mounts are seen by nobody else; what was printed, standard error included."""
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", f"set -e\n{script}"],
        cwd=made.root,
        env=made.environment() | {"PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def move_onto_a_small_disk(made: Class, place: str, megabytes: float) -> str:
    """Shell lines that put a folder of the course onto a file system of a size."""
    return f"""
        cp -a {place} {made.tmp.parent}/kept
        mount -t tmpfs -o size={int(megabytes * 1024)}k none {place}
        cp -a {made.tmp.parent}/kept/. {place}/
    """


# Leaves so many KB and tries; then removes what fills the disk.
TRY = """
try() {
    echo "room $1"
    free=$(df --output=avail -k "$2" | tail -1)
    head -c $(( (free - $1) * 1024 )) /dev/zero > "$2/filler"
    code=0
    %s > out 2>&1 || code=$?
    cat out
    echo "exit $code"
    rm "$2/filler"
    find "$2" -name '.*' ! -name . ! -name .lock ! -name '.*.old' -exec echo left {} \\;
}
"""


@pytest.mark.parametrize(
    "rooms", [(0, 48), pytest.param((4, 12, 20, 32, 64, 80, 96, 112, 128, 144, 160, 200), marks=pytest.mark.full)]
)
def test_a_full_disk(rooms, new_class, calm):
    """Of the class's folder, with room for nothing, and for a few submissions."""
    place = new_class.root / "course"
    lines = [f"try {room} course" for room in rooms]
    script = move_onto_a_small_disk(new_class, "course", 4) + TRY % COMMAND + "\n".join(lines)
    said = in_a_small_world(new_class, f"{script}\n{COMMAND}\ncp -a course/. {new_class.tmp.parent}/seen/")
    shutil.rmtree(place)
    shutil.copytree(new_class.tmp.parent / "seen", place)
    parts = said.split("room ")[1:]
    full = [part for part in parts if "exit 2" in part]
    assert all("exit 0" in part or "exit 2" in part for part in parts), said
    assert full, said
    for part in full:
        assert any(message in part.lower() for message in MESSAGES), part
        assert "the same command goes on once that is mended" in part, part
    assert "left " not in said
    assert difference(new_class.state(), calm["state"]) == []


def test_no_room_for_temporary_files(new_class, calm):
    """The workers' own: too little, where none at all would make Python take another folder."""
    top = new_class.tmp
    mount = f'mount -t tmpfs -o size=512k,mode=755 none "{top}"\n'
    said = in_a_small_world(new_class, mount + TRY % COMMAND + f'try 40 "{top}"')
    assert "exit 2" in said, said
    assert "no space left on device" in said.lower(), said
    code, said = new_class.run("autograde", PROJECT)
    assert code == 0, said
    assert difference(new_class.state(), calm["state"]) == []


def test_a_read_only_course(new_class):
    """Every command that writes says so."""
    for path in (new_class.root / "downloads/ada").parent, new_class.root / "downloads/ada":
        path.mkdir()
    shutil.copy(new_class.root / "course/submitted/ada/tiny/tiny.ipynb", new_class.root / "downloads/ada")
    commands = [
        "release tiny",
        "collect tiny --from downloads",
        "autograde tiny",
        "regrade ada tiny --reason again",
        "feedback tiny",
        "status tiny",
        "show ada tiny",
        "export",
        "amend tiny",
        "forget ada --yes",
        "simulate tiny --students 3",
    ]
    before = contents(new_class.root / "course")
    script = "mount --bind course course && mount -o remount,bind,ro course\n"
    script += "\n".join(
        f'code=0; "$PYTHON" -m classroom {words} || code=$?; echo "exit $code of {words}"' for words in commands
    )
    said = in_a_small_world(new_class, script).splitlines()
    messages, at = {}, 0
    for number, line in enumerate(said):
        if line.startswith("exit "):
            messages[line.removeprefix("exit ")] = said[at:number]
            at = number + 1
    assert list(messages) == [f"2 of {words}" for words in commands]
    assert all(len(lines) == 1 and "read-only file system" in lines[0] for lines in messages.values()), messages
    assert contents(new_class.root / "course") == before


@pytest.mark.full
def test_a_read_only_gradebook(new_class, calm):
    """The rest of the class may be written."""
    book = "course/gradebook.db"
    script = f"mount --bind {book} {book} && mount -o remount,bind,ro {book}\n"
    script += f'code=0; {COMMAND} || code=$?; echo "exit $code"'
    said = in_a_small_world(new_class, script)
    assert "exit 2" in said, said
    assert "readonly database; nothing is half-written" in said, said
    code, said = new_class.run("autograde", PROJECT)
    assert code == 0, said
    assert difference(new_class.state(), calm["state"]) == []


def contents(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
