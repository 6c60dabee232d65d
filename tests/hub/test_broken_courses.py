"""Several courses on one hub, one of them broken: the hub and the other courses go on, and the broken one says why."""

import html
import re
import shutil
import subprocess
import time

import pytest

from .hub_yml import course, place_for_a_hub, rename, running, write
from .person import LONGEST, Person
from .running import COURSE, MAY_MAKE_ACCOUNTS, PREFIX, WHY_NOT, Hub, system_hub


def formgrader(hub: Hub, who: Person, name: str) -> tuple[int, str]:
    """What a course's page answers to somebody: the status, and its words."""
    answer = who.web.get(f"{hub.url}/services/{name}/formgrader", timeout=60)
    text = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", answer.text, flags=re.DOTALL)
    return answer.status_code, " ".join(html.unescape(text).split())


def opened(hub: Hub, who: Person, name: str) -> str:
    """The course's page, once it is there."""
    return _waited(hub, who, name, 200, "Manage Assignments")


def refused(hub: Hub, who: Person, name: str) -> str:
    """What stands in the place of the course's page. While it is tried again, nothing does for some seconds."""
    return _waited(hub, who, name, 503, "formgrader is not running")


def _waited(hub: Hub, who: Person, name: str, wanted: int, word: str) -> str:
    until = time.monotonic() + LONGEST
    while True:
        status, words = formgrader(hub, who, name)
        if status == wanted and word in words:
            return words
        assert time.monotonic() < until, (status, words, hub.said())
        time.sleep(1)


# What a student does who wants to be taken for formgrader: waits until its port is free, and answers there.
THIEF = """\
import itertools, socket, sys
for number in itertools.count():
    for port in map(int, sys.argv[1:]):
        try:
            taken = socket.create_server(("127.0.0.1", port))
            open(f"taken-{port}", "w").close()
        except OSError as error:
            if number == 0: open(f"tried-{port}", "w").write(error.strerror)
"""


def test_broken_courses_take_nobody_down_and_say_why():
    with place_for_a_hub() as hub:
        courses = {COURSE: course(hub.course)}
        for name in ("away", "broken"):
            courses[name] = course(hub.folder / name, grader=f"grader-{name}")
            rename(hub.folder / name, name, name.title())
        settings = hub.folder / "broken" / "nbgrader_config.py"
        right = settings.read_text()
        settings.write_text(right + "\nc.CourseDirectory.root = = 1\n")
        shutil.move(hub.folder / "away", hub.folder / "moved")
        write(hub, courses)
        with running(hub):
            ines, ada = hub.log_in("ines"), hub.log_in("ada")
            opened(hub, ines, COURSE)
            ada.start()
            ada.put("thief.py", THIEF)
            ports = [10_000 + hub.port % 10_000 // 10 * 10 + 3 + number for number in range(len(courses))]
            ada.run(f"(nice python thief.py {' '.join(map(str, ports))} > /dev/null 2>&1 &)")
            said = refused(hub, ines, "away")
            assert f"The course away could not be opened: {hub.folder}/away: no such file or directory" in said
            assert "The hub's log has all of it" in said
            said = refused(hub, ines, "broken")
            assert "The course broken could not be opened: SyntaxError: invalid syntax" in said
            assert re.search(r'nbgrader_config\.py", line \d+ c\.CourseDirectory\.root = = 1', said), said
            for name in ("away", "broken", COURSE):  # a student is no instructor of it, broken or not
                assert formgrader(hub, ada, name)[0] == 403
            settings.write_text(right)
            shutil.move(hub.folder / "moved", hub.folder / "away")
            for name in ("away", "broken"):  # both come back by themselves
                opened(hub, ines, name)
            files = {file["name"] for file in ada.server("GET", "api/contents").json()["content"]}
            assert {f"tried-{port}" for port in ports} <= files
            assert not [name for name in files if name.startswith("taken-")], "a student answers for formgrader"


@pytest.mark.skipif(not MAY_MAKE_ACCOUNTS, reason=WHY_NOT)
def test_a_folder_that_is_not_the_graders_is_told_and_so_is_a_hub_that_is_away():
    with system_hub() as hub:
        ines, ada = hub.log_in(f"{PREFIX}ines"), hub.log_in(f"{PREFIX}ada")
        opened(hub, ines, COURSE)
        hub.process.terminate()
        assert hub.process.wait(60) == 0, hub.said()
        # Here the proxy lives on, and speaks for the hub.
        answer = ada.web.get(f"{hub.url}/user/{ada.name}/lab", timeout=60)
        assert (answer.status_code, "Wait half a minute, then load this page again" in answer.text) == (503, True)
        subprocess.run(["chown", "root:", str(hub.course)], check=True)
        hub.start()
        assert f"{hub.course}: permission denied" in refused(hub, ines, COURSE)
        ada.start()
        assert ada.server("GET", "api/contents").ok
