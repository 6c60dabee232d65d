"""`classroom new PROJECT`: a small complete project to begin from; it can be released, linted and graded as it is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from classroom.errors import ClassroomError
from classroom.folder import Folder
from classroom.results import write_atomically, writing

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_LONGEST = 60


def new(folder: Folder, project: str, say: Callable[[str], None], *, title: str | None = None) -> dict:
    """Make the source of a project: its notebook, project.yml, and a bank of answers to try its tests on.

    Args:
        title: of the project; by default made of its name.

    Returns:
        `files` that were written.

    Raises:
        ClassroomError: for a name that no project can have, or if something of that name is there.
    """
    if not _NAME.fullmatch(project) or len(project) > _LONGEST:
        raise ClassroomError(
            f"{project!r} is no name for a project: expected lower-case letters, digits, hyphens, {_LONGEST} at most"
        )
    title = " ".join((project.replace("-", " ").capitalize() if title is None else title).split())
    if not title or not title.isprintable() or '"' in title or "\\" in title:
        raise ClassroomError(f"--title {title!r}: expected some plain text, without quotation marks and backslashes")
    source = folder.path("source", project)
    bank = bank_path(folder, project)
    for path in (source, bank):
        if path.exists():
            raise ClassroomError(f"{folder.shown(path)} is there already; nothing was written")
    written = {
        source / f"{project}.ipynb": _notebook(title, folder.course.text["ai_policy"] if folder.course else ""),
        source / "project.yml": _text("project.yml", title=title),
        bank: _text("bank.yml", project=project),
    }
    _write(written, source)
    for path in written:
        say(f"written: {folder.shown(path)}")
    _say_next(folder, project, say)
    return {"files": [str(path) for path in written]}


def _write(written: dict[Path, str], source: Path) -> None:
    """Write all of it or nothing: the source in a folder of another name, which gets its own when the rest is there.

    Raises:
        ClassroomError: something cannot be written; all is then as it was.
    """
    folders = {place for path in written for place in path.parents if not place.exists()}
    draft = source.with_name(f".{source.name}.new")  # of an attempt that was killed, if it is there
    try:
        with writing(draft):
            if draft.is_dir():
                shutil.rmtree(draft)
            draft.mkdir(parents=True)
        for path, text in written.items():
            write_atomically(draft / path.name if path.parent == source else path, text)
        with writing(source):
            draft.rename(source)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        for path in written:
            if path.parent != source:
                with suppress(OSError):  # it has not come to that one
                    path.unlink()
        for place in sorted(folders, reverse=True):  # the innermost first
            with suppress(OSError):
                place.rmdir()
        raise


def bank_path(folder: Folder, project: str) -> Path:
    """Where answers for trying the tests stand: where no release and no student's tree takes them along."""
    ours = folder.root / "tests" / "assignments"
    return ours / project / "bank.yml" if ours.is_dir() else folder.root / "banks" / f"{project}.yml"


def _say_next(folder: Folder, project: str, say: Callable[[str], None]) -> None:
    if folder.course is not None and project not in folder.course.due:
        say(f"for this class, add it under projects: in course.yml:  {project}: {{due: null, weight: 0}}")
    if "project.yml" not in folder.coursedir.ignore:
        say("students need no project.yml (it names what is withheld); to leave it out, in nbgrader_config.py:")
        say(f"    c.CourseDirectory.ignore = {[*folder.coursedir.ignore, 'project.yml']}")
    say(f"then:  {folder.command('lint', project)}")
    say(f"       {folder.command('release', project)}")


def _text(name: str, **values: str) -> str:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    return text


def _notebook(title: str, policy: str) -> str:
    notebook = json.loads(_text("project.ipynb"))
    if policy:  # where students read it before they begin
        first = notebook["cells"][0]["source"]
        first += ["\n", "\n", f"**Assistants.** {' '.join(policy.split())}"]
    for cell in notebook["cells"]:
        cell["source"] = [line.replace("{{title}}", title) for line in cell["source"]]
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
