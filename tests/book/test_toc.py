"""`_toc.yml`: a mistake in it is told with its line before anything is executed, which would lose what has run."""

import json
from pathlib import Path

import pytest

from book_toc import toc_problems
from build import build

RIGHT = """\
format: jb-book
root: index
parts:
  - caption: Chapters
    chapters:
      - file: first/index
        sections:
          - file: first/01-page.ipynb
      - file: second/index
        sections:
          - file: second/01-page
"""
# What is left where a chapter's pages were removed, and its `sections:` was not.
LEFT_BEHIND = RIGHT.replace("      - file: second/index\n", "").replace("          - file: second/01-page\n", "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("index.md", "first/index.md", "first/01-page.ipynb", "second/index.md", "second/01-page.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "_toc.yml").write_text(RIGHT)
    return tmp_path


def test_nothing_is_said_of_one_that_is_right(root):
    assert toc_problems(root) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            LEFT_BEHIND,
            [
                "_toc.yml, line 9: sections is there twice; left behind by what was removed above it?",
                "_toc.yml, line 9: sections has nothing in it; remove the line, or name its pages below it",
            ],
        ),
        (
            RIGHT.replace("          - file: second/01-page\n", ""),
            ["_toc.yml, line 10: sections has nothing in it; remove the line, or name its pages below it"],
        ),
        (RIGHT.replace("second/01", "second/02"), ["_toc.yml, line 11: there is no page second/02-page.md or .ipynb"]),
        (
            RIGHT.replace("  - caption", "\t- caption"),
            ["_toc.yml, line 4: found character '\\t' that cannot start any token"],
        ),
        (RIGHT.replace("root: index\n", ""), ["_toc.yml: 'root' key not found @ '/'"]),
        ("", ["_toc.yml is empty"]),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line(root, text, said):
    (root / "_toc.yml").write_text(text)
    assert toc_problems(root) == said


def test_one_that_is_missing(root):
    (root / "_toc.yml").unlink()
    assert toc_problems(root) == [f"{root / '_toc.yml'} is missing"]


def test_the_build_ends_before_it_loses_what_was_executed(root, capsys):
    records = root / "_build" / "executions.json"
    records.parent.mkdir()
    records.write_text(json.dumps({"second/01-page": {"key": "of its last run"}}))
    (root / "_toc.yml").write_text(LEFT_BEHIND)
    assert build(root) == 1
    said = capsys.readouterr()
    assert "line 9: sections is there twice" in said.err
    assert said.err.endswith("nothing was executed\n")
    assert said.out == ""
    assert "second/01-page" in json.loads(records.read_text())
