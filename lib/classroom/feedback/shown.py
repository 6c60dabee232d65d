"""What a student wrote and what their cells put out, as HTML in which nothing is active.

Text is escaped, with marks of direction and other controls spelled out; markdown and HTML go through nbconvert's
renderer and the allow-list of `sanitise`; pictures stand in the page as data. What is very long is cut, and that is
said: the page has to open on a phone.
"""

import re
from html import escape, unescape

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from classroom.heavy import is_quick
from classroom.sanitise import by_the_list, clean_html, clean_notebook
from classroom.statistics.page import Html, text
from classroom.terminal import printable
from classroom.written import Budget

MOST_TEXT, MOST_CODE = 8_000, 60_000  # characters of one output, of one cell's code
MOST_COLOURED = 300_000  # characters of code in one page: six seconds at worst
MOST_OUTPUTS = 40  # of one cell
MOST_PICTURES = 12_000_000  # characters of base64 in one page
MOST_MARKUP = 4_000_000  # characters of HTML in one page, without its pictures
_LONG_SECRET = 20  # characters
LEFT_OUT = "[left out: it repeats a hidden test]"
NO_MORE = "[left out: an output before this one repeats a hidden test]"
_TOO_LONG = "More, which is not shown: it is too much for one page."
_COLOUR = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]|\x1b")
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_HEADING = re.compile(r"<(/?)h[1-6]>")
_TAG = re.compile(r"<[^<>]*>")
_DATA = re.compile(r'src="data:[^"]*"')
_TASK = re.compile(r"<input[^<>]{0,200}>")


class Shown:
    """Makes the HTML of one page; it counts what the page already holds.

    Args:
        secrets: lines of hidden tests; no output that repeats one is shown.
        language: of the notebook's code, as Pygments calls it.
    """

    def __init__(self, secrets: frozenset[str] = frozenset(), language: str = "python") -> None:
        self.secrets, self.language = sorted(secrets, key=len, reverse=True), language
        self._pictures = self._groups = self._coloured = 0
        self._budget, self._room = Budget(), MOST_MARKUP  # of what a student wrote and put out
        self._caught = False  # whether an output has repeated a hidden test

    def code(self, source: str) -> Html:
        """Code with colours by class, where that takes no long time."""
        if not self._room:
            return _remark(_TOO_LONG)
        source = printable(source.replace("\r\n", "\n").strip("\n"))
        cut = f"\n# … {len(source) - MOST_CODE} more characters …" if len(source) > MOST_CODE else ""
        source = source[:MOST_CODE]
        shown = escape(source)
        self._coloured += len(source)
        if is_quick(source, self.language) and "%%" not in source and self._coloured <= MOST_COLOURED:
            coloured = _coloured(source, self.language)
            shown = coloured if len(coloured) < self._room else shown
        return self._fitting(Html(f'<pre class="code"><code>{shown}{escape(cut)}</code></pre>'))

    def markdown(self, source: str, attachments: dict | None = None) -> Html:
        """Markdown with formulas as their source; headings are words in bold, so that the page's own are in order."""
        if not self._room:
            return _remark(_TOO_LONG)
        cell = {"cell_type": "markdown", "source": printable(source.replace("\r\n", "\n")), "metadata": {}}
        cell |= {"attachments": attachments} if attachments else {}
        (clean,) = clean_notebook({"cells": [cell]}, budget=self._budget)["cells"]
        # What somebody wrote is no output: to leave it out would only tell which lines they have guessed.
        return self._fitting(self._html(_laid_out(clean["source"], clean.get("attachments", {})), "text", said=False))

    def outputs(self, outputs: list[dict]) -> list[Html]:
        """The outputs of a cell in order."""
        if not self._room:
            return [_remark(_TOO_LONG)] if outputs else []
        found: list[Html] = []
        cell = {"cell_type": "code", "source": "", "outputs": outputs[:MOST_OUTPUTS]}
        shown = clean_notebook({"cells": [cell]}, budget=self._budget)
        for output in shown["cells"][0]["outputs"]:
            if not self._room:
                return [*found, _remark(_TOO_LONG)]
            made = self._output(output)
            found += [self._fitting(made)] if made else []
        if len(outputs) > MOST_OUTPUTS:
            found.append(_remark(f"{len(outputs) - MOST_OUTPUTS} more outputs of this cell are not shown."))
        return found

    def plain(self, words: str, kind: str = "said") -> Html:
        """What a program printed: without colours, and of lines that were written over what stood last."""
        lines = _COLOUR.sub("", words.replace("\r\n", "\n")).split("\n")
        words = self.safe("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))
        words = printable(words.strip("\n"))
        if not words.strip():
            return Html("")
        cut = f"\n… {len(words) - MOST_TEXT} more characters …" if len(words) > MOST_TEXT else ""
        return Html(f'<pre class="{kind}">{escape(words[:MOST_TEXT] + cut)}</pre>')

    def safe(self, words: str) -> str:
        """The words, unless a line of a hidden test stands in them; a short one counts as a whole line only.

        After the first one nothing more is told: whoever prints a hundred guesses would read off which ones are right.
        """
        if not words.strip():
            return words
        if self._caught:
            return NO_MORE
        lines = {line.strip() for line in words.split("\n")} if self.secrets else set()
        self._caught = any(s in lines or (len(s) >= _LONG_SECRET and s in words) for s in self.secrets)
        return LEFT_OUT if self._caught else words

    def _output(self, output: dict) -> Html:
        if output["output_type"] == "stream":
            return self.plain(output["text"])
        if output["output_type"] == "error":
            trace = "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
            return self.plain(trace, "said error")
        data = output["data"]
        for mime in _PICTURES:
            if mime in data:
                return self._picture(mime, data[mime], str(data.get("text/plain", "")))
        if "text/html" in data:
            return self._html(data["text/html"], "out")
        if "text/markdown" in data:
            return self._html(_laid_out(printable(data["text/markdown"].replace("\r\n", "\n")), {}), "text")
        return self.plain(data.get("text/latex") or data.get("text/plain") or "")

    def _picture(self, mime: str, data: str, words: str) -> Html:
        self._pictures += len(data)
        if self._pictures > MOST_PICTURES:
            return _remark("A picture more, which is not shown: there are too many for one page.")
        words = "" if self.safe(words) != words else words
        what = "a figure" if not words or words.startswith("<") else f"a figure: {text(words[:200])}"
        return Html(f'<p class="figure"><img alt="{what}" src="data:{mime};base64,{data}"></p>')

    def _html(self, html: str, kind: str, said: bool = True) -> Html:
        """HTML by the allow-list, in a box that scrolls by itself where it has a table or a picture."""
        words = unescape(_TAG.sub("", html)) if said else ""
        if (safe := self.safe(words)) != words:
            return Html(f'<pre class="said">{escape(safe)}</pre>')
        clean = clean_html(_TASK.sub("☐ ", printable(html)))
        clean = _HEADING.sub(lambda found: "</strong></p>" if found[1] else "<p><strong>", clean)
        clean = clean.replace("<th></th>", "<td></td>")
        clean = re.sub(r"<img(?![^>]*\salt=)", '<img alt="a picture"', clean)
        clean = by_the_list(re.sub(r"<a [^>]*>\s*</a>", "", clean))
        self._pictures += sum(map(len, _DATA.findall(clean)))
        if self._pictures > MOST_PICTURES:
            return _remark("More, which is not shown: there are too many pictures for one page.")
        if not clean.strip():
            return Html("")
        if "<table" not in clean:
            return Html(f'<div class="{kind}">{clean}</div>')
        self._groups += 1
        label = f"Table {self._groups}, which scrolls"
        return Html(f'<div class="{kind} wide" role="group" tabindex="0" aria-label="{label}">{clean}</div>')

    def _fitting(self, made: Html) -> Html:
        """What was made, if there is room for it; what comes after something that did not fit is not made at all."""
        length = len(made) - sum(map(len, _DATA.findall(made)))
        fits = length <= self._room
        self._room = self._room - length if fits else 0
        return made if fits else _remark(_TOO_LONG)


def _laid_out(source: str, attachments: dict) -> str:
    """Clean Markdown as HTML."""
    renderer = _Plain(escape=False, attachments=attachments, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


class _Plain(IPythonRenderer):
    """nbconvert's, with formulas as their source: the page works offline and runs no scripts."""

    def block_math(self, body: str) -> str:
        return f"<pre><code>{escape(body.strip())}</code></pre>\n"

    def latex_environment(self, name: str, body: str) -> str:
        return f"<pre><code>{escape(body.strip())}</code></pre>\n"

    def multiline_math(self, text: str) -> str:
        return f"<pre><code>{escape(text.strip())}</code></pre>\n"

    def inline_math(self, body: str) -> str:
        return f"<code>${escape(body)}$</code>"  # with its marks: it may be about money


def _coloured(source: str, language: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(source)
    return highlight(source, lexer, HtmlFormatter(nowrap=True))


def _remark(words: str) -> Html:
    return Html(f'<p class="soft">{text(words)}</p>')
