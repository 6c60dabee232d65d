"""The build on a tiny book: what is wrong in a notebook, a register or the syllabus fails it, and is named."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from book_records import gather, read_executions, read_json
from build import inventory
from deeppractice_book import math_in_docstrings
from execute import jobs_of

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

COURSE = {
    "repository_url": "https://github.com/someone/course",
    "hub_url": "https://hub.example",
    "book_url": "https://book.example/",
}


def write_notebook(root: Path, cells: list, name: str = PAGE) -> None:
    path = root / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)


def section(measured: str = "[2.0, 2.1, 2.2]", code: str = "print('fine')") -> list:
    covered = {"deeppractice": {"rows": ["9.02"], "form": "exercise"}}
    return [
        new_markdown_cell("# A section\n\nOne term {cite:p}`known2020`.", id="title"),
        new_code_cell("from deeppractice.claims import claim", id="imports"),
        new_markdown_cell("## To do\n\nAn exercise.", id="todo", metadata=covered),
        new_code_cell(f"claim('tiny-claim', measured={measured})", id="tiny"),
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
    (root / "index.md").write_text(f"# Tiny\n\n```{{output-of}} {PAGE} tiny\n```\n")
    (root / "glossary.md").write_text("# Glossary\n\n```{glossary}\nseed\n  A number.\n\nverdict\n  A word.\n```\n")
    (root / "references.bib").write_text("@misc{known2020, author={One, A.}, title={Known}, year={2020}}\n")
    pages = [PAGE, "glossary", *(f"book/{page}" for page in ("ledger", "coverage", "status", "references"))]
    toc = {"format": "jb-book", "root": "index", "chapters": [{"file": page} for page in pages]}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    (root / "course.yml").write_text(yaml.safe_dump(COURSE))
    write_notebook(root, section())
    write_register(root, CLAIM)
    write_syllabus(root, SYLLABUS)
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A tiny book, built once."""
    root = tiny_book(tmp_path_factory.mktemp("tiny") / "")
    done = build(root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture
def book(built, tmp_path) -> Path:
    """A copy of the built book, to change; its notebooks need not run again."""
    return Path(shutil.copytree(built, tmp_path / "book", symlinks=True))


def problems(root: Path) -> str:
    return "\n".join(message for _, message in gather(root).problems)


# What a good build leaves behind


def test_records_name_claim_row_and_anchor(built):
    (claim,) = read_json(built / "_build" / "claims.json", [])
    assert (claim["id"], claim["verdict"], claim["anchor"]) == ("tiny-claim", "holds", f"{PAGE}.html#claim-tiny-claim")
    assert claim["mean"] == pytest.approx(2.1)
    rows = {row["id"]: row["covered_by"][0] for row in read_json(built / "_build" / "coverage.json", {})["rows"]}
    assert rows["9.01"]["form"] == "claim"
    assert rows["9.02"] == {"form": "exercise", "id": "todo", "anchor": f"{PAGE}.html#cell-todo"}
    page = (built / "_build" / "html" / f"{PAGE}.html").read_text()
    assert 'id="cell-todo"' in page
    assert "claim-tiny-claim" in page


def test_output_of_shows_the_cell_on_another_page(built):
    assert "The figure is above one." in (built / "_build" / "html" / "index.html").read_text()


def test_addresses_of_course_yml_make_the_launch_buttons(built):
    page = (built / "_build" / "html" / f"{PAGE}.html").read_text()
    assert "https://hub.example/hub/user-redirect/git-pull?repo=https%3A//github.com/someone/course" in page
    assert "https://mybinder.org/v2/gh/someone/course/student" in page
    assert f"https://colab.research.google.com/github/someone/course/blob/student/{PAGE}.ipynb" in page
    assert '<link rel="canonical" href="https://book.example/' in page


def test_status_holds_seconds_memory_and_weight(built):
    status = read_json(built / "_build" / "status.json", {})
    assert set(status[PAGE]) == {"seconds", "cpu_seconds", "slowness", "memory_mb", "weight_bytes"}
    assert status["index"]["weight_bytes"] > 100_000  # the theme alone


def test_second_build_does_nothing(built):
    started = time.perf_counter()
    done = build(built)
    assert "up to date" in done.stdout
    assert "to execute: 0" in done.stdout
    assert time.perf_counter() - started < 20


# What fails a build


def test_changed_values_flip_the_verdict_and_fail_the_build(book):
    write_notebook(book, section(measured="[0.2, 0.3, 0.1]"))
    (book / "index.md").write_text(f"# Tiny\n\n```{{output-of}} {PAGE} no-such-cell\n```\n")
    done = build(book)
    assert done.returncode == 1
    assert f"{PAGE}: claim 'tiny-claim' was expected to be 'holds' and came out as 'fails'" in done.stderr
    assert f"output-of: {PAGE} has no cell 'no-such-cell'" in done.stderr
    assert read_json(book / "_build" / "claims.json", [])[0]["verdict"] == "fails"
    assert not (book / "_build" / "book.json").exists(), "a build with warnings does not count as complete"


def test_build_goes_on_where_a_page_is_missing(book):
    (book / "_build" / "html" / "glossary.html").unlink()
    files = read_json(book / "_build" / "book.json", {})["files"]
    assert inventory(book / "_build" / "html") != files


def test_failing_notebook_is_named_with_cell_and_error(book):
    write_notebook(book, section(code="weights = {}\nweights['bias']"))
    done = build(book)
    assert done.returncode == 1
    assert f"FAILED {PAGE}" in done.stderr
    assert "cell 5 (id last): KeyError: 'bias'" in done.stderr
    assert "weights['bias']" in done.stderr, "the traceback is shown"
    assert PAGE not in read_executions(book)


def test_claim_without_register_fails_the_build(book):
    write_register(book, {**CLAIM, "id": "another"})
    done = build(book, "execute.py")
    assert done.returncode == 1
    assert "cell 4 (id tiny): ClaimError" in done.stderr
    assert "'tiny-claim' is not registered" in done.stderr


@pytest.mark.parametrize(("expect", "measured", "fails"), [
    ("holds", "[2.0, 2.1, 2.2]", False),
    ("holds", "[0.2, 0.3, 0.1]", True),
    ("holds", "[0.2, 1.0, 1.8]", False),  # inconclusive: shown, not a failure
    ("fails", "[0.2, 0.3, 0.1]", False),
    ("fails", "[2.0, 2.1, 2.2]", True),  # the day when it reproduces is a failure too
])  # fmt: skip
def test_verdict_against_what_was_expected(book, expect, measured, fails):
    from deeppractice.claims import Claim, Result, Test

    entry = {**CLAIM, "expect": expect, "published": ""}
    result = Result(Claim(**{**entry, "test": Test(**entry["test"])}), json.loads(measured))
    replace_record(book, result.record())
    assert ("was expected to be" in problems(book)) is fails


def replace_record(root: Path, record: dict) -> None:
    """Put another record into the cached notebook, as if the run had measured other values."""
    (path,) = (root / "_build" / ".jupyter_cache" / "executed").glob("*/base.ipynb")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.outputs:
            if "application/vnd.deeppractice.claim+json" in output.get("data", {}):
                output.data["application/vnd.deeppractice.claim+json"] = record
    nbformat.write(notebook, path)


# What registers and syllabus can get wrong (no notebook runs again for these)


def test_registered_and_never_run(book):
    write_register(book, CLAIM, {**CLAIM, "id": "forgotten"})
    assert f"{PAGE}: claim 'forgotten' is registered and was never run" in problems(book)


def test_run_and_not_registered(book):
    write_register(book)
    assert f"{PAGE}: claim 'tiny-claim' was run but is not registered" in problems(book)


def test_registered_for_another_notebook(book):
    write_register(book, {**CLAIM, "notebook": "02-other"})
    assert "is registered for chapters/01-tiny/02-other, and run here" in problems(book)


def test_registered_twice(book):
    write_register(book, CLAIM, CLAIM)
    assert "registered twice" in problems(book)


def test_more_than_three_rows(book):
    write_register(book, {**CLAIM, "rows": ["9.01", "9.02", "9.03", "9.04"]})
    assert "names 4 rows, at most 3" in problems(book)


def test_unknown_source(book):
    write_register(book, {**CLAIM, "source": "known2020, unheard1999"})
    assert "source 'unheard1999' is not in references.bib" in problems(book)


def test_unknown_row(book):
    write_syllabus(book, {**SYLLABUS, "rows": SYLLABUS["rows"][:1]})
    assert "names row '9.02', which chapters/syllabus.yml lacks" in problems(book)


def test_unknown_form_of_coverage(book):
    path = book / f"{PAGE}.ipynb"
    path.write_text(path.read_text().replace('"form": "exercise"', '"form": "essay"'))
    assert "cell todo covers rows as 'essay'" in problems(book)


@pytest.mark.parametrize("complete", [True, False])
def test_uncovered_row_fails_in_a_complete_chapter_only(book, complete):
    gap = {"id": "9.03", "chapter": "01-tiny", "topic": "nobody's"}
    chapters = {"01-tiny": {"title": "Tiny", "complete": complete}}
    write_syllabus(book, {"chapters": chapters, "rows": [*SYLLABUS["rows"], gap]})
    assert ("row 9.03 (nobody's): nothing covers it" in problems(book)) is complete


def test_no_problems_in_the_tiny_book(built):
    assert problems(built) == ""


def test_formulas_and_shapes_in_docstrings_become_restructuredtext():
    lines = [
        r"The *loss*, $\epsilon_\theta(x)$ nats: (B, *shape), (B, *shape) -> `(B, *shape)`.",
        "",
        "  $$a_b",
        "     = c$$",
    ]
    math_in_docstrings(None, "class", "name", None, None, lines)
    assert "\n".join(lines).split("\n") == lines, "one line an item, as Sphinx wants them"
    assert lines == [
        r"The *loss*, :math:`\epsilon_\theta(x)` nats: (B, \*shape), (B, \*shape) -> `(B, *shape)`.",
        "",
        "  .. math::",
        "",
        "      a_b = c",
        "",
    ]


# What runs again, and what an interruption costs


def test_key_follows_code_library_lock_and_register_but_not_the_text(book):
    def key() -> str:
        return jobs_of(book)[0].key

    keys = [key()]
    cells = section()
    cells[0].source = "# Another title"
    write_notebook(book, cells)
    assert key() == keys[0], "text alone runs nothing again"
    write_notebook(book, section(code="print('other')"))
    keys.append(key())
    room = book / "lib" / "deeppractice" / "room"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text("from deeppractice.room.inner import f\n")
    (room / "inner.py").write_text("def f():\n    import deeppractice.lazy\n")
    (room / "other.py").write_text("")
    write_notebook(book, section(code="from deeppractice.room import f"))
    keys.append(key())
    (room.parent / "lazy.py").write_text("x = 1\n")  # imported at the third remove, inside a function
    keys.append(key())
    (room / "other.py").write_text("x = 1\n")
    assert key() == keys[-1], "a file that nothing of this notebook imports"
    write_notebook(book, section(code='build("deeppractice.room.other:x")'))
    keys.append(key())
    (room / "other.py").write_text("x = 2\n")  # named in a string only
    keys.append(key())
    (book / "requirements.lock").write_text("torch==2.13.0\n")
    keys.append(key())
    write_register(book, {**CLAIM, "published": "1.5"})
    keys.append(key())
    write_register(book, {**CLAIM, "published": "1.5"}, {**CLAIM, "id": "other", "notebook": "02-other"})
    assert key() == keys[-1], "another notebook's claim"
    assert len(set(keys)) == len(keys)


def test_interrupted_execution_keeps_what_was_done(book):
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    toc["chapters"] += [{"file": "chapters/01-tiny/02-quick"}, {"file": "chapters/01-tiny/03-endless"}]
    (book / "_toc.yml").write_text(yaml.safe_dump(toc))
    write_notebook(book, [new_code_cell("1 + 1", id="one")], "chapters/01-tiny/02-quick")
    endless = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)"
    write_notebook(book, [new_code_cell(endless, id="one")], "chapters/01-tiny/03-endless")
    command = [sys.executable, ROOT / "book" / "execute.py", "--root", book]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    marker = book / "chapters" / "01-tiny" / "pid"
    wait_for(lambda: "chapters/01-tiny/02-quick" in read_executions(book) and marker.exists() and marker.read_text())
    os.kill(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130, errors
    assert "what had finished is kept" in errors
    wait_for(lambda: not psutil.pid_exists(int(marker.read_text())))
    write_notebook(book, [new_code_cell("2 + 2", id="one")], "chapters/01-tiny/03-endless")
    again = build(book, "execute.py")
    assert "notebooks: 3, to execute: 1" in again.stdout


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def test_memory_of_the_whole_process_tree_is_measured(book):
    child = "import time; x = bytearray(300 << 20); time.sleep(1)"
    write_notebook(book, section(code=f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', '{child}'])"))
    assert build(book, "execute.py").returncode == 0
    assert read_executions(book)[PAGE]["memory_mb"] > 330
