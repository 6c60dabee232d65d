"""The page of pairs: what it is and is not, a table, and each pair side by side with what the two have in common."""

from collections.abc import Callable
from html import escape

from classroom.similarity.answers import BOOK, CLASS, PAST, SOLUTION, Work
from classroom.similarity.passages import LEAST, Pair, Prints, shared_lines
from classroom.statistics.page import Html, page, pair, paragraph, paragraphs, table, text
from classroom.terminal import counted, one_line

_MOST_PAIRS = 100  # side by side: a page has to open
_MOST_ROWS = 1000
_AROUND = 3  # lines before and after what is in common
_LONGEST_LINE = 500
_KINDS = {CLASS: "this class", PAST: "another term", SOLUTION: "the official answers", BOOK: "the book"}

REASONS = (
    "The task leaves little room: a formula has one usual way to be written.",
    "Both took it from a source that is allowed: the book, a lecture, the documentation of a library.",
    "The rules allow working together, or using an assistant, and both did.",
    "One of them repeats the course, and hands in their own work again.",
    "One took the other's file without the other's knowledge.",
)


def make_page(project: str, pairs: list[Pair], report: dict, label: Callable[[Work], str]) -> str:
    """The page, as text; what students wrote stands in it escaped, and nothing in it runs.

    Args:
        report: as `classroom.similarity.similarity` returns it.
        label: what to call a work.
    """
    head = [
        paragraph(
            "This page is evidence to look at, not a verdict. It says which answers have passages in common that are "
            "neither in the release nor in most of the class's answers. It does not say why, or who wrote them first."
        ),
        paragraph("Reasons that are nobody's fault:"),
        paragraphs(REASONS),
        paragraph(
            f"{counted(report['compared'], 'submission')} compared: with each other, the official answers, the book "
            "and the other terms that were named. Names of variables, comments, blanks and the order of functions "
            "make no difference. Only code is compared, of the answers and of cells that students added; less than "
            f"{LEAST} characters of it, with a name as one character, is too little. Code stands here as it was "
            "written: a name in a comment stays.",
            "soft",
        ),
    ]
    shown = pairs[:_MOST_PAIRS]
    rows = [
        [
            Html(f'<a href="#pair-{number}">{number}</a>') if number <= _MOST_PAIRS else number,
            label(one.first.work),
            label(one.second.work),
            _KINDS[one.second.work.kind],
            f"{one.share:.0%}",
        ]
        for number, one in enumerate(pairs[:_MOST_ROWS], 1)
    ]
    caption = f"Pairs with {report['threshold']:.0%} or more in common, of the smaller one"
    found = [table(caption, ["pair", "one", "other", "from", "in common"], rows, [4])]
    if not pairs:
        found = [paragraph(f"No two share {report['threshold']:.0%} or more.")]
    if len(pairs) > len(shown):
        found.append(
            paragraph(f"Of {len(pairs)} pairs the first {len(shown)} are side by side; a higher threshold shows fewer.")
        )
    sections = [("pairs", "Pairs", found)]
    if shown:
        sections.append(("side", "Side by side", [_side(number, one, label) for number, one in enumerate(shown, 1)]))
    sections.append(("left-out", "Not compared", _left_out(report)))
    return page(f"Code in common: {project}", head, sections)


def _side(number: int, one: Pair, label: Callable[[Work], str]) -> Html:
    first, second = label(one.first.work), label(one.second.work)
    title = f"Pair {number}: {first} and {second}, {one.share:.0%}"
    both = pair(_code(number, first, one.first, one.second), _code(number, second, one.second, one.first))
    return Html(f'<h3 id="pair-{number}">{text(title)}</h3>\n{both}')


def _code(number: int, name: str, of: Prints, other: Prints) -> Html:
    lines, marked = of.work.code.splitlines(), shared_lines(of, other)
    near = {place + step for place in marked for step in range(-_AROUND, _AROUND + 1)}
    shown, gap = [], False
    for place, line in enumerate(lines):
        if place not in near:
            if not gap:
                shown.append("  …")
            gap = True
            continue
        gap = False
        written = escape(one_line(line.expandtabs(4))[:_LONGEST_LINE], quote=True)
        shown.append(f"<mark>▸ {written}</mark>" if place in marked else f"  {written}")
    code = "\n".join(shown)
    frame = f'<div class="wide" role="region" tabindex="0" aria-label="{text(f"pair {number}, code of {name}")}">'
    return Html(f"<figure><figcaption>{text(name)}</figcaption>{frame}<pre>{code}</pre></div></figure>")


def _left_out(report: dict) -> list[Html]:
    said = []
    if report["short"]:
        said.append(f"Too short to compare, so nothing is said of them: {', '.join(report['short'])}.")
    if report["nothing"]:
        said.append(f"No code of their own: {', '.join(report['nothing'])}.")
    said += [f"{who} could not be read: {why}" for who, why in report["skipped"].items()]
    if report["alike"]:
        said.append(
            f"Nearly all of the code is what more than half of the class wrote, so nothing is said of them either: "
            f"{', '.join(report['alike'])}. Where the task leaves one usual way, that is as it should be. Where it "
            "leaves many, open two of them: a solution may have gone round."
        )
    if report["usual"]:
        said.append(
            f"Passages that more than half of the class wrote count for nobody; there were {report['usual']}, a "
            "passage being some two lines."
        )
    return [paragraphs(said or ["Everything that was handed in was compared."])]
