"""formgrader, with `classroom` behind its buttons: a server extension that stands in the place of nbgrader's own.

nbgrader's formgrader collects, grades and writes feedback inside the instructor's own server, with no sandbox: whatever
a submission does, it does as the instructor. Here the pages are nbgrader's, and each button that touches a submission
types the command that an instructor would type, in a process of its own. Buttons wait for each other, and the server
goes on answering while they work.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jupyter_server_mathjax
from jupyter_server.utils import url_path_join as ujoin
from nbgrader.apps.api import NbGraderAPI
from nbgrader.server_extensions.formgrader import apihandlers, handlers
from nbgrader.server_extensions.formgrader.base import BaseHandler, check_notebook_dir, check_xsrf
from nbgrader.server_extensions.formgrader.formgrader import FormgradeExtension
from tornado import web

_TEMPLATES = Path(__file__).parent / "templates"  # what nbgrader's page of a submission would load from elsewhere
_MATHJAX = Path(jupyter_server_mathjax.__file__).parent / "static"
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ONE_BY_ONE = ThreadPoolExecutor(max_workers=1, thread_name_prefix="classroom")  # a class takes one command at a time
# What lies beside a graded notebook came from a student; a browser may show a picture of it, and run nothing.
_HARMLESS = "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"


class ClassroomAPI(NbGraderAPI):
    """nbgrader's API as formgrader's pages call it, with `classroom` wherever a submission is opened."""

    def generate_assignment(self, assignment_id: str, force: bool = True, create: bool = True) -> dict:
        """Make the students' version; as `classroom release` does."""
        return self._run("release", assignment_id)

    def collect(self, assignment_id: str, update: bool = True) -> dict:
        """Take in what lies in the exchange, through intake."""
        return self._run("collect", assignment_id)

    def autograde(self, assignment_id: str, student_id: str, force: bool = True, create: bool = True) -> dict:
        """Grade one submission in the sandbox. One that has not changed since it was graded keeps its grade."""
        return self._run("autograde", assignment_id, f"--student={student_id}")

    def generate_feedback(self, assignment_id: str, student_id: str | None = None, force: bool = True) -> dict:
        """Make the pages of feedback, of one student or of all."""
        return self._run("feedback", assignment_id, *_only(student_id))

    def release_feedback(self, assignment_id: str, student_id: str | None = None) -> dict:
        """Hand the pages out through the exchange, to one student or to all."""
        return self._run("feedback", assignment_id, "--release", *_only(student_id))

    def _run(self, command: str, project: str, *options: str) -> dict:
        """Type a command in the course's folder.

        Returns:
            What formgrader's pages expect: `success`, `log` (what the command said) and, on failure, `error`.
        """
        # -P: the course's folder is not searched for modules. The project comes last and after --, so that none of its
        # letters is an option.
        line = [sys.executable, "-P", "-m", "classroom", command, *options, "--", project]
        done = subprocess.run(
            line,
            cwd=self.coursedir.root,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        said, wrong = (_COLOUR.sub("", text).strip() for text in (done.stdout, done.stderr))
        result = {"success": done.returncode == 0, "log": "\n".join(filter(None, (said, wrong)))}
        if done.returncode:
            last = (wrong or said or "it said nothing").splitlines()[-1]
            result["error"] = f"{last}\n(classroom {command} {project}: exit code {done.returncode})"
        return result


def _only(student_id: str | None) -> list[str]:
    return [f"--student={student_id}"] if student_id is not None else []


class _Ours(BaseHandler):
    """A page of formgrader's that talks to the API above."""

    @property
    def api(self) -> ClassroomAPI:
        self.coursedir.parent.load_config_file()
        return ClassroomAPI(self.coursedir, self.authenticator, parent=self.coursedir.parent)


class _Button(_Ours, apihandlers.BaseApiHandler):
    """A button that takes its time: the server answers others meanwhile."""

    action = ""

    @web.authenticated
    @check_xsrf
    @check_notebook_dir
    async def post(self, *names: str) -> None:
        """Do what the button says and answer with its outcome."""
        press = partial(getattr(self.api, self.action), *names)
        self.write(json.dumps(await asyncio.get_running_loop().run_in_executor(_ONE_BY_ONE, press)))


class _DueDate(_Ours, apihandlers.AssignmentHandler):
    """Due dates stand in course.yml where there is one; a date that is typed here would be lost at the next command."""

    @web.authenticated
    @check_xsrf
    @check_notebook_dir
    def put(self, assignment_id: str) -> None:
        """Refuse the date, and say where it goes."""
        if not os.path.exists(os.path.join(self.coursedir.root, "course.yml")):
            return super().put(assignment_id)
        raise web.HTTPError(409, "due dates stand in course.yml: write it there, then press Generate")


class _Files(_Ours, handlers.SubmissionFilesHandler):
    """What was handed in beside a notebook, for the page of that notebook."""

    @property
    def content_security_policy(self) -> str:
        return _HARMLESS

    def set_extra_headers(self, path: str) -> None:
        """See tornado's `StaticFileHandler`."""
        self.set_header("X-Content-Type-Options", "nosniff")


class _Links(BaseHandler):
    """nbgrader's script that makes links to files, which lead to the root of the machine; here to this JupyterLab."""

    @web.authenticated
    def get(self) -> None:
        """The script with the right places."""
        script = (Path(handlers.static_path) / "js" / "utils.js").read_text(encoding="utf-8")
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish(
            script.replace('"href", prefix + path', f'"href", {json.dumps(ujoin(self.base_url, "lab/tree/"))} + path')
        )


_BUTTONS = {
    apihandlers.AssignHandler: "generate_assignment",
    apihandlers.CollectHandler: "collect",
    apihandlers.AutogradeHandler: "autograde",
    apihandlers.GenerateFeedbackHandler: "generate_feedback",
    apihandlers.GenerateAllFeedbackHandler: "generate_feedback",
    apihandlers.ReleaseFeedbackHandler: "release_feedback",
    apihandlers.ReleaseAllFeedbackHandler: "release_feedback",
}
_OTHERS = {apihandlers.AssignmentHandler: _DueDate, handlers.SubmissionFilesHandler: _Files}


def _ours(kind: type) -> type:
    """The class that answers where nbgrader has `kind`."""
    if kind in _BUTTONS:
        return type(kind.__name__, (_Button,), {"action": _BUTTONS[kind]})
    if kind in _OTHERS:
        return _OTHERS[kind]
    return type(kind.__name__, (_Ours, kind), {}) if issubclass(kind, BaseHandler) else kind


class ClassroomFormgrader(FormgradeExtension):
    """nbgrader's extension with the handlers above, and formulas without a network."""

    def build_extra_config(self):
        """See nbgrader's `FormgradeExtension`."""
        config = super().build_extra_config()
        config.HTMLExporter.extra_template_basedirs = [str(_TEMPLATES), handlers.template_path]
        return config

    def init_handlers(self, webapp) -> None:
        """Add formgrader's pages to a server, before those of nbgrader's own extension if that is enabled too."""
        rules = [
            *handlers.default_handlers,
            *apihandlers.default_handlers,
            (r"/formgrader/static/mathjax/(.*)", web.StaticFileHandler, {"path": str(_MATHJAX)}),
            (r"/formgrader/static/js/utils.js", _Links),
            (r"/formgrader/static/(.*)", web.StaticFileHandler, {"path": handlers.static_path}),
            (r"/formgrader/.*", handlers.Template404),
        ]
        base = webapp.settings["base_url"]
        webapp.add_handlers(".*$", [(ujoin(base, rule[0]), _ours(rule[1]), *rule[2:]) for rule in rules])
        # tornado asks hosts in the order of these rules, and puts a new one before the last, its default.
        known = webapp.default_router.rules
        known.insert(0, known.pop(-2))


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "classroom.hub.formgrader"}]


def _load_jupyter_server_extension(server) -> None:
    """Put formgrader into a Jupyter server. Its root has to be the course's folder, or one above it."""
    extension = ClassroomFormgrader(parent=server)
    extension.root_dir = server.root_dir
    extension.log = server.log
    extension.initialize([])
    extension.init_tornado_settings(server.web_app)
    extension.init_handlers(server.web_app)
