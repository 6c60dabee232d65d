"""Folders as one file, and back: what backup.py stands on.

An archive is a tar file, compressed, with a list of its files and their checksums at its end. One without the list was
not written to its end; one whose files differ from the list is damaged. Nothing in it is executed or followed.
"""

import contextlib
import grp
import gzip
import hashlib
import io
import json
import os
import pwd
import sqlite3
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from classroom.errors import ClassroomError

LIST = "contents.json"
VERSION = 1
LEFT_OUT = {".cache", ".jupyter-run", "__pycache__"}  # made again when missing
# What somebody makes to keep a backup from ending, or from being unpacked: left out, and named.
_DEEPEST, _LONGEST = 100, 3000  # folders in folders, bytes of a path; Linux takes no longer path than 4095
_EMPTY = 100  # a file of 1 GB and more is mostly a hole, if it takes less than a hundredth of its size
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SQLITE = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")  # of a database: the copy needs none


class Archive:
    """An archive that is being written; `close` makes it one."""

    def __init__(self, path: Path, parts: dict[str, dict]) -> None:
        self.path, self.half = path, path.with_name(f"{path.name}.half")
        self.files: dict[str, list] = {}
        self.changed: list[str] = []
        self.refused: dict[str, str] = {}  # and why
        self.parts = parts
        descriptor = os.open(self.half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self.raw = os.fdopen(descriptor, "wb")
        self.tar = tarfile.open(  # noqa: SIM115  (until close)
            fileobj=self.raw, mode="w:gz", compresslevel=3, format=tarfile.PAX_FORMAT
        )

    def add(
        self, part: str, top: Path, databases: Collection[str] = (), without: Collection[str] = frozenset()
    ) -> None:
        """Add a folder under the name of its part.

        Args:
            part: such as home/ben.
            top: the folder.
            databases: patterns of paths below it, of SQLite databases that are copied as SQLite does it, whole while
                others write. Name only what nobody else writes: a file that merely looks like one is a file.
            without: names directly below the folder that are left out.
        """
        gone = set()
        for place in sorted({found for pattern in databases for found in top.glob(pattern) if _is_database(found)}):
            # First: what a database speaks of is there by the time that the files are read.
            self._database(f"{part}/{place.relative_to(top)}", place)
            gone |= {f"{part}/{place.relative_to(top)}{more}" for more in ("", *_BESIDE)}
        gone |= {f"{part}/{name}" for name in without}
        at = os.open(top, _FOLDER & ~os.O_NOFOLLOW)
        try:
            self._folder(part, at, gone, 0)
        finally:
            os.close(at)

    def _folder(self, said: str, at: int, gone: set[str], depth: int) -> None:
        """An open folder, and all that is in it."""
        self._entry(said, os.fstat(at), tarfile.DIRTYPE)
        for name in sorted(os.listdir(at)):
            path = f"{said}/{name}"
            if name in LEFT_OUT or path in gone:
                continue
            try:
                about = os.lstat(name, dir_fd=at)
                if why := _too_much(path, about, depth):
                    self.refused[path] = why
                elif stat.S_ISDIR(about.st_mode):
                    inner = os.open(name, _FOLDER, dir_fd=at)
                    try:
                        self._folder(path, inner, gone, depth + 1)
                    finally:
                        os.close(inner)
                else:
                    self._file(path, name, at, about)
            except OSError as error:  # removed, swapped or closed since the folder was listed
                if error.filename is None:  # the archive's own disk, not this file
                    raise
                self.changed.append(path)

    def _database(self, said: str, place: Path) -> None:
        # Writable, since what a killed writer left behind is put right by whoever opens it next.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            source, target = sqlite3.connect(f"file:{place}?mode=rw", uri=True, timeout=60), sqlite3.connect(copy)
            try:
                source.backup(target)
            except sqlite3.Error as error:
                raise ClassroomError(
                    f"{place}: the database can't be read whole ({error}); nothing was saved"
                ) from None
            finally:
                source.close()
                target.close()
            with open(copy, "rb") as file:
                self._entry(said, place.stat(), tarfile.REGTYPE, file, copy.stat().st_size)

    def _file(self, said: str, name: str, at: int, about: os.stat_result) -> None:
        """A file by its name in an open folder: its owner may swap it for a link meanwhile, and it is not followed."""
        if stat.S_ISLNK(about.st_mode):
            self._entry(said, about, tarfile.SYMTYPE, link=os.readlink(name, dir_fd=at))
        elif stat.S_ISREG(about.st_mode):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
            with os.fdopen(descriptor, "rb") as file:
                about = os.fstat(descriptor)
                if stat.S_ISREG(about.st_mode) and not _too_much(said, about, 0):
                    self._entry(said, about, tarfile.REGTYPE, file, about.st_size)

    def _entry(self, said: str, about: os.stat_result, kind: bytes, file=None, size: int = 0, link: str = "") -> None:
        entry = tarfile.TarInfo(said)
        entry.type, entry.size, entry.linkname = kind, size, link
        entry.mode, entry.mtime = stat.S_IMODE(about.st_mode) & 0o777, about.st_mtime
        entry.uid, entry.gid = about.st_uid, about.st_gid
        entry.uname, entry.gname = _name(pwd.getpwuid, about.st_uid), _name(grp.getgrgid, about.st_gid)
        read = _Exactly(file, size)
        self.tar.addfile(entry, read if kind == tarfile.REGTYPE else None)
        if read.short:
            self.changed.append(said)
        self.files[said] = [kind.decode(), size, read.sum.hexdigest() if kind == tarfile.REGTYPE else link]

    def close(self) -> None:
        """Write the list, and give the archive its name."""
        text = json.dumps({"version": VERSION, "parts": self.parts, "files": self.files}).encode()
        entry = tarfile.TarInfo(LIST)
        entry.size = len(text)
        self.tar.addfile(entry, io.BytesIO(text))
        self.tar.close()
        self.raw.flush()
        os.fsync(self.raw.fileno())
        self.raw.close()
        self.half.rename(self.path)

    def drop(self) -> None:
        """Leave nothing of one that could not be written to its end."""
        self.raw.close()
        self.half.unlink(missing_ok=True)


class _Exactly:
    """A file's first bytes, as many as it had when it was opened; zeros where it has become shorter."""

    def __init__(self, file, size: int) -> None:
        self.file, self.left, self.short, self.sum = file, size, False, hashlib.sha256()

    def read(self, count: int) -> bytes:
        data = self.file.read(min(count, self.left))
        if len(data) < min(count, self.left):
            self.short = True
            data += bytes(min(count, self.left) - len(data))
        self.left -= len(data)
        self.sum.update(data)
        return data


def _too_much(said: str, about: os.stat_result, depth: int) -> str:
    """Why something is left out, if it is."""
    if stat.S_ISDIR(about.st_mode) and depth >= _DEEPEST:
        return f"a folder in more than {_DEEPEST} folders"
    if len(os.fsencode(said)) > _LONGEST:
        return f"a path of more than {_LONGEST} bytes"
    if stat.S_ISREG(about.st_mode) and about.st_size >= 1 << 30 and about.st_blocks * 512 * _EMPTY < about.st_size:
        return f"a file that says it has {about.st_size / 1e9:,.0f} GB, and is mostly a hole"
    return ""


def _is_database(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _name(look_up, number: int) -> str:
    try:
        return look_up(number)[0]
    except KeyError:
        return ""


def check(path: Path) -> dict:
    """Read an archive through; its list.

    Raises:
        ClassroomError: it is missing, no archive, damaged, or was not written to its end.
    """
    found: dict[str, list] = {}
    for entry, file in read(path):
        if entry.name == LIST:
            try:
                said = json.load(file)
                listed, parts, version = said["files"], said["parts"], said["version"]
            except (ValueError, KeyError, TypeError):
                raise ClassroomError(f"{path}: damaged: its list of files can't be read") from None
            if version != VERSION:
                raise ClassroomError(f"{path}: expected an archive of version {VERSION}, found {version!r}")
            differing = sorted({*found, *listed} - {name for name in found if found[name] == listed.get(name)})
            if differing:
                raise ClassroomError(
                    f"{path}: damaged: {differing[0]} is not as it was saved ({len(differing)} in all)"
                )
            return {"parts": parts, "files": listed}
        told = entry.linkname
        if entry.isreg():
            with speaking(path):
                told = hashlib.file_digest(file, "sha256").hexdigest()
        found[entry.name] = [entry.type.decode(), entry.size, told]
    raise ClassroomError(f"{path}: damaged: it was not written to its end; take an older one")


def read(path: Path) -> Iterator[tuple[tarfile.TarInfo, io.BufferedIOBase | None]]:
    """The entries of an archive in their order, each to be read before the next."""
    with speaking(path), tarfile.open(path, "r|gz") as tar:
        for entry in tar:
            parts = PurePosixPath(entry.name).parts
            if ".." in parts or entry.name.startswith("/") or not (entry.isreg() or entry.isdir() or entry.issym()):
                raise ClassroomError(f"{path}: {entry.name!r} is nothing that a backup holds")
            yield entry, tar.extractfile(entry) if entry.isreg() else None


@contextlib.contextmanager
def speaking(path: Path) -> Iterator[None]:
    """Around what reads an archive: what is wrong with it, in words."""
    try:
        yield
    except FileNotFoundError:
        raise ClassroomError(f"{path} is missing") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ClassroomError(f"{path}: damaged, or no backup ({error})") from None
