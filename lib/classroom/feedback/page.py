"""A feedback page: what came out at the top, then part by part the checks, the hints, the student's work, the comment.

One file without scripts that loads nothing: its policy lets a browser apply the one style sheet whose hash it names,
and show pictures that stand in the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from classroom.feedback.parts import ANSWER, Part, Work
from classroom.feedback.shown import Shown
from classroom.feedback.style import STYLE
from classroom.feedback.verdicts import Check
from classroom.feedback.words import came_out, number, of_points, points
from classroom.statistics.page import Html, document, prose, text
from classroom.terminal import counted

_ALL_IN_A_ROW = 3  # passed checks are a list of names from this number on


@dataclass(frozen=True)
class Head:
    """What stands at the top."""

    title: str
    lines: Sequence[str]  # whose it is, which notebook, when it was graded
    total: float  # of the whole project, after a late penalty
    most: float
    waiting: float  # points that a person has still to give
    notes: Sequence[str]  # lateness, how it ended, what was put right


def make_page(head: Head, parts: Sequence[Part], shown: Shown) -> str:
    """The page of one notebook."""
    start = [Html(f"<h1>{text(head.title)}</h1>")]
    start += [Html(f'<p class="soft">{text(line)}</p>') for line in head.lines]
    start += [_total(head)]
    if head.notes:
        start.append(Html(f'<ul class="notes">{"".join(f"<li>{prose(note)}</li>" for note in head.notes)}</ul>'))
    body = [_overview(parts)] if len(parts) > 1 else []
    body += [_section(number, part, shown) for number, part in enumerate(parts, 1)]
    return frame(head.title, "\n".join(start), "\n".join(body))


def frame(title: str, header: str, main: str) -> str:
    """A page around markup that is safe already."""
    return document(title, header, main, style=STYLE, allowed="img-src data:")


def _total(head: Head) -> Html:
    more = f"up to {points(head.waiting)} more when your instructor has read the rest"
    waits = f'; <span class="wait">{text(more)}</span>' if head.waiting else ""
    most = head.most or 1.0
    got, open_ = (round(max(0.0, min(100.0, 100 * part / most)), 2) for part in (head.total, head.waiting))
    rects = f'<rect class="all" width="100" height="4"/><rect class="got" width="{got}" height="4"/>'
    rects += f'<rect class="open" x="{100 - open_}" width="{open_}" height="4"/>' if open_ else ""
    return Html(
        f'<p class="total"><strong>{text(number(head.total))}</strong> of {text(points(head.most))}{waits}</p>\n'
        f'<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">{rects}</svg>'
    )


def _overview(parts: Sequence[Part]) -> Html:
    rows = []
    for at, part in enumerate(parts, 1):
        earned = "" if part.mark is None else f"{number(part.mark.points)} of {number(part.mark.most)}"
        if part.mark is not None and part.mark.waits and part.mark.manual is None and not part.mark.points:
            earned = f"– of {number(part.mark.most)}"
        link = f'<a href="#part-{at}">{text(part.title)}</a>'
        rows.append(
            f'<tr><th scope="row">{link}</th><td class="number">{text(earned)}</td><td>{text(came_out(part))}</td></tr>'
        )
    heads = '<th scope="col">Part</th><th scope="col" class="number">Points</th><th scope="col">What came out</th>'
    return Html(
        f'<table class="overview"><caption>At a glance</caption><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _section(at: int, part: Part, shown: Shown) -> Html:
    full = part.mark is not None and not part.mark.waits and part.mark.points >= part.mark.most
    earned = f'<p class="points {_kind(part)}">{text(of_points(part.mark))}</p>' if part.mark else ""
    inner = [f'<div class="head"><h2 id="part-{at}">{text(part.title)}</h2>{earned}</div>']
    if part.mark and part.mark.waits:
        inner.append('<p class="wait">Your instructor has still to read this part; its points are not final.</p>')
    elif part.mark and part.mark.manual is not None and part.verdict is not None:
        by_tests = f" (the tests gave {number(part.mark.auto)})" if part.mark.auto is not None else ""
        inner.append(f"<p>Your instructor gave these points{text(by_tests)}.</p>")
    inner += _comments(part, shown)
    nothing = part.unanswered and not (part.mark and part.mark.points)
    if part.verdict is not None and not nothing:
        inner += _verdict(part, shown)
    answers = [work for work in part.work if work.kind == ANSWER]
    if part.unanswered:
        inner.append("<p>Nothing was answered here: the cells stand as they were released.</p>")
        answers = []
        if nothing and part.verdict and part.verdict.checks:
            names = ", ".join(f"{check.name} ({points(check.points)})" for check in part.verdict.checks)
            inner.append(f'<p class="soft">What is checked: {text(names)}.</p>')
    if answers:
        work = "\n".join(_work(one, shown) for one in answers)
        opened = "" if full and not part.comments else " open"
        inner.append(f"<details{opened}><summary>What you handed in</summary>\n{work}\n</details>")
    inner += [_work(one, shown) for one in part.work if one.kind != ANSWER and not (nothing and _failed_to_run(one))]
    inside = "\n".join(piece for piece in inner if piece)
    return Html(f'<section aria-labelledby="part-{at}">\n{inside}\n</section>')


def _kind(part: Part) -> str:
    if part.mark.waits:
        return "wait"
    return "good" if part.mark.points >= part.mark.most else "bad"


def _comments(part: Part, shown: Shown) -> list[str]:
    found = []
    for comment in part.comments:
        if comment == "No response.":  # nbgrader's own, of an answer that stands as released
            continue
        found.append(f'<div class="comment"><h3>Your instructor writes</h3>\n{shown.markdown(comment)}</div>')
    return found


def _verdict(part: Part, shown: Shown) -> list[str]:
    told = part.verdict
    found = []
    if told.checks:
        failed = [check for check in told.checks if not check.passed]
        passed = [check for check in told.checks if check.passed]
        items = [_failed(check, shown) for check in failed]
        if failed and len(passed) >= _ALL_IN_A_ROW:
            worth = sum(check.points for check in passed)
            names = ", ".join(check.name for check in passed)
            items.append(_passed(f"{counted(len(passed), 'check')}: {names}", worth))
        else:
            items += [_passed(check.name, check.points, check.hidden) for check in passed]
        found.append(f'<ul class="checks">{"".join(items)}</ul>')
    if told.failed_line:
        found += ["<p>This test failed:</p>", shown.code(told.failed_line)]
    elif told.message:
        found.append("<p>A test of this part failed:</p>")
    if told.message:
        found.append(shown.plain(told.message, "said error"))
    found += [f"<p>{text(remark)}</p>" for remark in told.remarks]
    if not told.checks and part.mark and not told.remarks and not told.failed_line and not told.message:
        found.append("<p>Some tests of this part did not pass.</p>" if part.mark.points < part.mark.most else "")
    if told.printed.strip():
        found += ["<h3>What the tests printed</h3>", shown.plain(told.printed)]
    if told.said.strip():
        found += ["<h3>What your code printed while it was tested</h3>", shown.plain(told.said)]
    if told.hidden_said:
        found.append('<p class="soft">Your code printed something in hidden tests, too, which is not shown.</p>')
    return found


def _failed(check: Check, shown: Shown) -> str:
    worth = f" ({points(check.points)})" if check.points else ""
    hidden = ' <span class="soft">a check that only grading makes</span>' if check.hidden else ""
    lines = [
        '<span class="mark bad" aria-hidden="true">✗</span><span class="hidden">did not pass: </span>'
        f'<span class="name">{text(check.name)}</span>{text(worth)}{hidden}'
    ]
    if check.hint:
        lines.append(f'<p class="hint">{prose(check.hint)}</p>')
    if check.error:
        lines.append(f'<p class="error">{prose(shown.safe(check.error))}</p>')
    return f"<li>{''.join(lines)}</li>"


def _passed(name: str, worth: float, hidden: bool = False) -> str:
    worth_said = f" ({points(worth)})" if worth else ""
    only = ' <span class="soft">a check that only grading makes</span>' if hidden else ""
    return (
        '<li><span class="mark good" aria-hidden="true">✓</span><span class="hidden">passed: </span>'
        f'<span class="name">{text(name)}</span>{text(worth_said)}{only}</li>'
    )


def _failed_to_run(work: Work) -> bool:
    return any(output["output_type"] == "error" for output in work.cell.get("outputs", []))


def _work(work: Work, shown: Shown) -> Html:
    cell, pieces = work.cell, []
    if work.kind == ANSWER:
        if work.unanswered:
            pieces.append(f'<p class="soft">{text(work.name or "This cell")}: as it was released.</p>')
        elif cell["cell_type"] == "markdown":
            pieces.append(shown.markdown(cell["source"], cell.get("attachments")))
        else:
            pieces.append(shown.code(cell["source"]))
    if work.stopped and not work.unanswered and work.kind == ANSWER:
        pieces.append(f'<p class="bad">{text(work.stopped)}</p>')
    outputs = [] if work.unanswered else shown.outputs(cell.get("outputs", []))
    if outputs and work.kind != ANSWER:
        if work.name:
            pieces.append(f"<h3>What the notebook's cell <code>{text(work.name)}</code> showed</h3>")
        else:  # one that students may edit
            pieces += ["<h3>What a cell of the notebook showed</h3>", shown.code(cell["source"])]
    return Html("\n".join([*pieces, *outputs]))
