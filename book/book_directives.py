"""Directives of the book: `claims-ledger`, `coverage-table`, `build-status`, `project-list` and `output-of`.

Each writes Markdown from what the build has gathered and has it parsed in place, so that links, citations and
mathematics in it are the book's own.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from book_records import executed_notebook, figures, read_executions, read_yaml, threshold, toc_documents, unit

logger = logging.getLogger(__name__)


class Written(SphinxDirective):
    """A directive that writes Markdown."""

    @property
    def root(self) -> Path:
        return Path(self.env.srcdir)

    @property
    def gathered(self):
        return self.env.app.deeppractice

    def markdown(self) -> str:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        holder = nodes.container(classes=[f"dp-{self.name}"])
        text = StringList(self.markdown().splitlines(), source=f"<{self.name}>")
        self.state.nested_parse(text, self.content_offset, holder)
        return holder.children if len(holder.children) == 1 else [holder]

    def link(self, anchor: str, text: str) -> str:
        """A link inside the book; raw HTML, since the target is an anchor that a notebook's output brings along."""
        up = "../" * self.env.docname.count("/")
        return f'<a class="reference internal" href="{up}{escape(anchor)}">{escape(text)}</a>'

    def table(self, header: list[str], rows: list[list[str]], css: str, widths: str = "auto") -> str:
        lines = ["::::{list-table}", ":header-rows: 1", f":widths: {widths}", f":class: dp-table {css}", ""]
        for row in [header, *rows]:
            for number, cell in enumerate(row):
                first, *rest = cell.splitlines() or [""]
                lines.append(("* - " if number == 0 else "  - ") + first)
                lines += ["    " + line for line in rest]
        return "\n".join([*lines, "::::"])

    def title_of(self, name: str) -> str:
        return f"{{doc}}`/{name}`"


def badge(verdict: str) -> str:
    return f'<span class="dp-verdict" data-verdict="{escape(verdict)}">{escape(verdict)}</span>'


def detail(text: str) -> str:
    return f'<span class="dp-detail">{escape(text)}</span>'


class ClaimsLedger(Written):
    """Every claim of the book, published against measured."""

    def row(self, claim: dict) -> list[str]:
        sources = f"{{cite:t}}`{','.join(claim['sources'])}`" if claim["sources"] else "our own claim"
        published = f"{claim['published']}<br>" if claim.get("published") else ""
        as_registered = claim["expect"] == "fails" and claim["verdict"] == "fails"
        known = "<br>" + detail("as registered: it does not reproduce at this scale, the page says why")
        seeds = len(claim["measured"])
        test = f"test: {threshold(claim)}, {seeds} {'seed' if seeds == 1 else 'seeds'}"
        return [
            f"{claim['claim']}<br>{self.link(claim['anchor'], claim['id'])}",
            f"{published}{sources}",
            f"{figures(claim)}<br>{detail(unit(claim))}<br>{detail(test)}",
            badge(claim["verdict"]) + (known if as_registered else ""),
        ]

    def markdown(self) -> str:
        claims = self.gathered.claims
        if not claims:
            return "No claim has been run yet."
        words = {"holds": "hold", "fails": "fail", "inconclusive": "are inconclusive"}
        counted = [f"{sum(c['verdict'] == kind for c in claims)} {word}" for kind, word in words.items()]
        head = ["Claim", "Published", "Measured on this build", "Verdict"]
        summary = f"Of {len(claims)} claims, {', '.join(counted)}.\n\n"
        return summary + self.table(head, [self.row(claim) for claim in claims], "dp-ledger", "31 27 28 14")


class CoverageTable(Written):
    """What covers each row of the syllabus."""

    def markdown(self) -> str:
        parts = []
        for chapter, about in self.gathered.chapters.items():
            rows = [row for row in self.gathered.coverage if row["chapter"] == chapter]
            covered = sum(bool(row["covered_by"]) for row in rows)
            state = "complete" if about.get("complete") else "being written"
            parts.append(f"**{about['title']}** ({state}; {covered} of {len(rows)} rows covered)\n")
            head = ["Row", "Topic", "Covered by"]
            parts.append(self.table(head, [self.row(row) for row in rows], "dp-coverage", "8 38 54"))
            parts.append("")
        return "\n".join(parts)

    def row(self, row: dict) -> list[str]:
        return [row["id"], row["topic"], "\n\n".join(map(self.covering, row["covered_by"])) or "nothing yet"]

    def covering(self, by: dict) -> str:
        text = f"{by['form']} {self.link(by['anchor'], by['id'])}"
        if "measured" in by:
            text += f" {badge(by['verdict'])}<br>{detail(by['measured'] + ', ' + by['unit'])}"
        return text


class BuildStatus(Written):
    """Seconds, memory and weight of each page."""

    def markdown(self) -> str:
        runs = read_executions(self.root)
        rows = []
        for name in toc_documents(self.root):
            run = runs.get(name, {})
            took = [f"{run['seconds']:.1f}", f"{run['cpu_seconds']:.1f}", str(run["memory_mb"])] if run else ["–"] * 3
            rows.append([self.title_of(name), *took, f"weight-of:{name};"])
        total = sum(run["seconds"] for run in runs.values())
        note = f"{len(runs)} notebooks, {total:.0f} seconds of execution in all.\n\n"
        return note + self.table(["Page", "Seconds", "CPU seconds", "Memory, MB", "Weight, kB"], rows, "dp-status")


class ProjectList(Written):
    """Checkpoints and mini-projects, from `solutions/*/project.yml`."""

    def markdown(self) -> str:
        rows = []
        for path in sorted(self.root.glob("solutions/*/project.yml")):
            project, name = read_yaml(path, {}), path.parent.name
            released = sorted((self.root / "assignments" / name).glob("*.ipynb"))
            links = [f"{{download}}`download {file.name} </assignments/{name}/{file.name}>`" for file in released]
            parts = project.get("parts") or []
            points = project.get("points") or sum(part.get("points", 0) for part in parts if isinstance(part, dict))
            title = f"{project.get('title', name)}<br>{'<br>'.join(links) or 'not released yet'}"
            rows.append([title, str(points or "–"), self.duration(project)])
        if not rows:
            return "No assignment has been written yet."
        return self.table(["Assignment", "Points", "Time"], rows, "dp-projects")

    @staticmethod
    def duration(project: dict) -> str:
        if project.get("minutes"):
            return f"{project['minutes']} min"
        return f"{project['hours']} h" if project.get("hours") else "–"


class OutputOf(SphinxDirective):
    """`{output-of} chapters/01-gap/01-name CELL-ID`: the HTML output of a cell of another executed notebook."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        name, ident = self.arguments
        html, problem = self.find(name, ident)
        if problem:
            logger.warning(f"output-of: {problem}", location=self.get_location(), type="deeppractice")
            return []
        return [nodes.container("", nodes.raw("", html, format="html"), classes=["dp-output-of"])]

    def find(self, name: str, ident: str) -> tuple[str, str]:
        """The cell's HTML, or what is wrong."""
        root = Path(self.env.srcdir)
        if not (root / f"{name}.ipynb").exists():
            return "", f"there is no notebook {name}.ipynb"
        self.env.note_dependency(str(root / f"{name}.ipynb"))
        notebook = executed_notebook(root, name)
        if notebook is None:
            return "", f"{name} has not been executed"
        cells = [cell for cell in notebook.cells if cell.get("id") == ident]
        if not cells:
            return "", f"{name} has no cell '{ident}'"
        bundles = [output.get("data", {}) for output in cells[0].get("outputs", [])]
        html = "\n".join(bundle["text/html"] for bundle in bundles if "text/html" in bundle)
        return html, "" if html else f"cell '{ident}' of {name} shows no HTML"


DIRECTIVES = {
    "claims-ledger": ClaimsLedger,
    "coverage-table": CoverageTable,
    "build-status": BuildStatus,
    "project-list": ProjectList,
    "output-of": OutputOf,
}
