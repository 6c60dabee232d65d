"""What a submission's author wrote, as one text of code: the answer cells and the own cells, without the release's.

Submissions are read, never run. They are rebuilt first as for grading, so that a renamed notebook, a copied or split
cell or an edited test changes nothing.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.errors import RefusedError
from classroom.folder import Folder
from classroom.intake.files import read_regular
from classroom.intake.names import is_notebook
from classroom.notebooks import read_notebook
from classroom.rebuild import rebuild, with_ids

CLASS, PAST, SOLUTION, BOOK = "class", "past", "solution", "book"
_BEFORE = ("### BEGIN SOLUTION", "### END SOLUTION")


@dataclass(frozen=True)
class Work:
    """One author's code for a project."""

    owner: str  # a student, or the name of a file
    kind: str  # CLASS, PAST, SOLUTION or BOOK
    code: str
    where: str = ""  # of PAST: the folder


def released(folder: Folder, project: str) -> dict[str, NotebookNode]:
    """The release's notebooks by file name."""
    paths = sorted(folder.path("release", project).glob("*.ipynb"))
    return {path.name: with_ids(nbformat.read(path, as_version=4)) for path in paths}


def submissions(
    top: Path, project: str, release: dict[str, NotebookNode], kind: str
) -> Iterator[tuple[Work | None, str, str]]:
    """Everybody's code below a folder STUDENT/PROJECT/: the work or None, the student, and what could not be read."""
    for place in sorted(path / project for path in top.iterdir() if not path.name.startswith(".")):
        if not place.is_dir() or place.is_symlink():
            continue
        student, parts, odd = place.parent.name, [], []
        for name, notebook in release.items():
            try:
                parts += _wrote(notebook, _read(place, name, alone=len(release) == 1))
            except RefusedError as error:
                odd.append(str(error))
        code = "\n\n".join(parts)
        yield (Work(student, kind, code, str(top) if kind == PAST else "") if code else None), student, "; ".join(odd)


def solution(folder: Folder, project: str) -> Iterator[Work]:
    """The official answers."""
    for path in sorted(folder.path("source", project).glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        answers = [cell.source for cell in cells if cell.cell_type == "code" and _is_answer(cell)]
        lines = [line for text in answers for line in [*text.splitlines(), ""] if line.strip() not in _BEFORE]
        if lines:
            yield Work(path.name, SOLUTION, "\n".join(lines))


def book(folder: Folder) -> Iterator[Work]:
    """The code of the book's chapters and of its library, where the course has them."""
    for path in sorted((folder.root / "chapters").glob("**/*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        yield Work(
            str(path.relative_to(folder.root)), BOOK, "\n\n".join(c.source for c in cells if c.cell_type == "code")
        )
    for path in sorted((folder.root / "lib" / "deeppractice").glob("**/*.py")):
        yield Work(str(path.relative_to(folder.root)), BOOK, path.read_text(encoding="utf-8"))


def given(release: dict[str, NotebookNode]) -> str:
    """All code of the release, which nobody wrote themselves."""
    return "\n\n".join(
        cell.source for notebook in release.values() for cell in notebook.cells if cell.cell_type == "code"
    )


def _read(place: Path, name: str, *, alone: bool) -> NotebookNode:
    path = place / name
    others = [other for other in place.iterdir() if is_notebook(other.name)]
    if not path.is_file() and alone and len(others) == 1:
        path = others[0]
    if path.is_symlink() or not path.is_file():
        raise RefusedError(f"no {name}")
    return read_notebook(read_regular(path), name)[0]  # its own name may be a person's


def _wrote(release: NotebookNode, submitted: NotebookNode) -> list[str]:
    known = {cell.source.strip() for cell in release.cells}
    cells = [cell for cell in rebuild(release, submitted).notebook.cells if cell.cell_type == "code"]
    own = [cell for cell in cells if _is_answer(cell) or not cell.metadata.get("nbgrader")]
    return [textwrap.dedent(cell.source) for cell in own if cell.source.strip() and cell.source.strip() not in known]


def _is_answer(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))
