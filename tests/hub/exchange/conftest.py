"""A real JupyterHub with its proxy and ngshare as its service, and people who have a token of it and a home."""

import base64
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import requests
from nbformat.v4 import new_code_cell, new_notebook

from classroom.cli import main
from classroom.folder import Folder
from classroom.hub.exchange import use
from classroom.hub.exchange.server import Server
from classroom.intake import collect, refusals

ROOT = Path(__file__).resolve().parents[3]
COURSE = "test-course"
ADMIN, GRADING = "a-token-that-only-these-tests-know", "the-token-of-a-service-that-grades"
PEOPLE = {"formgrade": ["teacher"], "nbgrader": ["ann", "bob", "eve"]}
NAMES = ("teacher", "ann", "bob", "eve", "stranger")
CONFIG = """\
import sys
sys.path.insert(0, {hub!r})
from exchange_config import add_exchange
c.JupyterHub.bind_url = "http://127.0.0.1:{proxy_port}/"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.JupyterHub.authenticator_class, c.JupyterHub.spawner_class = "dummy", "simple"
c.Authenticator.allow_all = True
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.Spawner.poll_interval = 2
c.Spawner.cmd = [sys.executable, {server!r}]
c.JupyterHub.load_groups = {groups!r}
c.JupyterHub.services = [{{"name": "tests", "api_token": {admin!r}}}, {{"name": "grading", "api_token": {grading!r}}}]
c.JupyterHub.load_roles = [
    {{"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "admin:groups", "tokens"]}}
]
address = "http://127.0.0.1:{port}"
add_exchange(c, state={state!r}, courses=[{course!r}], address=address, graders={{{course!r}: "grading"}})
"""
# What stands in for a user's server: it says what environment the hub gave it, and answers.
SERVER = """\
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlparse
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
open("environment.json", "w").write(json.dumps(dict(os.environ)))
HTTPServer(("127.0.0.1", urlparse(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever()
"""
USE = "from classroom.hub.exchange import use\n\nc = get_config()\nuse(c)"


class Hub:
    """A JupyterHub that runs, and whose people have each had a server started."""

    def __init__(self, place: Path) -> None:
        self.place = place
        with contextlib.ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in range(4)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            proxy_port, hub_port, api_port, port = (one.getsockname()[1] for one in sockets)
        self.url, self.exchange = f"http://127.0.0.1:{proxy_port}/hub/api", f"http://127.0.0.1:{port}/services/ngshare/"
        self.public = f"http://127.0.0.1:{proxy_port}/services/ngshare/"
        (place / "server.py").write_text(SERVER)
        proxy = shutil.which("configurable-http-proxy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        text = CONFIG.format(
            hub=str(ROOT / "hub"), proxy=[proxy], homes=str(place / "homes"), admin=ADMIN, grading=GRADING,
            course=COURSE, server=str(place / "server.py"), state=str(place / "ngshare"),
            groups={f"{kind}-{COURSE}": {"users": who} for kind, who in PEOPLE.items()},
            proxy_port=proxy_port, hub_port=hub_port, api_port=api_port, port=port,
        )  # fmt: skip
        (place / "jupyterhub_config.py").write_text(text)

    def start(self) -> None:
        """Start it, and everybody's server."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB", "NGSHARE"))}
        self.log = open(self.place / "hub.log", "a")  # noqa: SIM115  (closed in stop)
        line, said = [sys.executable, "-m", "jupyterhub"], {"stdout": self.log, "stderr": self.log}
        self.process = subprocess.Popen(line, cwd=self.place, env=environment, **said)
        self.wait(lambda: requests.get(f"{self.url}/", timeout=5).ok)
        self.wait(lambda: requests.get(f"{self.exchange}healthz", timeout=5).ok)
        self.environments = {name: self.environment(name) for name in NAMES}

    def wait(self, happens) -> None:
        """Until something happens that does not raise, or two minutes have gone."""
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(requests.RequestException, FileNotFoundError, ValueError):
                if happens():
                    return
            time.sleep(0.2)
        pytest.fail((self.place / "hub.log").read_text()[-6000:])

    def ask(self, method: str, path: str, **what) -> requests.Response:
        """The hub's own interface, as its administrator."""
        headers = {"Authorization": f"token {ADMIN}"}
        return requests.request(method, f"{self.url}/{path}", headers=headers, timeout=60, **what)

    def environment(self, name: str) -> dict[str, str]:
        """What the hub sets in a user's server."""
        self.ask("POST", f"users/{name}")
        assert self.ask("POST", f"users/{name}/server").status_code in (201, 202)
        file = self.place / "homes" / name / "environment.json"
        self.wait(lambda: json.loads(file.read_text()))
        return json.loads(file.read_text())

    def stop(self) -> None:
        """End it and what it started."""
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


class Person:
    """Somebody with a home, who works in the environment that the hub set."""

    def __init__(self, hub: Hub, name: str, home: Path) -> None:
        self.hub, self.name, self.home = hub, name, home
        home.mkdir(parents=True, exist_ok=True)
        (home / "nbgrader_config.py").write_text(f"{USE}\nc.CourseDirectory.course_id = {COURSE!r}\n")
        names = ("JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER", "NGSHARE_URL")
        self.variables = {name: hub.environments[self.name][name] for name in names}

    def typed(self, *words: str) -> str:
        """A command in a process of its own, and what it said."""
        extra = {"HOME": str(self.home), "JUPYTER_PLATFORM_DIRS": "1"}
        line, environment = [sys.executable, "-m", *words], {**os.environ, **self.variables, **extra}
        done = subprocess.run(line, cwd=self.home, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def at_work(self, **changed: str) -> Iterator[Server]:
        """In this person's home and environment, as far as programs ask; the service as they see it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.home)
            for name, value in ({"CLASSROOM_DIR": "course"} | self.variables | changed).items():
                patch.setenv(name, value)
            yield Server()

    def step(self, kind: str, project: str = "", *, course=COURSE, settings=None, **changed: str) -> object:
        """A step of nbgrader's exchange, as its commands and pages run it, with settings of its own."""
        from nbgrader.auth import Authenticator
        from nbgrader.coursedir import CourseDirectory
        from nbgrader.exchange import ExchangeFactory
        from traitlets.config import Config

        with self.at_work(**changed):
            config = Config({"CourseDirectory": {"course_id": course, "root": str(self.home)}})
            config.CourseDirectory.release_directory = "assignments"
            use(config)
            config.CourseDirectory.assignment_id = project
            owner = Authenticator(config=config)  # any of nbgrader's that is no factory
            factory = ExchangeFactory(config=config)
            given = {"coursedir": CourseDirectory(config=config), "authenticator": owner, "parent": owner}
            step = getattr(factory, kind)(**given, config=config)
            for name, value in (settings or {}).items():
                setattr(step, name, value)
            return step.start()

    def told(self, *words: str, **more: object) -> str:
        """Why a step can't be done."""
        from nbgrader.exchange import ExchangeError

        with pytest.raises(ExchangeError) as error:
            self.step(*words, **more)
        return str(error.value)

    def listed(self, project: str, **settings: bool) -> list[dict]:
        """What the list says of a project."""
        return self.step("List", project, settings=settings)

    def write(self, project: str, answer: str) -> bytes:
        """An answer in the fetched notebook; the file's bytes."""
        path = self.home / project / f"{project}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source = f"def double(x):\n    return {answer}"
        nbformat.write(notebook, path)
        return path.read_bytes()

    def raw(self, method: str, path: str, **what) -> requests.Response:
        """A request as somebody writes it who does without our programs."""
        headers = {"Authorization": f"token {self.variables['JUPYTERHUB_API_TOKEN']}"}
        what = {"headers": headers, "allow_redirects": False, "timeout": 60} | what
        return requests.request(method, self.hub.exchange + path, **what)

    def send(self, project: str, files: object) -> requests.Response:
        """A submission: contents by name, or whatever is to be sent in the place of a list of files."""
        if isinstance(files, dict):
            files = [{"path": name, "content": base64.b64encode(data).decode()} for name, data in files.items()]
        return self.raw("POST", f"submission/{COURSE}/{project}", data={"files": json.dumps(files)})


class Teacher(Person):
    """The instructor, in the course's folder."""

    def classroom(self, *words: str) -> str:
        """A command of `classroom` that must succeed."""
        said = io.StringIO()
        with self.at_work(HOME=str(self.home)), contextlib.redirect_stdout(said):
            assert main([*words]) == 0
        return said.getvalue()

    def take_in(self, project: str) -> dict:
        with self.at_work():
            return collect(Folder(self.home), project, None, lambda text: None)

    def refusals(self, project: str, student: str) -> str:
        with self.at_work():
            return "; ".join(f"{one['file']}: {one['reason']}" for one in refusals(Folder(self.home), project, student))

    def submitted(self, project: str, student: str) -> bytes:
        return (self.home / "course" / "submitted" / student / project / f"{project}.ipynb").read_bytes()


def packed(name: str, data: bytes = b"{}") -> dict[str, str]:
    return {"path": name, "content": base64.b64encode(data).decode()}


@pytest.fixture(scope="session")
def teacher(hub: Hub, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Teacher:
    """The instructor, with a course that has a project for each test that collects or grades one."""
    teacher = Teacher(hub, "teacher", tmp_path_factory.mktemp("teacher"))
    (teacher.home / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text())
    names = {name_of(item) for item in request.session.items if "released" in getattr(item, "fixturenames", ())}
    (teacher.home / "course.yml").write_text(
        f"id: {COURSE}\ntitle: A course\nterm: Spring\ntimezone: UTC\nprojects:\n"
        + "".join(f"  {name}: {{due: null, weight: 5}}\n" for name in sorted(names))
        + "late: {grace_minutes: 15, percent_per_day: 10, days: 3}\n"
    )
    fixed = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    answer = "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
    cells = [new_code_cell(answer, id="double"), new_code_cell("assert double(2) == 4", id="tests")]
    cells[0].metadata = {"nbgrader": fixed | {"grade_id": "double", "solution": True}}
    cells[1].metadata = {"nbgrader": fixed | {"grade_id": "tests", "grade": True, "locked": True, "points": 3}}
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for name in names:
        source = teacher.home / "solutions" / name
        source.mkdir(parents=True)
        nbformat.write(new_notebook(metadata=kernel, cells=cells), source / f"{name}.ipynb")
    teacher.classroom("release")
    return teacher


@pytest.fixture
def people(hub: Hub, teacher: Teacher, tmp_path: Path) -> dict[str, Person]:
    """By name; each but the teacher has an empty home."""
    return {name: Person(hub, name, tmp_path / name) for name in NAMES if name != "teacher"} | {"teacher": teacher}


def name_of(item: pytest.Item) -> str:
    return item.originalname.removeprefix("test_").replace("_", "-")[:30]


@pytest.fixture
def project(teacher: Teacher, request: pytest.FixtureRequest) -> str:
    """A project with the test's own name, which is in the exchange."""
    name = name_of(request.node)
    notebook = teacher.home / "assignments" / name / f"{name}.ipynb"
    if not notebook.exists():  # `classroom release` writes those that are graded
        notebook.parent.mkdir(parents=True)
        nbformat.write(new_notebook(cells=[new_code_cell("def double(x):\n    return 0")]), notebook)
    teacher.step("ReleaseAssignment", name, settings={"force": True})
    return name


@pytest.fixture
def released(project: str) -> str:
    """A project that can be collected and graded too."""
    return project
