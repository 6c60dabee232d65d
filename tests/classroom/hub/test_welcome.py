"""The page that JupyterLab opens on: what it says in each state, and what it does not break.

The exchange is a small HTTP server here, which answers as ngshare does; tests/hub/test_journeys.py has the real one.
Cases: nothing released; ready, fetched, handed in, late, handed in again too late, withdrawn; feedback to fetch and
fetched; what is next; no exchange, one that says no, one that does not answer, one that answers nonsense; a title with
markup in it; no course; a course.yml that can't be read; two courses; a home that is full or odd.
"""

import errno
import logging
import socket
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from classroom.hub.assignments import in_words
from classroom.hub.facts import VARIABLE, Given, Told, courses, gather, packed
from classroom.hub.standing import told_here
from classroom.hub.welcome import NAME, Writer, page

from .small_exchange import COURSE, NOW, put, row


def fetch(home: Path, name: str = "one") -> Path:
    place = home / "course-a" / name
    place.mkdir(parents=True)
    (place / f"{name}.ipynb").write_text("{}")
    return place


def feedback(place: Path, when: str, total: str) -> None:
    folder = place / "feedback" / f"{when} UTC"
    folder.mkdir(parents=True)
    (folder / "one.html").write_text(f'<h1>One</h1><p class="total">{total}</p>')


def test_nothing_is_released(exchange, tmp_path):
    text = page([COURSE], tmp_path, NOW)
    assert "**Next:** nothing is released yet. Come back later." in text
    with_book = page([replace(COURSE, book="https://book.example.org")], tmp_path, NOW)
    assert "Come back later, or read the book until then." in with_book
    assert "| one<br>The first | Fri 6 Mar 2026, 23:59 | not released yet | – |" in text, "in the course's time"
    assert "Times are of Europe/Paris." in text


def test_from_ready_to_feedback(exchange, tmp_path):
    put(exchange, "one")
    text = page([COURSE], tmp_path, NOW)
    assert "**Next:** fetch **one**, due Fri 6 Mar 2026, 23:59" in text
    assert "| ready to fetch |" in row(text, "one")

    place = fetch(tmp_path)
    text = page([COURSE], tmp_path, NOW)
    assert "**Next:** work on [one](course-a/one/one.ipynb), due" in text
    assert "fetched, not handed in" in row(text, "one")

    put(exchange, "one", sent=["2026-03-04 10:00:00.123456"])
    text = page([COURSE], tmp_path, NOW)
    assert "handed in once, last on Wed 4 Mar 2026, 11:00 |" in row(text, "one")
    assert "**Next:** nothing waits for you. You may hand in **one** again" in text

    put(exchange, "one", sent=["2026-03-04 10:00:00.123456"], answered=["x"])
    text = page([COURSE], tmp_path, NOW)
    assert "**Next:** read the feedback on **one**" in text
    assert "**feedback is there: fetch it**" in row(text, "one")

    feedback(place, "2026-03-04 10:00:00.123456", "<strong>6.5</strong> of 10 points; <span>up to 2 more</span>")
    text = page([COURSE], tmp_path, NOW)
    assert "| 6.5 of 10 points; up to 2 more |" in row(text, "one")
    assert "Points so far: **6.5 of 10**" in text
    assert "[feedback](course-a/one/feedback/2026-03-04%2010%3A00%3A00.123456%20UTC/one.html)" in text
    assert "fetch it" not in text


def test_the_newest_feedback_counts(exchange, tmp_path):
    place = fetch(tmp_path)
    feedback(place, "2026-03-05 10:00:00", "<strong>8</strong> of 10 points")
    feedback(place, "2026-03-04 10:00:00", "<strong>2</strong> of 10 points")
    assert "8 of 10" in row(page([COURSE], tmp_path, NOW), "one")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (["2026-03-06 23:10:00"], "last on Sat 7 Mar 2026, 00:10 |"),  # within the time of grace
        (["2026-03-06 23:20:00"], "late, day 1 after the due date: 10 % of its points are lost"),
        (["2026-03-08 23:20:00"], "late, day 3 after the due date: 30 % of its points are lost"),
        (["2026-03-10 23:20:00"], "late, by more than 3 days: earns nothing"),
        (["2026-03-06 10:00:00", "2026-03-07 10:00:00"], "that one was late: the last one in time counts"),
    ],
)
def test_late_ones(exchange, tmp_path, sent, said):
    put(exchange, "one", sent=sent)
    assert said in row(page([COURSE], tmp_path, NOW), "one")


def test_what_is_next(exchange, tmp_path):
    put(exchange, "one")
    put(exchange, "two", sent=["2026-03-04 10:00:00"], answered=["x"])
    assert "**Next:** fetch **one**" in page([COURSE], tmp_path, NOW), "due within three days: before feedback"
    assert "**Next:** read the feedback on **two**" in page([COURSE], tmp_path, NOW - timedelta(days=10))
    put(exchange, "two", sent=["2026-03-04 10:00:00"])
    late = page([COURSE], tmp_path, NOW + timedelta(days=4))
    assert "fetch **one**, which was due Fri 6 Mar 2026, 23:59 (handed in now it is late, day 2" in late
    over = page([COURSE], tmp_path, NOW + timedelta(days=20))
    assert "**Next:** nothing waits for you." in over, "what earns nothing any more is not asked for"


def test_what_was_withdrawn(exchange, tmp_path):
    put(exchange, "one", released=False)
    assert "| withdrawn by the instructor |" in row(page([COURSE], tmp_path, NOW), "one")
    fetch(tmp_path)
    text = page([COURSE], tmp_path, NOW)
    assert "fetched, not handed in<br>withdrawn by the instructor" in row(text, "one")


def test_what_the_exchange_has_beside_course_yml_is_shown(exchange, tmp_path):
    put(exchange, "extra")
    assert "| extra | – | ready to fetch | – |" in page([COURSE], tmp_path, NOW)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("none", "no exchange: NGSHARE\\_URL is not set"),
        ("refuses", "there is no course course-a in the exchange"),
        ("away", "the exchange does not answer (no connection)"),
        ("nonsense", "the exchange has a fault (HTTP 200)"),
        ("other form", "the exchange answered strangely"),
    ],
)
def test_an_exchange_that_does_not_help(exchange, tmp_path, monkeypatch, kind, said):
    place = fetch(tmp_path)
    feedback(place, "2026-03-04 10:00:00", "<strong>6</strong> of 10 points")
    if kind == "none":
        monkeypatch.delenv("NGSHARE_URL")
    elif kind == "away":
        monkeypatch.setenv("NGSHARE_URL", "http://127.0.0.1:9")
    else:
        strange = {"refuses": {"success": False, "message": "Course not found"}, "nonsense": b"<html>"}
        exchange["/assignments/course-a"] = strange.get(kind, {"success": True})
    text = page([COURSE], tmp_path, NOW)
    assert said in text
    assert "write to your instructor before the due date" in text
    assert "| in your files<br>[feedback]" in row(text, "one")
    assert "6 of 10 points" in row(text, "one"), "what is in the home is shown"
    assert "Fri 6 Mar 2026, 23:59" in text


def test_no_markup_from_elsewhere(exchange, tmp_path):
    title = "a|b <script>alert(1)</script> [x](javascript:alert(1)) *s*"
    text = page([Told("course-a", title, assignments=(Given("one", title),))], tmp_path, NOW)
    assert "\\<script\\>" in text
    assert "\\[x\\](" in text
    assert "<script" not in text.replace("\\<", "")
    assert len(row(text, "one").replace("\\|", "").split("|")) == 6
    place = fetch(tmp_path)
    feedback(place, "2026-03-04 10:00:00", "&lt;img src=x onerror=alert(1)&gt; | 3")
    assert "<img" not in page([COURSE], tmp_path, NOW).replace("\\<", "")


def test_no_course(tmp_path):
    assert "You are not a member of a course on this hub." in page([], tmp_path, NOW)


def test_a_hub_that_tells_nothing(exchange, tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    exchange["/courses"] = {"success": True, "courses": ["course-a"]}
    put(exchange, "one")
    text = page(told_here(), tmp_path, NOW)
    assert "**Next:** fetch **one**:" in text
    assert "| one | – | ready to fetch | – |" in text, "no date is known"
    monkeypatch.setenv(VARIABLE, "[]")
    assert told_here() == [], "the hub says that there is none"


def test_what_the_hub_hands_over(tmp_path, monkeypatch):
    (tmp_path / "course.yml").write_text(
        "id: course-a\ntitle: A course\nterm: Spring\ntimezone: Europe/Paris\n"
        "projects:\n  one: {due: 2026-03-06 23:59, weight: 5}\n  two: {due: null, weight: 5}\n"
        "late: {grace_minutes: 15, percent_per_day: 10, days: 3}\n"
        "extensions: {one: {ben: 2026-03-09 23:59}}\n"
    )
    ada, ben = (gather("course-a", tmp_path, student=name) for name in ("ada", "ben"))
    monkeypatch.setenv(VARIABLE, packed([ada, ben]))
    assert courses() == [ada, ben]
    assert ada.local(ada.due("one")) == "Fri 6 Mar 2026, 23:59"
    assert ben.local(ben.due("one")) == "Mon 9 Mar 2026, 23:59", "an extension is told to whom it is granted"
    assert "2026-03-09" not in packed([ada])
    assert ada.due("two") is None
    (tmp_path / "course.yml").write_text("id: [")
    assert gather("course-a", tmp_path, student="ada").problem == "", "not a student's business"
    assert "course.yml" in gather("course-a", tmp_path, student="ada", formgrader="x").problem
    (tmp_path / "course.yml").unlink()
    assert gather("course-a", tmp_path, student="ada").id == "course-a"


@pytest.mark.parametrize("said", ["", "{", "3", '[{"id": 1}]', '[{"unknown": 1, "assignments": [], "late": {}}]'])
def test_a_variable_that_the_hub_did_not_write(monkeypatch, said):
    monkeypatch.setenv(VARIABLE, said)
    assert courses() == []


def test_the_page_is_written_and_nothing_stops_the_server(exchange, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, packed([COURSE]))
    writer = Writer(tmp_path, logging.getLogger("test"))
    writer.start()
    assert "# Welcome" in (tmp_path / NAME).read_text()
    assert writer.write() is False, "nothing is new"
    put(exchange, "one")
    assert writer.write() is True
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "inside").touch()
    assert writer.write() is False
    assert "is not up to date" in caplog.text
    monkeypatch.setattr("classroom.hub.welcome.page", lambda *_, **__: 1 / 0)
    assert writer.write() is False
    writer.hands.shutdown()


def test_in_a_home_that_is_full_the_page_is_shown_from_memory_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, packed([COURSE]))
    shown, full = {}, OSError(errno.ENOSPC, "no space left")

    def show(name: str, text: str | None) -> bool:
        before, shown[name] = shown.get(name), text
        return before != text

    def no_space(*_, **__) -> None:
        raise full

    writer = Writer(tmp_path, logging.getLogger("test"), show)
    with monkeypatch.context() as there:
        there.setattr("classroom.hub.welcome.write", no_space)
        assert (writer.write(), writer.write()) == (True, False)
        assert not (tmp_path / NAME).exists()
        lines = [line for line in shown[NAME].splitlines() if line]
        assert lines[0] == "# Welcome"
        assert lines[1].startswith("**Nothing more can be saved: the disk is full.** What was saved before is there")
        assert "Fri 6 Mar 2026, 23:59" in shown[NAME], "and all of the page"
        full = OSError(errno.EACCES, "permission denied")
        assert writer.write() is False
    assert writer.write() is True
    assert shown[NAME] is None
    assert "Nothing more" not in (tmp_path / NAME).read_text()
    writer.hands.shutdown()


def test_an_exchange_that_takes_its_time_delays_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, packed([COURSE]))
    monkeypatch.setattr("classroom.hub.welcome._AT_START", 0.2)
    waiting = threading.Event()
    monkeypatch.setattr("classroom.hub.welcome.from_exchange", lambda *_: waiting.wait(20) and [])
    writer = Writer(tmp_path, logging.getLogger("test"))
    writer.start()
    assert "Fri 6 Mar 2026, 23:59" in (tmp_path / NAME).read_text()
    waiting.set()
    writer.hands.shutdown()


def test_an_exchange_that_hangs_delays_no_server_that_knows_no_course(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("classroom.hub.welcome._AT_START", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        monkeypatch.setenv("NGSHARE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        for name in ("JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER"):
            monkeypatch.setenv(name, "ada")
        writer = Writer(tmp_path, logging.getLogger("test"))
        began = time.monotonic()
        writer.start()
        assert time.monotonic() - began < 10
        assert "Your courses can't be told just now" in (tmp_path / NAME).read_text()
    writer.hands.shutdown()


def test_the_list_answers_in_words():
    lines = 'Traceback (most recent call last):\n  File "x"\nnbgrader.exchange.abc.ExchangeError: it was withdrawn'
    assert in_words({"success": False, "value": lines})["value"] == "it was withdrawn"
    unknown = in_words({"success": False, "value": "Traceback (most recent call last):\nKeyError: 'x'"})
    assert unknown["value"] == "KeyError: 'x'"
    assert in_words({"success": True, "value": []}) == {"success": True, "value": []}
