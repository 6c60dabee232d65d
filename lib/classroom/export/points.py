"""The points that go to a learning platform: whose are ready, whose wait for a person, and out of how many."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from classroom.errors import ClassroomError
from classroom.export.cells import number, read_number
from classroom.folder import Folder
from classroom.report import grades


@dataclass(frozen=True)
class Choice:
    """What the person at the keyboard chose."""

    before_penalty: bool = False  # what was earned, without what being late cost
    incomplete: bool = False  # also of whom a part waits for a person
    scale: bool = False  # to the platform's maximum, where it is another one
    columns: Mapping[str, str] = field(default_factory=dict)  # by project, the platform's column


@dataclass(frozen=True)
class Points:
    """A project's points by student, and who waits."""

    ready: dict[str, float]
    waiting: list[str]
    most: float


def points(folder: Folder, project: str, choice: Choice) -> Points:
    """Everybody's points for a project; without a grade somebody is in neither list."""
    found = grades(folder, project)
    waiting = sorted(student for student, one in found.items() if one["waiting"])
    which = "points" if choice.before_penalty else "total"
    ready = {student: one[which] for student, one in found.items() if choice.incomplete or not one["waiting"]}
    most = 0.0
    if folder.has_gradebook():
        with folder.gradebook() as gradebook:
            most = next((float(one.max_score) for one in gradebook.assignments if one.name == project), 0.0)
    return Points(ready, waiting, most)


def factor(project: str, most: float, theirs: str, where: str, choice: Choice) -> float:
    """By what points are multiplied for a platform's maximum.

    Raises:
        ClassroomError: the maxima differ, and nobody asked for --scale; or theirs is none that points could have.
    """
    wanted = read_number(theirs)
    if wanted is None or math.isclose(wanted, most, abs_tol=1e-6):
        return 1.0
    if not choice.scale or not most:
        raise ClassroomError(
            f"{project} has {number(most)} points here, and {number(wanted)} in {where}: change it there, or let the "
            "points be multiplied with --scale"
        )
    if wanted <= 0:
        raise ClassroomError(
            f"{project} has {number(wanted)} points in {where}: multiplied by that, nobody would have any; set its "
            f"points there to {number(most)}, or to what they shall be worth, and export again"
        )
    return wanted / most
