"""The build on a tiny book: what is wrong in a notebook, a register or the syllabus fails it, and is named."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from html import unescape
from importlib import metadata
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
import psutil
import pytest
import yaml
from nbformat.v4 import new_code_cell
from tiny import CLAIM, PAGE, ROOT, SYLLABUS, build, section, tiny_book, write_notebook, write_register, write_syllabus

from book_records import gather, read_executions, read_json
from book_status import chapter_sums
from build import input_hash, inventory
from deeppractice_book import math_in_docstrings
from execute import jobs_of
from imports import packages


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
    # Two figures stand before the claim, in the same cell: the second is the nearest.
    assert claim["figure"] == rows["9.01"]["figure"] == f"{PAGE}.html#fig-tiny-2"
    assert rows["9.02"] == {"form": "exercise", "id": "todo", "anchor": f"{PAGE}.html#cell-todo"}
    page = (built / "_build" / "html" / f"{PAGE}.html").read_text()
    assert 'id="cell-todo"' in page
    assert page.count('<figure class="dp-figure" id="fig-tiny">') == 1
    assert page.count('<figure class="dp-figure" id="fig-tiny-2">') == 1
    for name in ("ledger", "coverage"):
        table = (built / "_build" / "html" / "book" / f"{name}.html").read_text()
        assert f'href="../{PAGE}.html#fig-tiny-2" aria-label="figure of tiny-claim">figure</a>' in table
    assert "claim-tiny-claim" in page


def test_output_of_shows_the_cell_on_another_page(built):
    assert "The figure is above one." in (built / "_build" / "html" / "index.html").read_text()


def test_rules_of_course_yml_are_shown(built):
    page = (built / "_build" / "html" / "index.html").read_text()
    rows = re.search(r"<table[^>]*dp-rules.*?</table>", page, re.DOTALL)[0]
    cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td>.*?</td>", rows, re.DOTALL)]
    assert dict(zip(cells[::2], cells[1::2], strict=True)) == {
        "Due": "tiny: 2026-03-06 23:59 (Europe/Paris)",
        "Late": "Up to 15 minutes after the due date is on time. For each day begun, 10% of the points that you earned "
        "are lost; after 3 days nothing is earned.",
        "Attempts": "At most 2.",
        "Assistants": "You may ask an assistant.",
        "What is kept": "A year.",
    }


def links(page: str) -> list[str]:
    return [unescape(address) for address in re.findall(r'href="([^"]+)"', page)]


def test_addresses_of_course_yml_make_the_launch_buttons(built):
    page = (built / "_build" / "html" / f"{PAGE}.html").read_text()
    path = f"lab/tree/course/{PAGE}.ipynb"
    repository = "https%3A//github.com/someone/course"
    hub = f"https://hub.example/hub/user-redirect/git-pull?repo={repository}&urlpath={path}&branch=student"
    assert hub in links(page)
    assert f"https://mybinder.org/v2/gh/someone/course/student?urlpath=lab/tree/{PAGE}.ipynb" in links(page)
    assert f"https://colab.research.google.com/github/someone/course/blob/student/{PAGE}.ipynb" in links(page)
    assert "https://github.com/someone/course" in links(page)
    assert '<link rel="canonical" href="https://book.example/' in page
    assert "https://hub.example" not in (built / "_build" / "html" / "glossary.html").read_text(), "notebooks only"


def test_report_an_error_opens_an_issue_that_names_page_and_build(built):
    for name in (PAGE, "glossary"):
        page = (built / "_build" / "html" / f"{name}.html").read_text()
        (address,) = {link for link in links(page) if "/issues/" in link}
        assert address.startswith("https://github.com/someone/course/issues/new?")
        given = parse_qs(urlsplit(address).query)
        assert given["title"] == [f"Error on page {name}"]
        assert f"Page: https://book.example/{name}.html\n" in given["body"][0]
        assert re.search(r"\nBuild: commit \S+, Python 3\.\d+\.\d+, torch \d", given["body"][0])
        assert "Report an error" in page


@pytest.mark.parametrize(
    ("repository", "hub", "shown", "hidden"),
    [
        ("", "https://hub.example", [], ["hub.example", "mybinder", "colab", "/issues/", "Report an error"]),
        (
            "https://git.example.org/group/course/",
            "",
            [
                f"https://mybinder.org/v2/git/https%3A//git.example.org/group/course/student?urlpath=lab/tree/{PAGE}.ipynb",
                "https://git.example.org/group/course/-/issues/new?issue[title]=Error%20on%20page%20",
            ],
            ["colab.research", "git-pull"],
        ),
        (
            "https://gitlab.com/group/course",
            "https://hub.example/",
            [
                f"https://mybinder.org/v2/gl/group%2Fcourse/student?urlpath=lab/tree/{PAGE}.ipynb",
                "https://hub.example/hub/user-redirect/git-pull?repo=https%3A//gitlab.com/group/course&",
            ],
            ["colab.research"],
        ),
    ],
)
def test_an_empty_address_hides_its_button_and_other_hosts_work(book, repository, hub, shown, hidden):
    addresses = {"repository_url": repository, "hub_url": hub, "book_url": ""}
    (book / "course.yml").write_text(yaml.safe_dump(addresses))
    done = build(book)
    assert done.returncode == 0, done.stderr
    page = (book / "_build" / "html" / f"{PAGE}.html").read_text()
    for address in shown:
        assert any(link.startswith(address) for link in links(page)), address
    for word in hidden:
        assert word not in page
    assert "og:image" not in page, "a card needs the book's address"


# Social cards


def test_a_page_that_is_shared_has_a_description_and_a_card(built):
    html = built / "_build" / "html"
    page = (html / f"{PAGE}.html").read_text()
    meta = dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', page))
    assert meta["og:title"] == "A section"
    assert meta["og:url"] == f"https://book.example/{PAGE}.html"
    assert meta["og:description"] == meta["description"]
    assert meta["description"].startswith("One term"), "not the line on path and minutes"
    assert "Core path" in page
    card = html / meta["og:image"].removeprefix("https://book.example/")
    assert card.read_bytes().startswith(b"\x89PNG")
    assert card.stat().st_size < 100_000
    assert meta["og:image:alt"]


def test_status_holds_seconds_memory_and_weight(built):
    status = read_json(built / "_build" / "status.json", {})
    assert set(status[PAGE]) == {"seconds", "cpu_seconds", "slowness", "memory_mb", "weight_bytes", "packages"}
    assert status[PAGE]["packages"] == {"ipython": metadata.version("ipython")}
    assert status["index"]["weight_bytes"] > 100_000  # the theme alone


def test_status_page_shows_versions_and_the_sums_of_chapters(built):
    versions = read_json(built / "_build" / "versions.json", {})
    assert versions["python"] == platform.python_version()
    assert versions["packages"]["torch"] == metadata.version("torch")
    text = re.sub(r"<[^>]+>|\s+", " ", (built / "_build" / "html" / "book" / "status.html").read_text())
    assert f"torch {metadata.version('torch')}" in text
    assert f"ipython {metadata.version('ipython')}" in text
    (sums,) = chapter_sums(read_executions(built)).values()
    assert sums["sections"] == 1
    assert f"{sums['average']:.0f} of 20" in text
    assert f"{sums['seconds']:.0f} of 150" in text


def test_packages_are_those_that_the_cells_name():
    cells = [
        "import os, numpy as np\nfrom sklearn.svm import SVC",
        "def half(",
        "from deeppractice.viz import show\nimport PIL",
    ]
    assert packages(cells) == {name: metadata.version(name) for name in ("numpy", "pillow", "scikit-learn")}


def test_chapter_sums_are_of_the_sections_two_at_a_time():
    run = {"slowness": 1.0, "memory_mb": 100}
    runs = {
        "chapters/01-a/index": {**run, "cpu_seconds": 1.0},
        "chapters/01-a/01-x": {**run, "cpu_seconds": 20.0, "memory_mb": 700},
        "chapters/01-a/02-y": {**run, "cpu_seconds": 40.0, "slowness": 2.0},  # a slow machine: 20 on the usual one
        "chapters/02-b/01-z": {**run, "cpu_seconds": 60.0, "slowness": 9.0},  # and no more than three times slower
    }
    assert chapter_sums(runs) == {
        "chapters/01-a": {"sections": 2, "seconds": 20.5, "average": 20.0, "memory_mb": 700},
        "chapters/02-b": {"sections": 1, "seconds": 10.0, "average": 20.0, "memory_mb": 100},
    }


def test_section_map_is_on_the_chapter_s_page_and_names_what_is_wrong(built, book):
    page = (built / "_build" / "html" / "chapters" / "01-tiny" / "index.html").read_text()
    assert 'aria-label="A section 25 min, core path, needs no other section"' in page
    assert "Read it down." in page
    cells = section()
    cells[0].metadata["deeppractice"]["minutes"] = 30
    write_notebook(book, cells)
    done = build(book)
    assert done.returncode == 1
    assert "01-section: the second paragraph says" in done.stderr
    assert "**Core path** · 30 minutes" in done.stderr


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


def test_a_changed_style_is_a_changed_book(book):
    inputs = input_hash(book)
    (book / "book" / "static").unlink()
    shutil.copytree(ROOT / "book" / "static", book / "book" / "static")
    assert input_hash(book) == inputs
    (book / "book" / "static" / "book.css").write_text("body { color: red }")
    assert input_hash(book) != inputs


def test_build_goes_on_where_a_page_is_missing(book):
    (book / "_build" / "html" / "glossary.html").unlink()
    files = read_json(book / "_build" / "book.json", {})["files"]
    assert inventory(book / "_build" / "html") != files


def test_a_page_that_was_dropped_leaves_the_built_site(book):
    html = book / "_build" / "html"
    for name in ("_sources/chapters/02-gone/index.md", "chapters/02-gone/index.html"):
        (html / name).parent.mkdir(parents=True)
        (html / name).write_text("a chapter of the book as it was")
    glossary = book / "glossary.md"  # a line changes too, as where the chapter was pointed at
    glossary.write_text(glossary.read_text() + "\nOne sentence more.\n")
    done = build(book)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to execute: 0" in done.stdout
    assert not (html / "chapters" / "02-gone").exists()
    assert (html / f"{PAGE}.html").is_file()
    assert "One sentence more." in (html / "glossary.html").read_text()


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


def test_formulas_that_stand_beside_each_other_in_a_docstring_stand_below_each_other_on_the_page():
    lines = [r"$$r = a, \qquad", r"  z = b, \quad n = c \quad \text{(new)}$$"]
    math_in_docstrings(None, "class", "name", None, None, lines)
    assert lines[2] == r"    \begin{gathered} r = a, \\ z = b, \\ n = c \quad \text{(new)} \end{gathered}"


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
    quiz = book / "chapters" / "01-tiny" / "quiz"
    quiz.mkdir()
    (quiz / "02-other.yml").write_text("- q: Whose?")
    assert key() == keys[-1], "another notebook's quiz"
    write_notebook(book, section(code='quiz("quiz/01-section.yml")'))
    keys.append(key())  # a file that isn't there
    (quiz / "01-section.yml").write_text("- q: Whose?")
    keys.append(key())
    (quiz / "01-section.yml").write_text("- q: Ours?")
    keys.append(key())
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
