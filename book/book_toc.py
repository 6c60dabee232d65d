"""`_toc.yml`, looked at before anything is executed.

Sphinx reads it after the notebooks have run. A mistake that hides pages, such as a `sections:` left behind by a chapter
that was removed, would cost their outputs by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from sphinx_external_toc.parsing import MalformedError, parse_toc_data


def toc_problems(root: Path) -> list[str]:
    """What is wrong with the table of contents, each with its line; none where it can be used."""
    path = root / "_toc.yml"
    if not path.exists():
        return [f"{path} is missing"]
    text = path.read_text(encoding="utf-8")
    try:
        tree, data = yaml.compose(text), yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return [f"_toc.yml, line {mark.line + 1}: {error.problem or error.context}"]
    if tree is None:
        return ["_toc.yml is empty"]
    problems = list(_mistakes(tree, root))
    if not problems:
        try:
            parse_toc_data(data)
        except MalformedError as error:
            problems.append(f"_toc.yml: {error}")
    return problems


def _mistakes(node: yaml.Node, root: Path) -> Iterator[str]:
    """Fields that are there twice (YAML takes the last one), lists of nothing, and pages that are not there."""
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _mistakes(child, root)
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            yield f"_toc.yml, line {line}: {key.value} is there twice; left behind by what was removed above it?"
        seen.add(key.value)
        if key.value in {"sections", "chapters"} and not value.value:
            yield f"_toc.yml, line {line}: {key.value} has nothing in it; remove the line, or name its pages below it"
        if key.value in {"root", "file"} and not _is_page(root, value.value):
            yield f"_toc.yml, line {line}: there is no page {value.value}.md or .ipynb"
        yield from _mistakes(value, root)


def _is_page(root: Path, name: str) -> bool:
    """Whether an entry names a page, with or without its suffix."""
    path = root / name
    return any(one.is_file() for one in (path, path.with_name(f"{path.name}.md"), path.with_name(f"{path.name}.ipynb")))
