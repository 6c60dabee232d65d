"""The table of what was tried, for the instructor's guide: made of what a run has observed."""

from attack_run import Graded
from attack_tries import CLASSES, Try

BEGIN, END = "<!-- the table: made by `pytest tests/attacks --write-table` -->", "<!-- its end -->"
_STATES = {
    "graded": "graded",
    "student-error": "ended by itself or at a limit",
    "refused": "refused",
    "nothing": "refused by intake",
}


def table(graded: Graded) -> str:
    """The table as Markdown, between its marks."""
    lines = [BEGIN]
    for kind, title in CLASSES.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| what was tried | came out | points | effects |",
            "| --- | --- | --- | --- |",
        ]
        lines += [_row(graded, attempt) for attempt in graded.tries if attempt.kind == kind]
    return "\n".join([*lines, "", END])


def _row(graded: Graded, attempt: Try) -> str:
    outcome = graded.outcome(attempt)
    # Which of several right ends it comes to may hang on the machine, and the table should not.
    states = attempt.outcomes if outcome in attempt.outcomes else [outcome]
    gained = sum(graded.points(attempt).values())
    points = f"{gained:g}: {attempt.settings['shows']}" if gained and "shows" in attempt.settings else f"{gained:g}"
    effects = ", ".join(graded.leaks(attempt)) or "none"
    came_out = " or ".join(dict.fromkeys(_STATES.get(state, state) for state in states))
    return f"| {_escaped(attempt.what)} | {came_out} | {points} | {effects} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("__", "\\_\\_")
