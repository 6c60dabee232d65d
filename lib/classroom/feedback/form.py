"""The form of a page of feedback: one hash over the code that makes pages, so that a new form makes them anew."""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

_TOP = Path(__file__).resolve().parents[1]  # of the package `classroom`
# Where what a page says comes from, and not how it says it: the result, the gradebook and the settings are hashed by
# themselves (`_Maker.made_of`). What these import is followed no further.
_ELSEWHERE = {
    "classroom.errors",
    "classroom.folder",
    "classroom.gradebook",
    "classroom.handout",
    "classroom.intake",
    "classroom.merging",
    "classroom.results",
    "classroom.sandbox",
    "classroom.session",
}


@functools.cache
def form_digest() -> str:
    """One hash over the text of all modules that take part."""
    hasher = hashlib.sha256()
    for name in modules():
        text = _path(name).read_bytes()
        hasher.update(f"{name}:{len(text)}:".encode() + text)
    return hasher.hexdigest()


def modules() -> list[str]:
    """The modules of this package, and those of `classroom` that they import, one by way of another."""
    todo = ["classroom.feedback"]
    todo += [f"classroom.feedback.{path.stem}" for path in Path(__file__).parent.glob("[!_]*.py")]
    found = set(todo)
    while todo:
        new = set(_imported(todo.pop())) - found
        found |= new
        todo += new
    return sorted(found)


def _imported(module: str) -> Iterator[str]:
    """What a module imports of `classroom`, also within its functions."""
    for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{name.name}" for name in node.names)]
        else:
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            apart = any(name == one or name.startswith(f"{one}.") for one in _ELSEWHERE)
            if name.startswith("classroom.") and not apart and _path(name).is_file():
                yield name


def _path(module: str) -> Path:
    place = _TOP.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
