"""The built pages as files: links and anchors hold, and every picture says what it shows."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE_NAME = re.compile(r"\S+\.(png|svg|jpe?g|gif|webp)$", re.I)


class Page(HTMLParser):
    """Anchors, links and pictures of one page."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.pictures: list[tuple[str, str | None]] = []  # the tag as written, its alternative text
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if given.get("id"):
            self.anchors.append(given["id"])
        for key in ("href", "src"):
            if given.get(key):
                self.links.append(given[key])
        if tag == "img":
            self.pictures.append((self.get_starttag_text(), given.get("alt")))
        elif given.get("role") == "img":
            self.pictures.append((self.get_starttag_text(), given.get("aria-label")))


@cache
def read(path: Path) -> Page:
    return Page(path)


def broken(path: Path, html: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in read(path).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        anchor = unquote(parts.fragment) if target.suffix == ".html" else ""
        there = target.is_relative_to(html) and target.is_file()
        if not there or (anchor and anchor not in read(target).anchors):
            found.append(link)
    return found


def test_internal_links_and_anchors_hold(html, name):
    assert not broken(html / f"{name}.html", html.resolve())


def test_ids_are_unique(html, name):
    anchors = read(html / f"{name}.html").anchors
    assert sorted(set(anchors)) == sorted(anchors)


def test_every_picture_has_alternative_text(html, name):
    bad = [tag for tag, alt in read(html / f"{name}.html").pictures if not alt or FILE_NAME.match(alt.strip())]
    assert not bad, "alternative text is missing, or the name of a file"


def test_page_is_complete(html, name):
    text = (html / f"{name}.html").read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>")
    assert "weight-of:" not in text, "a weight was not filled in"


def test_notebook_can_be_downloaded_and_holds_no_outputs(html, name):
    if (ROOT / f"{name}.ipynb").exists():
        assert f'href="{"../" * name.count("/")}_sources/{name}.ipynb"' in (html / f"{name}.html").read_text()
        assert (html / "_sources" / f"{name}.ipynb").read_text() == (ROOT / f"{name}.ipynb").read_text()


def test_launch_buttons_are_hidden_without_a_repository(html, name):
    course = yaml.safe_load((ROOT / "course.yml").read_text(encoding="utf-8"))
    shown = "dropdown-launch-buttons" in (html / f"{name}.html").read_text(encoding="utf-8")
    assert shown == (bool(course["repository_url"]) and (ROOT / f"{name}.ipynb").exists())


def test_no_page_says_what_torch_says_of_every_module(html, name):
    text = (html / f"{name}.html").read_text(encoding="utf-8")
    for sentence in ("computation performed at every call", "overridden by all subclasses"):
        assert sentence not in text


def test_api_shows_what_a_call_takes_where_that_is_more_than_one_thing(html):
    text = (html / "book" / "api" / "architectures.html").read_text(encoding="utf-8")
    assert 'id="deeppractice.architectures.AdditiveAttention.forward"' in text
    assert 'id="deeppractice.architectures.MLP.forward"' not in text


@pytest.mark.parametrize("address", ["http://a.example/x.html", "mailto:somebody"])
def test_the_check_of_links_leaves_other_hosts_alone(tmp_path, address):
    page = tmp_path / "page.html"
    page.write_text(f'<a href="{address}">there</a>')
    assert not broken(page, tmp_path.resolve())


def test_the_check_of_links_sees_a_missing_page_and_a_missing_anchor(tmp_path):
    (tmp_path / "other.html").write_text('<p id="here">')
    page = tmp_path / "page.html"
    page.write_text('<a href="gone.html">a</a><a href="other.html#here">b</a><a href="other.html#gone">c</a>')
    assert broken(page, tmp_path.resolve()) == ["gone.html", "other.html#gone"]
