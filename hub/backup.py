"""Save what a hub holds, and bring it back: courses with gradebooks, homes, the databases of hub and exchange.

    python backup.py save FILE.tar.gz        while the hub runs; databases are copied whole
    python backup.py check FILE.tar.gz       is it whole? what is in it?
    python backup.py restore FILE.tar.gz     with the hub stopped; what is there is moved aside, and only with --replace

Each takes --settings FILE (default: /etc/deep-learning-in-practice/hub.yml), which says where everything lies. Run it
as root where people have accounts of the system.
"""

import argparse
import contextlib
import os
import pwd
import shutil
import sqlite3
import sys
import tarfile
import time
from pathlib import Path

import archive
from settings import Settings, read_settings

from classroom.course import read_course
from classroom.errors import ClassroomError
from classroom.intake.files import shown

SYSTEMD = Path("/run/systemd/system")  # which is there where systemd runs
_ASIDE = "~before-"  # no account is called so, and gets what was moved aside for a home
NOT_STATE = {"homes", "proxy.pid", "jupyterhub.pid"}  # homes are parts of their own
# By kind of part. Only these: what students handed in lies there too, and may look like a database. A home's are
# somebody else's files, copied as they are.
DATABASES = {"state": ("jupyterhub.sqlite", "exchange/ngshare.db"), "course": ("gradebook.db", "*/gradebook.db")}


def main() -> None:
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    anywhere = argparse.ArgumentParser(add_help=False)  # it may stand before the step, and after it
    anywhere.add_argument("--settings", type=Path, metavar="FILE", default=argparse.SUPPRESS)
    parser.add_argument("--settings", type=Path, metavar="FILE", default=Path("/etc/deep-learning-in-practice/hub.yml"))
    steps = parser.add_subparsers(dest="step", required=True)
    for name in ("save", "check", "restore"):
        step = steps.add_parser(name, parents=[anywhere])
        step.add_argument("file", type=Path)
        if name == "restore":
            step.add_argument("--replace", action="store_true", help="move aside what is there")
            step.add_argument(
                "--only", action="append", metavar="PART", help="such as home/ben or course/ID; see check"
            )
    said = parser.parse_args()
    os.umask(0o077)  # an archive holds everybody's work and grades
    try:
        if said.step == "check":
            show(archive.check(said.file), said.file)
        elif said.step == "save":
            save(read_settings(said.settings), said.file)
        else:
            restore(read_settings(said.settings, made=False), said.file, said.replace, said.only)
    except ClassroomError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        done = {
            "save": "no archive is written",
            "restore": "what is not named above is as it was",
            "check": "try again",
        }
        sys.exit(f"interrupted: {done[said.step]}")
    except OSError as error:
        sys.exit(f"{error.filename or said.file}: {(error.strerror or str(error)).lower()}")


def folders(settings: Settings) -> dict[str, Path]:
    """The parts of this hub, and where they lie."""
    found = {"state": settings.state} | {f"course/{course.id}": course.folder for course in settings.courses}
    if settings.accounts != "system":
        homes = settings.state / "homes"
        there = [home for home in sorted(homes.glob("[!.]*")) if home.is_dir() and _ASIDE not in home.name]
        return found | {f"home/{home.name}": home for home in there}
    for name in sorted(known(settings)):
        with contextlib.suppress(KeyError):  # somebody who has no account any more
            found[f"home/{name}"] = Path(pwd.getpwnam(name).pw_dir)
    return found


def known(settings: Settings) -> set[str]:
    """Who has ever logged in, and whoever hub.yml names."""
    names = {name for course in settings.courses for name in [*course.instructors, *(course.students or [])]}
    database = settings.state / "jupyterhub.sqlite"
    if database.exists():
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as connection:
            names |= {name for (name,) in connection.execute("select name from users")}
    return names


def save(settings: Settings, path: Path) -> None:
    """Write an archive; it has its name only when it is whole."""
    if path.exists():
        raise ClassroomError(f"{path} is there already: expected the name of a new file")
    parts = {name: folder for name, folder in folders(settings).items() if folder.is_dir()}
    for course in settings.courses:
        gradebook = read_course(course.folder / "course.yml").gradebook
        if gradebook:
            print(f"course/{course.id}: its gradebook is in PostgreSQL, and not in this archive: save it with pg_dump")
    taken = archive.Archive(path, {name: {"folder": str(folder)} for name, folder in parts.items()})
    try:
        for name, folder in parts.items():
            ours = DATABASES.get(name.partition("/")[0], ())
            taken.add(name, folder, databases=ours, without=NOT_STATE if name == "state" else frozenset())
        taken.close()
    except BaseException:
        taken.drop()
        raise
    for name in taken.changed:
        print(f"{shown(name)}: changed while it was read; the next archive has it")
    for name, why in taken.refused.items():
        print(f"{shown(name)[:200]}: left out: {why}")
    print(f"{path}: {len(parts)} parts, {len(taken.files)} files, {path.stat().st_size / 1e6:.0f} MB")


def show(found: dict, path: Path) -> None:
    """What is in an archive."""
    print(f"{path} is whole.")
    for name, part in found["parts"].items():
        files = [entry for file, entry in found["files"].items() if file == name or file.startswith(f"{name}/")]
        size = sum(entry[1] for entry in files) / 1e6
        print(f"  {name:30} {len(files):7} files {size:9.1f} MB   from {part['folder']}")


def restore(settings: Settings, path: Path, replace: bool, only: list[str] | None) -> None:
    """Bring parts back: each is unpacked beside its place first, and then takes it in one step."""
    running = settings.state / "jupyterhub.pid"
    if running.exists() and Path("/proc", running.read_text().strip()).exists():
        raise ClassroomError(f"the hub runs (process {running.read_text().strip()}): stop it first")
    found = archive.check(path)  # wholly, before anything is touched
    wanted = only or list(found["parts"])
    unknown = sorted(set(wanted) - set(found["parts"]))
    if unknown:
        raise ClassroomError(f"{path}: there is no {unknown[0]} in it; there are {', '.join(found['parts'])}")
    places = {name: place(settings, name) for name in wanted}
    taken = [f"{name} ({folder})" for name, folder in places.items() if folder.is_dir() and any(folder.iterdir())]
    if taken and not replace:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise ClassroomError(f"there is something already in {taken[0]}{more}: --replace moves it aside")
    for name, folder in places.items():
        process = works_in(folder) if settings.accounts == "system" and name.startswith("home/") else None
        if process:  # with systemd, servers outlive the hub: it would go on in what is moved aside
            whose = name.removeprefix("home/")
            server = f"systemctl stop jupyter-{whose}-singleuser" if SYSTEMD.is_dir() else f"kill {process}"
            raise ClassroomError(f"{name}: process {process} works in {folder}: end {whose}'s server first ({server})")
    beside = {name: folder.with_name(f".{folder.name}.restored") for name, folder in places.items()}
    try:
        unpack(path, beside)
    except BaseException:
        for folder in beside.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    now = time.strftime("%Y-%m-%d-%H%M%S")
    for name, folder in places.items():
        if name == "state" and (folder / "homes").is_dir():  # which are parts of their own
            (folder / "homes").rename(beside[name] / "homes")
        if folder.exists():
            if any(folder.iterdir()):
                aside = folder.with_name(f"{folder.name}{_ASIDE}{now}")
                folder.rename(aside)
                print(f"{name}: what was there is {aside}")
            else:  # made on the way to homes, say
                folder.rmdir()
        beside[name].rename(folder)
        print(f"{name}: restored in {folder}")


def works_in(home: Path) -> int | None:
    """A process that works in a home, such as its owner's server."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is the kernel's
            if (process / "cwd").resolve().is_relative_to(home.resolve()):
                return int(process.name)
    return None


def place(settings: Settings, name: str) -> Path:
    """Where a part belongs on this machine."""
    kind, _, rest = name.partition("/")
    if kind == "state":
        return settings.state
    if kind == "course":
        for course in settings.courses:
            if course.id == rest:
                return course.folder
        raise ClassroomError(f"{name}: expected a course of hub.yml; put it there, or name others with --only")
    if settings.accounts != "system":
        return settings.state / "homes" / rest
    try:
        return Path(pwd.getpwnam(rest).pw_dir)
    except KeyError:
        raise ClassroomError(f"{name}: there is no account {rest}: make it, or name others with --only") from None


def unpack(path: Path, places: dict[str, Path]) -> None:
    """Unpack parts into new folders, with owners by their names where this machine knows them."""
    for folder in places.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    later = []  # modes and links last: a folder may be closed to writing, and no link is there to be followed
    for entry, file in archive.read(path):
        part = next((name for name in places if entry.name == name or entry.name.startswith(f"{name}/")), None)
        if part is None:
            continue
        target = places[part] / entry.name[len(part) :].lstrip("/")
        if entry.isdir():
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif entry.isreg():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(target, "xb") as out:
                shutil.copyfileobj(file, out)
        later.append((entry, target))
    for entry, target in reversed(later):
        if entry.issym():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.symlink_to(entry.linkname)
    for entry, target in reversed(later):
        owned(entry, target)
        if not entry.issym():
            target.chmod(entry.mode & 0o777)
            os.utime(target, (entry.mtime, entry.mtime))


def owned(entry: tarfile.TarInfo, target: Path) -> None:
    """Give an entry to who it belonged to; only root can."""
    if os.geteuid() != 0:
        return
    user, group = entry.uid, entry.gid
    with contextlib.suppress(KeyError):
        account = pwd.getpwnam(entry.uname)
        user, group = account.pw_uid, account.pw_gid
    os.chown(target, user, group, follow_symlinks=False)


if __name__ == "__main__":
    main()
