"""Welcome.md, the page that JupyterLab opens on: what to do next, what is due when, how far one is.

A server extension in people's servers writes it when the server starts, every few minutes, and whenever somebody comes
back to it (JupyterLab's part asks for that). It knows due dates from the hub, the rest from the exchange and from the
files in the home.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, TimeoutError
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join as ujoin
from tornado import web

from classroom.hub.exchange.server import ServiceError
from classroom.hub.facts import Given, Told
from classroom.hub.saving import FULL, CarefulManager
from classroom.hub.standing import Arrived, Standing, from_exchange, from_home, from_students, time_of, told_here
from classroom.intake.files import write

NAME = "Welcome.md"
_EVERY = 180  # seconds
_AT_START = 4  # seconds: a server does not wait longer for the exchange before it answers
_SOON = timedelta(days=3)
_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")
_PROBLEMS = (ServiceError, OSError, ValueError, KeyError, TypeError)  # of asking the exchange
_MENU = "*Nbgrader* → *Assignment List*"
_END = "\n---\n\nThe hub writes this page anew every few minutes: keep notes of your own in another file.\n"
_NO_COURSE = """\
You are not a member of a course on this hub. Ask your instructor to add your account, then stop your server
(*File* → *Hub Control Panel* → *Stop My Server*) and log in again.
"""
_NOT_KNOWN = """\
**Your courses can't be told just now:** the exchange does not answer. Go on with what you have, and save it. This page
asks again every few minutes. If something is due and this stays so, write to your instructor before the due date.
"""
_NO_SPACE = """
**Nothing more can be saved: {why}.** What was saved before is there, and you can go on reading. Remove something that
you don't need: *File* → *New* → *Terminal*, and `du -sh ~/* ~/.cache` shows what is large. Then come back to this page.
"""


def text(said: str) -> str:
    """Text for Markdown in which nothing is markup."""
    return _MARKUP.sub(r"\\\1", " ".join(said.split()))


def page(told: Sequence[Told] | None, home: Path, now: datetime, *, ask: bool = True) -> str:
    """The whole page, for courses that may be unknown (None); without `ask` the exchange is left alone."""
    lines = ["# Welcome", ""]
    for course in told or ():
        lines += _teachers(course, ask) if course.formgrader else _students(course, home, now, ask)
    return "\n".join(lines if told else [*lines, _NOT_KNOWN if told is None else _NO_COURSE]) + _END


def _students(course: Told, home: Path, now: datetime, ask: bool) -> list[str]:
    lines = [f"## {text(course.title)}{f', {text(course.term)}' if course.term else ''}", ""]
    problem, standings = "", from_home(course, home)
    if ask:
        try:
            standings = list(from_exchange(course, home))
        except _PROBLEMS as error:
            problem = _words(error)
    if problem:
        lines += [f"**What is released and what you handed in can't be told just now:** {text(problem)}.", ""]
        lines += ["Go on with what you have, and save it. The table shows your files. If something is due", ""]
        lines[-2] += " and this stays so, write to your instructor before the due date."
    elif ask:
        lines += [f"**Next:** {next_step(standings, now)}", ""]
    lines += ["| assignment | due | state | points |", "| --- | --- | --- | --- |"]
    lines += [_row(one, known=ask and not problem) for one in standings]
    totals = [found for one in standings if (found := one.points())]
    if totals:
        got, most = (sum(column) for column in zip(*totals, strict=True))
        lines += ["", f"Points so far: **{round(got, 4):g} of {round(most, 4):g}**, where feedback is there."]
    if course.timezone:
        lines += ["", f"Times are of {text(course.timezone)}."]
    if course.book:
        lines += ["", f"[The book]({course.book})"]
    return [*lines, ""]


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, ServiceError) else f"the exchange answered strangely ({error!r})"


def _row(one: Standing, *, known: bool) -> str:
    due = one.course.due(one.given.name)
    name = text(one.given.name) + (f"<br>{text(one.given.title)}" if one.given.title else "")
    notebooks = one.notebooks()
    if notebooks:
        name = f"[{text(one.given.name)}]({one.link(notebooks[0])})" + name.removeprefix(text(one.given.name))
    return f"| {name} | {one.course.local(due) if due else '–'} | {_state(one, known)} | {text(one.total()) or '–'} |"


def _state(one: Standing, known: bool) -> str:
    said = []
    if one.sent:
        last = time_of(one.sent[-1])
        often = {1: "once", 2: "twice"}.get(len(one.sent), f"{len(one.sent)} times")
        most = f" (of {one.course.most_attempts} that count)" if one.course.most_attempts else ""
        said.append(f"handed in {often}{most}, last on {one.course.local(last)}")
        if late := one.course.lateness(one.given.name, last):
            in_time = not one.course.lateness(one.given.name, time_of(one.sent[0]))
            said.append("that one was late: the last one in time counts" if in_time else late)
    elif one.fetched:
        said.append("fetched, not handed in" if known else "in your files")
    elif known:
        said.append("ready to fetch" if one.released else "" if one.withdrawn else "not released yet")
    if one.withdrawn:
        said.append("withdrawn by the instructor")
    if one.to_fetch:
        said.append("**feedback is there: fetch it**")
    if one.page:
        said.append(f"[feedback]({one.link(one.page)})")
    return "<br>".join(filter(None, said)) or "–"


def next_step(standings: Sequence[Standing], now: datetime) -> str:
    """The one thing to do first."""
    far = datetime.max.replace(tzinfo=UTC)

    def due(one: Standing) -> datetime:
        return one.course.due(one.given.name) or far

    open_ = sorted((one for one in standings if one.released and not one.sent), key=due)
    ahead = [one for one in open_ if due(one) > now]
    if ahead and due(ahead[0]) - now <= _SOON:
        return _do(ahead[0], now)
    for one in standings:
        if one.to_fetch:
            return f"read the feedback on **{text(one.given.name)}**: {_MENU}, *Fetch Feedback*."
    for one in ahead or open_:
        if "nothing" not in one.course.lateness(one.given.name, now):
            return _do(one, now)
    coming = [one for one in standings if not one.released and not one.withdrawn and due(one) > now]
    if not any(one.released for one in standings):
        book = any(one.course.book for one in standings)  # else there is no link to it on the page
        return f"nothing is released yet. Come back later{', or read the book until then' if book else ''}."
    again = sorted((one for one in standings if one.released and one.sent and due(one) > now), key=due)
    more = f" You may hand in **{text(again[0].given.name)}** again: see when it is due." if again else ""
    more += f" **{text(coming[0].given.name)}** is not released yet." if coming else ""
    return f"nothing waits for you.{more}"


def _do(one: Standing, now: datetime) -> str:
    """What to do with an assignment that is not handed in."""
    due, name = one.course.due(one.given.name), text(one.given.name)
    when = f", due {one.course.local(due)}" if due else ""
    if late := one.course.lateness(one.given.name, now):
        when = f", which was due {one.course.local(due)} (handed in now it is {late})"
    if not one.fetched:
        return f"fetch **{name}**{when}: {_MENU}, *Fetch*. Its folder is then {text(one.course.id)}/{name}."
    notebooks = one.notebooks()
    what = f"[{name}]({one.link(notebooks[0])})" if notebooks else f"**{name}**"
    return f"work on {what}{when}. *Validate*, in the notebook's toolbar, says how far you are; then {_MENU}, *Submit*."


def _teachers(course: Told, ask: bool) -> list[str]:
    lines = [f"## {text(course.title)}{f', {text(course.term)}' if course.term else ''}: you teach this course", ""]
    lines += [f"**[Open formgrader]({course.formgrader})**: release, collect, grade, give feedback. It opens in a tab"]
    lines += [
        "of its own. If you can't open it, log out and in again: who teaches a course is looked up at log-in.",
        "",
    ]
    if course.problem:
        lines += [f"**course.yml can't be used:** {text(course.problem)}. Your students see no due dates.", ""]
    problem, arrived = "", {}
    if ask:
        try:
            arrived = from_students(course)
        except _PROBLEMS as error:
            problem = _words(error)
    if problem:
        lines += [f"**What your students handed in can't be told just now:** {text(problem)}.", ""]
    known = [
        *course.assignments,
        *(Given(name) for name in arrived if name not in {one.name for one in course.assignments}),
    ]
    lines += ["| assignment | due | handed in |", "| --- | --- | --- |"] if known else []
    for given in known:
        due, name = course.due(given.name), text(given.name) + (f"<br>{text(given.title)}" if given.title else "")
        said = _arrived(course, arrived.get(given.name)) if ask and not problem else "–"
        lines.append(f"| {name} | {course.local(due) if due else '–'} | {said} |")
    if any(one.students for one in arrived.values()):
        lines += ["", "*Collect*, in formgrader, takes in what was handed in."]
    if course.timezone and known:
        lines += ["", f"Times are of {text(course.timezone)}."]
    return [*lines, ""]


def _arrived(course: Told, one: Arrived | None) -> str:
    """What came in for one assignment, for those who teach the course."""
    if one is None:
        return "not released yet"
    state = "" if one.released else "withdrawn<br>"
    if one.last is None:
        return f"{state}by nobody so far"
    return f"{state}by {one.students} student{'s' * (one.students > 1)}, last on {course.local(one.last)}"


class Writer:
    """Keeps the page of one home up to date.

    Args:
        home: where it lies.
        log: who is told of what goes wrong.
        shown: JupyterLab shows a text in the place of a file (CarefulManager.keep); for a home that is full.
    """

    def __init__(self, home: Path, log, shown: Callable[[str, str | None], bool] = lambda name, text: False) -> None:
        self.home, self.log, self.shown = home, log, shown
        self.hands: Executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="welcome")

    def write(self, ask: bool = True) -> bool:
        """Write the page, if it is another one than before; whether it is. A home that is full keeps the old one, and
        who looks at it sees the new one, and why."""
        try:
            new = page(told_here(ask=ask), self.home, datetime.now(UTC), ask=ask)
            target = self.home / NAME
            if target.is_file() and target.read_text(encoding="utf-8", errors="replace") == new:
                return self.shown(NAME, None)
            try:
                write(self.home.resolve(), NAME, new.encode(), replace=True)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                title, _, rest = new.partition("\n")
                return self.shown(NAME, f"{title}\n{_NO_SPACE.format(why=FULL[error.errno])}{rest}")
            self.shown(NAME, None)
            return True
        except Exception as error:  # of any kind: a page that is not up to date must not stop anybody's server
            self.log.warning("%s is not up to date: %s", NAME, error, exc_info=not isinstance(error, OSError))
            return False

    def start(self) -> None:
        """Write it for the first time, and wait for the exchange a little."""
        try:
            self.hands.submit(self.write).result(timeout=_AT_START)
        except TimeoutError:
            self.write(ask=False)

    async def again(self) -> bool:
        """Write it anew, while the server goes on answering."""
        return await asyncio.get_running_loop().run_in_executor(self.hands, self.write)

    async def keep(self) -> None:
        """Do so every few minutes."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.again()


class WelcomeHandler(APIHandler):
    """POST classroom/welcome: write the page anew."""

    @web.authenticated
    async def post(self) -> None:
        """Answer with `changed`: whether the page is another one now."""
        self.finish(json.dumps({"changed": await self.settings["classroom_welcome"].again()}))


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "classroom.hub.welcome"}]


def _load_jupyter_server_extension(server) -> None:
    """Write the page, and keep it up to date while the server runs."""
    files = server.contents_manager
    writer = Writer(Path(server.root_dir), server.log, *([files.keep] if isinstance(files, CarefulManager) else []))
    writer.start()
    settings = server.web_app.settings
    settings["classroom_welcome"] = writer
    server.web_app.add_handlers(".*$", [(ujoin(settings["base_url"], "classroom/welcome"), WelcomeHandler)])
    server.io_loop.add_callback(writer.keep)
