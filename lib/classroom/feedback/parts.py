"""A graded notebook taken apart: for each part what it earned, what its tests say, and what the student wrote in it."""

import json
import re
from dataclasses import dataclass, field

from classroom.course import Project
from classroom.feedback.marks import Mark, NotebookMarks
from classroom.feedback.verdicts import Verdict, hidden_texts, verdict
from classroom.folder import Folder
from classroom.plan import HIDDEN
from classroom.texts import OWN

ANSWER, OUTPUT = "answer", "output"  # what the student wrote; what a supplied cell put out
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_STOPPED = {
    "timeout": "This cell was stopped at the time limit.",
    "died": "With this cell the notebook's process ended; nothing after it ran.",
    "not-run": "This cell was not reached.",
}
_SHORT_SECRET = 8  # characters: `)` or `else:` is no secret


@dataclass(frozen=True)
class Work:
    """A cell of a part."""

    kind: str
    cell: dict
    name: str  # its grade_id, or empty
    unanswered: bool = False  # it stands as it was released
    stopped: str = ""  # in words, where it did not run to its end


@dataclass
class Part:
    """One graded cell with the cells that belong to it."""

    title: str
    cell: str
    mark: Mark | None = None
    verdict: Verdict | None = None  # of a test
    work: list[Work] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    heading: str = ""  # under which it stands in the notebook

    @property
    def answers(self) -> list[Work]:
        """What the student wrote."""
        return [work for work in self.work if work.kind == ANSWER]

    @property
    def unanswered(self) -> bool:
        """Whether nothing of the student's stands in it."""
        return bool(self.answers) and all(work.unanswered for work in self.answers)


def released_texts(folder: Folder, project: str) -> dict[str, dict[str, str]]:
    """By notebook's file name and cell id the text that students were given."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.path("release", project).glob("*.ipynb")):
        texts = found.setdefault(path.name, {})
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], 1):
            grade_id = (cell["metadata"].get("nbgrader") or {}).get("grade_id")
            # As `rebuild.master` names the cells of a release from before ids.
            texts[cell.get("id") or grade_id or f"cell-{number}"] = "".join(cell["source"])
    return found


def parts_of(
    notebook: dict,
    ran: list[dict],
    marks: NotebookMarks,
    released: dict[str, str],
    project: Project | None = None,
    hidden: tuple[str, str] = HIDDEN,
    stem: str = "",
) -> list[Part]:
    """The parts of a notebook in order.

    Args:
        notebook: of a result, executed, with its hidden tests.
        ran: the result's `cells` of this notebook.
        released: text by cell id.
        hidden: the marks around hidden tests.
        stem: the notebook's name, with which `project` calls a cell whose id another notebook has too.
    """
    titles = {part.cell: part.name for part in project.parts} if project else {}
    status = {cell["id"]: cell for cell in ran if cell.get("id")}
    found: list[Part] = []
    for before, cells, graded in _segments(notebook["cells"], released):
        if before and found:
            found[-1].work += _work(before, status, released)
        elif before:
            cells = before + cells
        if graded is None:  # after the last graded cell
            if found:
                found[-1].work += _work(cells, status, released)
            continue
        name = graded["metadata"]["nbgrader"]["grade_id"]
        under = found[-1].heading if found else ""
        heading = _title(cells, released)
        title = titles.get(f"{stem}/{name}") or titles.get(name) or heading or (f"{under}: {name}" if under else name)
        part = Part(title, name, marks.cells.get(name), heading=heading or under)
        part.work = _work(cells, status, released)
        if _is_test(graded):
            part.verdict = verdict(graded, status.get(graded.get("id"), {}), hidden)
        found.append(part)
    for part in found:
        names = dict.fromkeys([*(work.name for work in part.work), part.cell])
        part.comments = [marks.comments[name] for name in names if name in marks.comments]
    return found


def secrets_of(notebook: dict, released: dict[str, str], hidden: tuple[str, str] = HIDDEN) -> frozenset[str]:
    """The lines of a notebook's hidden tests that stand neither in the release nor in the student's own text."""
    known: set[str] = set()
    for text in released.values():
        known |= {line.strip() for line in text.split("\n")}
    secrets: set[str] = set()
    for cell in notebook["cells"]:
        if _is_test(cell):
            secrets |= hidden_texts(cell, hidden)
        else:
            known |= {line.strip() for line in cell["source"].split("\n")}
    return frozenset(line for line in secrets - known if len(line) >= _SHORT_SECRET)


def _segments(cells: list[dict], released: dict[str, str]):
    """(cells that still belong to the part before, cells of this part, its graded cell) for each graded cell.

    A part begins at a heading, so that a figure of the part before, which stands after its tests, stays with it. Of
    several headings the first one of the highest level counts.
    """
    current: list[dict] = []
    for cell in cells:
        current.append(cell)
        meta = _meta(cell)
        if meta.get("grade") or meta.get("task"):
            yield *_split(current, released), cell
            current = []
    if current:
        yield [], current, None


def _split(cells: list[dict], released: dict[str, str]) -> tuple[list[dict], list[dict]]:
    levels = [(level[0][0], place) for place, cell in enumerate(cells) if (level := _headings(cell, released))]
    at = min(levels)[1] if levels else 0
    return cells[:at], cells[at:]


def _headings(cell: dict, released: dict[str, str]) -> list[tuple[int, str]]:
    """The headings of a released text, the highest first."""
    text = released.get(cell.get("id"))
    if text is None or cell["cell_type"] != "markdown":
        return []
    found = [(len(mark), words) for mark, words in _HEADING.findall(_FENCE.sub("", text))]
    return sorted(found, key=lambda heading: heading[0])


def _title(cells: list[dict], released: dict[str, str]) -> str:
    """The heading above a graded cell that stands in no project.yml."""
    found = [heading for cell in cells for heading in _headings(cell, released)[:1]]
    if not found:
        return ""
    below = [heading for heading in found if heading[0] > 1] or found  # the first one may be the notebook's title
    highest = min(level for level, _ in below)
    title = re.sub(r"[*_`]", "", [words for level, words in below if level == highest][-1])
    return re.sub(r"\s*\([\d.,]+ points?\b[^()]*\)$", "", title)  # the page says the points, also of half a heading


def _work(cells: list[dict], status: dict[str, dict], released: dict[str, str]) -> list[Work]:
    """Those of the cells that are shown."""
    found = []
    for cell in cells:
        meta, text = _meta(cell), released.get(cell.get("id"))
        name = meta.get("grade_id") or ""
        stopped = _STOPPED.get(status.get(cell.get("id"), {}).get("status"), "") if cell["source"].strip() else ""
        own = str(cell.get("id", "")).startswith(OWN) and not name
        written = own or bool(meta.get("solution")) or bool(meta.get("task") and not meta.get("locked"))
        if _is_test(cell):
            continue
        if written or (not name and text is not None and cell["source"] != text):
            same = not own and (cell["source"] == text or not cell["source"].strip())
            found.append(Work(ANSWER, cell, name, unanswered=same, stopped=stopped))
        elif cell.get("outputs"):
            found.append(Work(OUTPUT, cell, name, stopped=stopped))
    return found


def _is_test(cell: dict) -> bool:
    meta = _meta(cell)
    return bool(cell["cell_type"] == "code" and meta.get("grade") and not meta.get("solution"))


def _meta(cell: dict) -> dict:
    return cell["metadata"].get("nbgrader") or {}
