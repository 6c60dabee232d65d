"""nbgrader's Assignment List, answering in words: a server extension in the place of nbgrader's own.

nbgrader drops the reason when a fetch fails, and shows a traceback when something else does. Its page stays as it is;
here it gets a sentence to show, and beside each submission when it was handed in, and whether that was late. The
exchange is asked beside the server: however long that takes, JupyterLab goes on.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from jupyter_core.application import JupyterApp
from jupyter_server.utils import url_path_join as ujoin
from nbgrader.apps import NbGrader
from nbgrader.exchange import ExchangeFactory
from nbgrader.server_extensions.assignment_list import handlers
from tornado import web
from traitlets.config import Config

from classroom.hub.facts import courses
from classroom.hub.standing import time_of

_EXPECTED = ("ExchangeError: ", "RuntimeError: ")  # what the exchange raises with a sentence for people
_REFRESH = "To see the list again, press the button with the arrows at the top right."
_ONE_BY_ONE = ThreadPoolExecutor(max_workers=1, thread_name_prefix="assignments")  # a fetch does not meet another one


def in_words(answer: dict) -> dict:
    """An answer of nbgrader's list, with the last line of a traceback in its place."""
    if answer["success"] or "Traceback" not in str(answer["value"]):
        return answer
    said = str(answer["value"]).strip().splitlines()[-1]
    for kind in _EXPECTED:
        said = said.split(kind, 1)[-1]
    return answer | {"value": said}


def _fail(step: object, message: str) -> None:
    """Give up with an error whose words nbgrader shows; of an ExchangeError it would say that a folder is missing."""
    raise RuntimeError(message)


class Assignments(handlers.AssignmentList):
    """nbgrader's list in words. What it answers otherwise is said there."""

    def load_config(self) -> Config:
        """nbgrader's settings as it finds them in the folder of assignments.

        nbgrader goes there and comes back; but all of a server's threads are where one of them goes.
        """
        app, here = NbGrader(), Path(self.root_dir)
        app.load_cwd_config = False
        app.load_config_file()
        super(JupyterApp, app).load_config_file(app.config_file_name, path=str(here))
        here /= ExchangeFactory(config=app.config).List(config=app.config).assignment_dir
        super(JupyterApp, app).load_config_file(app.config_file_name, path=str(here))
        app.config.Exchange.assignment_dir = str(here)
        app.config.CourseDirectory.setdefault("root", str(here))
        return app.config

    @contextmanager
    def get_assignment_dir_config(self) -> Iterator[Config]:
        """The same, for a list whose errors are shown."""
        config = self.load_config()
        kind = ExchangeFactory(config=config).list
        config.ExchangeFactory.list = type(kind.__name__, (kind,), {"fail": _fail})
        yield config

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

    def press(self, action: str, course_id: str, assignment_id: str) -> dict:
        """A button of the page: the list after it, or why it did not work."""
        buttons = {
            "fetch": self.fetch_assignment,
            "submit": self.submit_assignment,
            "fetch_feedback": self.fetch_feedback,
        }
        answer = buttons[action](course_id, assignment_id)
        if answer["success"]:
            return self.list_assignments(course_id=course_id)
        if action != "submit":  # of which the page makes a dialog; of the others it fills the lists with the words
            answer["value"] = f"{answer['value']}\n{_REFRESH}"
        return answer


class _Handler(handlers.BaseAssignmentHandler):
    async def answer(self, ask: Callable[..., dict], *words: str) -> None:
        """Ask in a thread beside the server's own, one after the other, and answer with what comes back."""
        self.finish(json.dumps(await asyncio.get_running_loop().run_in_executor(_ONE_BY_ONE, ask, *words)))


class ListHandler(_Handler):
    """GET assignments: the list of a course."""

    @web.authenticated
    async def get(self) -> None:
        """Ask for it."""
        await self.answer(self.manager.list_assignments, self.get_argument("course_id"))


class CourseHandler(_Handler):
    """GET courses: those that have something in the list."""

    @web.authenticated
    async def get(self) -> None:
        """Ask for them."""
        await self.answer(self.manager.list_courses)


class ActionHandler(_Handler):
    """POST assignments/fetch and the other buttons."""

    @web.authenticated
    async def post(self, action: str) -> None:
        """Press a button."""
        asked = self.get_json_body() or {}
        names = [self.get_argument(name, None) or asked.get(name) for name in ("course_id", "assignment_id")]
        if not all(names):
            raise web.HTTPError(400, "expected course_id and assignment_id")
        await self.answer(self.manager.press, action, *names)


_OURS = {
    handlers.AssignmentListHandler: ListHandler,
    handlers.CourseListHandler: CourseHandler,
    handlers.AssignmentActionHandler: ActionHandler,
}


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "classroom.hub.assignments"}]


def _load_jupyter_server_extension(server) -> None:
    """Answer where nbgrader's Assignment List asks, before nbgrader does if that is enabled too."""
    manager = Assignments(parent=server)
    manager.root_dir = server.root_dir
    settings = server.web_app.settings
    settings["assignment_list_manager"] = manager
    rules = [(ujoin(settings["base_url"], place), _OURS.get(kind, kind)) for place, kind in handlers.default_handlers]
    server.web_app.add_handlers(".*$", rules)
    known = server.web_app.default_router.rules
    known.insert(0, known.pop(-2))
