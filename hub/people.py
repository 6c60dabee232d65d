"""On a hub of root's: a number of the system for each person who has no account of it, and homes that belong to it.

The kernel asks for the number: whose files these are, whom a process may signal, how many processes somebody has. A
number stays its person's, and is never given to another name.
"""

import json
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from classroom.errors import ClassroomError

# Where no other hands numbers out: accounts lie below 65536, /etc/subuid below 601 million, systemd's containers below
# 1879 million, SSSD's below 2000.2 million. The second is for a container that has the numbers below 65536 only.
RANGES = (range(2_100_000_000, 2_101_000_000), range(52_000, 60_000))


class NumbersError(ClassroomError):
    """There is no number to give, or a home that can't be given to its owner."""


class Numbers:
    """Who has which number, in a file of the hub's; the first of its range is nobody's, for trying things out."""

    def __init__(self, file: Path) -> None:
        self.file = file
        found = next((one for one in RANGES if all(_mapped(one, kind) for kind in ("uid", "gid"))), None)
        if found is None:
            raise NumbersError(
                "the hub is root's, but of a container that has no numbers for people (/proc/self/uid_map); "
                "start it as an account that is not root"
            )
        self.range = found
        try:
            self.given: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        except ValueError as error:
            raise NumbersError(f"{file}: damaged ({error}); take it from a backup, or remove it") from None

    def of(self, name: str, homes: Path) -> int:
        """Somebody's number; a new one if they have none yet, or one of another machine's range."""
        if self.given.get(name) not in self.range:
            self.given[name] = self._new(homes)
            half = self.file.with_name(f"{self.file.name}.new")
            with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                json.dump(self.given, out, indent=1)
                out.flush()
                os.fsync(out.fileno())
            half.replace(self.file)
        return self.given[name]

    def _new(self, homes: Path) -> int:
        # Owners of homes too: the file may come from a backup that is older than they are.
        taken = [*self.given.values(), *(home.lstat().st_uid for home in homes.iterdir())]
        for number in range(max([self.range[0], *(one for one in taken if one in self.range)]) + 1, self.range.stop):
            try:
                pwd.getpwuid(number)
            except KeyError:
                return number
        raise NumbersError(f"{self.file}: all numbers up to {self.range[-1]} are given")


def _mapped(numbers: range, kind: str) -> bool:
    """Whether this machine, or container, has all of these."""
    for line in Path(f"/proc/self/{kind}_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= numbers[0] and numbers[-1] < first + count:
            return True
    return False


def give(home: Path, number: int) -> None:
    """Make a home, or give one that is there to a number with all that is in it; no link is followed.

    The folder itself comes last: a home that was given half-way is given again.
    """
    try:
        os.mkdir(home, 0o700)
    except FileExistsError:
        about = home.lstat()
        if not stat.S_ISDIR(about.st_mode):
            raise NumbersError(f"{home}: expected a folder; for a home elsewhere, mount it there") from None
        if (about.st_uid, about.st_gid) == (number, number):
            return
    # Which goes down any number of folders, opens nothing else, and comes to a folder itself after what is in it.
    line = ["chown", "--recursive", "--no-dereference", f"{number}:{number}", "--", str(home)]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise NumbersError(f"{home}: {done.stderr.strip().splitlines()[-1]}")


def readable(place: Path, copy: Path) -> Path:
    """A folder as other numbers can read it: itself, or a copy, where root made it for root alone (umask 077)."""
    shutil.rmtree(copy, ignore_errors=True)
    if all(_open(path) for path in (place, *place.rglob("*"))):
        return place
    shutil.copytree(place, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def _open(path: Path) -> bool:
    mode = path.lstat().st_mode
    wanted = 0o5 if stat.S_ISDIR(mode) else 0o4
    return stat.S_ISLNK(mode) or mode & wanted == wanted or "__pycache__" in path.parts
