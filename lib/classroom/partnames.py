"""What the cells of a project are called where its notebooks stand together: in tables, reports, an audit, a bank.

nbgrader's ids are unique in a notebook, not in a project. Where two notebooks have a cell of the same id, it is called
NOTEBOOK/ID (an id has no slash); otherwise by its id alone.
"""

from collections import Counter
from collections.abc import Iterable


class PartNames:
    """The names of a project's cells.

    Args:
        cells: notebook, with or without `.ipynb`, and grade_id of each; what is there twice counts once.
    """

    def __init__(self, cells: Iterable[tuple[str, str | None]]) -> None:
        known = {(_stem(notebook), cell) for notebook, cell in cells}
        self._often = Counter(cell for _, cell in known)

    def of(self, notebook: str, cell: str) -> str:
        """What a cell is called; one that is not known has its notebook with it, for another may have its id too."""
        return cell if self._often[cell] == 1 else f"{_stem(notebook)}/{cell}"


def _stem(notebook: str) -> str:
    return notebook.removesuffix(".ipynb")
