"""The parameters of grading: a project's locked cell `parameters`, with the values of project.yml after its own."""

from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Dict, Unicode


class SetParameters(NbGraderPreprocessor):
    """Set values in one cell, by lines at its end, so that everybody who opens the graded notebook sees them."""

    cell = Unicode("", help="grade_id of the cell; empty: none").tag(config=True)
    values = Dict(help="names with values").tag(config=True)

    def preprocess_cell(self, cell, resources, cell_index):
        if self.cell and self.values and cell.metadata.get("nbgrader", {}).get("grade_id") == self.cell:
            lines = [f"{name} = {value!r}" for name, value in self.values.items()]
            cell.source = "\n".join([cell.source, "# For grading:", *lines])
        return cell, resources
