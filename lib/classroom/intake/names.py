"""Which of a submission's files are those that the project asks for, whatever programs did to their names."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from classroom.folder import Folder

TIMESTAMP = "timestamp.txt"
SECRET = "submission_secret.txt"  # nbgrader's: by it a student finds the feedback
EXTRAS = (TIMESTAMP, SECRET)
STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
STUDENT_RULE = "not a student's name: letters, digits and . _ @ + - are possible"
# Left by systems and programs, not handed in by anybody: passed over without a word.
_CLUTTER = {".ipynb_checkpoints", "__MACOSX", "__pycache__", ".DS_Store", "Thumbs.db", "desktop.ini"}
# "name (1)", "name-1" (Canvas), "name-Copy1" (Jupyter), "Copy of name" (Colab)
_AGAIN = re.compile(r"(?:\s*\(\d+\)|-copy\d*|\s+copy|[-_ ]\d{1,2})+$")


def expected_files(folder: Folder, project: str) -> list[str]:
    """The names that a submission may consist of: those of the release."""
    target = folder.path("release", project)
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())


def is_clutter(path: str) -> bool:
    """Whether a file is a system's or a program's own."""
    parts = PurePosixPath(path).parts
    return any(part in _CLUTTER or part.startswith("._") for part in parts)


def is_notebook(path: str) -> bool:
    """Whether a file is called a notebook."""
    return path.lower().endswith(".ipynb")


def match(given: Iterable[str], expected: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Which given file is which expected one.

    Exact names come first, then those that differ in case, Unicode form, folder or a number that a browser or a
    learning platform put behind them. One notebook where one is expected is that one, whatever it is called.

    Returns:
        Expected names by given names, and notes about those that differ.
    """
    given = [name for name in given if not is_clutter(name)]
    found = {name: name for name in given if name in expected}
    for wanted in expected:
        if wanted in found.values():
            continue
        free = [name for name in given if name not in found]
        for form in (_plain, _without_folder, _without_number):
            alike = [name for name in free if form(name) in (_plain(wanted), _without_folder(wanted))]
            if len(alike) == 1:
                found[alike[0]] = wanted
                break
    notebooks, asked = ([name for name in names if is_notebook(name)] for names in (given, expected))
    if len(notebooks) == len(asked) == 1 and notebooks[0] not in found:
        found[notebooks[0]] = asked[0]
    notes = [f"{name} was taken as {wanted}" for name, wanted in found.items() if name != wanted]
    return found, notes


def take(files: dict[str, bytes], expected: Sequence[str]) -> tuple[dict[str, bytes], list[str]]:
    """Files under the names that are expected, and notes about those that had another; the rest is left out."""
    found, notes = match(files, expected)
    return {wanted: files[name] for name, wanted in found.items()}, notes


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _without_folder(name: str) -> str:
    return PurePosixPath(_plain(name)).name.strip()


def _without_number(name: str) -> str:
    path = PurePosixPath(_without_folder(name))
    return _AGAIN.sub("", path.stem.removeprefix("copy of ")) + path.suffix
