"""What the build knows: registers, syllabus, executed notebooks, and the claims and coverage that follow from them.

No Sphinx in here, so that tests and `book/coverage.py` use it as it is. `gather(root)` reads everything and returns
it with a list of problems, each naming the notebook and the claim; the extension turns problems into warnings, and
a warning fails the build.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache

CLAIM_MIME = "application/vnd.deeppractice.claim+json"
FORMS = ("exercise", "box")  # how a cell may cover a row; an experiment covers it by its claim
FIGURE = re.compile(r'<(?:figure class="dp-figure"|div class="dp-frames")')
OUTCOMES = ("holds", "fails as expected", "inconclusive", "against the register")
MOST_ROWS = 3  # a claim that settles more than three rows settles none of them


def digest(*parts: Path | bytes) -> str:
    """SHA-256 over files (a missing one counts as empty) and bytes, short enough to read."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.read_bytes() if part.exists() else b""
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()[:16]


def code_hash(notebook: nbformat.NotebookNode) -> str:
    """Hash of what a run depends on inside the notebook: its code cells, in order."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def read_yaml(path: Path, default):
    """Contents of a YAML file, `default` when it is missing or empty."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or default


def write_json(path: Path, data) -> None:
    """Write by renaming, so that an interruption never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)


def read_json(path: Path, default):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default


def read_executions(root: Path) -> dict[str, dict]:
    """`_build/executions.json`: for each notebook its key, seconds and memory in MB."""
    return read_json(root / "_build" / "executions.json", {})


def toc_documents(root: Path) -> list[str]:
    """Pages of `_toc.yml` in reading order, as Sphinx names them."""
    toc, found = read_yaml(root / "_toc.yml", {}), []

    def walk(node):
        if isinstance(node, dict):
            for key in ("root", "file"):
                if key in node:
                    found.append(re.sub(r"\.(md|ipynb)$", "", node[key]))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(toc)
    return found


def bibliography_keys(root: Path) -> set[str]:
    text = (root / "references.bib").read_text(encoding="utf-8") if (root / "references.bib").exists() else ""
    return set(re.findall(r"^\s*@\w+\{\s*([^,\s]+)", text, flags=re.M))


def executed_notebook(root: Path, name: str) -> nbformat.NotebookNode | None:
    """The notebook with the outputs of its last run; None when it has not run in this form."""
    notebook = nbformat.read(root / f"{name}.ipynb", as_version=4)
    try:
        return get_cache(str(root / "_build" / ".jupyter_cache")).merge_match_into_notebook(notebook)[1]
    except KeyError:
        return None


def claims_with_figures(notebook: nbformat.NotebookNode) -> list[tuple[dict, str]]:
    """The machine-readable claims among a notebook's outputs, each with the anchor of the last figure before it."""
    found, figure = [], ""
    for cell in notebook.cells:
        number = 0
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for _ in figures_in(data.get("text/html", "")):
                number += 1
                figure = figure_anchor(cell["id"], number)
            if CLAIM_MIME in data:
                record = data[CLAIM_MIME]
                found.append((json.loads(record) if isinstance(record, str) else dict(record), figure))
    return found


def cell_anchor(ident: str) -> str:
    """Anchor that the extension puts in front of a cell which covers rows of the syllabus."""
    return f"cell-{ident}"


def figure_anchor(ident: str, number: int) -> str:
    """Anchor of a cell's figure; the extension puts it on the figure when it writes the page."""
    return f"fig-{ident}" if number == 1 else f"fig-{ident}-{number}"


def figures_in(html: str) -> list[str]:
    """The opening tags of figures and sliders in an output."""
    return FIGURE.findall(html)


def outcome(record: dict) -> str:
    """The verdict of a claim against what was registered, as the ledger sorts it."""
    if record["verdict"] == "inconclusive":
        return "inconclusive"
    expected = record.get("expect", "holds")
    if record["verdict"] != expected:
        return "against the register"
    return "holds" if expected == "holds" else "fails as expected"


def cell_rows(cell: nbformat.NotebookNode) -> tuple[list[str], str]:
    """Rows that a cell says it covers, and its form: exercise or box."""
    own = cell.metadata.get("deeppractice", {})
    return [str(row) for row in own.get("rows", [])], own.get("form", "")


@dataclass
class Gathered:
    """Everything that the ledger, coverage and status pages show."""

    claims: list[dict] = field(default_factory=list)
    coverage: list[dict] = field(default_factory=list)
    chapters: dict[str, dict] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)  # (page, message)


def read_registers(root: Path, gathered: Gathered) -> dict[str, dict]:
    """All claims.yml of the chapters by id, each entry with its chapter and the page that should run it."""
    registered, sources = {}, bibliography_keys(root)
    for path in sorted(root.glob("chapters/*/claims.yml")):
        for entry in read_yaml(path, []):
            page = f"chapters/{path.parent.name}/{entry.get('notebook', '?')}"
            where = f"{page}: claim '{entry['id']}'"
            if entry["id"] in registered:
                gathered.problems.append((page, f"{where} is registered twice in the book"))
            if len(entry.get("rows", [])) > MOST_ROWS:
                gathered.problems.append((page, f"{where} names {len(entry['rows'])} rows, at most {MOST_ROWS}"))
            source = entry.get("source") or "own"
            cited = source if isinstance(source, list) else [key.strip() for key in source.split(",")]
            for key in cited:
                if key != "own" and key not in sources:
                    gathered.problems.append((page, f"{where}: source '{key}' is not in references.bib"))
            registered[entry["id"]] = {**entry, "page": page, "sources": [key for key in cited if key != "own"]}
    return registered


def judge(record: dict, entry: dict | None, page: str, gathered: Gathered) -> None:
    """Note what is wrong with one claim that was run."""
    where = f"{page}: claim '{record['id']}'"
    if entry is None:
        gathered.problems.append((page, f"{where} was run but is not registered in claims.yml"))
    elif entry["page"] != page:
        gathered.problems.append((page, f"{where} is registered for {entry['page']}, and run here"))
    expected, verdict = record.get("expect", "holds"), record["verdict"]
    if verdict not in (expected, "inconclusive"):
        measured = f"{figures(record)} {unit(record)}"
        gathered.problems.append(
            (page, f"{where} was expected to be '{expected}' and came out as '{verdict}': {measured}")
        )


def number(value: float, decimals: int | None = None) -> str:
    """A number as text, with a true minus sign; without decimals three significant figures, or a count in full."""
    short = f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.3g}"
    text = short if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "\u2212") if float(text) else text.lstrip("-")


def figures(record: dict) -> str:
    """Measured mean and 95 % interval, as text: as many decimals as the interval's width gives a meaning to.

    One value has no interval.
    """
    if len(record["measured"]) == 1:
        return number(record["mean"])
    half = (record["high"] - record["low"]) / 2
    decimals = max(0, 1 - math.floor(math.log10(half))) if half > 0 else None
    mean, low, high = (number(record[key], decimals) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def unit(record: dict) -> str:
    return (record.get("test") or {}).get("unit", "")


def threshold(record: dict) -> str:
    """The registered test, as text."""
    test = record["test"]
    if test["relation"] == "between":
        return f"between {number(test['threshold'][0])} and {number(test['threshold'][1])}"
    return f"{ {'>=': '≥', '<=': '≤'}[test['relation']] } {number(test['threshold'])}"


def gather(root: Path) -> Gathered:
    """Read registers, syllabus and executed notebooks; say what covers each row and what is wrong."""
    gathered = Gathered()
    registered = read_registers(root, gathered)
    syllabus = read_yaml(root / "chapters" / "syllabus.yml", {})
    gathered.chapters = syllabus.get("chapters", {})
    rows = {str(row["id"]): {**row, "covered_by": []} for row in syllabus.get("rows", [])}
    names = [name for name in toc_documents(root) if (root / f"{name}.ipynb").exists()]
    run = set()

    def cover(page: str, row: str, by: dict, who: str) -> None:
        if row in rows:
            rows[row]["covered_by"].append(by)
        else:
            gathered.problems.append((page, f"{page}: {who} names row '{row}', which chapters/syllabus.yml lacks"))

    for name in names:
        notebook = executed_notebook(root, name)
        if notebook is None:
            gathered.problems.append((name, f"{name}: has not been executed; run `python book/execute.py` first"))
            continue
        for record, figure in claims_with_figures(notebook):
            judge(record, registered.get(record["id"]), name, gathered)
            if record["id"] in run:
                gathered.problems.append((name, f"{name}: claim '{record['id']}' is run twice in the book"))
            run.add(record["id"])
            anchor = f"{name}.html#claim-{record['id']}"
            shown = f"{name}.html#{figure}" if figure else ""
            sources = registered.get(record["id"], {}).get("sources", [])
            gathered.claims.append({**record, "page": name, "anchor": anchor, "figure": shown, "sources": sources})
            by = {"form": "claim", "id": record["id"], "anchor": anchor, "figure": shown}
            by |= {"verdict": record["verdict"], "measured": figures(record), "unit": unit(record)}
            for row in record.get("rows") or []:
                cover(name, str(row), by, f"claim '{record['id']}'")
        for cell in notebook.cells:
            rows_here, form = cell_rows(cell)
            if rows_here and form not in FORMS:
                gathered.problems.append((name, f"{name}: cell {cell['id']} covers rows as '{form}', not {FORMS}"))
            for row in rows_here:
                by = {"form": form, "id": cell["id"], "anchor": f"{name}.html#{cell_anchor(cell['id'])}"}
                cover(name, row, by, f"cell {cell['id']}")
    for ident, entry in registered.items():
        if ident not in run:
            page = entry["page"]
            gathered.problems.append((page, f"{page}: claim '{ident}' is registered and was never run"))
    gathered.coverage = list(rows.values())
    for row in uncovered(gathered):
        gathered.problems.append(("chapters/syllabus", f"row {row['id']} ({row['topic']}): nothing covers it"))
    return gathered


def uncovered(gathered: Gathered) -> list[dict]:
    """Rows without claim, exercise or box in chapters that say `complete: true`."""
    complete = {name for name, chapter in gathered.chapters.items() if (chapter or {}).get("complete")}
    return [row for row in gathered.coverage if row["chapter"] in complete and not row["covered_by"]]
