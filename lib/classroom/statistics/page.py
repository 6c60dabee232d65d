"""The frame of a report's page, and what its sections are made of: figures with words and tables, all of it escaped.

One file without scripts: its policy lets a browser load nothing, run nothing and send nothing, and apply the one style
sheet whose hash it names. So a hint or a name that slipped through as markup would still do nothing.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape

from classroom.statistics.style import STYLE
from classroom.terminal import one_line

_LONGEST = 2000  # characters of one text: a hint may be a student's name for something
_CODE = re.compile(r"`([^`]+)`")
_TAG = re.compile(r"<[^>]*>")


class Html(str):
    """Text that is markup already; everything else is escaped where it is put in."""


def text(value: object) -> Html:
    """A value as it may stand in the page: escaped, of bounded length, with nothing that turns the line around."""
    if isinstance(value, Html):
        return value
    shown = one_line(str(value))
    shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    return Html(escape(shown, quote=True))


def prose(value: object) -> Html:
    """A text in which what stands between backticks is code, as authors write hints."""
    return value if isinstance(value, Html) else Html(_CODE.sub(r"<code>\1</code>", text(value)))


def paragraph(words: object, kind: str = "") -> Html:
    """A paragraph."""
    return Html(f'<p class="{kind}">{prose(words)}</p>' if kind else f"<p>{prose(words)}</p>")


def paragraphs(sentences: Iterable[object]) -> Html:
    """A list of sentences, each a thing to look at."""
    items = [f"<li>{prose(sentence)}</li>" for sentence in sentences]
    return Html(f"<ul>{''.join(items)}</ul>" if items else "")


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> Html:
    """A table that scrolls by itself where the window is narrow, by keyboard too.

    Args:
        numbers: the columns that hold numbers. The first column names the row.
    """

    def kind(column: int) -> str:
        return ' class="number"' if column in numbers else ""

    lines = [f'<div class="wide" role="region" tabindex="0" aria-label="{text(caption)}"><table>']
    lines.append(f"<caption>{text(caption)}</caption><thead><tr>")
    lines += [f'<th scope="col"{kind(column)}>{text(head)}</th>' for column, head in enumerate(heads)]
    lines.append("</tr></thead><tbody>")
    for row in rows:
        first, *rest = row
        name = ' class="name"' if len(_TAG.sub("", str(first))) > 4 else ""
        cells = [f'<th scope="row"{name}>{text(first)}</th>']
        for column, cell in enumerate(rest, 1):
            long = "" if column in numbers or len(str(cell)) < 40 or isinstance(cell, Html) else ' class="text"'
            cells.append(f"<td{kind(column) or long}>{prose(cell)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table></div>")
    return Html("\n".join(lines))


def figure(title: str, picture: str, numbers: Html) -> Html:
    """A picture with its numbers in a table beneath it, which opens by mouse, by keyboard and in print."""
    return Html(
        f"<figure><figcaption>{text(title)}</figcaption>\n{picture}\n"
        f"<details><summary>The numbers of this figure</summary>\n{numbers}\n</details></figure>"
    )


def pair(*figures: Html) -> Html:
    """Figures side by side where there is room."""
    return Html(f'<div class="pair">{"".join(figures)}</div>')


def section(anchor: str, title: str, *contents: Html) -> Html:
    """A section with a heading that can be jumped to."""
    inner = "\n".join(contents)
    return Html(f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{text(title)}</h2>\n{inner}\n</section>')


def page(title: str, head: Sequence[Html], sections: Sequence[tuple[str, str, Sequence[Html]]]) -> str:
    """The whole page: `sections` are (anchor, title, contents)."""
    links = "".join(f'<li><a href="#{anchor}">{text(name)}</a></li>' for anchor, name, _ in sections)
    body = "\n".join(section(anchor, name, *contents) for anchor, name, contents in sections)
    start = "\n".join(head)
    header = f'<h1>{text(title)}</h1>\n{start}\n<nav aria-label="Sections"><ul>{links}</ul></nav>'
    return document(title, header, body, style=STYLE)


def document(title: str, header: str, main: str, *, style: str, allowed: str = "") -> str:
    """The file around markup that is safe already.

    Args:
        style: the one style sheet.
        allowed: what its policy lets a browser do besides applying that, such as "img-src data:".
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = ["default-src 'none'", f"style-src 'sha256-{digest}'", allowed, "base-uri 'none'", "form-action 'none'"]
    policy = "; ".join(filter(None, rules))
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>{text(title)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">To the contents</a>
<header>
{header}
</header>
<main id="main">
{main}
</main>
</body>
</html>
"""
