"""Looking into a folder that a student could write to: nothing is followed, nothing is opened that is not a plain file.

Every folder on the way is opened by itself, relative to the one before and without following a link, so that a name
that is exchanged for a link between looking and opening leads nowhere. What is written for somebody, under a name that
another one chose, stays in its folder too.
"""

import os
import pwd
import stat
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from classroom.errors import RefusedError
from classroom.terminal import one_line

MAX_FILE = 100_000_000  # bytes: a notebook with its outputs
MAX_ENTRIES = 200_000  # of a source: a class's files
MAX_DEPTH = 12
_LONGEST_PART, _LONGEST_PATH = 255, 500  # bytes of a file's name; letters of a path
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would make us wait for ever


@dataclass(frozen=True)
class Entry:
    """A file as listed, not read yet; `reason` says why it never will be."""

    path: str  # relative, with /, in Unicode's composed form
    reason: str = ""
    raw: object = None  # by what its tree finds it again
    changed: float = 0.0  # the server's clock
    owner: int = -1


class FolderTree:
    """The files under a folder. Use it in a `with` statement.

    Args:
        place: the folder; it may be a link only if `followed`.
        within: where to look for it, opened without following links either.
    """

    def __init__(self, place: Path, *, followed: bool = False, within: int | None = None) -> None:
        flags = _FOLDER & ~os.O_NOFOLLOW if followed else _FOLDER
        try:
            self.root = os.open(place, flags, dir_fd=within)
        except OSError as error:
            raise RefusedError(_why_not(error, place, within)) from None
        found = os.fstat(self.root)
        self.changed, self.owner = found.st_ctime, found.st_uid

    def __enter__(self) -> "FolderTree":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.root)

    def entries(self, depth: int = MAX_DEPTH) -> Iterator[Entry]:
        """All files, links and other things, in order; nothing is opened but folders.

        Raises:
            RefusedError: if there are more than anybody hands in.
        """
        for number, entry in enumerate(self._walk(self.root, (), depth)):
            if number >= MAX_ENTRIES:
                raise RefusedError(f"more than {MAX_ENTRIES:,} files")
            yield entry

    def _walk(self, folder: int, above: tuple[str, ...], depth: int) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Entry(shown("/".join(above)), f"a folder that can't be listed: {error.strerror}", above or ("",))
            return
        for item in found:
            raw = (*above, item.name)
            path = shown("/".join(raw))
            try:
                status = os.stat(item.name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue  # removed while we looked
            except OSError as error:  # a folder that may be listed and not entered
                yield Entry(path, f"can't be looked at: {error.strerror}", raw)
                continue
            reason = "" if stat.S_ISREG(status.st_mode) else "not a regular file"
            if stat.S_ISLNK(status.st_mode):
                reason = "a link, not a file"
            elif stat.S_ISDIR(status.st_mode):
                if len(raw) >= depth:
                    yield Entry(path, f"a folder in more than {depth} folders", raw)
                    continue
                try:
                    inner = os.open(item.name, _FOLDER, dir_fd=folder)
                except OSError as error:
                    yield Entry(path, f"a folder that can't be opened: {error.strerror}", raw)
                    continue
                try:
                    yield from self._walk(inner, raw, depth)
                finally:
                    os.close(inner)
                continue
            yield Entry(path, reason, raw, status.st_ctime, status.st_uid)

    def read(self, entry: Entry, most: int = MAX_FILE) -> bytes:
        """A file's bytes.

        Raises:
            RefusedError: if it is no regular file of at most `most` bytes.
        """
        return self.read_with_status(entry, most)[0]

    def read_with_status(self, entry: Entry, most: int = MAX_FILE) -> tuple[bytes, os.stat_result]:
        """A file's bytes, and what the system says of it after they were read."""
        if entry.reason:
            raise RefusedError(entry.reason)
        *folders, name = entry.raw
        with _opened(self.root, folders) as folder:
            return _read(name, most, folder)


def read_regular(path: Path, most: int = MAX_FILE) -> bytes:
    """The bytes of a regular file of reasonable size; a link is not followed.

    Raises:
        RefusedError: if it is something else.
    """
    return _read(path, most, None)[0]


def check(path: str) -> str:
    """The path, if it is one of a file within a folder; RefusedError if not."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path:
        raise RefusedError("a path that leads out of the folder")
    if len(path) > _LONGEST_PATH or max(len(part.encode("utf-8", "replace")) for part in parts) > _LONGEST_PART:
        raise RefusedError("a name that no file can have")
    if "\0" in path or one_line(path) != path:
        raise RefusedError("a name with characters that are not shown")
    return path


def write(folder: Path, name: str, data: bytes, *, replace: bool) -> None:
    """Write a file within a folder, whole or not at all and through no link; what is there stays, unless `replace`."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.parent.resolve() != target.parent:
        raise RefusedError(f"{target.parent} is a link: not written")
    if not replace and os.path.lexists(target):
        return
    handle, half = tempfile.mkstemp(dir=target.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(half, 0o644)
        os.replace(half, target)
    except BaseException as error:
        os.unlink(half)
        if isinstance(error, OSError):  # of a disk that is full, whose error names no file
            error.filename = str(target)
        raise


def user(number: int) -> str:
    """The name of a user of this machine."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user number {number}"


def shown(name: str) -> str:
    """A name as text: composed Unicode, and with what no terminal, table or file of ours can show spelled out."""
    return one_line(unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")))


@contextmanager
def _opened(root: int, folders: list[str]) -> Iterator[int]:
    """The innermost of the folders, each opened in the one before."""
    here = os.dup(root)
    try:
        for name in folders:
            try:
                inner = os.open(name, _FOLDER, dir_fd=here)
            except OSError as error:
                raise RefusedError(_why_not(error, name, here)) from None
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def _read(path: Path | str, most: int, within: int | None) -> tuple[bytes, os.stat_result]:
    try:
        handle = os.open(path, _FILE, dir_fd=within)
    except OSError as error:
        raise RefusedError(_why_not(error, path, within)) from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise RefusedError("not a regular file")
    with os.fdopen(handle, "rb") as file:
        try:
            data = file.read(most + 1) if found.st_size <= most else b""
        except OSError as error:  # of a network's or a student's own file system
            raise RefusedError(f"can't be read: {error.strerror}") from None
        if max(found.st_size, len(data)) > most:
            size = max(found.st_size, len(data))
            raise RefusedError(f"{size / 1e6:.1f} MB, expected at most {most / 1e6:g}")
        return data, os.fstat(file.fileno())


def _why_not(error: OSError, path: Path | str, within: int | None) -> str:
    try:
        if stat.S_ISLNK(os.stat(path, dir_fd=within, follow_symlinks=False).st_mode):
            return "a link, not a file"
    except OSError:
        return str(error.strerror)  # it is gone by now; the first reason is the telling one
    return str(error.strerror)
