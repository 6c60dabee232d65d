"""The page that nbgrader itself makes, with formgrader's button: without what tests put out.

`classroom feedback` makes pages of its own and replaces that one. Until it does, the button must not show the messages
of hidden tests: nbgrader_config.py names the preprocessor below among those of nbgrader's page.
"""

from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution

SAID = "What the tests found is on the page that `classroom feedback` makes.\n"


class HideTests(NbGraderPreprocessor):
    """Takes away what test cells put out; their points stay."""

    def preprocess_cell(self, cell, resources, index):
        """See nbconvert's `Preprocessor`."""
        if cell.cell_type == "code" and is_grade(cell) and not is_solution(cell):
            cell.outputs = []
            if cell.source:
                cell.source += f"\n# {SAID}".rstrip()
        return cell, resources
