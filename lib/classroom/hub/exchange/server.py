"""The service as its users see it: requests in this user's name, files packed and unpacked, errors in words.

Source: https://ngshare.readthedocs.io, "Server API"; what hub/ngshare_service.py changes is said there.
"""

import base64
import json
import os
from collections.abc import Mapping
from itertools import islice
from urllib.parse import quote

import requests

from classroom.errors import RefusedError
from classroom.terminal import one_line

MOST_BYTES = 30_000_000  # of all files of one release or submission; packed it fits into the service's limit
_MOST_ANSWER = 100  # MB
_LONGEST_PART, _LONGEST_PATH = 255, 500
_SECONDS = (5, 60)  # to be connected, between two pieces of an answer
_WORDS = {
    401: "the exchange does not know you: stop your server (File > Hub Control Panel) and start it again",
    403: "{user} is no member of {course} who may do this: ask your instructor, then stop and start your server",
    410: "{assignment} was withdrawn by the instructor; what you wrote is as it was",
    500: "the exchange has a fault (HTTP {status}): what you have is as it was; tell your instructor",
    "Course not found": "there is no course {course} in the exchange",
    "Assignment not found": "{assignment} has not been released in {course}",
}


class ServiceError(Exception):
    """The service does not do what was asked; the message says why, in words for the person who asked."""


class Server:
    """The exchange, for the user whose token JUPYTERHUB_API_TOKEN is."""

    def __init__(self) -> None:
        names = ("NGSHARE_URL", "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ServiceError(f"no exchange: {missing[0]} is not set, as it is in a server that JupyterHub starts")
        self.url, token, self.user = (os.environ[name] for name in names)
        self._session = requests.Session()
        self._session.trust_env = False  # neither ~/.netrc nor a proxy gets to see or to change the token
        self._session.headers["Authorization"] = f"token {token}"

    def get(self, *path: str, **fields: str) -> dict:
        """What is at a path, such as `("assignments", COURSE)`; ServiceError if it can't be had."""
        return self._ask("GET", path, params=fields)

    def post(self, *path: str, files: Mapping[str, bytes], **fields: str) -> dict:
        """Send files to a path; ServiceError if they were not taken."""
        packed = [{"path": name, "content": base64.b64encode(data).decode()} for name, data in files.items()]
        return self._ask("POST", path, data={"files": json.dumps(packed), **fields})

    def _ask(self, method: str, path: tuple[str, ...], **what: object) -> dict:
        url = f"{self.url.rstrip('/')}/{'/'.join(quote(part, safe='') for part in path)}"
        what |= {"timeout": _SECONDS, "allow_redirects": False, "stream": True}
        try:
            with self._session.request(method, url, **what) as answer:
                body = b"".join(islice(answer.iter_content(1_000_000), _MOST_ANSWER))
        except (requests.RequestException, OSError) as error:
            why = "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
            what_now = "look at the list whether it arrived, and" if method == "POST" else "what you have is as it was;"
            raise ServiceError(f"the exchange does not answer ({why}): {what_now} try again in a few minutes") from None
        try:
            said = json.loads(body)
            reason = one_line(str(said.get("message", "")))[:200]
        except (ValueError, AttributeError):
            said, reason = {}, ""
        if answer.status_code == 200 and said.get("success") is True:
            return said
        course, assignment = (*path[1:3], "", "")[:2]
        known = {"user": self.user, "course": course or "any course", "assignment": assignment}
        words = _WORDS.get(min(answer.status_code, 500)) or _WORDS.get(reason) or ("" if reason else _WORDS[500])
        raise ServiceError(words.format(**known, status=answer.status_code) or reason)


def unpack(answer: dict) -> tuple[dict[str, bytes], dict[str, str]]:
    """An answer's files: contents by path (empty if only listed), and by path why a file is not to be had.

    Paths are as somebody sent them: one that leads elsewhere, or that no file can have, is among the reasons.
    """
    files: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    for entry in answer["files"]:
        try:
            check(entry["path"])
            files[entry["path"]] = base64.b64decode(entry.get("content", ""))
        except (RefusedError, ValueError) as error:
            refused[one_line(entry["path"])[:100]] = str(error)
    return files, refused


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
