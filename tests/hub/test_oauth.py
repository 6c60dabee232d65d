"""accounts: oauth, against a real provider on this machine: who is let in, as whom, and what the others read."""

import os
import re
import secrets
import time
from collections.abc import Iterator

import pytest
import requests
import yaml
from playwright.sync_api import expect

from .desk import Desk
from .hub_yml import course, place_for_a_hub, running, write
from .person import LONGEST, Person
from .provider import Provider, provider
from .running import COURSE, Hub
from .test_broken_courses import refused

PEOPLE = {"class": ["ada", "ines", "lena", "grader", "ada@example.org"], "others": ["eve"]}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Hub, Provider]]:
    """A hub that lets in whom the provider has in its group `class`."""
    with place_for_a_hub() as hub, provider(hub.folder / "provider", hub.url, PEOPLE) as university:
        asked = university.settings(allowed_groups=["class"], auth_state_groups_key="oauth_user.groups")
        write(hub, {COURSE: course(hub.course)}, accounts="oauth", oauth=asked)
        with running(hub):
            yield hub, university


class Member(Person):
    """Somebody who logs in at the provider."""

    def __init__(self, hub: Hub, university: Provider, name: str) -> None:
        self.university = university
        super().__init__(hub.url, name, university.password)

    def _log_in(self, password: str) -> requests.Response:
        page = self.web.get(f"{self.url}/hub/oauth_login?next=/hub/home", timeout=60)
        assert page.url.startswith(self.university.url), page.url
        page = self.web.post(page.url, data=fields(page, username=self.name, password=password), timeout=60)
        if page.url.startswith(self.url):  # they have said yes at another log-in
            return page
        assert "Authorize" in page.text, page.text
        return self.web.post(page.url, data=fields(page), headers={"Referer": page.url}, timeout=60)


def fields(page: requests.Response, **typed: str) -> dict:
    """What a browser sends from a page's form."""
    hidden = re.findall(r'<input[^>]*type="hidden"[^>]*>', page.text)
    found = [re.search(r'name="([^"]*)"', one)[1] for one in hidden]
    values = [re.search(r'value="([^"]*)"', one)[1] for one in hidden]
    return dict(zip(found, values, strict=True)) | typed


@pytest.mark.browser
def test_a_student_comes_in_through_the_provider(both, browser):
    hub, university = both
    ada = Desk(browser, hub, "ada")
    try:
        ada.page.goto(hub.url)
        ada.page.click("text=Sign in with the university")
        assert ada.page.url.startswith(university.url)
        ada.page.fill("#username_input", "ada")
        ada.page.fill("#password_input", university.password)
        ada.page.click("#login_submit")
        ada.page.get_by_role("button", name="Authorize").click()
        ada.arrive("nothing is released yet")
        assert ada.page.url.startswith(f"{hub.url}/user/ada/")
        ada.page.goto(f"{hub.url}/hub/home")
        expect(ada.page.locator("body")).to_contain_text("ada")
    finally:
        ada.context.close()
    assert (hub.homes / "ada" / "Welcome.md").exists()


def test_an_instructor_comes_in_and_has_the_formgrader(both):
    hub, university = both
    ines = Member(hub, university, "ines")
    assert ines.hub("GET", "users/ines").json()["groups"] == [f"formgrade-{COURSE}"]
    if os.geteuid() == 0:  # test_hosts.py has a hub of root's with an account for the grader
        assert "it would run as root" in refused(hub, ines, COURSE)
        return
    page = ines.web.get(f"{hub.url}/services/{COURSE}/formgrader/manage_assignments", timeout=60)
    assert page.status_code == 200
    assert "nbgrader formgrade" in page.text


def test_whom_the_provider_lets_in_and_no_course_names_belongs_to_none(both):
    hub, university = both
    lena = Member(hub, university, "lena")
    assert lena.hub("GET", "users/lena").json()["groups"] == []
    lena.start()
    page = lena.server("GET", "api/contents/Welcome.md").json()["content"]
    assert "You are not a member of a course on this hub." in page
    opened = lena.web.get(f"{hub.url}/services/{COURSE}/formgrader/manage_assignments", timeout=60)
    assert opened.status_code == 403


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eve", "the university says that you are eve, whom this hub does not let in."),
        ("grader", "grader is the account of a course, with which nobody logs in."),
        ("ada@example.org", "you are ada@example.org, and this hub has no account of such a name."),
    ],
)
def test_who_is_not_let_in_reads_why(both, name, said):
    answer = Member(*both, name).answer
    assert answer.status_code == 403
    assert said in answer.text


def test_a_provider_that_is_away(both):
    hub, university = both
    ada = requests.Session()
    page = ada.get(f"{hub.url}/hub/oauth_login", allow_redirects=False, timeout=60)
    state = re.search("state=([^&]+)", page.headers["Location"])[1]
    university.stop()
    try:
        answer = ada.get(f"{hub.url}/hub/oauth_callback?code=some&state={state}", timeout=60)
    finally:
        university.start()
    assert answer.status_code == 503
    assert "the university could not be asked who you are. Try again in some minutes." in answer.text


def test_who_was_let_in_keeps_their_courses_when_the_provider_is_asked_again(both):
    hub, university = both
    hub.stop()
    more = {"enable_auth_state": True, "auth_refresh_age": 1}
    courses = yaml.safe_load(hub.settings.read_text())["courses"]
    asked = university.settings(allowed_groups=["class"], auth_state_groups_key="oauth_user.groups", **more)
    write(hub, courses, accounts="oauth", oauth=asked)
    hub.environment["JUPYTERHUB_CRYPT_KEY"] = secrets.token_hex(32)
    hub.start()
    ines = Member(hub, university, "ines")
    log = university.folder / "started.log"
    asked_before = log.read_text().count("GET /hub/api/user ")
    until = time.monotonic() + LONGEST
    while log.read_text().count("GET /hub/api/user ") == asked_before:
        assert time.monotonic() < until, log.read_text()[-2000:]
        assert ines.hub("GET", "users/ines").ok
        time.sleep(0.3)
    assert ines.hub("GET", "users/ines").json()["groups"] == [f"formgrade-{COURSE}"]
