"""The book's Sphinx extension: claims, coverage and status as pages, and a site that loads nothing from elsewhere.

Everything that the pages show is gathered once, when the build starts, from the registers and the executed notebooks
(`book_records.gather`); what is wrong there becomes a warning, and the build treats warnings as errors.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).resolve().parent))
from book_directives import DIRECTIVES
from book_records import FIGURE, cell_anchor, figure_anchor, gather, read_executions, read_yaml, write_json
from book_sections import read_section
from book_status import BuildStatus, build_name, build_versions
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
    options["repository_url"] = repository.rstrip("/")
    options["repository_branch"] = STUDENT_BRANCH
    options["use_repository_button"] = bool(repository)
    options["use_issues_button"] = bool(repository)
    options["launch_buttons"] = {"notebook_interface": "jupyterlab"}
    if repository:
        if not any(known in repository for known in ("github", "gitlab", "bitbucket")):
            options["repository_provider"] = "gitlab"  # the theme stops at a host that it doesn't know
        options["launch_buttons"]["jupyterhub_url"] = hub
        options["launch_buttons"]["binderhub_url"] = "https://mybinder.org"
        if "github.com" in repository:
            options["launch_buttons"]["colab_url"] = "https://colab.research.google.com"
    config.html_baseurl = course.get("book_url") or ""
    if config.html_baseurl:
        config.ogp_site_url = config.html_baseurl.rstrip("/") + "/"
        config.ogp_site_name = course.get("title") or config.html_title
        config.ogp_social_cards = {"image_mini": "book/static/card.png", "line_color": "#1a63c4"}


def use_social_cards(app: Sphinx) -> None:
    """Description and picture for those who share a page; they need absolute addresses, so only where there is one."""
    if read_yaml(Path(app.srcdir) / "course.yml", {}).get("book_url"):
        app.setup_extension("sphinxext.opengraph")


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
    app.deeppractice_cells = [cell.get("id", "") for cell in cells]  # for mark_notebook, which comes next
    source[0] = json.dumps({**notebook, "cells": cells})


def mark_notebook(app: Sphinx, doctree: nodes.document) -> None:
    """Give each figure of a notebook its anchor, for the ledger, and the line below the title its class."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    for cell in [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]:
        ident, number = app.deeppractice_cells[cell["cell_index"]], 0
        for raw in cell.findall(nodes.raw):

            def with_anchor(opening, ident=ident):
                nonlocal number
                number += 1
                return f'{opening[0]} id="{figure_anchor(ident, number)}"'

            raw[:] = [nodes.Text(FIGURE.sub(with_anchor, raw.astext()))]
    if read_section(path).described:
        next(doctree.findall(nodes.paragraph))["classes"].append("dp-path")


def without_path_line(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Leave the line on path and minutes out of the page's description; the page itself is written by now."""
    for line in list(doctree.findall(nodes.paragraph)) if doctree else []:
        if "dp-path" in line["classes"]:
            line.parent.remove(line)


def report_an_error(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """The theme's button for a new issue asks for the page and the build, and comes filled in."""
    buttons = [button for entry in context.get("header_buttons", []) for button in entry.get("buttons", [entry])]
    for button in buttons:
        if button.get("label") == "source-issues-button":
            base = app.config.html_baseurl
            page = f"{base.rstrip('/')}/{pagename}.html" if base else pagename
            build = build_name(Path(app.srcdir))
            text = f"Page: {page}\nBuild: {build}\n\nWhat is wrong, and what should stand there:\n"
            address = button["url"].split("?")[0]
            keys = ("issue[title]", "issue[description]") if "/-/" in address else ("title", "body")
            button["url"] = f"{address}?{keys[0]}={quote(f'Error on page {pagename}')}&{keys[1]}={quote(text)}"
            button["text"], button["tooltip"] = "Report an error", "Report an error on this page"
            button["icon"] = "fas fa-bug"


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
BETWEEN_FORMULAS, LINE_BREAK = re.compile(r"\\qquad|(?<=,) \\quad"), r" \\ "


def math_in_docstrings(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Formulas between dollars, as in the notebooks, and starred names in shapes."""

    def translate(found: re.Match) -> str:
        if found["display"]:
            indent = found["indent"]
            # In a terminal the parts stand side by side; on a phone one below the other, so that none is cut off.
            parts = [" ".join(part.split()) for part in BETWEEN_FORMULAS.split(found["formula"])]
            formula = parts[0] if len(parts) == 1 else rf"\begin{{gathered}} {LINE_BREAK.join(parts)} \end{{gathered}}"
            return f"{indent}.. math::\n\n{indent}    {formula}\n"
        if found["inline"]:
            return f":math:`{' '.join(found['inline'].split())}`"
        return rf"\*{found['starred']}" if found["starred"] else found[0]

    lines[:] = IN_DOCSTRINGS.sub(translate, "\n".join(lines)).split("\n")


def show_what_a_call_takes(app: Sphinx, what: str, name: str, obj, skip: bool, options) -> bool | None:
    """A `forward` without words of its own is left out, unless it takes more than one thing: then it has its line."""
    ours = (getattr(obj, "__module__", None) or "").startswith("deeppractice")
    if skip and ours and name == "forward" and obj.__doc__ is None and len(inspect.signature(obj).parameters) > 2:
        return False
    return None


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
    write_json(root / "_build" / "versions.json", build_versions(root))
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
    app.add_directive("build-status", BuildStatus)
    use_social_cards(app)
    app.connect("config-inited", use_course_urls)
    app.connect("builder-inited", gather_records)
    app.connect("env-get-outdated", outdated_pages)
    app.connect("source-read", anchor_cells)
    app.connect("doctree-read", mark_notebook)
    app.connect("autodoc-process-docstring", code_in_docstrings, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", math_in_docstrings, priority=401)
    app.connect("autodoc-skip-member", show_what_a_call_takes)
    app.connect("html-page-context", without_path_line, priority=400)  # before sphinxext.opengraph reads it
    app.connect("html-page-context", report_an_error, priority=800)  # after the theme has made its buttons
    app.connect("html-page-context", tidy_page, priority=900)  # after every extension has added its scripts
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
