"""The exchange for a hub whose users share no disk: ngshare, as a service of JupyterHub, with what it lacks.

    python hub/ngshare_service.py --state /srv/ngshare

The hub starts it (`add_exchange` in hub/exchange_config.py writes the entry) and says in the environment where it
listens and who it is. ngshare 0.6 is its last release. Made good here, each with a test in tests/hub/exchange:

- with SQLAlchemy 2 it answers "success" and stores neither a release nor a submission;
- it listens to the whole network, accepts any token of the hub and a cookie that any page may ride on;
- a course's members are its own list; here they are the hub's groups formgrade-COURSE and nbgrader-COURSE;
- a release can only be changed by deleting it with all submissions; here it is replaced, and nothing handed in goes;
- nothing limits how much and how often a student sends.
"""

import argparse
import json
import os
from collections import namedtuple
from pathlib import Path
from urllib.parse import urlparse

from jupyterhub.services.auth import HubAuth
from ngshare import dbutil, ngshare
from ngshare.database import Assignment, Course, Submission, User
from sqlalchemy.orm.collections import collection_adapter
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Finish, HTTPError, RequestHandler

MOST_BYTES = 48_000_000  # of one request: 30 MB of files, packed as text
MOST_FILES = 200  # of one release or submission
MOST_SENT = 100  # submissions of one student for one assignment; `classroom collect` keeps as many
LONGEST_NAME = 500  # letters of a file's path
CACHED_SECONDS = 30  # so long somebody who left a group is still let in
INSTRUCTORS, STUDENTS = "formgrade-", "nbgrader-"  # groups; nbgrader's own names for them

Handler = ngshare.MyRequestHandler


async def prepare(self) -> None:
    """Before each request: whose token it is, asked of the hub, and of which courses they are a member."""
    self.db = self.application.db_session()
    header = self.request.headers.get("Authorization", "")
    kind, _, token = header.partition(" ")
    model = None
    if kind.lower() in ("token", "bearer") and token:
        hub = HubAuth.instance()
        model = await hub.user_for_token(token.strip(), sync=False)  # HTTPError if the hub does not answer
        if model is not None and not hub.check_scopes(hub.access_scopes, model):
            self.json_error(403, "this token gives no access to the exchange")
    if model is None:
        self.json_error(401, "expected a token of this hub")
    # A slash can't be in a user's name: no service is taken for the student who is called like it.
    name = model["name"] if model.get("kind", "user") == "user" else f"service/{model['name']}"
    self.groups = set(model.get("groups", ())) | self.application.service_groups.get(name, set())
    self.user = User.from_jupyterhub_user({"name": name}, self.db)
    for group in sorted(self.groups):
        for prefix, courses in ((INSTRUCTORS, self.user.teaching), (STUDENTS, self.user.taking)):
            if group.startswith(prefix) and group != prefix:
                enrol(self, group.removeprefix(prefix), courses)
    self.db.commit()


def enrol(self, course_id: str, courses: list[Course]) -> None:
    """Let the database know of a member. Who left the group stays in it: what they handed in can still be collected."""
    course = self.db.query(Course).filter(Course.id == course_id).one_or_none()
    if course is None:
        course = Course(course_id)
        self.db.add(course)
    if course not in courses:
        courses.append(course)


def json_files_unpack(self, json_str: str | None, target: list) -> None:
    """Store files, and what they belong to, after a look at how many they are and what they are called."""
    try:
        entries = json.loads(json_str or "")
        names, contents = [entry["path"] for entry in entries], [entry["content"] for entry in entries]
    except (ValueError, TypeError, KeyError, RecursionError):
        self.json_error(400, "expected files, a list of objects with path and content")
    if not all(isinstance(text, str) for text in (*names, *contents)):
        self.json_error(400, "expected files, a list of objects with path and content, both text")
    if len(names) > MOST_FILES:
        self.json_error(413, f"{len(names)} files, expected at most {MOST_FILES}")
    if len(set(names)) < len(names):
        self.json_error(400, "a file is there twice")
    for name in names:
        if len(name) > LONGEST_NAME or not name.isprintable() or "\\" in name:
            self.json_error(400, f"not the name of a file: {name[:40]!r}")
    stock_unpack(self, json_str, target)
    self.db.add(collection_adapter(target).owner_state.obj())  # SQLAlchemy 2 does not do it by itself


def write_error(self, status_code: int, **kwargs: object) -> None:
    """Errors in the form in which ngshare gives its own."""
    error = kwargs.get("exc_info", (None, None))[1]
    reason = error.log_message if isinstance(error, HTTPError) and error.log_message else self._reason
    self.finish(json.dumps({"success": False, "message": reason}))


def find_student_submission(self, assignment: Assignment, student: User, timestamp: object) -> Submission:
    """A submission by its time; ngshare hands on text where the database wants a time."""
    if isinstance(timestamp, str):
        timestamp = self.strptime(timestamp)
    return stock_find(self, assignment, student, timestamp)


stock_unpack = ngshare.MyHelpers.json_files_unpack
stock_find = ngshare.MyHelpers.find_student_submission
Handler.prepare, Handler.write_error = prepare, write_error
Handler.json_files_unpack, Handler.find_student_submission = json_files_unpack, find_student_submission
Handler.get_current_user = lambda self: {"name": self.user.id}  # nobody gets so far without a name
Handler.set_default_headers = lambda self: self.set_header("Content-Type", "application/json")
Handler.is_admin = lambda self: False
Handler.is_course_instructor = lambda self, course, user: INSTRUCTORS + course.id in self.groups
Handler.is_course_student = lambda self, course, user: STUDENTS + course.id in self.groups


class Courses(Handler):
    """GET courses: those of whoever asks."""

    def get(self) -> None:
        courses = {group.split("-", 1)[1] for group in self.groups if group.startswith((INSTRUCTORS, STUDENTS))}
        self.json_success(courses=sorted(courses - {""}))


class Release(ngshare.DownloadReleaseAssignment):
    """POST assignment/COURSE/ASSIGNMENT with replace=true puts other files in the place of those that are there.

    Without files the assignment is withdrawn: nobody fetches it or hands it in, and what was handed in stays.
    """

    def post(self, course_id: str, assignment_id: str) -> None:
        course = self.find_course(course_id)
        self.check_course_instructor(course)
        known = self.db.query(Assignment).filter(Assignment.id == assignment_id, Assignment.course == course)
        assignment = known.one_or_none()
        if assignment is None or self.get_argument("replace", "") != "true":
            super().post(course_id, assignment_id)
        for file in assignment.files[:]:
            file.delete(self.db)
            assignment.files.remove(file)
        self.json_files_unpack(self.get_argument("files", None), assignment.files)
        self.db.commit()
        self.json_success()

    def delete(self, course_id: str, assignment_id: str) -> None:
        self.json_error(405, "an assignment is withdrawn, not deleted: what was handed in would go with it")


class Submit(ngshare.SubmitAssignment):
    """POST submission/COURSE/ASSIGNMENT, unless it is withdrawn or somebody has handed in a hundred times."""

    def post(self, course_id: str, assignment_id: str) -> None:
        course = self.find_course(course_id)
        self.check_course_user(course)
        assignment = self.find_assignment(course, assignment_id)
        if not assignment.files:
            self.json_error(410, "the assignment was withdrawn")
        if self.find_student_submissions(assignment, self.user).count() >= MOST_SENT:
            self.json_error(429, f"you have handed in {MOST_SENT} times, as often as is possible: ask your instructor")
        super().post(course_id, assignment_id)


class Gone(RequestHandler):
    """What ngshare has and this hub does not: pages, cookies, its own list of members."""

    def prepare(self) -> None:
        self.set_status(404)
        raise Finish(json.dumps({"success": False, "message": "there is nothing here"}))


ngshare.ListCourses, ngshare.DownloadReleaseAssignment, ngshare.SubmitAssignment = Courses, Release, Submit
for name in ("HomePage", "Static", "AddCourse", "ManageInstructor", "ListInstructors", "ManageStudent", "ListStudents"):
    setattr(ngshare, name, Gone)
ngshare.InitDatabase = ngshare.JupyterHubLoginHandler = ngshare.NotFoundHandler = Gone


def main() -> None:
    """Serve until the hub ends it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--state", type=Path, required=True, help="the folder of its database and files")
    parser.add_argument(
        "--grader", action="append", default=[], metavar="COURSE=SERVICE", help="a service of the hub that grades"
    )
    parser.add_argument("--listen", help="the address to listen on, if not that of the service's URL")
    options = parser.parse_args()
    os.umask(0o077)
    options.state.mkdir(parents=True, exist_ok=True)
    database, files = f"sqlite:///{options.state.resolve() / 'ngshare.db'}", options.state.resolve() / "files"
    dbutil.upgrade(database, cmd_opts=namedtuple("Options", ["x"])(["data=true", f"storage={files}"]))
    HubAuth.instance(cache_max_age=CACHED_SECONDS)
    app = ngshare.MyApplication(os.environ["JUPYTERHUB_SERVICE_PREFIX"], database, str(files), autoreload=False)
    app.service_groups = {}
    for pair in options.grader:
        course, _, service = pair.partition("=")
        app.service_groups.setdefault(f"service/{service}", set()).add(INSTRUCTORS + course)
    place = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
    server = HTTPServer(app, max_body_size=MOST_BYTES, max_buffer_size=MOST_BYTES + 1_000_000)
    server.listen(place.port, options.listen or place.hostname)
    IOLoop.current().start()


if __name__ == "__main__":
    main()
