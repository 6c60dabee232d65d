"""Who is in hub.yml's lists and who no longer is; sign-up on the hub itself (accounts: native)."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests
import yaml

from .hub_yml import course, module, place_for_a_hub, running, write
from .person import LONGEST, Person
from .running import COURSE, ROOT, Hub
from .test_broken_courses import refused

GOOD = "nine-lives-of-a-cat"


# ---------------------------------------------------------------- lists
def test_who_is_taken_out_of_hub_yml_is_out_when_the_hub_is_started_again():
    with place_for_a_hub() as hub:
        said = {COURSE: course(hub.course, instructors=["ines", "olga"])}
        write(hub, said)
        with running(hub):
            ada, ines, olga = (hub.log_in(name) for name in ("ada", "ines", "olga"))
            opened = f"{hub.url}/services/{COURSE}/formgrader/manage_assignments"
            assert olga.web.get(opened, timeout=60).status_code == 200
            hub.stop()
            said[COURSE] |= {"students": ["ben", "olga"], "instructors": ["ines"]}
            write(hub, said)
            hub.start()
            # With the cookies that they have.
            assert ada.web.get(f"{hub.url}/hub/home", timeout=60).url.startswith(f"{hub.url}/hub/login")
            assert requests.get(f"{hub.url}/hub/api/user", headers=token(ada), timeout=60).status_code == 403
            assert "Invalid username or password" in Person(hub.url, "ada", hub.password).answer.text
            assert ines.hub("GET", "users/ines").json()["groups"] == [f"formgrade-{COURSE}"]
            assert olga.hub("GET", "users/olga").json()["groups"] == [f"nbgrader-{COURSE}"]
            assert olga.web.get(opened, timeout=60).status_code == 403


def token(person: Person) -> dict:
    return {"Authorization": f"token {person.token}"}


# ---------------------------------------------------------------- sign-up
@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with place_for_a_hub() as hub:
        write(hub, {COURSE: course(hub.course, students="everybody")}, accounts="native", administrators=["chief"])
        with running(hub):
            yield hub


class Newcomer(requests.Session):
    """Somebody without an account, at the page for signing up."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.trust_env, self.url, self.more = False, f"{hub.url}/hub/signup", {}

    def sign_up(self, name: str, password: str, again: str | None = None) -> str:
        """Type it in; what they read then."""
        self.get(self.url, timeout=60)
        typed = {"username": name, "signup_password": password}
        typed["signup_password_confirmation"] = password if again is None else again
        typed["_xsrf"] = next(one.value for one in self.cookies if one.name == "_xsrf" and one.path == "/hub/")
        answer = self.post(self.url, data=typed | self.more, timeout=60)
        assert answer.ok, answer.text
        (said,) = re.findall(r'<div class="alert alert-[^"]*" role="alert">\s*<p>(.*?)</p>', answer.text, re.DOTALL)
        return " ".join(said.split())


@pytest.fixture(scope="module")
def chief(hub) -> Person:
    """The administrator, whom root let in."""
    assert "waits for an administrator" in Newcomer(hub).sign_up("chief", GOOD)
    said = Person(hub.url, "chief", GOOD).answer.text
    assert "User chief has not been authorized by an administrator yet." in said, "the name alone lets nobody in"
    line = [sys.executable, str(ROOT / "hub" / "native.py"), "let-in"]
    variables = os.environ | {"HUB_SETTINGS": str(hub.settings), "PYTHONPATH": str(ROOT / "lib")}
    nobody = subprocess.run([*line, "nobody"], capture_output=True, text=True, env=variables, timeout=60)
    assert (nobody.returncode, nobody.stderr) == (1, "nobody has not signed up\n")
    done = subprocess.run([*line, "chief"], capture_output=True, text=True, env=variables, timeout=60)
    assert (done.returncode, done.stdout) == (0, "chief may log in.\n"), done.stderr
    return Person(hub.url, "chief", GOOD)


def press(hub: Hub, chief: Person, name: str, said: dict | None = None) -> requests.Response:
    """The button that lets somebody in, or out again; `said` is what the browser says of where it was."""
    headers = {"Referer": f"{hub.url}/hub/authorize"} if said is None else said
    return chief.web.get(f"{hub.url}/hub/authorize/{name}", headers=headers, timeout=60)


def test_whoever_signs_up_waits_for_an_administrator(hub, chief):
    assert chief.hub("GET", "users").ok
    said = Newcomer(hub).sign_up("Ada", GOOD)
    assert said == "Your account waits for an administrator, who lets you in. After that you can log in."
    waits = Person(hub.url, "ada", GOOD)
    assert "User ada has not been authorized by an administrator yet." in waits.answer.text
    assert waits.token == ""
    listed = chief.web.get(f"{hub.url}/hub/authorize", timeout=60).text
    assert 'href="/hub/authorize/ada"' in listed
    # A link on somebody else's page, or in a letter, which the administrator opened: in browsers that say so, and not.
    for elsewhere in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Referer": "https://elsewhere.example/"},
        {},
    ):
        assert press(hub, chief, "ada", elsewhere).status_code == 403, elsewhere
    assert press(hub, chief, "ada", {"Sec-Fetch-Site": "same-origin"}).ok
    ada = Person(hub.url, "ada", GOOD)
    assert ada.hub("GET", "users/ada").json()["groups"] == [f"nbgrader-{COURSE}"]
    ada.start()
    assert "nothing is released yet" in ada.server("GET", "api/contents/Welcome.md").json()["content"]
    assert ada.web.get(f"{hub.url}/hub/authorize", timeout=60).status_code == 403


@pytest.mark.parametrize(
    ("name", "password", "again", "said"),
    [
        ("chief", GOOD, None, "this username is already in use"),
        ("CHIEF", GOOD, None, "this username is already in use"),
        ("grader", GOOD, None, "grader is the account of a course, with which nobody logs in."),
        ("-ben", GOOD, None, "Expected a name of 1 to 32 lower-case letters, digits,"),
        ("ben,", GOOD, None, "Expected a name of 1 to 32 lower-case letters, digits,"),
        ("ben", "short", None, "Expected a password of 10 characters or more."),
        ("ben", "1234567890", None, "This password is among those that everybody tries first."),
        ("ben", "x" * 73, None, "Expected a password of 72 characters or fewer"),
        ("ben", GOOD, GOOD + "s", "Your password did not match the confirmation."),
    ],
)
def test_what_is_not_taken_says_why(hub, chief, name, password, again, said):
    assert said in Newcomer(hub).sign_up(name, password, again)
    if name == "ben":
        assert "id=ben>" not in chief.web.get(f"{hub.url}/hub/authorize", timeout=60).text


def test_with_lists_of_students_only_those_named_sign_up():
    one = module("native").SignUpAuthenticator(add_new_table=False, allowed_users={"ada"}, admin_users={"chief"})
    assert [one.why_not(name, GOOD) for name in ("ada", "chief")] == ["", ""]
    assert one.why_not("eve", GOOD).startswith("eve is in no course of this hub.")


def test_so_many_may_wait_and_no_more(hub, chief):
    most = module("native").MOST_WAITING
    with closing(sqlite3.connect(hub.state / "jupyterhub.sqlite", timeout=60)) as table:
        have = table.execute("SELECT count(*) FROM users_info WHERE NOT is_authorized").fetchone()[0]
        line = "INSERT INTO users_info (username, password, is_authorized, has_2fa) VALUES (?, ?, 0, 0)"
        table.executemany(line, [(f"filler{number}", b"none") for number in range(have, most)])
        table.commit()
    full = f"{most} people wait to be let in, and no more can. Tell the administrator of this hub."
    assert Newcomer(hub).sign_up("gil", GOOD) == full
    assert "waits for an administrator" in Newcomer(hub).sign_up("ines", GOOD), "hub.yml names her"
    line = [sys.executable, str(ROOT / "hub" / "native.py"), "forget-waiting"]
    variables = os.environ | {"HUB_SETTINGS": str(hub.settings), "PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(line, capture_output=True, text=True, env=variables, timeout=60)
    assert re.match(rf"\d+ accounts that waited are gone: .*\bfiller{most - 1}\b", done.stdout), done.stderr
    assert "ines" not in done.stdout
    assert "waits for an administrator" in Newcomer(hub).sign_up("gil", GOOD)
    assert chief.hub("GET", "users/chief").ok


def test_what_a_form_says_that_was_not_asked_for_is_not_kept(hub):
    newcomer = Newcomer(hub)
    newcomer.more = {"email": f"{'x' * 100_000}@example.org", "2fa": "1"}
    newcomer.sign_up("hal", GOOD)
    with closing(sqlite3.connect(hub.state / "jupyterhub.sqlite", timeout=60)) as table:
        assert table.execute("SELECT email, has_2fa FROM users_info WHERE username = 'hal'").fetchone() == (None, 0)


def test_many_wrong_passwords(hub, chief):
    Newcomer(hub).sign_up("carol", GOOD)
    assert press(hub, chief, "carol").ok
    for _ in range(4):
        said = Person(hub.url, "carol", "something-else").answer.text
        assert "Invalid username or password." in said
    blocked = "Too many wrong passwords for carol: try again in 10 minutes."
    assert blocked in Person(hub.url, "carol", "x" * 100).answer.text
    assert blocked in Person(hub.url, "carol", GOOD).answer.text, "the right one neither"
    assert Person(hub.url, "chief", GOOD).token, "somebody else's is not blocked"


def cookies(person: Person) -> dict[str, str]:
    """What a browser keeps when somebody has logged out."""
    return {one.name: one.value for one in person.web.cookies if one.name == "hub-known-browser"}


def test_nobody_makes_somebody_wait_in_a_browser_of_their_own(hub, chief):
    Newcomer(hub).sign_up("eva", GOOD)
    assert press(hub, chief, "eva").ok
    eva = Person(hub.url, "eva", GOOD)
    assert eva.token
    known, bens = cookies(eva), cookies(chief)
    for _ in range(5):
        said = Person(hub.url, "eva", "a-guess-of-bens").answer.text
    blocked = "Too many wrong passwords for eva: try again in 10 minutes."
    assert blocked in said
    assert Person(hub.url, "eva", GOOD, known).token, "she has logged in there before"
    assert blocked in Person(hub.url, "eva", GOOD, bens).answer.text, "others have logged in there"
    assert blocked in Person(hub.url, "eva", GOOD, {name: f"{said}x" for name, said in known.items()}).answer.text
    for _ in range(5):
        said = Person(hub.url, "eva", "a-guess-by-her-computer", known).answer.text
    assert blocked in said
    assert chief.change_password("eva", GOOD + "s").ok
    assert Person(hub.url, "eva", GOOD + "s").token, "an administrator has given her a new password"


def test_guesses_that_come_all_at_once_are_counted_too(hub, chief):
    Newcomer(hub).sign_up("fay", GOOD)
    assert press(hub, chief, "fay").ok
    with ThreadPoolExecutor(12) as many:
        said = list(many.map(lambda number: Person(hub.url, "fay", f"guess-{number}").answer.text, range(24)))
    assert all("Too many wrong passwords for fay" in one or "Invalid username or password" in one for one in said)
    assert sum("Invalid username or password" in one for one in said) <= 4


@pytest.mark.skipif(os.geteuid() != 0, reason="the hub is not root's, so formgrader isn't either")
def test_formgrader_does_not_run_as_root(hub, chief):
    Newcomer(hub).sign_up("ines", GOOD)
    assert press(hub, chief, "ines").ok
    said = refused(hub, Person(hub.url, "ines", GOOD), COURSE)  # there is no account called grader
    assert "it would run as root, since this machine has no account for it" in said
    assert "warning: there is no account grader; hub/install makes it." in (hub.folder / "started.log").read_text()


def test_who_is_put_out_again_is_out_and_who_is_no_administrator_any_more_is_none(hub, chief):
    Newcomer(hub).sign_up("dora", GOOD)
    assert press(hub, chief, "dora").ok
    dora = Person(hub.url, "dora", GOOD)
    assert dora.token
    dora.start()
    server = hub.server_of("dora")
    assert press(hub, chief, "dora").ok
    server.wait(LONGEST)  # what runs in her name ends, too
    assert chief.hub("GET", "users/chief").ok, "the hub goes on"
    hub.stop()
    write(hub, yaml.safe_load(hub.settings.read_text())["courses"], accounts="native", administrators=["root"])
    hub.start()  # what is known of people is looked at again; otherwise within five minutes
    assert "has not been authorized" in Person(hub.url, "dora", GOOD).answer.text
    assert dora.web.get(f"{hub.url}/hub/home", timeout=60).url.startswith(f"{hub.url}/hub/login")
    assert chief.hub("GET", "users/chief").json()["admin"] is False
    assert chief.hub("GET", "users").status_code == 403
