"""Build the book in one command: execute what changed, then write the HTML with warnings as errors.

A build whose inputs are unchanged and whose pages are all there is not repeated. The stamp that says so is written
only at the end of a build without warnings, and taken away before the next begins, so half a book never counts.

    python book/build.py [--jobs 2] [--force]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import execute
from book_records import digest, read_json, toc_documents, write_json
from book_toc import toc_problems

SOURCES = (
    *("_config.yml", "_toc.yml", "course.yml", "references.bib", "requirements.lock", "*.md"),
    *("chapters/**/*.ipynb", "chapters/**/*.yml", "chapters/**/*.md", "lib/deeppractice/**/*.py"),
    *("book/**/*.py", "book/**/*.md", "book/static/**/*", "solutions/*/project.yml", "assignments/*/*.ipynb"),
    "_build/executions.json",
)
INTERRUPTED = 130  # what execute.run returns after Ctrl-C, with a message of its own
DOWNLOADS = "downloads"  # the whole book as PDF and zip, in the built site
TOOLS = ("sphinx", "myst-nb", "jupyter-book", "sphinx-book-theme", "pydata-sphinx-theme")


def input_hash(root: Path) -> str:
    """One hash over everything that the HTML is made from."""
    files = sorted({path for pattern in SOURCES for path in root.glob(pattern) if path.is_file()})
    names = "\n".join(str(path.relative_to(root)) for path in files)
    tools = "\n".join(f"{name} {version(name)}" for name in TOOLS)
    return digest(names.encode(), tools.encode(), *files)


def inventory(html: Path) -> dict[str, int]:
    """Every file of the built site with its size."""
    return {path.relative_to(html).as_posix(): path.stat().st_size for path in html.rglob("*") if path.is_file()}


def left_over(root: Path, html: Path) -> list[str]:
    """Pages of the built site that the table of contents no longer has; Sphinx writes pages and removes none."""
    sources, pages = html / "_sources", set(toc_documents(root))
    built = {path.relative_to(sources).with_suffix("").as_posix() for path in sources.rglob("*") if path.is_file()}
    return sorted(built - pages)


def write_html(root: Path, *, fresh: bool) -> int:
    """Sphinx with Jupyter Book's configuration: nit-picky, warnings are errors, all of them are shown."""
    from jupyter_book.sphinx import build_sphinx

    result = build_sphinx(
        root,
        root / "_build" / "html",
        noconfig=True,
        path_config=root / "_config.yml",
        confoverrides={
            "external_toc_path": str(root / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
            "nb_execution_cache_path": str(root / "_build" / ".jupyter_cache"),
        },
        doctreedir=root / "_build" / ".doctrees",
        builder="html",
        freshenv=fresh,
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    return result if isinstance(result, int) else 1


def build(root: Path, *, jobs: int = 2, force: bool = False) -> int:
    started, stamp, html = time.perf_counter(), root / "_build" / "book.json", root / "_build" / "html"
    mistakes = toc_problems(root)
    if mistakes:
        print("\n".join(mistakes), "nothing was executed", sep="\n", file=sys.stderr)
        return 1
    failed = execute.run(root, jobs=jobs, force=force)
    if failed:
        if failed != INTERRUPTED:
            print("the book was not built, because a notebook failed (see above)", file=sys.stderr)
        return failed
    stamped, inputs = read_json(stamp, {}), input_hash(root)
    if not force and stamped.get("inputs") == inputs and stamped.get("files") == inventory(html):
        print(f"the book is up to date: {html / 'index.html'}")
        return 0
    stamp.unlink(missing_ok=True)
    shutil.rmtree(html / DOWNLOADS, ignore_errors=True)  # made from other pages than these (book/export.py)
    if left_over(root, html):
        shutil.rmtree(html)
    print("writing the pages ...", flush=True)
    # Sphinx does not read a page again that had a warning last time: after such a build all are read.
    if write_html(root, fresh=force or not stamped):
        print("the book has warnings, and warnings are errors (see above)", file=sys.stderr)
        return 1
    write_json(stamp, {"inputs": inputs, "files": inventory(html)})
    print(f"the book is built in {time.perf_counter() - started:.0f} s: open {html / 'index.html'}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the book's folder")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default 2)")
    parser.add_argument("--force", action="store_true", help="execute and write everything again")
    options = parser.parse_args(arguments)
    return build(options.root.resolve(), jobs=options.jobs, force=options.force)


if __name__ == "__main__":
    sys.exit(main())
