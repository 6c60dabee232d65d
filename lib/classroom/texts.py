"""What a grade by hand was given for: hashes of what a student wrote, to be held against those of a later version."""

import hashlib
import json

from nbformat import from_dict

from classroom.folder import Folder
from classroom.points import code_hash, plain
from classroom.rebuild import text_digest
from classroom.sanitise import OURS

OWN = "own-"  # how `rebuild` begins the ids of the student's own cells
_EMPTY = hashlib.sha256(b"").hexdigest()


def texts_of(record: dict, file: str) -> dict[str, str]:
    """What a grade by hand was given for: by grade_id of each graded cell a hash; under "" that of everything.

    For an answer that is the hash of its text, for a test that of all the student's code, for a task that of all they
    wrote.
    """
    if file not in record.get("notebooks", {}):
        return {}
    answers, code = record["answers"].get(file, {}), record.get("code", {}).get(file, "")
    found, tasks, wrote = {}, [], [code]
    for cell in record["notebooks"][file]["cells"]:
        meta = cell.get("metadata", {}).get("nbgrader") or {}
        name = meta.get("grade_id")
        if _is_answer(meta) and answers.get(name, _EMPTY) != _EMPTY:
            wrote.append(f"{name} {answers[name]}")  # one that is not there counts as none, as after an amendment
        elif not meta and str(cell.get("id")).startswith(OWN):
            wrote.append(cell["source"])
        if meta.get("task"):
            tasks.append(name)
        elif meta.get("grade"):
            test = cell["cell_type"] == "code" and not meta.get("solution")
            found[name] = code if test else answers.get(name, "")
    whole = hashlib.sha256(json.dumps(wrote).encode()).hexdigest()
    return found | dict.fromkeys([*tasks, ""], whole)


def standing_texts(folder: Folder, project: str, student: str) -> dict[str, dict[str, str]]:
    """`texts_of` for what stock nbgrader graded before we did, so that grades by hand survive that change too."""
    found = {}
    for path in sorted(folder.path("autograded", project, student).glob("*.ipynb")):
        try:
            notebook = plain(json.loads(path.read_text(encoding="utf-8")))
            if notebook["metadata"].get(OURS):  # not what was handed in, letter for letter
                return {}
            answers = {
                cell["metadata"]["nbgrader"]["grade_id"]: text_digest([from_dict(cell)])
                for cell in notebook["cells"]
                if _is_answer(cell["metadata"].get("nbgrader", {}))
            }
            code = code_hash(notebook["cells"])
        except (ValueError, KeyError, TypeError, AttributeError):  # no notebook of nbgrader's: then nothing is known
            return {}
        record = {"notebooks": {path.name: notebook}, "answers": {path.name: answers}, "code": {path.name: code}}
        found[path.name] = texts_of(record, path.name)
    return found


def _is_answer(meta: dict) -> bool:
    """Whether the student writes in the cell, by what nbgrader says of it."""
    return bool(meta.get("solution") or (meta.get("task") and not meta.get("locked")))
