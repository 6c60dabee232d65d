"""The exchange as a small HTTP server, which answers as ngshare does, and a course that it knows."""

import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

from classroom.course import Late
from classroom.hub.facts import Given, Told

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
COURSE = Told(
    "course-a",
    "A course",
    "Spring",
    "Europe/Paris",
    (Given("one", "The first", "2026-03-06T22:59:00"), Given("two", "The second", "2026-04-06T21:59:00")),
    Late(15, 10, 3),
)


class Exchange(BaseHTTPRequestHandler):
    """Answers of ngshare, from a table of paths."""

    table: dict[str, object] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        said = self.table.get(self.path.split("?")[0], {"success": False, "message": "Course not found"})
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(200 if isinstance(said, bytes) or said["success"] else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def put(table: dict, name: str, *, sent=(), answered=(), released: bool = True, known: bool = True) -> None:
    """What the exchange knows of an assignment."""
    there = table.setdefault("/assignments/course-a", {"success": True, "assignments": []})["assignments"]
    if known and name not in there:
        there.append(name)
    files = [{"path": f"{name}.ipynb", "checksum": "x"}] if released else []
    table[f"/assignment/course-a/{name}"] = {"success": True, "files": files}
    submissions = [{"student_id": "ada", "timestamp": f"{when} UTC"} for when in sent]
    table[f"/submissions/course-a/{name}/ada"] = {"success": True, "submissions": submissions}
    files = [{"path": f"{name}.html", "checksum": "x"}] if answered else []
    table[f"/feedback/course-a/{name}/ada"] = {"success": True, "files": files}


def row(text: str, name: str) -> str:
    """An assignment's row of the table."""
    (line,) = [line for line in text.splitlines() if line.startswith("|") and name in line.split("|")[1]]
    return line
