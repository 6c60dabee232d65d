"""The book's Sphinx extension: claims, coverage and status as pages, and a site that loads nothing from elsewhere.

Everything that the pages show is gathered once, when the build starts, from the registers and the executed notebooks
(`book_records.gather`); what is wrong there becomes a warning, and the build treats warnings as errors.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).resolve().parent))
from book_directives import DIRECTIVES
from book_records import cell_anchor, gather, read_executions, read_yaml, write_json
from book_weights import page_weights

logger = logging.getLogger(__name__)

# Pages whose contents come from other pages' runs: always read again.
GENERATED = ("index", "book/ledger", "book/coverage", "book/status", "book/projects", "book/references")
# What MathJax's tex-chtml.js loads by itself: its fonts, and macro packages on first use.
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")
STUDENT_BRANCH = "student"  # launch links open this branch, which has no solutions


def use_course_urls(app: Sphinx, config) -> None:
    """Take the repository, book and hub addresses from course.yml; an empty one hides its buttons."""
    course = read_yaml(Path(app.srcdir) / "course.yml", {})
    repository, hub = course.get("repository_url") or "", course.get("hub_url") or ""
    options = config.html_theme_options
    options["repository_url"] = repository
    options["repository_branch"] = STUDENT_BRANCH
    options["use_repository_button"] = bool(repository)
    options["use_issues_button"] = bool(repository)
    options["launch_buttons"] = {"notebook_interface": "jupyterlab"}
    if repository:
        options["launch_buttons"]["jupyterhub_url"] = hub
        options["launch_buttons"]["binderhub_url"] = "https://mybinder.org"
        if "github.com" in repository:
            options["launch_buttons"]["colab_url"] = "https://colab.research.google.com"
    config.html_baseurl = course.get("book_url") or ""


def gather_records(app: Sphinx) -> None:
    """Read claims, coverage and figures; every problem is a warning that names notebook and claim."""
    root = Path(app.srcdir)
    gathered = app.deeppractice = gather(root)
    write_json(root / "_build" / "claims.json", gathered.claims)
    write_json(root / "_build" / "coverage.json", {"chapters": gathered.chapters, "rows": gathered.coverage})
    for _, message in gathered.problems:
        logger.warning(message, type="deeppractice")


def outdated_pages(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The gathered pages, and notebooks that ran again although their source did not change (the library did)."""
    records, seen = read_executions(Path(app.srcdir)), getattr(env, "deeppractice_runs", {})
    env.deeppractice_runs = records
    again = [name for name, record in records.items() if seen.get(name) != record]
    return [name for name in (*GENERATED, *again) if name in env.found_docs]


def anchor_cells(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put an anchor in front of each cell that covers rows, so that the coverage table can link to it."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook, cells = json.loads(source[0]), []
    for cell in notebook["cells"]:
        if cell.get("metadata", {}).get("deeppractice", {}).get("rows"):
            text = f'<span class="dp-anchor" id="{cell_anchor(cell["id"])}"></span>'
            cells.append({"cell_type": "markdown", "id": f"a-{cell['id']}"[:64], "metadata": {}, "source": text})
        cells.append(cell)
    source[0] = json.dumps({**notebook, "cells": cells})


def code_in_docstrings(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Indented blocks of a module's docstring are code; reStructuredText would make quotations of them."""
    if what != "module":
        return
    shown, inside = [], False
    for number, line in enumerate(lines):
        indented = line.startswith("    ")
        if indented and not inside and (number == 0 or not lines[number - 1].strip()):
            shown += [".. code-block:: python", ""]
            inside = True
        elif line.strip() and not indented:
            inside = False
        shown.append(line)
    lines[:] = shown


# What reStructuredText would misread in a docstring, and what it has to leave alone.
IN_DOCSTRINGS = re.compile(
    r"(?P<code>`[^`]+`)"
    r"|(?P<display>^(?P<indent>[ ]*)\$\$(?P<formula>.+?)\$\$)"
    r"|\$(?P<inline>[^$]+)\$"
    r"|(?P<emphasis>\*[^\s*](?:[^*\n]*[^\s*])?\*(?!\w))"
    r"|\*(?P<starred>\w+)",  # (B, *shape)
    re.DOTALL | re.MULTILINE,
)


def math_in_docstrings(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Formulas between dollars, as in the notebooks, and starred names in shapes."""

    def translate(found: re.Match) -> str:
        if found["display"]:
            indent = found["indent"]
            formula = " ".join(found["formula"].split())
            return f"{indent}.. math::\n\n{indent}    {formula}\n"
        if found["inline"]:
            return f":math:`{' '.join(found['inline'].split())}`"
        return rf"\*{found['starred']}" if found["starred"] else found[0]

    lines[:] = IN_DOCSTRINGS.sub(translate, "\n".join(lines)).split("\n")


def tidy_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Drop sphinx-thebe's scripts (unused; one declares a constant twice, an error on every page) and duplicates."""
    kept, seen = [], set()
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body") or ""
        name = str(getattr(script, "filename", script) or "")
        identity = (name, body)
        if "thebe" in name or "THEBE_JS_URL" in body or identity in seen:
            continue
        seen.add(identity)
        kept.append(script)
    context["script_files"] = kept


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Copy MathJax from its PyPI package (the part that pages use), weigh the pages and write the status."""
    if exception is not None or app.builder.format != "html":
        return
    package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX_PARTS:
        if (package / part).is_dir():
            shutil.copytree(package / part, target / part, dirs_exist_ok=True)
        elif not (target / part).exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(package / part, target / part)
    root = Path(app.srcdir)
    runs, weights = read_executions(root), page_weights(Path(app.outdir), sorted(app.env.found_docs))
    status = {name: {**runs.get(name, {}), "weight_bytes": weight} for name, weight in weights.items()}
    for record in status.values():
        record.pop("key", None)
    write_json(root / "_build" / "status.json", status)
    fill_weights(Path(app.outdir) / "book" / "status.html", weights)


def fill_weights(page: Path, weights: dict[str, int]) -> None:
    """Weights are known only when every page is written: fill them into the status page that waits for them."""
    if page.exists():
        text = page.read_text(encoding="utf-8")
        for name, weight in weights.items():
            text = text.replace(f"weight-of:{name};", f"{weight / 1000:.0f}")
        page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict:
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    app.connect("config-inited", use_course_urls)
    app.connect("builder-inited", gather_records)
    app.connect("env-get-outdated", outdated_pages)
    app.connect("source-read", anchor_cells)
    app.connect("autodoc-process-docstring", code_in_docstrings, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", math_in_docstrings, priority=401)
    app.connect("html-page-context", tidy_page, priority=900)  # after every extension has added its scripts
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
