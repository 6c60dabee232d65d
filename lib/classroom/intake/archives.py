"""Looking into a zip or tar without unpacking it: each wanted file is read into memory after its name has been checked.

Refused are links and devices, absolute and parent paths, a name that is there twice, a file that is encrypted or packed
more than a hundredfold, and an archive that would grow more than a hundredfold in all.
"""

import bz2
import gzip
import io
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from classroom.errors import ClassroomError, RefusedError
from classroom.intake.files import MAX_ENTRIES, MAX_FILE, Entry, shown

MAX_RATIO = 100
SMALL = 1_000_000  # bytes: below, the ratio does not matter
MAX_IN_ALL = 50_000_000_000
_PACKERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def open_archive(path: Path) -> "ZipTree | TarTree | None":
    """The archive's tree, to be used in a `with` statement; None if the file is neither zip nor tar."""
    if zipfile.is_zipfile(path):
        return ZipTree(path)
    with open(path, "rb") as file:
        head = file.read(512)
    packed = any(head.startswith(mark) for mark, _ in _PACKERS)
    return TarTree(path) if packed or head[257:262] == b"ustar" else None


def path_reason(name: str) -> str:
    """Why a file of this name is not taken out of an archive; empty if it may be."""
    if not name or "\0" in name or len(name) > 1000:
        return "a name that no file can have"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path that leads out of the archive"
    return ""


class _ArchiveTree:
    """What zip and tar have in common."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def entries(self) -> list[Entry]:
        """The archive's files, in order; those that are refused with the reason.

        Raises:
            ClassroomError: if it is damaged, or more than a class hands in.
        """
        found = []
        try:
            for name, reason, member in self._members():
                path = shown(name.replace("\\", "/")).removeprefix("./")
                found.append(Entry(path, path_reason(path) or reason, member))
                if len(found) > MAX_ENTRIES:
                    raise ClassroomError(f"{self.path}: more than {MAX_ENTRIES:,} files")
        except _DAMAGED as error:
            raise ClassroomError(f"{self.path}: the archive is damaged: {error}") from None
        count = Counter(entry.path for entry in found)
        return [
            replace(entry, reason="there more than once in the archive") if count[entry.path] > 1 else entry
            for entry in found
        ]

    def read(self, entry: Entry, most: int = MAX_FILE) -> bytes:
        """A file's bytes.

        Raises:
            RefusedError: if it is refused, damaged or has more than `most` bytes.
        """
        if entry.reason:
            raise RefusedError(entry.reason)
        try:
            with self._open(entry.raw) as file:
                data = file.read(most + 1)
        except (*_DAMAGED, NotImplementedError, RuntimeError) as error:
            raise RefusedError(f"damaged in the archive: {error}") from None
        if len(data) > most:
            raise RefusedError(f"more than {most / 1e6:g} MB")
        return data

    def _members(self) -> Iterator[tuple[str, str, object]]:
        raise NotImplementedError

    def _open(self, member: object) -> io.BufferedIOBase:
        raise NotImplementedError


class ZipTree(_ArchiveTree):
    """The files of a zip."""

    def __enter__(self) -> "ZipTree":
        try:
            self.zip = zipfile.ZipFile(self.path)
        except _DAMAGED as error:
            raise ClassroomError(f"{self.path}: the archive is damaged: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    def _members(self) -> Iterator[tuple[str, str, zipfile.ZipInfo]]:
        for member in self.zip.infolist():
            if member.is_dir():
                continue
            mode = stat.S_IFMT(member.external_attr >> 16)
            reason = "" if mode in (0, stat.S_IFREG) else "not a regular file"
            if mode == stat.S_IFLNK:
                reason = "a link, not a file"
            elif member.flag_bits & 1:
                reason = "encrypted"
            elif member.file_size > max(SMALL, MAX_RATIO * member.compress_size):
                reason = f"packed more than {MAX_RATIO} times"
            yield member.orig_filename, reason, member

    def _open(self, member: zipfile.ZipInfo) -> io.BufferedIOBase:
        return self.zip.open(member)


class TarTree(_ArchiveTree):
    """The files of a tar, packed or not."""

    def __enter__(self) -> "TarTree":
        with open(self.path, "rb") as file:
            head = file.read(8)
        opener = next((opener for mark, opener in _PACKERS if head.startswith(mark)), open)
        self.plain = opener is open
        self.file = _Bounded(opener(self.path, "rb"), self.most())
        try:
            self.tar = tarfile.open(fileobj=self.file, mode="r:")
        except (*_DAMAGED, RefusedError) as error:
            self.file.close()
            raise ClassroomError(f"{self.path}: the archive is damaged: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.tar.close()
        self.file.close()

    def most(self) -> int:
        """How far it may be unpacked."""
        return self.size if self.plain else min(MAX_IN_ALL, max(MAX_FILE, MAX_RATIO * self.size))

    def _members(self) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
        try:
            for member in self.tar:
                if member.isdir():
                    continue
                reason = "" if member.isreg() and not member.issparse() else "not a regular file"
                if member.issym() or member.islnk():
                    reason = "a link, not a file"
                yield member.name, reason, member
        except RefusedError as error:
            raise ClassroomError(f"{self.path}: {error}") from None

    def _open(self, member: tarfile.TarInfo) -> io.BufferedIOBase:
        return self.tar.extractfile(member)


class _Bounded:
    """A file that refuses to be read beyond a point, or much at once: tar's own headers may claim any size."""

    def __init__(self, file: io.BufferedIOBase, most: int) -> None:
        self.file, self.most = file, most
        self.close, self.tell = file.close, file.tell

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_FILE + 1 or self.file.tell() > self.most:
            raise RefusedError(f"unpacks to more than {MAX_RATIO} times its size")
        return self.file.read(size)

    def seek(self, position: int, whence: int = 0) -> int:
        if whence == 0 and position > self.most:
            raise RefusedError(f"unpacks to more than {MAX_RATIO} times its size")
        return self.file.seek(position, whence)
