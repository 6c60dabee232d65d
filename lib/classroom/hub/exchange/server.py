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

from classroom.errors import RefusedError, ServiceError
from classroom.intake.files import check
from classroom.terminal import one_line

MOST_BYTES = 30_000_000  # of all files of one release or submission; packed it fits into the service's limit
_MOST_ANSWER = 100  # MB
_SECONDS = (5, 60)  # to be connected, between two pieces of an answer
_WORDS = {
    "GET": "what you have is as it was; try again in a few minutes",
    "POST": "what you sent may have arrived; look at the list in a few minutes, and send it again if it is not there",
    401: "the exchange does not know you: stop your server (File > Hub Control Panel) and start it again",
    403: "{user} is no member of {course} who may do this: ask your instructor, then stop and start your server",
    410: "{assignment} was withdrawn by the instructor: ask them whether it comes back; what you wrote is as it was",
    500: "the exchange has a fault (HTTP {status}): what you have is as it was; tell your instructor",
    "Course not found": "there is no course {course} in the exchange",
    "Assignment not found": "{assignment} has not been released in {course}",
}


class Server:
    """The exchange, for the user whose token JUPYTERHUB_API_TOKEN is."""

    def __init__(self) -> None:
        names = ("NGSHARE_URL", "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ServiceError(f"no exchange: {missing[0]} is not set, as it is in a server that JupyterHub starts")
        self.url, token, self.user = (os.environ[name] for name in names)
        self._web = requests.Session()
        self._web.trust_env = False  # neither ~/.netrc nor a proxy gets to see or to change the token
        self._web.headers["Authorization"] = f"token {token}"

    def get(self, *path: str, **fields: str) -> dict:
        """What is at a path, such as `("assignments", COURSE)`; ServiceError if it can't be had."""
        return self._ask("GET", path, params=fields)

    def post(self, *path: str, files: Mapping[str, bytes], **fields: str) -> dict:
        """Send files to a path; ServiceError if they were not taken."""
        packed = [{"path": name, "content": base64.b64encode(data).decode()} for name, data in files.items()]
        return self._ask("POST", path, data={"files": json.dumps(packed), **fields})

    def _ask(self, method: str, path: tuple[str, ...], **what: object) -> dict:
        url = f"{self.url.rstrip('/')}/{'/'.join(quote(part, safe='') for part in path)}"
        try:
            with self._web.request(method, url, timeout=_SECONDS, allow_redirects=False, stream=True, **what) as answer:
                body = b"".join(islice(answer.iter_content(1_000_000), _MOST_ANSWER))
        except (requests.RequestException, OSError) as error:
            why = "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
            raise ServiceError(f"the exchange does not answer ({why}): {_WORDS[method]}") from None
        try:
            said = json.loads(body)
            reason = one_line(str(said.get("message", "")))[:200]
        except (ValueError, AttributeError):
            said, reason = {}, ""
        if answer.status_code == 200 and said.get("success") is True:
            return said
        known = dict(zip(("kind", "course", "assignment"), (*path, "any course", ""), strict=False))
        words = _WORDS.get(min(answer.status_code, 500)) or _WORDS.get(reason) or ("" if reason else _WORDS[500])
        raise ServiceError(words.format(**known, user=self.user, status=answer.status_code) or reason)


def unpack(answer: dict) -> tuple[dict[str, bytes], dict[str, str]]:
    """An answer's files: contents by path (empty if only listed), and by path why a file is not to be had.

    Paths are as somebody sent them: one that leads elsewhere, or that no file can have, is among the reasons.
    """
    files, refused = {}, {}
    for entry in answer["files"]:
        try:
            files[check(entry["path"])] = base64.b64decode(entry.get("content", ""))
        except (RefusedError, ValueError) as error:
            refused[one_line(entry["path"])[:100]] = str(error)
    return files, refused
