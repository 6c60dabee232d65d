"""A host name for each server (host_for_each), with a provider's accounts: log-in, exchange and formgrader work there.

Below localhost every name is this machine, to a browser.
"""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .desk import Desk
from .hub_yml import graded, place_for_a_hub, running, write
from .provider import Provider, provider
from .running import COURSE, MAY_MAKE_ACCOUNTS, WHY_NOT, Hub

PROJECT = "checkpoint-01"
# As root formgrader needs an account to run as.
pytestmark = pytest.mark.skipif(os.geteuid() == 0 and not MAY_MAKE_ACCOUNTS, reason=WHY_NOT)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Hub, Provider]]:
    """A hub at hub.localhost, and who says who people are."""
    with place_for_a_hub() as hub:
        hub.address = f"http://hub.localhost:{hub.port}"
        people = {"class": ["ada", "ines"]}
        with provider(hub.folder / "provider", hub.address, people) as university, graded(hub) as given:
            write(
                hub,
                {COURSE: given},
                accounts="oauth",
                oauth=university.settings(),
                address=hub.address,
                host_for_each=True,
            )
            with running(hub):
                yield hub, university


def arrive(desk: Desk, university: Provider) -> Page:
    """Log in at the provider, as far as JupyterLab."""
    desk.page.goto(desk.hub.address)
    desk.page.click("text=Sign in with the university")
    desk.page.fill("#username_input", desk.name)
    desk.page.fill("#password_input", university.password)
    desk.page.click("#login_submit")
    desk.page.get_by_role("button", name="Authorize").click()
    desk.arrive()
    return desk.page


@pytest.mark.browser
def test_everybody_has_a_host_name_and_nothing_is_lost_by_it(both, browser):
    hub, university = both
    ines, ada = Desk(browser, hub, "ines"), Desk(browser, hub, "ada")
    try:
        page = arrive(ines, university)
        assert page.url.startswith(f"http://ines.hub.localhost:{hub.port}/user/ines/")
        page.click(".lm-MenuBar-item:has-text('Nbgrader')")
        page.click(".lm-Menu-itemLabel:has-text('Course List')")
        with ines.context.expect_page() as opened:
            page.locator("#courses .list_item a", has_text=COURSE).click()
        grading = opened.value
        at = f"http://{COURSE}--service.hub.localhost:{hub.port}/services/{COURSE}/formgrader"
        grading.locator("tr", has_text=PROJECT).wait_for()
        assert grading.url.startswith(at)
        for button in ("assign", "release"):
            grading.locator("tr", has_text=PROJECT).locator(f".{button} a").click()
            expect(grading.locator(".modal.in")).to_contain_text("uccess")
            grading.click(".modal.in .modal-footer [data-dismiss=modal]")
            grading.locator(".modal").wait_for(state="detached")

        page = arrive(ada, university)
        assert page.url.startswith(f"http://ada.hub.localhost:{hub.port}/user/ada/")
        answer = page.evaluate(
            """async ([course, project]) => {
                const mark = document.cookie.match(/_xsrf=([^;]*)/)[1];
                const about = {method: "POST", headers: {"X-XSRFToken": mark},
                               body: JSON.stringify({course_id: course, assignment_id: project})};
                return (await fetch("/user/ada/assignments/fetch", about)).json();
            }""",
            [COURSE, PROJECT],
        )
        assert answer["success"], answer
        assert (hub.homes / "ada" / COURSE / PROJECT / f"{PROJECT}.ipynb").exists()
        # What a page of ada's server can read of the hub in the name of whoever opened it: nothing.
        read = 'async url => { try { return (await fetch(url, {credentials: "include"})).status } catch { return 0 } }'
        assert page.evaluate(read, f"{hub.address}/hub/api/user") == 0
        assert page.evaluate(read, f"{hub.address}/hub/home") == 0
        page.goto(f"{hub.address}/hub/user-redirect/lab/tree/{COURSE}/{PROJECT}/{PROJECT}.ipynb")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        expect(page.get_by_text("Python 3 (ipykernel) | Idle").first).to_be_visible()
    finally:
        ines.context.close()
        ada.context.close()
