"""Directives of the book: `claims-ledger`, `coverage-table`, `project-list`, `course-rules`, `section-map`,
`downloads`, `output-of` and `models-table` (of book_models).

Each writes what the build has gathered. (`build-status` stands in book_status.)
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from book_map import drawing
from book_models import ModelsTable
from book_records import OUTCOMES, executed_notebook, figures, outcome, read_yaml, threshold, toc_documents, unit
from book_sections import PATHS, circles, read_sections, section_problems
from book_written import Written, badge, detail, filter_form, mark_rows

DOWNLOADS_PLACE = '<div class="dp-downloads" hidden></div>'

logger = logging.getLogger(__name__)


class ClaimsLedger(Written):
    """Every claim of the book, published against measured."""

    def row(self, claim: dict) -> list[str]:
        sources = f"{{cite:t}}`{','.join(claim['sources'])}`" if claim["sources"] else "our own claim"
        published = f"{claim['published']}<br>" if claim.get("published") else ""
        known = "<br>" + detail("as registered: it does not reproduce at this scale, the page says why")
        seeds = len(claim["measured"])
        test = f"test: {threshold(claim)}, {seeds} {'seed' if seeds == 1 else 'seeds'}"
        links = self.link(claim["anchor"], claim["id"]) + self.figure_link(claim["figure"], claim["id"])
        return [
            f"{claim['claim']}<br>{links}",
            f"{published}{sources}",
            f"{figures(claim)}<br>{detail(unit(claim))}<br>{detail(test)}",
            badge(claim["verdict"]) + (known if outcome(claim) == "fails as expected" else ""),
        ]

    @property
    def facts(self) -> list[dict[str, list[str]]]:
        return [{"chapter": [chapter_of(claim)], "outcome": [outcome(claim)]} for claim in self.gathered.claims]

    def markdown(self) -> str:
        claims, facts = self.gathered.claims, self.facts
        if not claims:
            return "No claim has been run yet."
        counts = {kind: sum(fact["outcome"] == [kind] for fact in facts) for kind in OUTCOMES}
        counted = [f"{counts[kind]} {said(kind, counts[kind])}" for kind in OUTCOMES if counts[kind] or kind == "holds"]
        labels = {"chapter": self.chapter_titles(facts), "outcome": dict(zip(OUTCOMES, OUTCOMES, strict=True))}
        head = ["Claim", "Published", "Measured on this build", "Verdict"]
        summary = f"Of {len(claims)} claims, {', '.join(counted)}.\n\n{filter_form(facts, labels, 'claims')}"
        return summary + self.table(head, [self.row(claim) for claim in claims], "dp-ledger", "31 27 28 14")

    def mark(self, holder: nodes.Element) -> None:
        mark_rows(holder, self.facts)

    def chapter_titles(self, facts: list[dict]) -> dict[str, str]:
        """Titles of the chapters that have rows, in the order of the book."""
        named = {chapter: about["title"] for chapter, about in self.gathered.chapters.items()}
        present = dict.fromkeys(fact["chapter"][0] for fact in facts)
        return {name: named.get(name, name) for name in [*named, *present] if name in present}


def said(outcome: str, number: int) -> str:
    """The outcome as a verb: 44 hold, 1 fails as expected."""
    one = {"inconclusive": "is inconclusive", "against the register": "contradicts what was registered"}
    many = {"holds": "hold", "fails as expected": "fail as expected", "inconclusive": "are inconclusive"}
    many["against the register"] = "contradict what was registered"
    return one.get(outcome, outcome) if number == 1 else many[outcome]


def chapter_of(claim: dict) -> str:
    return claim["page"].split("/")[1]


class CoverageTable(Written):
    """What covers each row of the syllabus."""

    @property
    def rows(self) -> list[dict]:
        """The rows of the syllabus, chapter by chapter."""
        chapters = self.gathered.chapters
        return [row for chapter in chapters for row in self.gathered.coverage if row["chapter"] == chapter]

    @property
    def facts(self) -> list[dict[str, list[str]]]:
        return [
            {"chapter": [row["chapter"]], "form": sorted({by["form"] for by in row["covered_by"]}) or ["nothing yet"]}
            for row in self.rows
        ]

    def markdown(self) -> str:
        chapters, parts = self.gathered.chapters, []
        titles = {chapter: about["title"] for chapter, about in chapters.items()}
        forms = {"claim": "experiment with a claim", "exercise": "exercise", "box": "box", "nothing yet": "nothing yet"}
        parts.append(filter_form(self.facts, {"chapter": titles, "form": forms}, "rows"))
        for chapter, about in chapters.items():
            rows = [row for row in self.rows if row["chapter"] == chapter]
            covered = sum(bool(row["covered_by"]) for row in rows)
            state = "complete" if about.get("complete") else "being written"
            counts = f"**{about['title']}** ({state}; {covered} of {len(rows)} rows covered)"
            head = ["Row", "Topic", "Covered by"]
            table = self.table(head, [self.row(row) for row in rows], "dp-coverage", "8 38 54") if rows else ""
            parts.append(f":::::{{container}} dp-group\n{counts}\n\n{table}\n:::::\n")
        return "\n".join(parts)

    def mark(self, holder: nodes.Element) -> None:
        mark_rows(holder, self.facts)

    def row(self, row: dict) -> list[str]:
        return [row["id"], row["topic"], "\n\n".join(map(self.covering, row["covered_by"])) or "nothing yet"]

    def covering(self, by: dict) -> str:
        text = f"{by['form']} {self.link(by['anchor'], by['id'])}{self.figure_link(by.get('figure', ''), by['id'])}"
        if "measured" in by:
            text += f" {badge(by['verdict'])}<br>{detail(by['measured'] + ', ' + by['unit'])}"
        return text


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


class CourseRules(Written):
    """What students have to know, from `course.yml`: dates, lateness, attempts, assistants, what is kept."""

    def markdown(self) -> str:
        course = read_yaml(self.root / "course.yml", {})
        found = {
            "Due": self.dates(course),
            "Late": self.late(course.get("late") or {}),
            "Attempts": self.attempts(course.get("attempts") or {}),
            "Assistants": course.get("ai_policy"),
            "What is kept": (course.get("retention") or {}).get("note"),
        }
        rows = [[name, " ".join(str(text).split())] for name, text in found.items() if text]
        return self.table(["Rule", "In this class"], rows, "dp-rules", "20 80") if rows else "Ask your instructor."

    @staticmethod
    def dates(course: dict) -> str:
        projects = (course.get("projects") or {}).items()
        dates = [f"{name}: {about['due']}" for name, about in projects if about.get("due")]
        return f"{'; '.join(dates)} ({course.get('timezone') or 'UTC'})" if dates else ""

    @staticmethod
    def late(rule: dict) -> str:
        if not rule.get("percent_per_day"):
            return ""
        grace, days = rule.get("grace_minutes"), rule.get("days")
        said = f"Up to {grace:g} minutes after the due date is on time. " if grace else ""
        said += f"For each day begun, {rule['percent_per_day']:g}% of the points that you earned are lost"
        return f"{said}; after {days} {'day' if days == 1 else 'days'} nothing is earned." if days else f"{said}."

    @staticmethod
    def attempts(rule: dict) -> str:
        most = rule.get("max")
        return rule.get("note") or (f"At most {most}." if most else "")


class Downloads(Written):
    """`{downloads}`: a place for the links to the whole book as PDF and zip, which book/export.py fills once made."""

    def markdown(self) -> str:
        return f"```{{raw}} html\n{DOWNLOADS_PLACE}\n```"


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


class SectionMap(SphinxDirective):
    """`{section-map}` on a chapter's index: how its sections depend on each other; the text below it is the caption."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        root, folder = Path(self.env.srcdir), Path(self.env.docname).parent
        stems = [Path(name).name for name in toc_documents(root) if Path(name).parent == folder]
        notebooks = [stem for stem in stems if stem != "index" and (root / folder / f"{stem}.ipynb").exists()]
        for stem in notebooks:
            self.env.note_dependency(str(root / folder / f"{stem}.ipynb"))
        sections = read_sections(root / folder, notebooks)
        problems = section_problems(sections) if sections else ["there are no sections"]
        for problem in problems:
            logger.warning(f"{folder}: {problem}", location=self.get_location(), type="deeppractice")
        drawable = all(s.path in PATHS and set(s.needs) <= set(sections) for s in sections.values())
        if not sections or not drawable or circles(sections):
            return []
        figure = nodes.container("", nodes.raw("", drawing(sections), format="html"), classes=["dp-map-figure"])
        self.state.nested_parse(self.content, self.content_offset, figure)
        return [figure]


DIRECTIVES = {
    "claims-ledger": ClaimsLedger,
    "coverage-table": CoverageTable,
    "project-list": ProjectList,
    "course-rules": CourseRules,
    "downloads": Downloads,
    "section-map": SectionMap,
    "output-of": OutputOf,
    "models-table": ModelsTable,
}
