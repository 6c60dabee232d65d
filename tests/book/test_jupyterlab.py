"""Sliders and quizzes in a real JupyterLab: what moves on the static page moves there too, without ipywidgets.

What recomputes in a live kernel needs them, and is moved here as well.
"""

import json
import os
import subprocess
import sys
import time

import nbformat
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

CELL = """\
from deeppractice.viz import explore, frames, quiz, subplots

pictures = []
for power in (1, 2, 3):
    fig, ax = subplots()
    ax.plot([0, 1, 2], [0, 1, 2**power])
    pictures.append(fig)
frames(pictures, [f"The curve x to the power {p}" for p in (1, 2, 3)], "power", values=[1, 2, 3])
quiz([{"q": "Is two more than one?", "options": ["yes", "no"], "answer": 0, "why": "It is one more."}])

def curve(power, shift=1):
    fig, ax = subplots()
    ax.plot([0, 1, 2], [shift, shift + 1, shift + 2**power])
    return fig

explore(curve, alt="Power {power}, shifted by {shift}", power=[1, 2, 3], shift=[0, 1, 2])"""


@pytest.fixture
def lab(tmp_path):
    """A JupyterLab on a free port with one notebook; yields the address of the notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL, id="figures")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "page.ipynb")
    folders = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += ["--IdentityProvider.token=test", f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url=None"]
    log = (tmp_path / "lab.log").open("w")
    server = subprocess.Popen(command, env=os.environ | folders, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (found := list((tmp_path / "RUNTIME").glob("jpserver-*.json"))):
            assert server.poll() is None, (tmp_path / "lab.log").read_text()
            assert time.monotonic() < deadline, "JupyterLab did not start in a minute"
            time.sleep(0.2)
        url = json.loads(found[0].read_text())["url"]
        yield f"{url}lab/tree/page.ipynb?token=test"
    finally:
        server.terminate()
        server.wait(timeout=20)
        log.close()


def test_slider_and_quiz_work_in_jupyterlab(lab, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(lab)
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(state="attached", timeout=60_000)
    slider = page.locator(".dp-frames input[type=range]")
    deadline = time.monotonic() + 60
    while not slider.is_visible():  # the very first keys after start-up may reach nobody
        assert time.monotonic() < deadline, "the cell did not run in a minute"
        page.locator(".jp-Notebook .cm-content").first.click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(3000)
    visible = page.locator(".dp-frame:visible svg")
    expect(visible).to_have_attribute("aria-label", "The curve x to the power 1")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(visible).to_have_attribute("aria-label", "The curve x to the power 2")
    expect(page.locator(".dp-frames output")).to_have_text("2")
    page.get_by_label("yes").check()
    expect(page.locator(".dp-why")).to_have_text("Right. It is one more.")
    expect(page.locator(".dp-quiz output")).to_have_text("1 right of 1")

    drawn = page.locator(".dp-figure svg")
    expect(drawn).to_have_attribute("aria-label", "Power 1, shifted by 1", timeout=30_000)
    for slider, key, seen in ((0, "ArrowRight", "Power 2, shifted by 1"), (1, "ArrowLeft", "Power 2, shifted by 0")):
        page.locator(".widget-slider [role=slider]").nth(slider).focus()
        page.keyboard.press(key)
        expect(drawn).to_have_attribute("aria-label", seen, timeout=30_000)
    page.close()
