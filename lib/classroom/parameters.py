"""The parameters of grading: a project's locked cell `parameters`, with the values of project.yml after its own."""

import ast

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Dict, Unicode

from classroom.errors import ClassroomError, near_miss
from classroom.folder import Folder


class SetParameters(NbGraderPreprocessor):
    """Set values in one cell, by lines at its end, so that everybody who opens the graded notebook sees them."""

    cell = Unicode("", help="grade_id of the cell; empty: none").tag(config=True)
    values = Dict(help="names with values").tag(config=True)

    def preprocess_cell(self, cell, resources, cell_index):
        if self.cell and self.values and cell.metadata.get("nbgrader", {}).get("grade_id") == self.cell:
            lines = [f"{name} = {value!r}" for name, value in self.values.items()]
            cell.source = "\n".join([cell.source, "# For grading:", *lines])
        return cell, resources


def set_parameters(folder: Folder, project: str) -> dict:
    """Grade with the parameters of project.yml, in the release's locked cell tagged `parameters`; return them.

    Raises:
        ClassroomError: if there are parameters but no such cell, or a name that the cell does not set.
    """
    described = folder.project(project)
    values = {} if described is None else described.parameters
    cells = {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for path in sorted(folder.path("release", project).glob("*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
        if "parameters" in cell.metadata.get("tags", []) and cell.metadata.get("nbgrader", {}).get("locked")
    }
    if values and len(cells) != 1:
        found = ", ".join(cells) or "none"
        raise ClassroomError(
            f"{project}: project.yml has parameters for grading, so the release needs one locked cell with the tag "
            f"`parameters`; found {found}"
        )
    names = {node.id for source in cells.values() for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    for name in values:
        if name not in names:
            hint = near_miss(name, names)
            raise ClassroomError(f"{project}: project.yml grades with {name!r}, which the cell does not set{hint}")
    config = folder.app.config.SetParameters
    config.values, config.cell = values, next(iter(cells), "")
    return values
