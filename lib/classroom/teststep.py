"""How a test cell is run. A seam: the tests now run in the student's own process, as nbgrader runs them.

The examiner takes the place of this class: it runs a test cell in a process that the student's code cannot reach.
"""

from __future__ import annotations

from classroom.session import CellResult, Session


class TestStep:
    """Runs the test cells of one notebook.

    Args:
        session: the student's session, in which the cells before have run.
    """

    __test__ = False  # not a class of tests, for pytest

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, cell: dict, seconds: float) -> CellResult:
        """Run one test cell, hidden tests included.

        Args:
            cell: an nbformat code cell.
            seconds: its limit.
        """
        return self._session.run(cell["source"], seconds=seconds)
