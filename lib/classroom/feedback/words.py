"""Sentences of a feedback page: points, lateness, and how a part came out."""

from datetime import UTC, datetime, timedelta

from classroom.course import Course
from classroom.feedback.marks import Mark, Marks
from classroom.feedback.parts import Part
from classroom.late import days_late
from classroom.terminal import counted


def number(value: float) -> str:
    """Points as people write them."""
    return f"{round(value, 4):g}"


def points(value: float) -> str:
    """`1 point`, `0.5 points`."""
    return f"{number(value)} point{'' if value == 1 else 's'}"


def of_points(mark: Mark) -> str:
    """What a part earned, of what; extra points are said apart."""
    if mark.waits and mark.manual is None and mark.auto is None:
        return f"waits, {points(mark.most)}"
    extra = f" (with {number(mark.extra)} extra)" if mark.extra > 0 else ""
    return f"{number(mark.points)} of {points(mark.most)}{extra}"


def lateness(marks: Marks, course: Course | None, rule: object) -> list[str]:
    """What is to be said of the time, with the course's rule in words; nothing for who was in time.

    Args:
        rule: nbgrader's late-submission plugin as it is configured; its rule is told where it is course.yml's.
    """
    from dateutil import tz

    from classroom.late import LateRule

    if marks.seconds_late <= 0 or marks.handed_in is None or marks.due is None:
        return []
    name = (course.text.get("timezone") if course else "") or "UTC"

    def local(when: datetime) -> str:
        return when.replace(tzinfo=UTC).astimezone(tz.gettz(name) or UTC).strftime("%Y-%m-%d %H:%M")

    late = _length(timedelta(seconds=marks.seconds_late))
    said = [f"Handed in {local(marks.handed_in)}, {late} after the due date, {local(marks.due)} ({name})."]
    if not marks.penalty:
        return [*said, "Nothing is taken off for it."]
    are = "is" if marks.penalty == 1 else "are"
    taken = f"{points(marks.penalty)} of the {number(marks.points)} {are} taken"
    if not isinstance(rule, LateRule):
        return [*said, f"For that {taken} off."]
    begun = days_late(marks.seconds_late, rule.grace_minutes)
    if rule.days is not None and begun > rule.days:
        return [*said, f"The course takes nothing that is more than {counted(rule.days, 'day')} late, so {taken} off."]
    what = f"The course takes {rule.percent_per_day:g} % of the points for each day begun"
    grace = f" (up to {rule.grace_minutes:g} minutes late cost nothing)" if rule.grace_minutes else ""
    return [*said, f"{what}{grace}: {counted(begun, 'day')}, so {taken} off."]


def came_out(part: Part) -> str:
    """How a part came out, in a few words for the table at the top."""
    mark, told = part.mark, part.verdict
    if mark is not None and mark.waits:
        return "your instructor has still to read it" if not part.unanswered else "not answered"
    if part.unanswered and not (mark and mark.points):
        return "not answered"
    by_hand = mark is not None and mark.manual is not None
    if told is None or by_hand:
        return "graded by your instructor"
    failed = [check for check in told.checks if not check.passed]
    if failed:
        return f"{len(failed)} of {counted(len(told.checks), 'check')} did not pass"
    if told.checks and not told.message and not told.failed_line and not told.remarks:
        return "every check passed" if len(told.checks) > 1 else "the check passed"
    if told.message or told.failed_line:
        return "a test failed"
    if mark is not None and mark.points >= mark.most:
        return "all tests passed"
    return "the tests did not run to their end" if told.remarks else "some tests did not pass"


def _length(late: timedelta) -> str:
    hours, minutes = divmod(round(late.total_seconds() / 60), 60)
    days, hours = divmod(hours, 24)
    pieces = [(days, "day"), (hours, "hour"), (minutes, "minute")]
    said = [counted(count, noun) for count, noun in pieces if count]
    return " and ".join(said[:2]) or "less than a minute"
