"""Write the tree that students get, `_build/student/`: the book's notebooks, the library, the released assignments.

An assignment that course.yml does not name is not given, though its folder may be there.

A workflow pushes it as the branch `student`, which every launch link points at. No solutions, no hidden tests and
nothing of the classroom are in it. Where course.yml names the repository, each notebook starts with a cell that
installs the library on Colab, which opens one file alone; that cell exists only here.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "_build" / "student"
# What goes, as git knows it: a file that is not committed or staged doesn't travel.
WANTED = (
    "chapters",
    "assignments",
    "lib/deeppractice",
    "pyproject.toml",
    "environment.yml",
    "requirements.lock",
    "LICENSE",
    "notation.md",
    "glossary.md",
)

README = """# {title}: what students work with

- `chapters/`: the notebooks of the book. `assignments/`: the checkpoints and mini-projects to complete.
- `pip install .` installs the library `deeppractice` and Jupyter; `jupyter lab` opens the notebooks.

This branch is generated; changes go to the course's main branch.
"""

COLAB = """\
# Only where the library is missing, as on Colab: install it.
import importlib.util

if importlib.util.find_spec("deeppractice") is None:
    get_ipython().run_line_magic("pip", "install -q git+{url}@student")"""


def files_of(course: dict) -> list[Path]:
    """The wanted files that git tracks, relative to the root; of assignments those that the course gives."""
    listing = subprocess.run(["git", "ls-files", "-z", *WANTED], cwd=ROOT, capture_output=True, text=True, check=True)
    paths, given = [Path(name) for name in listing.stdout.split("\0") if name], course.get("projects") or {}
    return [path for path in paths if path.parts[0] != "assignments" or path.parts[1] in given]


def with_colab_cell(path: Path, url: str) -> None:
    """Put the installing cell in front of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    cell = nbformat.v4.new_code_cell(COLAB.format(url=url), id="install-on-colab", metadata={"tags": ["remove-cell"]})
    notebook.cells.insert(0, cell)
    nbformat.write(notebook, path)


def without_classroom(text: str) -> str:
    """pyproject.toml without the command that only an instructor's tree has."""
    lines = text.splitlines(keepends=True)
    start = lines.index("[project.scripts]\n")
    end = next(i for i in range(start + 1, len(lines) + 1) if i == len(lines) or lines[i].startswith("["))
    return "".join(lines[:start] + lines[end:])


def for_notebooks(text: str) -> str:
    """environment.yml with what notebooks import and the library itself, for Binder, which makes it for each branch."""
    kept, wanted = [], True
    for line in text.splitlines(keepends=True):
        if line.startswith("  # "):  # the name of a group of packages
            wanted = line.strip() == "# what notebooks import"
        elif line.strip() == "- pip:":
            wanted = True
            kept.append(line)
            continue
        if wanted and (not line.startswith("      - ") or line.strip() == "- -e ."):
            kept.append(line)
    return "".join(kept)


def main() -> None:
    course = yaml.safe_load((ROOT / "course.yml").read_text(encoding="utf-8"))
    url = course.get("repository_url") or ""
    files = files_of(course)
    if not any(path.parts[0] == "assignments" for path in files):
        sys.exit("student-tree: git tracks no release of course.yml's projects; run `make release` and commit")
    gone = [str(path) for path in files if not (ROOT / path).exists()]
    if gone:
        sys.exit(f"student-tree: removed here, but not for git: {', '.join(gone[:5])}; commit that first (git add -A)")
    shutil.rmtree(TARGET, ignore_errors=True)
    for path in files:
        target = TARGET / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
        # An assignment is graded by the cells of its release, so those notebooks stay as they are.
        if url and path.suffix == ".ipynb" and path.parts[0] == "chapters":
            with_colab_cell(target, url)
    pyproject = TARGET / "pyproject.toml"
    pyproject.write_text(without_classroom(pyproject.read_text(encoding="utf-8")), encoding="utf-8")
    environment = TARGET / "environment.yml"
    environment.write_text(for_notebooks(environment.read_text(encoding="utf-8")), encoding="utf-8")
    (TARGET / "README.md").write_text(README.format(title=course["title"]), encoding="utf-8")
    print(f"{len(files) + 1} files in {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
