"""The points of a notebook that was run: nbgrader's own rule, cell by cell.

With one exception, where a test ran in the examiner. nbgrader takes the last value of a test cell for its points, and
for full points where it is nan, negative, or prints as no number. What it prints as may hang on the type that the
student's function returns: an array for a number, or nan, would then earn everything.
"""

import hashlib
import math
import re
from collections.abc import Sequence

# How numbers of numpy and torch print: np.float64(1.5), array([0.]), tensor(2.)
_WRAPPED = re.compile(r"(?:np\.\w+|array|tensor)\(")
_ONE = re.compile(r"(?:np\.\w+|array|tensor)\(\[*\s*([-+.\w]+?)\s*\]*(?:, \w+=[^()]*)?\)")


def points(
    cells: Sequence[dict], ran: Sequence[dict], ignore_stderr: str = ""
) -> tuple[dict[str, dict[str, float | None]], list[str]]:
    """What each graded cell earned.

    A test cell that failed, was stopped, or was not reached has no points, whatever its outputs look like; for every
    other cell `nbgrader.utils.determine_grade` decides, partial credit included.

    Args:
        cells: of an executed notebook, as `plain` gives it.
        ran: for each code cell its `id`, `grade_id` and `status`, and of tests `by`.
        ignore_stderr: nbgrader's IgnorePattern: stderr that matches is no failure.

    Returns:
        By grade_id `auto` (None: a person has to grade) and `max`; and remarks in words on results that are no grade.
    """
    # Importing it takes two seconds, nearly all of them for nbgrader's server extensions.
    from nbformat import from_dict
    from nbgrader.utils import determine_grade

    status = {cell["grade_id"]: cell["status"] for cell in ran if cell.get("grade_id")}
    examined = {cell["grade_id"] for cell in ran if cell.get("by") == "examiner"}
    earned: dict[str, dict[str, float | None]] = {}
    remarks = []
    for raw in cells:
        meta = raw.get("metadata", {}).get("nbgrader", {})
        if not (meta.get("grade") or meta.get("task")):
            continue
        name, most = meta["grade_id"], float(meta["points"])
        if meta.get("task"):  # nbgrader: a person grades it, whatever stands in it
            earned[name] = {"auto": None, "max": most}
            continue
        test = raw["cell_type"] == "code" and not meta.get("solution")
        if test and status.get(name, "ok") != "ok":
            earned[name] = {"auto": 0.0, "max": most}
            continue
        try:
            found = _without_ignored(raw, ignore_stderr)
            auto, _ = determine_grade(from_dict(_read(found) if name in examined else found))
        except (ValueError, KeyError):  # its last value is no share of the points: more than there are, or no text
            auto = None
            remarks.append(
                f"cell {name} returned something that is no number of points up to {most:g}; grade it by hand"
            )
        earned[name] = {"auto": None if auto is None else float(auto), "max": most}
    return earned, remarks


def plain(notebook: dict) -> dict:
    """A notebook whose texts are strings, where nbformat also allows lists of lines, and can be written as UTF-8."""

    def text(value: object) -> object:
        value = "".join(value) if isinstance(value, list) and all(isinstance(line, str) for line in value) else value
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value

    def output(found: dict) -> dict:
        changed = {"text": text(found["text"])} if "text" in found else {}
        if "data" in found:
            changed["data"] = {mime: text(value) for mime, value in found["data"].items()}
        return {**found, **changed}

    def cell(found: dict) -> dict:
        changed = {"source": text(found["source"])}
        if "outputs" in found:
            changed["outputs"] = [output(one) for one in found["outputs"]]
        return {**found, **changed}

    return {**notebook, "cells": [cell(one) for one in notebook["cells"]]}


def code_hash(cells: Sequence[dict]) -> str:
    """One hash over all code that is the student's: answers in code cells, and code cells of their own."""
    hasher = hashlib.sha256()
    for cell in cells:
        meta = cell.get("metadata", {}).get("nbgrader") or {}
        if cell["cell_type"] == "code" and (meta.get("solution") or not (meta.get("grade") or meta.get("locked"))):
            text = cell["source"]
            if not text.strip():  # so that an empty answer to a cell which an amendment adds changes nothing
                continue
            hasher.update(f"{len(text)}:{text}".encode())
    return hasher.hexdigest()


def _read(cell: dict) -> dict:
    """A test cell whose last value, where numpy or torch has printed it, is the number; ValueError if it is none."""
    outputs = []
    for output in cell["outputs"]:
        text = output.get("data", {}).get("text/plain", "") if output["output_type"] == "execute_result" else ""
        if _WRAPPED.match(text):
            one = _ONE.fullmatch(text)
            text = one[1] if one else ""
            output = {**output, "data": {**output["data"], "text/plain": str(float(text))}}
        try:
            value = float(text)
        except ValueError:  # a text, a figure: full credit, as nbgrader has it
            value = 0.0
        if not value >= 0 or math.isinf(value):
            raise ValueError(f"{text} is no number of points")
        outputs.append(output)
    return {**cell, "outputs": outputs}


def _without_ignored(cell: dict, pattern: str) -> dict:
    if not pattern or cell["cell_type"] != "code":
        return cell

    def ignored(output: dict) -> bool:
        stderr = output["output_type"] == "stream" and output["name"] == "stderr"
        return stderr and re.search(pattern, output["text"]) is not None

    return {**cell, "outputs": [output for output in cell["outputs"] if not ignored(output)]}
