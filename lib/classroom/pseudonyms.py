"""Names for pages that somebody else may see over a shoulder: one a student and class, the same in every page and term.

A pseudonym is a keyed hash (HMAC-SHA-256) of the student and says nothing of them. The key is made once and stays in
the class's folder, which nobody but the instructor reads; who has it and a list of names can find out who is who, and
without it nobody can, whatever list they have.
"""

import base64
import hmac
import os
import secrets

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import writing

KEY = "pseudonyms.key"  # in the class's folder
_KEY_BYTES = 32
_LETTERS = 8  # of base 32: two of 10,000 students share a name in one class out of 20,000


class Pseudonyms:
    """The pseudonyms of one class; a key is made where there is none.

    Args:
        folder: the class; its lock is held by the caller.

    Raises:
        ClassroomError: the key is damaged, or the folder cannot be written to.
    """

    def __init__(self, folder: Folder) -> None:
        path = folder.home / KEY
        with writing(path):
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                self._key = path.read_bytes()
            else:
                self._key = secrets.token_bytes(_KEY_BYTES)
                with os.fdopen(handle, "wb") as file:
                    file.write(self._key)
        if len(self._key) != _KEY_BYTES:
            raise ClassroomError(
                f"{folder.shown(path)}: expected {_KEY_BYTES} bytes, got {len(self._key)}; remove it, and a new one is "
                "made, with other pseudonyms than on the pages so far"
            )

    def of(self, student: str) -> str:
        """The student's pseudonym, such as `p-k3mv-9x2a`."""
        mark = hmac.digest(self._key, os.fsencode(student), "sha256")
        letters = base64.b32encode(mark).decode().lower()[:_LETTERS]
        return f"p-{letters[:4]}-{letters[4:]}"
