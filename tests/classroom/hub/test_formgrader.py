"""formgrader over classroom, in a real Jupyter server and a browser: the buttons, and what a submission can do there.

Cases: all buttons in the order in which an instructor presses them; nbgrader's own formgrader enabled beside ours; a
submission that writes where its grader runs; one that puts a script into the page; a file handed in beside it; a name
that is an option; two buttons at once; a due date that is typed into the page; no exchange.
"""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest

from .server import HEADERS, TOKEN, Server

NBGRADERS_TOO = "--ServerApp.jpserver_extensions={'nbgrader.server_extensions.formgrader': True}"
CANARY = "<img src=x onerror=\"document.title='sung'\"><script>document.title='sung'</script>"


class Formgrader(Server):
    """A Jupyter server with formgrader in a course's folder."""

    def __init__(self, course, *options: str) -> None:
        super().__init__(course.root, "grader", course.root / "server.log", course.environment(), *options)

    def __enter__(self) -> "Formgrader":
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def open(self, path: str, data: bytes | None = None, method: str | None = None):
        request = urllib.request.Request(f"{self.address}/{path}", data, HEADERS, method=method)
        return urllib.request.urlopen(request, timeout=120)

    def get(self, path: str):
        with self.open(path) as answer:
            return json.load(answer)

    def press(self, path: str) -> dict:
        """Press a button: what the page gets to show."""
        with self.open(f"formgrader/api/{path}", b"{}") as answer:
            return json.load(answer)


def hand_in(course, student: str, answer: str, beside: dict[str, str] | None = None) -> None:
    """What `nbgrader submit` leaves in the exchange."""
    notebook = nbformat.read(course.root / "assignments" / "tiny" / "tiny.ipynb", as_version=4)
    notebook.cells[0].source = answer
    notebook.cells[-1].source = f"Because $x^2$. {CANARY} {'w' * 500}"
    place = course.root / "exchange/test-course/inbound" / f"{student}+tiny+2026-02-05 10:00:00 UTC+secretof{student}"
    place.mkdir(parents=True)
    nbformat.write(notebook, place / "tiny.ipynb")
    (place / "timestamp.txt").write_text("2026-02-05 10:00:00.000000 UTC")
    (place / "submission_secret.txt").write_text(f"secretof{student}")
    for name, text in (beside or {}).items():
        (place / name).write_text(text)


@pytest.fixture
def course(tiny):
    """The tiny course with an exchange, into which two handed in; one of them is hostile."""
    with open(tiny.root / "nbgrader_config.py", "a") as config:
        config.write('\nc.Exchange.root = str(ROOT / "exchange")\nc.ExchangeCollect.check_owner = False\n')
        config.write("c.Exchange.path_includes_course = False\n")
    (tiny.root / "exchange").mkdir(mode=0o777)
    os.chmod(tiny.root / "exchange", 0o777)
    hand_in(tiny, "ada", "def double(x):\n    return 2 * x")
    hostile = f"from pathlib import Path\nPath({str(tiny.root / 'taken')!r}).write_text('it ran as the instructor')\n"
    hostile += f"print({CANARY!r})\n"
    hand_in(tiny, "eve", hostile + "def double(x):\n    return 2 * x", {"page.html": CANARY})
    return tiny


@pytest.fixture
def server(course) -> Iterator[Formgrader]:
    with Formgrader(course) as started:
        yield started


def test_an_instructor_presses_every_button(server, course):
    for button in ("assign", "collect"):
        done = server.press(f"assignment/tiny/{button}")
        assert done["success"], done
    assert "ada" in done["log"], done
    assert [row["student"] for row in server.get("formgrader/api/submissions/tiny")] == ["ada", "eve"]
    with ThreadPoolExecutor(2) as fingers:  # the second waits for the first, and the server answers meanwhile
        presses = [fingers.submit(server.press, f"submission/tiny/{name}/autograde") for name in ("ada", "eve")]
        assert server.get("formgrader/api/status") == {"status": True}
        assert not all(press.done() for press in presses)
        for press in presses:
            assert press.result()["success"], press.result()
    rows = {row["student"]: row for row in server.get("formgrader/api/submissions/tiny")}
    assert rows["ada"]["autograded"], rows["ada"]
    assert rows["ada"]["score"] == 3
    assert not (course.root / "taken").exists(), "a submission wrote where its grader runs"
    assert rows["eve"]["score"] == 0, "its cell failed where there is nothing to write to"
    done = server.press("assignment/tiny/ada/generate_feedback")
    assert done["success"], done
    pages = [page.parent.parent.name for page in (course.root / "course" / "feedback").glob("*/tiny/tiny.html")]
    assert pages == ["ada"]
    handed_out = course.root / "exchange/test-course/feedback"
    assert server.press("assignment/tiny/ada/release_feedback")["success"]
    assert len(list(handed_out.glob("*.html"))) == 1, "of one student"
    assert server.press("assignment/tiny/generate_feedback")["success"]
    assert len(list(handed_out.glob("*.html"))) == 1, "made is not handed out"
    assert server.press("assignment/tiny/release_feedback")["success"]
    assert len(list(handed_out.glob("*.html"))) == 2


def test_ours_answers_also_where_nbgraders_is_enabled(course):
    with Formgrader(course, NBGRADERS_TOO) as server:
        assert "Loading the formgrader nbgrader serverextension" in server.log.read_text()
        assert server.press("assignment/tiny/collect")["success"]
        assert server.press("submission/tiny/eve/autograde")["success"]
    assert not (course.root / "taken").exists()


def test_a_failure_says_what_the_command_said(server, course):
    done = server.press("submission/tiny/nobody/autograde")
    assert not done["success"]
    assert "no submission of 'nobody' for tiny" in done["error"]
    assert "exit code 2" in done["error"]
    # Of a name nothing is an option, and nothing of it leaves the course's folder.
    for name in ("--help", "--json=taken", "..%2F..%2Ftiny", "-"):
        done = server.press(f"assignment/{name}/collect")
        assert not done["success"], done
        assert urllib.parse.unquote(name) in done["error"], done
        assert not server.press(f"submission/tiny/{name}/autograde")["success"]
    assert not (course.root / "taken").exists()


def test_without_an_exchange_it_says_so(server, course):
    (course.root / "exchange").rename(course.root / "elsewhere")
    done = server.press("assignment/tiny/collect")
    assert not done["success"]
    assert "no exchange" in done["error"]


def test_a_due_date_is_not_lost_in_the_page(server, course):
    body = json.dumps({"duedate_notimezone": "2027-01-01 00:00", "duedate_timezone": "+0000"}).encode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.open("formgrader/api/assignment/tiny", body, "PUT")
    assert refused.value.code == 409
    assert "course.yml" in refused.value.read().decode()


@pytest.mark.browser
def test_what_was_handed_in_does_nothing_in_the_instructors_browser(server, course, browser):
    server.press("assignment/tiny/collect")
    assert server.press("submission/tiny/eve/autograde")["success"]
    (row,) = server.get("formgrader/api/submitted_notebooks/tiny/tiny")
    beside = course.root / "course" / "autograded" / "eve" / "tiny" / "page.html"
    beside.write_text(CANARY)  # intake takes no such file; whatever put it there, it is shown as what it is
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    missing: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: missing.append(answer.url) if answer.status == 404 else None)
    page.goto(f"{server.address}/formgrader/?token={TOKEN}")
    page.wait_for_selector("text=tiny")
    page.goto(f"{server.address}/formgrader/submissions/{row['id']}/")
    page.wait_for_selector("#comment-why, .comment, textarea")
    page.wait_for_selector(".MathJax")  # a formula is set
    assert "sung" not in page.title()
    assert "Because" in page.inner_text("body")
    here = (server.address, "data:", "about:blank")  # the last is MathJax's empty font
    assert [url for url in asked if not url.startswith(here)] == [], "works without a network"
    assert [url for url in missing if "mathjax" in url] == [], "formulas have their letters"
    width = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], "a word without end leaves the fields for points where they are"
    answer = page.goto(f"{server.address}/formgrader/submissions/{row['id']}/page.html")
    assert answer.status == 200
    page.wait_for_timeout(300)
    assert "sung" not in page.title()
    assert "sandbox" in answer.headers["content-security-policy"]
    context.close()
