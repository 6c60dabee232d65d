"""Rebuild, do not repair: the notebook that is graded is the instructor's release with the student's answers in it.

Of a submission come only the texts of the answer cells and the student's own cells, in place and without tags or other
metadata. Edited tests, skipped cells, copies and deletions then have no effect, and an honest slip (a split or copied
cell, a helper in a cell of one's own) costs nobody their grade.
"""

import ast
import copy
import hashlib
import re
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from classroom.align import ANSWER, FIXED, PLAIN, Alignment, Part, align
from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder
from classroom.images import Album

OURS = "classroom"  # our metadata in a master's cells; `released` is the text that students have
_NEW = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_NAMED = 6


@dataclass
class Rebuilt:
    """What is graded.

    `answers` has, by grade_id, the SHA-256 of each answer's text with its images as handed in; for tests and tasks,
    whose result hangs on all the rest, that of everything the student wrote in the notebook.
    """

    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)  # in words, for instructor and student
    answers: dict[str, str] = field(default_factory=dict)


def master(folder: Folder, project: str) -> dict[str, NotebookNode]:
    """The release's notebooks by file name, with what students do not have: hidden tests, and grading's parameters.

    Texts, checksums and points of nbgrader's cells are the gradebook's, everything else is the released file's.

    Raises:
        ClassroomError: where release and gradebook do not belong together, or the parameters have no place.
    """
    from nbgrader.api import MissingEntry

    masters = _released(folder, project)
    with folder.gradebook() as gradebook:
        for name, notebook in masters.items():
            try:
                known = gradebook.find_notebook(name.removesuffix(".ipynb"), project)
            except MissingEntry:
                first = folder.command("release", project)
                raise ClassroomError(f"{project}: {name} is not in the gradebook; first: {first}") from None
            points = {cell.name: cell.max_score for cell in (*known.grade_cells, *known.task_cells)}
            source = {cell.name: cell for cell in known.source_cells}
            again = folder.command("release", project)
            _complete(notebook, source, points, f"{project}, {name}", again)
    put_parameters(folder, project, masters, masters)
    return masters


def put_parameters(
    folder: Folder, project: str, notebooks: dict[str, NotebookNode], released: dict[str, NotebookNode]
) -> None:
    """Write the values that project.yml sets for grading into the locked cell tagged `parameters` of its notebooks.

    Raises:
        ClassroomError: as `parameters`.
    """
    values, cell_of_values = _parameters(folder, project, released)
    for notebook in notebooks.values():
        for cell in notebook.cells:
            if values and _meta(cell).get("grade_id") == cell_of_values:
                lines = [f"{name} = {value!r}" for name, value in values.items()]
                cell.source = "\n".join([cell.source, "# For grading:", *lines])


def parameters(folder: Folder, project: str) -> dict:
    """The values that project.yml sets for grading, in the release's locked cell tagged `parameters`.

    Raises:
        ClassroomError: if there are parameters but no such cell, or a name that the cell does not set.
    """
    return _parameters(folder, project, _released(folder, project))[0]


def rebuild(master_nb: NotebookNode, submitted_nb: NotebookNode) -> Rebuilt:
    """The release with the answers and own cells of a submission, as it is graded.

    Args:
        master_nb: one of `master`; it is not changed.
        submitted_nb: what `read_notebook` made of the student's file.
    """
    parts = [_part(cell) for cell in master_nb.cells]
    aligned = align(parts, submitted_nb.cells)
    return _Builder(master_nb, submitted_nb, parts, aligned).build()


class _Builder:
    """One notebook being rebuilt."""

    def __init__(self, master_nb: NotebookNode, submitted_nb: NotebookNode, parts: list[Part], aligned: Alignment):
        self.release, self.submitted, self.parts, self.aligned = master_nb.cells, submitted_nb.cells, parts, aligned
        self.made = Rebuilt(copy.deepcopy({**master_nb, "cells": []}))
        self.made.notebook = NotebookNode(self.made.notebook)
        self.made.notebook.cells = []
        self.album = Album()
        self.ids = {cell.id for cell in self.release}
        self.own_count = 0

    def build(self) -> Rebuilt:
        self._add_own(-1)
        for number, (cell, part) in enumerate(zip(self.release, self.parts, strict=True)):
            found = [self.submitted[place] for place in self.aligned.pieces[number]]
            fresh = copy.deepcopy(cell)
            fresh.metadata.pop(OURS, None)
            if part.kind == ANSWER:
                self._answer(fresh, part, found)
            else:
                if part.kind == PLAIN and found:
                    for piece in found[:-1]:  # copies
                        self._own(piece.cell_type, piece.source)
                    fresh.source = found[-1].source
                    self._keep_images(fresh, found[-1:], f"cell {part.id}")
                self.made.notebook.cells.append(fresh)
            self._add_own(number)
        self._say_what_is_odd()
        self.made.notes += self.album.notes
        wrote = [digest for name, digest in sorted(self.made.answers.items())]
        wrote += [
            text_digest(self.submitted[place : place + 1]) for places in self.aligned.own.values() for place in places
        ]
        wrote += [text_digest([self.submitted[place]]) for n in self._of(PLAIN) for place in self.aligned.pieces[n]]
        everything = hashlib.sha256("\n".join(wrote).encode()).hexdigest()
        for part in self.parts:
            if part.kind == FIXED and part.graded:
                self.made.answers[part.grade_id] = everything
        self.made.notes = list(dict.fromkeys(self.made.notes))
        return self.made

    def _answer(self, cell: NotebookNode, part: Part, found: list[NotebookNode]) -> None:
        """An answer cell; where several have its name, what is in them in document order."""
        pieces = [piece for piece in found if piece.source.strip() and piece.source != part.text] or found[-1:]
        different = {piece.source: piece for piece in pieces}  # of equal ones the last
        pieces = [piece for piece in pieces if different[piece.source] is piece]
        self.made.answers[part.grade_id] = text_digest(pieces)
        if not found:
            self.made.notes.append(f"cell {part.grade_id} is missing: it counts as empty")
        elif len(found) > 1:
            what = "both" if len(found) == 2 else "all"
            kept = f"{what} count, in order" if len(pieces) == len(found) else "unchanged and equal ones left out"
            self.made.notes.append(f"cell {part.grade_id} was there {_times(len(found))}; {kept}")
        if any(piece.cell_type != part.cell_type for piece in pieces):
            self.made.notes.append(f"cell {part.grade_id} had another type; it counts as {part.cell_type}")
        if part.cell_type == "code":
            for piece in pieces[:-1]:  # a cell each, so that a mistake in one leaves the others
                self._own("code", piece.source)
            cell.source = pieces[-1].source if pieces else ""
        else:
            cell.source = "\n\n".join(piece.source for piece in pieces)
            cell.pop("attachments", None)
            self._keep_images(cell, pieces, f"cell {part.grade_id}")
        self.made.notebook.cells.append(cell)

    def _add_own(self, slot: int) -> None:
        for place in self.aligned.own.get(slot, ()):
            cell = self.submitted[place]
            if cell.source.strip():
                made = self._own(cell.cell_type, cell.source)
                self._keep_images(made, [cell], f"cell {place + 1}")

    def _own(self, cell_type: str, source: str) -> NotebookNode:
        """A cell of the student's own: its text, and nothing else."""
        self.own_count += 1
        name = f"own-{self.own_count}"
        while name in self.ids:
            name = f"own-{len(self.ids)}-{self.own_count}"
        self.ids.add(name)
        cell = _NEW[cell_type](source, id=name)
        self.made.notebook.cells.append(cell)
        return cell

    def _keep_images(self, cell: NotebookNode, pieces: list[NotebookNode], where: str) -> None:
        if cell.cell_type == "code":
            return
        given = {name: bundle for piece in pieces for name, bundle in piece.get("attachments", {}).items()}
        kept = self.album.attachments(given, cell.source, where)
        cell.source = self.album.text(cell.source, where)
        if kept:
            cell.attachments = kept

    def _of(self, kind: str) -> list[int]:
        return [n for n, part in enumerate(self.parts) if part.kind == kind]

    def _say_what_is_odd(self) -> None:
        say, pieces = self.made.notes.append, self.aligned.pieces
        answers, fixed = self._of(ANSWER), self._of(FIXED)
        if answers and not any(pieces[n] for n in answers + fixed):
            say("none of the project's cells is in this notebook: is it the right file?")
            return

        def texts(n: int) -> set[str]:
            return {self.submitted[place].source.rstrip() for place in pieces[n]}

        changed = [n for n in fixed if texts(n) - {self.parts[n].text.rstrip()}]
        deleted = [n for n in fixed if not pieces[n]]
        if changed:
            say(f"supplied cells were changed; the released text counts: {self._named(changed)}")
        if deleted:
            say(f"supplied cells were deleted; they are back: {self._named(deleted)}")
        moved = [n for n in self.aligned.moved if self.parts[n].kind != PLAIN and len(pieces[n]) == 1]
        if moved:
            say(f"cells stood elsewhere; the order of the release counts: {self._named(moved)}")
        for n in answers:
            own = [self.submitted[place] for place in self.aligned.own.get(n, ())]
            unanswered = all(self.submitted[place].source in ("", self.parts[n].text) for place in pieces[n])
            if self.parts[n].cell_type == "markdown" and unanswered and any(cell.source.strip() for cell in own):
                say(f"cell {self.parts[n].grade_id} is unanswered, but text of the student's own follows it")

    def _named(self, numbers: list[int]) -> str:
        names = [self.parts[n].grade_id or self.parts[n].id for n in numbers]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return ", ".join(names[:_MOST_NAMED]) + more


def with_ids(notebook: NotebookNode) -> NotebookNode:
    """The same notebook in format 4.5: cells of an older one get ids, the same each time."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, 1):
        if not cell.get("id"):
            name = _meta(cell).get("grade_id")
            cell["id"] = name if name and _ID.fullmatch(name) else f"cell-{number}"
    return notebook


def _meta(cell: NotebookNode) -> dict:
    return cell.metadata.get("nbgrader", {})


def _part(cell: NotebookNode) -> Part:
    """What a cell of a master is; nbgrader's rules decide what students may write in."""
    from nbgrader.utils import is_grade, is_locked, is_solution, is_task

    kind = PLAIN
    if _meta(cell).get("grade_id"):
        if is_solution(cell) or (is_task(cell) and not is_locked(cell)):
            kind = ANSWER
        elif is_locked(cell) or is_task(cell):
            kind = FIXED
    text = cell.metadata.get(OURS, {}).get("released", cell.source)
    graded = is_grade(cell) or is_task(cell)
    return Part(kind, _meta(cell).get("grade_id"), cell.id, cell.cell_type, text, graded)


def _complete(notebook: NotebookNode, source: dict, points: dict, where: str, again: str) -> None:
    """Bring the gradebook's texts, checksums and points into a released notebook."""
    from nbgrader.utils import is_solution

    named = {_meta(cell)["grade_id"]: cell for cell in notebook.cells if _meta(cell).get("grade_id")}
    different = sorted(source.keys() ^ {name for name, cell in named.items() if _part_like(cell)})
    if different:
        raise ClassroomError(f"{where}: release and gradebook differ in {different[0]}; first: {again}")
    for cell in with_ids(notebook).cells:
        name = _meta(cell).get("grade_id")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if name not in source:
            continue
        cell.metadata.nbgrader["checksum"] = source[name].checksum
        if name in points:
            cell.metadata.nbgrader["points"] = points[name]
        if not is_solution(cell):
            cell.metadata[OURS] = {"released": cell.source}
            cell.source = source[name].source


def _part_like(cell: NotebookNode) -> bool:
    """Whether nbgrader keeps the cell in its gradebook."""
    from nbgrader.utils import is_grade, is_locked, is_solution, is_task

    return is_grade(cell) or is_solution(cell) or is_locked(cell) or is_task(cell)


def _released(folder: Folder, project: str) -> dict[str, NotebookNode]:
    """The release's notebooks as students have them."""
    from nbgrader.nbgraderformat import SchemaTooNewError, SchemaTooOldError, ValidationError, read

    found = {}
    for path in sorted(folder.path("release", project).glob("*.ipynb")):
        try:
            found[path.name] = read(str(path), as_version=4)
        except (ValueError, ValidationError, SchemaTooOldError, SchemaTooNewError) as error:
            raise ClassroomError(f"{folder.shown(path)} can't be read: {error}") from None
    return found


def _parameters(folder: Folder, project: str, released: dict[str, NotebookNode]) -> tuple[dict, str]:
    """The values, and the grade_id of the cell that they go into."""
    described = folder.project(project)
    values = {} if described is None else described.parameters
    cells = {
        _meta(cell)["grade_id"]: cell.source
        for notebook in released.values()
        for cell in notebook.cells
        if "parameters" in cell.metadata.get("tags", []) and _meta(cell).get("locked")
    }
    if not values:
        return {}, ""
    if len(cells) != 1:
        found = ", ".join(cells) or "none"
        raise ClassroomError(
            f"{project}: project.yml has parameters for grading, so the release needs one locked cell with the tag "
            f"`parameters`; found {found}"
        )
    name_of_cell, source = next(iter(cells.items()))
    plain = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    try:
        names = {node.id for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.Name)}
    except SyntaxError as error:
        where = f"{project}: the cell {name_of_cell} that grading's parameters go into"
        raise ClassroomError(f"{where} is not Python: {error}") from None
    for name in values:
        if name not in names:
            hint = near_miss(name, names)
            raise ClassroomError(f"{project}: project.yml grades with {name!r}, which the cell does not set{hint}")
    return values, name_of_cell


def text_digest(cells: list[NotebookNode]) -> str:
    """The SHA-256 of an answer: the texts of its cells, with their attachments."""
    hasher = hashlib.sha256()
    for cell in cells:
        texts = [cell.source]
        for name, bundle in sorted(cell.get("attachments", {}).items()):
            texts += [name, *(text for item in sorted(bundle.items()) for text in item)]
        for text in texts:
            hasher.update(f"{len(text)}:{text}".encode())
    return hasher.hexdigest()


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
