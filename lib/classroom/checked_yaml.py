"""YAML files held against a schema: their values, and each mistake with its file, line, field and what was expected.

A schema is a JSON schema whose leaves carry a `description`: the words that follow "expected" in the message.
"""

import math
from pathlib import Path

import jsonschema
import yaml

from classroom.errors import ClassroomError, near_miss


def record(properties: dict, required: list[str]) -> dict:
    """The schema of a mapping with these fields and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def called(path: Path) -> str:
    """A file's name for a message; there is a project.yml in each project."""
    return f"{path.parent.name}/{path.name}" if path.name == "project.yml" else path.name


def load(path: Path, schema: dict) -> tuple[dict, dict]:
    """The file's values, and the line of each field by its path.

    Raises:
        ClassroomError: naming the file, the line, the field, what was expected and what came.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ClassroomError(f"{path} is missing") from None
    except UnicodeDecodeError as error:
        raise ClassroomError(f"{called(path)}: expected UTF-8 text, byte {error.start} is none") from None
    lines: dict[tuple, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ClassroomError(f"{called(path)}{where}: {getattr(error, 'problem', None) or error}") from None
    values = {} if node is None else _plain(node, (), lines, path)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(values))
    if errors:
        errors.sort(key=lambda error: lines.get(tuple(error.path), 0))
        raise ClassroomError("\n".join(_explain(error, path, lines, schema) for error in errors))
    return values, lines


def _plain(node: yaml.Node, at: tuple, lines: dict, path: Path):
    """A YAML node as Python values. Dates stay text, so that an error can show what was typed."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            lines[(*at, key)] = key_node.start_mark.line + 1
            if key in found:
                where = ".".join(map(str, (*at, key)))
                raise ClassroomError(f"{called(path)}, line {key_node.start_mark.line + 1}: {where} is there twice")
            found[key] = _plain(value_node, (*at, key), lines, path)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*at, i), lines, path) for i, child in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node)
    finally:
        loader.dispose()
    if isinstance(value, float) and not math.isfinite(value):  # no schema can say so
        raise ClassroomError(message(path, lines, at, "a finite number", node.value))
    return value


def _explain(error: jsonschema.ValidationError, path: Path, lines: dict, schema: dict) -> str:
    at = tuple(error.path)
    if error.validator == "required":
        missing = error.message.split("'")[1]
        return message(path, lines, at, f"a field {missing!r}", "none")
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        extra = next(name for name in error.instance if name not in known)
        where = ".".join(map(str, (*at, extra)))
        return f"{called(path)}, line {lines.get((*at, extra), 1)}: unknown field {where}{near_miss(extra, known)}"
    if "propertyNames" in error.schema_path:
        line = lines.get((*at, error.instance), 1)
        where = ".".join(map(str, at)) or "the file"
        expected = error.schema["description"]
        return f"{called(path)}, line {line}: {where}: expected {expected}, got {error.instance!r}"
    expected = error.schema.get("description") or ("fields" if error.validator == "type" else error.message)
    return message(path, lines, at, expected, error.instance)


def message(path: Path, lines: dict, at: tuple, expected: str, got: object) -> str:
    """What is wrong with the field `at`, with its line, or that of the nearest field around it."""
    line = next(lines[at[:n]] for n in range(len(at), -1, -1) if at[:n] in lines or n == 0) if lines else 1
    shown = got if got == "none" else repr(got)
    return f"{called(path)}, line {line}: {'.'.join(map(str, at)) or 'the file'}: expected {expected}, got {shown}"
