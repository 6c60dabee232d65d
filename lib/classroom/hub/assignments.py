"""nbgrader's Assignment List, answering in words: a server extension in the place of nbgrader's own.

nbgrader drops the reason when a fetch fails, and shows a traceback when something else does. Its page stays as it is;
here it gets a sentence to show, and beside each submission when it was handed in, and whether that was late.
"""

import json

from jupyter_server.utils import url_path_join as ujoin
from nbgrader.server_extensions.assignment_list import handlers
from tornado import web

from classroom.hub.facts import courses
from classroom.hub.standing import time_of

_EXPECTED = ("ExchangeError: ", "RuntimeError: ")  # what the exchange raises with a sentence for people
_REFRESH = "To see the list again, press the button with the arrows at the top right."


def in_words(answer: dict) -> dict:
    """An answer of nbgrader's list, with the last line of a traceback in its place."""
    if answer["success"] or "Traceback" not in str(answer["value"]):
        return answer
    said = str(answer["value"]).strip().splitlines()[-1]
    for kind in _EXPECTED:
        said = said.split(kind, 1)[-1]
    return answer | {"value": said}


class Assignments(handlers.AssignmentList):
    """nbgrader's list in words. What it answers otherwise is said there."""

    def list_released_assignments(self, course_id: str | None = None) -> dict:
        """What is released or fetched."""
        return in_words(super().list_released_assignments(course_id=course_id))

    def list_submitted_assignments(self, course_id: str | None = None) -> dict:
        """What was handed in, when, and whether that was late."""
        answer = in_words(super().list_submitted_assignments(course_id=course_id))
        told = {course.id: course for course in courses()}
        for assignment in answer["value"] if answer["success"] else ():
            course, name = told.get(assignment["course_id"]), assignment["assignment_id"]
            in_time = False
            for sent in assignment["submissions"] if course else ():  # in the order of their times
                when = time_of(sent["timestamp"])
                late = course.lateness(name, when)
                in_time |= not late
                words = "late: the last one in time counts" if in_time else late
                sent["timestamp"] = course.local(when) + (f" ({words})" if late else "")
        return answer

    def fetch_assignment(self, course_id: str, assignment_id: str) -> dict:
        """Bring an assignment."""
        return in_words(super().fetch_assignment(course_id, assignment_id))

    def fetch_feedback(self, course_id: str, assignment_id: str) -> dict:
        """Bring feedback."""
        return in_words(super().fetch_feedback(course_id, assignment_id))

    def submit_assignment(self, course_id: str, assignment_id: str) -> dict:
        """Hand in."""
        return in_words(super().submit_assignment(course_id, assignment_id))


class ActionHandler(handlers.BaseAssignmentHandler):
    """POST assignments/fetch and the other buttons: the list after it, or why it did not work."""

    @web.authenticated
    def post(self, action: str) -> None:
        """Press a button."""
        asked = self.get_json_body() or {}
        names = [self.get_argument(name, None) or asked.get(name) for name in ("course_id", "assignment_id")]
        if not all(names):
            raise web.HTTPError(400, "expected course_id and assignment_id")
        buttons = {
            "fetch": self.manager.fetch_assignment,
            "submit": self.manager.submit_assignment,
            "fetch_feedback": self.manager.fetch_feedback,
        }
        answer = buttons[action](*names)
        if answer["success"]:
            answer = self.manager.list_assignments(course_id=names[0])
        elif action != "submit":  # of which the page makes a dialog; of the others it fills the lists with the words
            answer["value"] = f"{answer['value']}\n{_REFRESH}"
        self.finish(json.dumps(answer))


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "classroom.hub.assignments"}]


def _load_jupyter_server_extension(server) -> None:
    """Answer where nbgrader's Assignment List asks, before nbgrader does if that is enabled too."""
    manager = Assignments(parent=server)
    manager.root_dir = server.root_dir
    settings = server.web_app.settings
    settings["assignment_list_manager"] = manager
    ours = {handlers.AssignmentActionHandler: ActionHandler}
    rules = [(ujoin(settings["base_url"], place), ours.get(kind, kind)) for place, kind in handlers.default_handlers]
    server.web_app.add_handlers(".*$", rules)
    known = server.web_app.default_router.rules
    known.insert(0, known.pop(-2))
