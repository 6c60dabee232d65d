"""Saving into a full home: what was saved before stays, and the person reads what to do.

jupyter_server 2 writes over the file itself and keeps a copy beside it until the end; on a full disk it fails after the
point at which it would have put the copy back. Here the new text is written beside the file, and takes its place when
all of it is on the disk. A page of the course's own for which there is no space is shown from memory.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError
from traitlets import Dict

FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "your home has no space left", errno.EFBIG: "it is too large"}
_WORDS = (
    "{name} was not saved: {why}. The file is as you last saved it, and what you see stays in this tab: "
    "remove something that you don't need (in a terminal: du -sh ~/* ~/.cache shows what is large), then save again."
)


class CarefulManager(AsyncLargeFileManager):
    """Jupyter's own, which loses nothing when there is no space."""

    unsaved = Dict(help="Texts that are shown in the place of files, by their paths: there was no space for them.")

    def keep(self, path: str, text: str | None) -> bool:
        """Show this in the place of a file, or (None) the file again; whether that is something else than before."""
        before = self.unsaved.pop(path, None)
        if text is not None:
            same = before is not None and before[0] == text
            self.unsaved[path] = before if same else (text, datetime.now(UTC))
        return before != self.unsaved.get(path)

    async def get(self, path: str, content: bool = True, type: str | None = None, *more: object, **how: object) -> dict:
        """See ContentsManager."""
        if path.strip("/") not in self.unsaved or type not in (None, "file"):
            return await super().get(path, content, type, *more, **how)
        text, since = self.unsaved[path.strip("/")]
        model = {"name": path.rpartition("/")[2], "path": path.strip("/"), "type": "file", "writable": True}
        model |= {"created": since, "last_modified": since, "size": len(text.encode())}
        model |= {"mimetype": "text/markdown" if content else None, "format": "text" if content else None}
        return model | {"content": text if content else None} | self._get_hash(text.encode())

    @contextlib.contextmanager
    def atomic_writing(self, os_path: str, *args: object, **kwargs: object) -> Iterator[IO]:
        """See FileManagerMixin."""
        place = os.path.realpath(os_path)
        folder, name = os.path.split(place)
        if not os.access(folder, os.W_OK) or (os.path.exists(place) and not os.path.isfile(place)):
            with super().atomic_writing(os_path, *args, **kwargs) as file:
                yield file
            return
        half = os.path.join(folder, f".~{name}.new")
        try:
            with self.perm_to_403(os_path):
                if os.path.exists(place) and not os.access(place, os.W_OK):
                    raise PermissionError(errno.EACCES, "the file is not writable", place)
                with self._opened(half, *args, **kwargs) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                if os.path.exists(place):
                    shutil.copymode(place, half)
                os.replace(half, place)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.log.warning("%s was not saved: %s", os_path, error)
            raise HTTPError(507, _WORDS.format(name=name, why=FULL[error.errno])) from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(half)

    @contextlib.contextmanager
    def _opened(self, half: str, text: bool = True, encoding: str = "utf-8", **kwargs: object) -> Iterator[IO]:
        how = {"mode": "w", "encoding": encoding, "newline": kwargs.get("newline", "\n")} if text else {"mode": "wb"}
        file = open(half, **how)  # noqa: SIM115  (closed below: closing tries once more to write, and fails again)
        try:
            yield file
        except BaseException:
            with contextlib.suppress(OSError):
                file.close()
            raise
        file.close()
