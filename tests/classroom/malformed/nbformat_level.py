"""Notebooks that look like notebooks, and that Jupyter would never write: what nbformat's schema forbids, and more."""

import base64
import copy
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Change = Callable[[dict, Random], Any]

_MISSING = object()


def each(key: str, *values: Any, kind: str = "", some: bool = False) -> Change:
    """Give cells (all, or some; of one type) one of the values for a key."""

    def make(notebook: dict, chance: Random) -> dict:
        value = chance.choice(values)
        for cell in notebook["cells"]:
            if (not kind or cell["cell_type"] == kind) and not (some and chance.random() < 0.6):
                cell[key] = copy.deepcopy(value)
                if value is _MISSING:
                    del cell[key]
        return notebook

    return make


def top(key: str, *values: Any) -> Change:
    def make(notebook: dict, chance: Random) -> dict:
        value = chance.choice(values)
        return {k: v for k, v in notebook.items() if k != key} | ({} if value is _MISSING else {key: value})

    return make


def named(*values: Any, key: str = "grade_id", some: bool = True) -> Change:
    """Change nbgrader's own entries."""

    def make(notebook: dict, chance: Random) -> dict:
        value = chance.choice(values)
        for cell in notebook["cells"]:
            if "nbgrader" in cell["metadata"] and not (some and chance.random() < 0.5):
                cell["metadata"]["nbgrader"][key] = value
        return notebook

    return make


def ordered(change: Callable[[list, Random], list]) -> Change:
    return lambda notebook, chance: notebook | {"cells": change(notebook["cells"], chance)}


def shuffled(cells: list, chance: Random) -> list:
    return chance.sample(cells, len(cells))


def copies(cells: list, chance: Random) -> list:
    found = []
    for cell in cells:
        found += [copy.deepcopy(cell) for _ in range(chance.choice([1, 1, 2, 5]))]
    return found


def as_format_3(notebook: dict, chance: Random) -> dict:
    cells = copy.deepcopy(notebook["cells"])
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
            cell["language"] = chance.choice(["python", "R", None, 3])
    sheets = [{"cells": cells[:3], "metadata": {}}, {"cells": cells[3:]}, {}, {"cells": []}]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": sheets}


def exchanged_names(notebook: dict, chance: Random) -> dict:
    cells = [cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    names = [cell["metadata"]["nbgrader"]["grade_id"] for cell in cells]
    for cell, name in zip(cells, chance.sample(names, len(names)), strict=True):
        cell["metadata"]["nbgrader"]["grade_id"] = name
    return notebook


def bomb() -> str:
    """A picture of 100 bytes that says it has four billion pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def pictures(notebook: dict, chance: Random) -> dict:
    """Pasted images that are none, under names that no file has."""
    kinds = ["image/png", "image/svg+xml", "text/html", "", "application/x-sh"]
    texts = [bomb(), "no base64!", "AAAA" * 5_000, "", base64.b64encode(b"<svg onload='alert(1)'/>").decode()]
    names = ["a.png", "../../etc/passwd", "", "a\0b", "x" * 5_000, "a b.png"]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            given = {name: {chance.choice(kinds): chance.choice([*texts, None, 3, {}, [1]])} for name in names}
            cell["attachments"] = chance.choice([given, given, given, [], None, "x", {"a.png": "x"}])
            links = "".join(f"![p](attachment:{name})" for name in names)
            embedded = "".join(f"![d](data:image/png;base64,{text})" for text in texts)
            cell["source"] = f"{''.join(cell['source'])}\n{links}\n{embedded}"
    return notebook


# Code that no parser likes, before an answer or instead of it.
CODE = {
    "zero bytes": "a = 1\0\nb = 2",
    "half letters": "s = '\ud800\udfff\ud800'",
    "a mark of order": "\ufeffx = 1",
    "lines of other kinds": "x = 1\u2028y = 2\x0cz = 3\x85w = 4\x1c",
    "letters from right to left": "\u202ex = 1\u2066\u2069",
    "50,000 brackets": "(" * 50_000,
    "50,000 brackets, closed": "(" * 50_000 + "1" + ")" * 50_000,
    "50,000 signs": "-" * 50_000 + "1",
    "3,000 levels": "\n".join(" " * n + "if 1:" for n in range(3_000)),
    "3,000 attributes": "a" + ".a" * 3_000,
    "a number of 100,000 digits": "x = " + "9" * 100_000,
    "a name of 100,000 letters": "x" * 100_000 + " = 1",
    "a line of 1,000,000 characters": "# " + "x" * 1_000_000,
    "20,000 lines": "x = 1\n" * 20_000,
    "an open text": "s = '''\n" + "text " * 100,
    "an open f-text": "f'{{{'",
    "an unknown encoding": "# -*- coding: no-such -*-\nx = 1",
    "another encoding": "# -*- coding: utf-16 -*-\nx = 'é'",
    "a backslash at the end": "x = 1 + \\",
    "magics that are none": "%\n%%\n%%%\n!\n!!\n?\n??\n%no_such\n",
    "a magic for the cell that is none": "%%no_such_magic --x\nx = 1",
    "a shell's line without an end": "!echo '",
    "tabs and blanks": "if True:\n\tx = 1\n        y = 2",
    "only blanks": " \n\t\n ",
    "only comments": "# a\n# b",
    "a return": "return 1",
    "await and yield": "await x\nyield 1",
    "global names": "def f():\n    x = 1\n    global x\nnonlocal y",
    "names of tests": "right = values = None\ndel right\nfor values in []:\n    pass",
    "assigned to what can't be": "None = 1\nf() = 2\n1 += 1",
    "another language": "library(ggplot2)\nx <- c(1, 2)",
    "LaTeX": r"\begin{align} x &= 1 \end{align}",
    "a notebook as text": '{"cells": [{"cell_type": "code"}]}',
    "a trace": "Traceback (most recent call last):\n  File \"<stdin>\"\nNameError: name 'x'",
}


def own(text: str) -> Change:
    """The text as a cell of the student's own, in the first place: the answers after it stand."""

    def make(notebook: dict, chance: Random) -> dict:
        cell = {"cell_type": "code", "id": "own", "metadata": {}, "source": text, "outputs": [], "execution_count": 1}
        return notebook | {"cells": [cell, *notebook["cells"]]}

    return make


def answered(text: str) -> Change:
    """The text for one of the answers."""

    def make(notebook: dict, chance: Random) -> dict:
        cells = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("solution")]
        chance.choice(cells)["source"] = text
        return notebook

    return make


ODD = (None, 3, [], {}, "x", [None], {"x": None}, True)
LONG = ("../../../etc/passwd", "a\0b", "\ud800", "x" * 10_000, "", " ", "double", "=1+1", "<script>")
NBFORMAT: dict[str, tuple[str, Change]] = {
    "no version": ("full", top("nbformat", _MISSING)),
    "a version that is none": ("refused", top("nbformat", 0, 5, 99, -4, "4", [4], float("nan"), 1e300, "four")),
    "version null": ("full", top("nbformat", None)),
    "a minor version that is none": ("full", top("nbformat_minor", -1, 99, "x", None, [], _MISSING)),
    "an older version's name, cells of version 4": ("any", top("nbformat", 1, 2, 3, 4.0, True)),
    "format 3": ("any", as_format_3),
    "worksheets beside cells": ("any", lambda nb, chance: nb | {"worksheets": as_format_3(nb, chance)["worksheets"]}),
    "no cells": ("refused", top("cells", _MISSING)),
    "cells that are none": ("refused", top("cells", None, {}, "x", 3, [1], [[]], [None], ["cell"])),
    "an empty list of cells": ("any", top("cells", [])),
    "empty cells": ("any", top("cells", [{}] * 30)),
    "2,001 cells": ("refused", lambda nb, chance: nb | {"cells": (nb["cells"] * 2_001)[:2_001]}),
    "metadata that is none": ("full", top("metadata", *ODD, _MISSING)),
    "a kernel that is none": (
        "full",
        top("metadata", {"kernelspec": None}, {"kernelspec": {"name": ["x"], "language": 3}}, {"language_info": "x"}),
    ),
    "another kernel": ("full", top("metadata", {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}})),
    "cells in another order": ("any", ordered(shuffled)),
    "cells backwards": ("any", ordered(lambda cells, chance: cells[::-1])),
    "copies of cells": ("full", ordered(copies)),
    "all cells twice": ("any", ordered(lambda cells, chance: cells + copy.deepcopy(cells))),
    "half of the cells": ("any", ordered(lambda cells, chance: [c for c in cells if chance.random() < 0.5])),
    "no type": ("any", each("cell_type", _MISSING, some=True)),
    "a type that is none": ("any", each("cell_type", *ODD, "Code", "mermaid", "x" * 50_000, some=True)),
    "another type": ("any", each("cell_type", "markdown", "raw", "code", "heading")),
    "no source": ("any", each("source", _MISSING, some=True)),
    "a source that is none": ("any", each("source", None, 3, {}, [None], [["x"]], {"x": 1}, True, some=True)),
    "a source of many lines": ("any", each("source", ["x = 1\n"] * 20_000, some=True)),
    "no id": ("full", each("id", _MISSING)),
    "an id that is none": ("full", each("id", *ODD, *LONG, "é", 1e9)),
    "one id for all": ("full", each("id", "mean", "own-1", "cell-2")),
    "metadata of cells that are none": ("any", each("metadata", *ODD, _MISSING)),
    "much metadata": ("any", each("metadata", {"x": "y" * 120_000}, some=True)),
    "outputs that are none": ("full", each("outputs", *ODD, _MISSING, [{"output_type": "x"}], kind="code")),
    "counts that are none": ("full", each("execution_count", "x", -1, 1e300, [], _MISSING, kind="code")),
    "names that are none": ("any", named(*ODD, *LONG)),
    "one name for all": ("any", named("mean", "mean-tests", "why", "setup")),
    "names exchanged": ("any", exchanged_names),
    "points that are none": ("full", named(-5, 1e308, float("nan"), "x", None, [], key="points", some=False)),
    "a version of nbgrader's that is none": ("full", named(0, 99, "x", None, key="schema_version", some=False)),
    "everything is everything": ("full", named(True, "x", None, key="solution", some=False)),
    "nothing is locked": ("full", named(False, None, 3, key="locked", some=False)),
    "pictures that are none": ("any", pictures),
    **{f"{name}, in a cell of one's own": ("any", own(text)) for name, text in CODE.items()},
    **{f"{name}, for an answer": ("any", answered(text)) for name, text in CODE.items()},
}
