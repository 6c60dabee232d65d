"""The attempts: one file each under `tries/CLASS/`, made into what a student hands in.

A `.py` file is code for cells: `# %% NAME` begins the answer to the cell NAME, `# %% own NAME` a cell of the student's
own before it. A `.yml` file is a list of changes to the notebook, or of files beside it or instead of it. The first
line says what is tried; comments after it, `outcome: STATES` (those that are right, by default graded; `nothing`:
nothing of it was taken), `gains: {CELL: POINTS}` (what is not prevented) and `shows: REASON`.
"""

import base64
import json
import os
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import yaml
from attack_target import PROJECT
from nbformat.v4 import new_code_cell, new_markdown_cell

TRIES = Path(__file__).resolve().parents[1] / "tries"
NOTEBOOK = f"{PROJECT}.ipynb"
# Answers, wrong ones, to what an attempt is not about: a stub's error and its traceback take longer than all the rest.
BLANK = {
    "words": "def words(text):\n    return None",
    "digits": "def digits(n):\n    return None",
    "guess": "def guess(values):\n    return 0.0",
}
CLASSES = {
    "values": "Values that lie",
    "protocol": "The examiner's protocol",
    "python": "Python and its libraries changed",
    "names": "Names that tests use",
    "notebook": "The notebook changed",
    "reading": "Reading what is not theirs",
    "writing": "Writing outside, and start-up files",
    "network": "Network",
    "escape": "Other processes, and the way out",
    "limits": "Time, memory, processes, disk, output",
    "files": "Files, links, archives",
    "identity": "Somebody else, another time",
    "markup": "Markup and scripts",
    "withheld": "Withheld names",
}


@dataclass(frozen=True)
class Try:
    """One attempt."""

    kind: str
    name: str
    what: str
    text: str
    settings: dict = field(default_factory=dict)

    @property
    def student(self) -> str:
        """The student who hands it in."""
        return f"{self.kind}-{self.name}"

    @property
    def outcomes(self) -> list[str]:
        """States in which it may end."""
        return str(self.settings.get("outcome", "graded")).split("|")

    @property
    def gains(self) -> dict[str, float]:
        """Points by test cell that it is known to gain."""
        return {cell: float(points) for cell, points in self.settings.get("gains", {}).items()}


def tries() -> list[Try]:
    """All attempts, by class and name."""
    found = []
    for kind in CLASSES:
        for path in sorted((TRIES / kind).glob("*.*")):
            text = path.read_text(encoding="utf-8")
            first, _, rest = text.partition("\n")
            head = re.match(r"(?:# \w+: .*\n)*", rest).group()
            settings = yaml.safe_load(re.sub("^# ", "", head, flags=re.M)) or {}
            found.append(Try(kind, path.stem, first.lstrip("# ").strip(), text, settings | {"suffix": path.suffix}))
    return found


def hand_in(attempt: Try, released: nbformat.NotebookNode, inbound: Path, names: dict[str, str]) -> None:
    """Put an attempt into the folder to collect from.

    Args:
        released: the notebook as students have it.
        names: texts that stand for places of this machine, by their marks in the files.
    """
    filled = attempt.text.replace("@LONG@", "x" * 1_000_000)
    for mark, text in names.items():
        filled = filled.replace(mark, text)
    notebook = json.loads(nbformat.writes(released))
    for name, source in BLANK.items():
        notebook["cells"][_cell(notebook["cells"], name)]["source"] = source
    if attempt.settings["suffix"] == ".py":
        _code(notebook["cells"], filled)
        change = {}
    else:
        change = yaml.safe_load(filled) or {}
        _change(notebook, change)
    place = inbound / change.get("student", attempt.student)
    place.mkdir(parents=True)
    if when := change.get("when", "2026-02-05 10:00:00 UTC"):
        (place / "timestamp.txt").write_text(when + "\n")
    if change.get("notebook", True):
        (place / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")
    for name, content in change.get("files", {}).items():
        _file(place / name, content)
    for name, target in change.get("links", {}).items():
        os.symlink(target, place / name)
    for name, target in change.get("hard", {}).items():
        os.link(target, place / name)
    for name in change.get("pipes", ()):
        os.mkfifo(place / name)


def _cell(cells: list[dict], name: str) -> int:
    return next(n for n, cell in enumerate(cells) if cell["id"] == name)


def _code(cells: list[dict], text: str) -> None:
    pieces = re.split(r"^# %% (.+)\n", text, flags=re.M)[1:]
    for name, source in zip(pieces[::2], pieces[1::2], strict=True):
        own, _, before = name.rpartition(" ")
        number = _cell(cells, before)
        if own:
            cells.insert(number, json.loads(json.dumps(new_code_cell(source.strip("\n")))))
        else:
            cells[number]["source"] = source.strip("\n")


def _change(notebook: dict, change: dict) -> None:
    """Apply the changes of a `.yml` file to a notebook."""
    cells = notebook["cells"]
    for name, text in change.get("cells", {}).items():
        cells[_cell(cells, name)]["source"] = text
    for name, fields in change.get("fields", {}).items():
        cells[_cell(cells, name)].update(fields)
    for name, values in change.get("metadata", {}).items():
        for cell in (
            [cells[_cell(cells, name)]] if name != "tests" else [c for c in cells if c["id"].endswith("-tests")]
        ):
            for key, value in values.items():
                known = cell["metadata"].get(key)
                cell["metadata"][key] = {**known, **value} if isinstance(known, dict) else value
    for name, count in change.get("copies", {}).items():
        number = _cell(cells, name)
        cells[number + 1 : number + 1] = [{**cells[number], "id": f"{name}-{n}"} for n in range(count)]
    for name in change.get("without", ()):
        cells[:] = [c for c in cells if not (c["id"] == name or (name == "tests" and c["id"].endswith("-tests")))]
    for added in change.get("add", ()):
        kind = new_markdown_cell if added.get("cell_type") == "markdown" else new_code_cell
        made = json.loads(json.dumps(kind(added.get("source", "")))) | {k: v for k, v in added.items() if k != "before"}
        cells.insert(_cell(cells, added["before"]) if "before" in added else len(cells), made)
    if change.get("backwards"):
        cells.reverse()
    notebook["metadata"] |= change.get("notebook_metadata", {})


def _file(path: Path, content: object) -> None:
    """Write a file: a text; or `base64`; or `repeat` of a text, `times`, between `head` and `tail`; or a `zip`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif "base64" in content:
        path.write_bytes(base64.b64decode(content["base64"]))
    elif "zip" in content:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, size in content["zip"].items():
                archive.writestr(name, bytes(size))
    else:
        path.write_text(content.get("head", "") + content["repeat"] * content["times"] + content.get("tail", ""))
