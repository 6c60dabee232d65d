"""*Validate*, in words: which visible checks pass, what is still unanswered, and what grading will look at besides.

nbgrader's Validate says "Success! Your notebook passes all the tests" of a notebook whose hidden tests nobody has run.
Here a part is passed "so far", and the further checks that the released cell announces are named. A program of its own
runs the notebook, on a copy, so that the server goes on answering:

    python -m classroom.hub.validation NOTEBOOK [SECONDS]     prints the outcome as JSON; so long a cell may take
"""

import asyncio
import atexit
import json
import os
import re
import shutil
import sys
import tempfile
from html import escape
from pathlib import Path

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join as ujoin
from tornado import web
from tornado.iostream import StreamClosedError

_CHECK = re.compile(r"^(✓|✗) (.*)$", re.MULTILINE)
_FURTHER = re.compile(r"^Grading makes further checks: (.*)$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,3}\s+(.*)$", re.MULTILINE)
_FILE = re.compile(r"\(\d+\.py, (?=line \d+\))")  # what Python calls a cell in a SyntaxError
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
UNANSWERED = "NotImplementedError"
_LONGEST = 4000  # characters of what a cell printed
CELL_SECONDS, ALL_SECONDS = 240, 1800  # of wall time; the mini-project's longest cell takes 40 on a core of its own
_STILL_HERE = 20  # seconds after which a proxy on the way is shown that an answer is still to come


def outcome(path: Path, cell_seconds: int = CELL_SECONDS) -> dict:
    """Run a notebook's cells and tell of each part.

    Returns:
        `parts`, each with `title`, `state` (passed, failed, unanswered, written or unwritten), `said` and `further`;
        `changed`: titles of parts whose test cell is not as it was released; `text`: all of it for a person.

    Raises:
        OSError, ValueError: if the file is no notebook, or its kernel does not run.
    """
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from nbgrader import utils
    from nbgrader.nbgraderformat import SchemaTooNewError, SchemaTooOldError
    from nbgrader.validator import Validator
    from traitlets.config import Config

    try:
        notebook = nbformat.read(path, as_version=nbformat.current_nbformat)
        nbformat.validate(notebook)
    except (ValueError, AttributeError, KeyError, TypeError, nbformat.ValidationError):
        raise ValueError("it is no notebook, or a damaged one; fetch it anew and put your answers into that") from None
    if not any(utils.is_grade(cell) for cell in notebook.cells):
        return _told([], [], f"{path.name} has no tests: it is no assignment, or its test cells were removed.")
    config = Config()
    config.Execute.raise_on_iopub_timeout = False
    config.Execute.timeout = cell_seconds
    # A kernel's usual ports on 127.0.0.1 tell what it puts out to everybody on the machine who listens.
    config.KernelManager.transport = "ipc"
    sockets = tempfile.mkdtemp(prefix="validate-")
    atexit.register(shutil.rmtree, sockets, ignore_errors=True)
    config.KernelManager.ip = str(Path(sockets) / "k")
    validator = Validator(config=config)
    os.chdir(path.parent)
    try:
        changed = [
            cell for cell in validator._get_type_changed_cells(notebook) + validator._get_changed_cells(notebook)
        ]
        titles = _titles(notebook)
        changed_titles = [titles[id(cell)] for cell in changed]
        notebook = validator._preprocess(notebook)
    except (SchemaTooOldError, SchemaTooNewError) as error:
        raise ValueError(f"it was made by another version of nbgrader: {error}") from None
    except NoSuchKernel as error:
        what = "choose Python 3 with Kernel > Change Kernel, save, and try again"
        raise ValueError(f"its kernel is {error.name!r}, which is not here; {what}") from None
    except DeadKernelError:
        raise ValueError("the kernel ended before the last cell: too little memory, or a cell that ends it") from None
    titles, parts, failed, answered = _titles(notebook), [], "", False
    for cell in notebook.cells:
        if utils.is_grade(cell):
            parts.append(_part(cell, titles[id(cell)], utils, failed, answered))
            failed, answered = "", False
        elif not failed:
            answered = utils.is_solution(cell)
            failed = _failure(cell, cell_seconds, "the cell with the answer" if answered else "a cell before it")
    return _told(parts, changed_titles, "")


def _failure(cell, cell_seconds: int, whose: str) -> str:
    """How a cell that is no test ended, if it did not end well."""
    errors = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
    if any(error.ename == "CellTimeoutError" for error in errors):
        return f"{whose} took longer than {cell_seconds} seconds and was stopped: is there a loop without end?"
    said = _FILE.sub("(", _COLOUR.sub("", errors[0].evalue)) if errors else ""
    return f"{whose} ended with {errors[0].ename}: {said}" if errors else ""


def _titles(notebook) -> dict[int, str]:
    """By cell the heading above it."""
    found, title = {}, "the beginning"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = _HEADING.findall(cell.source)
            title = headings[-1].strip() if headings else title
        found[id(cell)] = title
    return found


def _part(cell, title: str, utils, failed: str, answered: bool) -> dict:
    """What is told of a test cell; `failed` is how a cell before it ended, `answered` whether that was an answer's."""
    part = {"title": title, "points": cell.metadata.nbgrader.get("points", 0), "further": "", "said": ""}
    if utils.is_solution(cell):
        written = cell.source.strip() and "Replace this line" not in cell.source
        return part | {"state": "written" if written else "unwritten"}
    printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    errors = [output for output in cell.outputs if output.output_type == "error"]
    further = _FURTHER.search(printed)
    part["further"] = " ".join(further[1].split()).rstrip(".") if further else ""
    said = _FURTHER.sub("", printed).strip()
    if errors and not _CHECK.search(said):
        said = f"{said}\n{errors[0].ename}: {_COLOUR.sub('', errors[0].evalue)}".strip()
    unseen = failed and answered and (UNANSWERED in said or "NameError" in said)  # the checks saw no answer
    part["said"] = "\n".join(filter(None, (failed, "" if unseen else said)))[:_LONGEST]
    score, most = utils.determine_grade(cell)
    if not errors and score is not None and score >= most:
        return part | {"state": "passed"}
    lines = _CHECK.findall(said)
    untouched = UNANSWERED in said and not (failed and answered) and not any(mark == "✓" for mark, _ in lines)
    return part | {"state": "unanswered" if untouched else "failed"}


def _told(parts: list[dict], changed: list[str], instead: str) -> dict:
    """The outcome with its text."""
    lines = [instead] if instead else []
    tested = [part["state"] for part in parts if part["state"] not in ("written", "unwritten")]
    if tested:
        lines.append(f"{tested.count('passed')} of {len(tested)} tested parts pass the checks that you can see.")
    for title in changed:
        lines.append(f"\n! {title}: a test cell was changed. Grading puts the released one back.")
    for part in parts:
        words = {
            "passed": "✓ {title}: passes what you can see.",
            "failed": "✗ {title}: not yet.",
            "unanswered": "· {title}: no answer yet.",
            "written": "· {title}: a written answer, read by a person.",
            "unwritten": "· {title}: nothing written yet.",
        }[part["state"]]
        lines.append("\n" + words.format(title=part["title"]))
        if part["state"] == "failed":
            lines += [f"    {line}" for line in part["said"].splitlines()]
        if part["further"] and part["state"] != "unanswered":
            lines.append(f"    Grading makes further checks: {part['further']}.")
    if parts:
        lines.append("\nNothing was handed in: that is a button of its own, in Nbgrader > Assignment List.")
    return {"parts": parts, "changed": changed, "text": "\n".join(lines)}


async def run(path: Path) -> dict:
    """Run the program above on a notebook, in a process of its own.

    Raises:
        ValueError: with what went wrong, if there is no outcome.
    """
    line = [sys.executable, "-P", "-m", "classroom.hub.validation", str(path)]
    process = await asyncio.create_subprocess_exec(
        *line, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), ALL_SECONDS)
    except TimeoutError:
        raise ValueError(f"it took longer than {ALL_SECONDS // 60} minutes, and was stopped") from None
    finally:  # of a person who does not wait any longer, too
        if process.returncode is None:
            process.kill()  # its kernel ends with it
            await process.wait()
    if process.returncode:
        said = err.decode("utf-8", "replace").strip().splitlines() or [f"it ended with code {process.returncode}"]
        raise ValueError(said[-1])
    return json.loads(out)


class ValidateHandler(APIHandler):
    """POST assignments/validate?path=…: the outcome in words, and in the form that nbgrader's own button shows."""

    running: asyncio.Future | None = None

    @web.authenticated
    async def post(self) -> None:
        """Answer with `success`, `value` (as nbgrader's) and `told` (as `outcome`)."""
        body = {} if self.get_argument("path", None) else self.get_json_body()
        asked = self.get_argument("path", None) or (body.get("path") if isinstance(body, dict) else None)
        if not isinstance(asked, str) or "\0" in asked:
            raise web.HTTPError(400, "expected the path of a notebook")
        root = Path(self.serverapp.root_dir).resolve()
        path = (root / asked.lstrip("/")).resolve()
        if not path.is_relative_to(root) or path.suffix != ".ipynb" or not path.is_file():
            raise web.HTTPError(404, f"no notebook {asked!r}")
        self.running = asyncio.ensure_future(run(path))
        try:
            while not (await asyncio.wait({self.running}, timeout=_STILL_HERE))[0]:
                self.write(" ")
                await self.flush()
            told = self.running.result()
        except (StreamClosedError, asyncio.CancelledError):
            return  # whoever asked is gone
        except ValueError as error:
            self.finish(json.dumps({"success": False, "value": f"{path.name} could not be run: {error}"}))
            return
        finally:
            self.running.cancel()
        self.finish(json.dumps({"success": True, "value": _nbgraders(told), "told": told}))

    def on_connection_close(self) -> None:
        """Whoever asked does not wait any longer."""
        super().on_connection_close()
        if self.running:
            self.running.cancel()


def _nbgraders(told: dict) -> dict:
    """The outcome as nbgrader's own page takes it: an empty dictionary is a success there."""
    failed = [part for part in told["parts"] if part["state"] in ("failed", "unanswered", "unwritten")]
    shown = [
        {"source": part["title"], "error": escape(part["said"] or "no answer yet"), "raw_error": part["said"]}
        for part in failed
    ]
    shown += [{"source": title, "error": "a test cell was changed", "raw_error": ""} for title in told["changed"]]
    return {"failed": shown} if shown else {}


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": "classroom.hub.validation"}]


def _load_jupyter_server_extension(server) -> None:
    """Answer where nbgrader's Validate asks, before nbgrader does."""
    place = ujoin(server.web_app.settings["base_url"], "assignments/validate")
    server.web_app.add_handlers(".*$", [(place, ValidateHandler)])
    known = server.web_app.default_router.rules
    known.insert(0, known.pop(-2))


if __name__ == "__main__":
    try:
        print(json.dumps(outcome(Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:]))))
    except (OSError, ValueError) as error:
        sys.exit(f"{error}")
