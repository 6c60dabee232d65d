"""What students get holds the book's notebooks, the library and the releases, and nothing that gives answers away."""

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A student tree made in a clone of the working tree, with an address in course.yml."""
    clone = tmp_path_factory.mktemp("clone")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if name and (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, clone / name)
    course = clone / "course.yml"
    address = 'repository_url: "https://example.org/course"'  # whatever the course's own is
    course.write_text(re.sub("^repository_url:.*", address, course.read_text(), flags=re.MULTILINE))
    for command in (["git", "init", "-q"], ["git", "add", "-A"], [sys.executable, "book/student_tree.py"]):
        subprocess.run(command, cwd=clone, check=True, capture_output=True)
    return clone / "_build" / "student"


def test_holds_what_a_student_needs(tree):
    for name in (
        "chapters/01-gap/claims.yml",
        "lib/deeppractice/checks.py",
        "environment.yml",
        "requirements.lock",
        "LICENSE",
        "notation.md",
    ):
        assert (tree / name).is_file()
    assert list(tree.glob("assignments/*/*.ipynb"))


def test_every_quiz_goes_with_its_section(tree):
    there = {path.relative_to(ROOT) for path in ROOT.glob("chapters/*/quiz/*.yml")}
    assert there
    assert {path.relative_to(tree) for path in tree.glob("chapters/*/quiz/*.yml")} == there


def test_every_notebook_opens(tree):
    notebooks = sorted(tree.rglob("*.ipynb"))
    given = yaml.safe_load((ROOT / "course.yml").read_text(encoding="utf-8"))["projects"]
    assert len(notebooks) == len(list(ROOT.glob("chapters/*/*.ipynb"))) + len(given)
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert all(not cell.get("outputs") for cell in notebook.cells)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                compile(cell.source, str(path), "exec")


def test_holds_no_solution_and_nothing_of_the_classroom(tree):
    assert {path.name for path in tree.iterdir()}.isdisjoint({"solutions", "tests", "course.yml", "_build"})
    assert not (tree / "lib" / "classroom").exists()
    for path in tree.rglob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text
        assert "BEGIN HIDDEN TESTS" not in text
    assert "scripts" not in tomllib.loads((tree / "pyproject.toml").read_text())["project"]


def text_of(path: Path) -> str:
    """The file's lines, or a notebook's, without indentation and empty ones."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def secrets(kind: str) -> set[str]:
    """Any five lines running, or all if there are fewer, between `### BEGIN kind` and `### END kind`."""
    found = set()
    for path in (ROOT / "solutions").rglob("*.ipynb"):
        for block in re.findall(rf"^### BEGIN {kind}\n(.*?)\n### END {kind}", text_of(path), flags=re.S | re.M):
            lines = block.splitlines()
            pieces = ["\n".join(lines[i : i + 5]) for i in range(max(1, len(lines) - 4))]
            found |= {piece for piece in pieces if len(piece) > 30}
    return found


@pytest.mark.parametrize("kind", ["SOLUTION", "HIDDEN TESTS"])
def test_nothing_of_a_solution_or_a_hidden_test_is_in_it(tree, kind):
    secret = secrets(kind)
    assert len(secret) > 20, "the hand-written assignments were not understood"
    for path in tree.rglob("*"):
        if path.is_file() and path.suffix in (".ipynb", ".py", ".yml", ".md"):
            text = text_of(path)
            assert [piece for piece in secret if piece in text] == [], path.relative_to(tree)


def test_no_file_of_the_solutions_is_in_it_under_any_name(tree):
    hidden = {path.read_bytes() for path in (ROOT / "solutions").rglob("*") if path.is_file()}
    assert not [path for path in tree.rglob("*") if path.is_file() and path.read_bytes() in hidden]


def test_binder_finds_an_environment_with_what_notebooks_import_and_the_library(tree):
    """Binder makes environment.yml of the branch that it opens; `-e .` is the library."""
    environment = yaml.safe_load((tree / "environment.yml").read_text())
    entries = environment["dependencies"]
    (nested,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert nested == ["-e ."]
    names = {Requirement(entry).name for entry in entries if isinstance(entry, str)} - {"python", "pip"}
    on_pypi = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
    wanted = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {on_pypi.get(name, name) for name in names} == {Requirement(line).name for line in wanted}
    assert environment["channels"] == ["conda-forge"]


def test_the_library_installs_from_it(tree):
    """As Colab's first cell and Binder do, without the packages that are there already."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        str(tree),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_installing_cell_does_nothing_where_the_library_is(tree):
    path = next(tree.glob("chapters/01-gap/01-*.ipynb"))
    first = nbformat.read(path, as_version=4).cells[0]
    exec(compile(first.source, "first cell", "exec"), {})  # get_ipython does not exist here: it must not be called


def test_chapters_install_the_library_on_colab_and_assignments_stay_as_released(tree):
    for path in tree.glob("chapters/*/*.ipynb"):
        first = nbformat.read(path, as_version=4).cells[0]
        assert "git+https://example.org/course@student" in first.source
    for path in tree.glob("assignments/*/*.ipynb"):
        assert path.read_bytes() == (ROOT / path.relative_to(tree)).read_bytes()


def test_a_file_that_was_removed_and_not_committed_is_named(tree):
    clone = tree.parents[1]
    path = clone / "notation.md"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    done = subprocess.run([sys.executable, "book/student_tree.py"], cwd=clone, capture_output=True, text=True)
    path.write_text(text, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr == "student-tree: removed here, but not for git: notation.md; commit that first (git add -A)\n"
    assert (tree / "notation.md").is_file(), "what was made before is still there"


def test_an_assignment_that_is_not_given_stays_out(tree):
    clone = tree.parents[1]
    *others, last = yaml.safe_load((clone / "course.yml").read_text(encoding="utf-8"))["projects"]
    assert (clone / "assignments" / last).is_dir()
    found = runpy.run_path(str(clone / "book" / "student_tree.py"))["files_of"]({"projects": dict.fromkeys(others)})
    assert {path.parts[1] for path in found if path.parts[0] == "assignments"} == set(others)
    assert Path("notation.md") in found
