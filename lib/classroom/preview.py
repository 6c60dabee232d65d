"""A project as it would be released and graded, made in memory: no gradebook, no file of a class is touched."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classroom.errors import ClassroomError
from classroom.rebuild import put_parameters

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from classroom.folder import Folder

# Not these: the gradebook stays as it is, and autotests would run code.
_LEFT_OUT = ("SaveCells", "InstantiateTests")


@dataclass(frozen=True)
class Preview:
    """One notebook in the three forms that it has."""

    source: NotebookNode  # as the author wrote it, with grading's parameters
    master: NotebookNode  # unanswered, with hidden tests and grading's parameters
    release: NotebookNode  # as students get it


def preview(folder: Folder, project: str) -> dict[str, Preview]:
    """The notebooks of a project by file name, as nbgrader's settings in this folder make them.

    Raises:
        ClassroomError: if a notebook can't be read, or nbgrader could not make a release of it; with its reason.
    """
    made = {}
    for path in sorted(folder.path("source", project).glob("*.ipynb")):
        try:
            made[path.name] = _forms(folder, path)
        except Exception as error:  # nbgrader's own kinds are many; each says what is wrong with the notebook
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ClassroomError(f"{folder.shown(path)}: no release can be made of it: {reason}") from None
    released = {name: found.release for name, found in made.items()}
    for form in ("source", "master"):
        put_parameters(folder, project, {name: getattr(found, form) for name, found in made.items()}, released)
    return made


def _forms(folder: Folder, path) -> Preview:
    from nbgrader.converters import GenerateAssignment
    from nbgrader.nbgraderformat import read

    converter = GenerateAssignment(coursedir=folder.coursedir, parent=folder.app)
    notebook = read(str(path), as_version=4)
    source = copy.deepcopy(notebook)
    master, resources = None, {"nbgrader": {"assignment": path.parent.name, "notebook": path.stem, "student": "."}}
    for kind in converter.preprocessors:
        name = kind if isinstance(kind, str) else kind.__name__
        name = name.rpartition(".")[2]
        if name in _LEFT_OUT:
            continue
        if name == "ClearHiddenTests":
            master = copy.deepcopy(notebook)
        step = _class(kind)(parent=converter)
        notebook, resources = step.preprocess(notebook, resources)
    for form in (source, master or notebook, notebook):
        for number, cell in enumerate(form.cells, 1):
            if not cell.get("id"):  # of a format older than 4.5
                cell["id"] = f"cell-{number}"
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        form.nbformat, form.nbformat_minor = 4, 5
    return Preview(source, copy.deepcopy(notebook) if master is None else master, notebook)


def _class(kind):
    from traitlets.utils.importstring import import_item

    return import_item(kind) if isinstance(kind, str) else kind
