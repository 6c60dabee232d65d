"""A cell's outputs as the student's process tells them, rebuilt as what a notebook may hold and nothing else."""

from __future__ import annotations

import math
import re

SLACK = 400_000  # bytes that a cell may say past its limit: its error, its result, and the line that output was cut
_DEPTH = 40  # of JSON inside an output; what students' libraries show has less than ten
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+;= -]{1,100}")
_STREAMS = ("stdout", "stderr")


def clean_outputs(outputs: object) -> list[dict]:
    """Rebuild a list of outputs from what is allowed in nbformat 4; what is not an output at all is left out.

    Args:
        outputs: anything that JSON can say.

    Returns:
        Outputs of the four kinds, that nbformat validates and that can be written as UTF-8.
    """
    if not isinstance(outputs, list):
        return []
    cleaned = (_clean(output) for output in outputs if isinstance(output, dict))
    return [output for output in cleaned if output is not None]


def size_of(value: object) -> int:
    """About how many bytes a value takes as JSON; of a bounded depth, as `clean_outputs` leaves it."""
    if isinstance(value, str):
        return len(value) + 2 if value.isascii() else len(value.encode("utf-8", "replace")) + 2
    if isinstance(value, dict):
        return 2 + sum(size_of(key) + size_of(item) + 2 for key, item in value.items())
    if isinstance(value, list):
        return 2 + sum(size_of(item) + 1 for item in value)
    return 8


def _clean(output: dict) -> dict | None:
    kind = output.get("output_type")
    if kind == "stream":
        name = output.get("name")
        return {"output_type": kind, "name": name if name in _STREAMS else "stdout", "text": _text(output.get("text"))}
    if kind == "error":
        lines = output.get("traceback")
        lines = [_text(line) for line in lines] if isinstance(lines, list) else []
        name, value = _text(output.get("ename")), _text(output.get("evalue"))
        return {"output_type": kind, "ename": name, "evalue": value, "traceback": lines}
    if kind not in ("display_data", "execute_result"):
        return None
    cleaned = {"output_type": kind, "data": _bundle(output.get("data")), "metadata": _object(output.get("metadata"))}
    if kind == "execute_result":
        count = output.get("execution_count")
        whole = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 1_000_000
        cleaned["execution_count"] = count if whole else None
    return cleaned


def _bundle(data: object) -> dict:
    """A bundle of MIME types: text for all but the JSON types, which may hold anything."""
    found = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        if not _MIME.fullmatch(key):
            continue
        if key == "application/json" or key.endswith("+json"):
            found[key] = _json(value, _DEPTH)
        elif isinstance(value, list):
            found[key] = [_text(line) for line in value]
        else:
            found[key] = _text(value)
    return found


def _object(value: object) -> dict:
    return _json(value, _DEPTH) if isinstance(value, dict) else {}


def _json(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_text(key): _json(item, depth - 1) for key, item in value.items()} if depth else {}
    if isinstance(value, list):
        return [_json(item, depth - 1) for item in value] if depth else []
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> str:
    """A string without lone surrogates, which no file could hold; anything else is no text."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
