"""A class that presses Fetch and Submit, everybody at the same moment; a program of test_crowd.py.

Each student is a process with a home and a token of the hub, and does what the buttons of the Assignment List do in
their JupyterLab (classroom.hub.assignments). One of them is hostile, and talks to the exchange without our programs.
What to do comes as JSON on standard input; what happened goes to FOLDER/NAME.json.
"""

import hashlib
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import requests

from classroom.hub.assignments import Assignments

SEVERAL = 5  # requests of the hostile one at a time


def student(at: dict, name: str, token: str, answers: dict[str, str], start) -> None:
    """Fetch, write the answers, hand in."""
    home = Path(at["folder"], name)
    home.mkdir()
    os.chdir(home)
    os.environ |= {"HOME": str(home), "JUPYTERHUB_USER": name, "JUPYTERHUB_API_TOKEN": token}
    page = Assignments()
    page.root_dir = str(home)
    start.wait()
    told = [page.press("fetch", at["course"], at["project"])]
    path = home / at["course"] / at["project"] / f"{at['project']}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    nbformat.write(notebook, path)
    start.wait()
    begin = time.monotonic()
    told.append(page.press("submit", at["course"], at["project"]))
    done = {"begin": begin, "end": time.monotonic(), "bytes": hashlib.sha256(path.read_bytes()).hexdigest()}
    done["told"] = [answer["value"] for answer in told if not answer["success"]]
    Path(at["folder"], f"{name}.json").write_text(json.dumps(done))


def hostile(at: dict, name: str, token: str, phases: list[list[list]], start) -> None:
    """Send what the test says, some at a time, one phase after the other; the answers' codes in the same order."""
    web = requests.Session()
    web.trust_env = False
    web.headers["Authorization"] = f"token {token}"

    def send(one: list) -> int:
        method, path, fields = one
        return web.request(method, at["exchange"] + path, data=fields, timeout=120).status_code

    start.wait()
    start.wait()
    with ThreadPoolExecutor(SEVERAL) as hands:
        codes = [list(hands.map(send, phase)) for phase in phases]
    Path(at["folder"], f"{name}.json").write_text(json.dumps({"codes": codes}))


def main() -> None:
    """Start everybody, and wait until all have gone."""
    at = json.load(sys.stdin)
    fork = multiprocessing.get_context("fork")  # what they import is imported once
    start = fork.Barrier(len(at["students"]) + 1)
    everybody = [fork.Process(target=student, args=(at, *one, start)) for one in at["students"]]
    everybody.append(fork.Process(target=hostile, args=(at, *at["hostile"], start)))
    for one in everybody:
        one.start()
    for one in everybody:
        one.join()
    sys.exit(max(abs(one.exitcode) for one in everybody))


if __name__ == "__main__":
    main()
