"""What a page costs a reader: the HTML and everything that it loads, in bytes as transferred.

Text is counted compressed by gzip, as every web server sends it; pictures and fonts as they are. Counted from the
files that a page names: scripts, styles and what they import, pictures, the icons' font, and MathJax's usual faces on
pages with formulas. A browser test compares the count with what Chromium loads.
"""

from __future__ import annotations

import gzip
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMPRESSED = {".html", ".js", ".css", ".svg", ".json"}
ICONS = "fa-solid-900.woff2"  # the theme's buttons, on every page
MATHJAX_FONTS = [f"MathJax_{face}.woff" for face in ("Main-Regular", "Math-Italic", "Size1-Regular", "Zero")]


class Resources(HTMLParser):
    """Addresses that a page loads by itself: scripts, styles, preloads, icons and pictures."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "source", "iframe") and given.get("src"):
            self.found.append(given["src"])
        elif tag == "link" and {"stylesheet", "preload", "icon"} & set((given.get("rel") or "").split()):
            self.found.append(given.get("href") or "")


@cache
def transferred(path: Path) -> int:
    data = path.read_bytes()
    return len(gzip.compress(data, 6)) if path.suffix in COMPRESSED else len(data)


def local(address: str, page: Path) -> Path | None:
    """The file behind an address on a page; None for data: and other hosts (which a test forbids)."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not parts.path:
        return None
    path = (page.parent / unquote(parts.path)).resolve()
    return path if path.is_file() else None


def resources(page: Path) -> set[Path]:
    """Files that a page loads, fonts and imported styles included."""
    parser = Resources()
    parser.feed(page.read_text(encoding="utf-8"))
    files = {path for address in parser.found if (path := local(address, page))}
    for path in list(files):
        if path.suffix == ".css":
            imported = re.findall(r"""@import\s+(?:url\()?["']?([^"')]+)""", path.read_text(encoding="utf-8"))
            files |= {found for address in imported if (found := local(address, path))}
        elif path.name == "fontawesome.js":
            files |= set(path.parents[1].glob(f"**/{ICONS}"))
        elif path.name == "tex-chtml.js":
            files |= {path.parent / "output" / "chtml" / "fonts" / "woff-v2" / name for name in MATHJAX_FONTS}
    return {path for path in files if path.is_file()}


def page_weight(page: Path) -> int:
    return transferred(page.resolve()) + sum(transferred(path) for path in resources(page))


def page_weights(html: Path, pages: list[str]) -> dict[str, int]:
    """Weight of each page of the book in bytes."""
    transferred.cache_clear()  # a second build in the same process may have changed the files
    return {name: page_weight(html / f"{name}.html") for name in pages if (html / f"{name}.html").exists()}


def has_slider(page: Path) -> bool:
    """Pages with a slider of pictures have the larger budget."""
    return bool(re.search(r'class="[^"]*\bdp-frames\b', page.read_text(encoding="utf-8")))
