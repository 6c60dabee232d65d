"""The class's own random numbers, for `deeppractice.checks.fresh_seed`.

Tests draw the same for a whole class, and nobody who does not have the class's secret can know what.
"""

import hmac
import os
import secrets

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import writing

SECRET = "secret"  # in the class's folder, which nobody but the instructor reads
_BYTES = 32


def class_seed(folder: Folder, project: str, *, make: bool = True) -> int | None:
    """The seed of a project in this class, from 0 to 2**31 - 1.

    Args:
        make: a secret where there is none; without that, None then. The caller holds the class's lock.

    Raises:
        ClassroomError: the secret is damaged, or the folder cannot be written to.
    """
    path = folder.home / SECRET
    if make:
        make_secret(folder)
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClassroomError(f"{folder.shown(path)} cannot be read: {(error.strerror or '').lower()}") from None
    if len(secret) != _BYTES:
        raise ClassroomError(
            f"{folder.shown(path)}: expected {_BYTES} bytes, got {len(secret)}; remove it, and a new one is made, with "
            "which everybody is graded again"
        )
    return int.from_bytes(hmac.digest(secret, project.encode(), "sha256")[:4], "big") >> 1


def make_secret(folder: Folder, secret: bytes | None = None) -> None:
    """Write the class's secret where there is none: a random one, or the one that is given."""
    path = folder.home / SECRET
    if path.exists():
        return
    # Whole or not at all, also where it is killed: half a secret would be one that nobody can use.
    fresh = path.with_name(f".{SECRET}.new")
    with writing(path):
        folder.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secret or secrets.token_bytes(_BYTES))
        fresh.rename(path)
