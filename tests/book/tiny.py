"""The least book that has every generated page, with the course's own settings and extension, for tests to change."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
PAGE = "chapters/01-tiny/01-section"
CLAIM = {
    "id": "tiny-claim", "claim": "The figure is above one.", "source": "known2020", "rows": ["9.01"],
    "notebook": "01-section", "expect": "holds",
    "test": {"relation": ">=", "threshold": 1.0, "margin": 0.1, "seeds": 3, "unit": "points"},
}  # fmt: skip
SYLLABUS = {
    "chapters": {"01-tiny": {"title": "Tiny", "complete": True}},
    "rows": [
        {"id": "9.01", "chapter": "01-tiny", "topic": "what the claim settles"},
        {"id": "9.02", "chapter": "01-tiny", "topic": "what the exercise covers"},
    ],
}

IMPORTS = """\
from deeppractice._html import figure
from deeppractice.claims import claim
from IPython.display import HTML, display
DOT = figure('<svg role="img" aria-label="A dot" viewBox="0 0 9 9"><circle r="4"/></svg>', "Where is it?")"""
COURSE = {
    "repository_url": "https://github.com/someone/course",
    "hub_url": "https://hub.example",
    "book_url": "https://book.example/",
    "timezone": "Europe/Paris",
    "projects": {"tiny": {"due": "2026-03-06 23:59", "weight": 5}, "open": {"due": None, "weight": 0}},
    "late": {"grace_minutes": 15, "percent_per_day": 10, "days": 3},
    "attempts": {"max": 2},
    "ai_policy": "You may *ask* an assistant.\n",
    "retention": {"days": 365, "note": "A year."},
}


def write_notebook(root: Path, cells: list, name: str = PAGE) -> None:
    path = root / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)


def section(measured: str = "[2.0, 2.1, 2.2]", code: str = "print('fine')") -> list:
    covered = {"deeppractice": {"rows": ["9.02"], "form": "exercise"}}
    title = "# A section\n\n**Core path** · 25 minutes · needs no other section\n\nOne term {cite:p}`known2020`."
    described = {"deeppractice": {"path": "core", "minutes": 25, "needs": []}}
    return [
        new_markdown_cell(title, id="title", metadata=described),
        new_code_cell(IMPORTS, id="imports"),
        new_markdown_cell("## To do\n\nAn exercise.", id="todo", metadata=covered),
        new_code_cell(f"display(HTML(DOT), HTML(DOT))\nclaim('tiny-claim', measured={measured})", id="tiny"),
        new_code_cell(code, id="last"),
    ]


def write_register(root: Path, *entries: dict) -> None:
    (root / PAGE).parent.joinpath("claims.yml").write_text(yaml.safe_dump(list(entries)))


def write_syllabus(root: Path, syllabus: dict) -> None:
    (root / "chapters" / "syllabus.yml").write_text(yaml.safe_dump(syllabus))


def build(root: Path, script: str = "build.py") -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "book" / script, "--root", root]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def tiny_book(root: Path) -> Path:
    """The least book that has every generated page, with the course's own settings and extension."""
    shutil.copy(ROOT / "_config.yml", root)
    (root / "book").mkdir()
    (root / "book" / "static").symlink_to(ROOT / "book" / "static")
    for script in (ROOT / "book").glob("*.py"):
        (root / "book" / script.name).symlink_to(script)
    for page in ("ledger", "coverage", "status", "references"):
        shutil.copy(ROOT / "book" / f"{page}.md", root / "book")
    (root / "index.md").write_text(
        f"# Tiny\n\n```{{output-of}} {PAGE} tiny\n```\n\n```{{course-rules}}\n```\n\n```{{downloads}}\n```\n"
    )
    (root / "glossary.md").write_text("# Glossary\n\n```{glossary}\nseed\n  A number.\n\nverdict\n  A word.\n```\n")
    (root / "references.bib").write_text("@misc{known2020, author={One, A.}, title={Known}, year={2020}}\n")
    pages = [
        "chapters/01-tiny/index",
        PAGE,
        "glossary",
        *(f"book/{page}" for page in ("ledger", "coverage", "status", "references")),
    ]
    toc = {"format": "jb-book", "root": "index", "chapters": [{"file": page} for page in pages]}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    (root / "course.yml").write_text(yaml.safe_dump(COURSE))
    write_notebook(root, section())
    (root / "chapters" / "01-tiny" / "index.md").write_text("# Chapter\n\n```{section-map}\nRead it down.\n```\n")
    write_register(root, CLAIM)
    write_syllabus(root, SYLLABUS)
    return root
