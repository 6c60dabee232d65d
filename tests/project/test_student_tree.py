"""What students get holds the book's notebooks, the library and the releases, and nothing that gives answers away."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

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
    course.write_text(course.read_text().replace('repository_url: ""', 'repository_url: "https://example.org/course"'))
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
    ):
        assert (tree / name).is_file()
    assert list(tree.glob("assignments/*/*.ipynb"))


def test_holds_no_solution_and_nothing_of_the_classroom(tree):
    assert {path.name for path in tree.iterdir()}.isdisjoint({"solutions", "tests", "course.yml", "_build"})
    assert not (tree / "lib" / "classroom").exists()
    for path in tree.rglob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text
        assert "BEGIN HIDDEN TESTS" not in text
    assert "scripts" not in tomllib.loads((tree / "pyproject.toml").read_text())["project"]


def test_chapters_install_the_library_on_colab_and_assignments_stay_as_released(tree):
    for path in tree.glob("chapters/*/*.ipynb"):
        first = nbformat.read(path, as_version=4).cells[0]
        assert "git+https://example.org/course@student" in first.source
    for path in tree.glob("assignments/*/*.ipynb"):
        assert path.read_bytes() == (ROOT / path.relative_to(tree)).read_bytes()
