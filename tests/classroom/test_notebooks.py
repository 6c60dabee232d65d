"""Reading notebooks as they come: old formats, other encodings and programs, what is odd, broken, or an attack."""

import base64
import json
import random
import resource
import time
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classroom.errors import RefusedError
from classroom.notebooks import MAX_CELLS, read_notebook

ROOT = Path(__file__).resolve().parents[2]


def notebook(*cells: dict, **changes) -> dict:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)} | changes


def code(source="x = 1", **changes) -> dict:
    fixed = {"cell_type": "code", "id": "a", "metadata": {}, "source": source, "outputs": [], "execution_count": 1}
    return fixed | changes


def read(value: dict | bytes) -> tuple[nbformat.NotebookNode, list[str]]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    found, notes = read_notebook(data, "n.ipynb")
    nbformat.validate(found)
    json.dumps(found).encode()  # can be written as UTF-8
    return found, notes


def sources(value: dict | bytes) -> list[str]:
    return [cell.source for cell in read(value)[0].cells]


def reason(value: dict | bytes) -> str:
    with pytest.raises(RefusedError) as refused:
        read(value)
    return str(refused.value)


# Formats.


def test_the_formats_from_1_to_4_5():
    assert sources(
        {"nbformat": 1, "cells": [{"cell_type": "code", "code": "1"}, {"cell_type": "text", "text": "t"}]}
    ) == [
        "1",
        "t",
    ]
    sheet = [{"cells": [{"cell_type": "code", "input": ["a\n", "b"], "outputs": [], "prompt_number": 3}]}]
    assert sources({"nbformat": 2, "worksheets": sheet}) == ["a\nb"]
    sheet[0]["cells"].append({"cell_type": "heading", "level": 2, "source": ["Two\n", "lines"]})
    found, notes = read({"nbformat": 3, "nbformat_minor": 0, "worksheets": [*sheet, *sheet]})
    assert [cell.source for cell in found.cells] == ["a\nb", "## Two lines"] * 2
    assert notes == []
    for minor in range(6):
        assert sources(notebook(code(), nbformat_minor=minor)) == ["x = 1"]
    assert sources({"cells": [code()]}) == ["x = 1"]  # without a version


def test_every_notebook_of_this_repository_and_of_nbgrader_reads_as_nbformat_reads_it():
    nbgrader = Path(__import__("nbgrader").__file__).parent
    paths = [*ROOT.glob("assignments/*/*.ipynb"), *ROOT.glob("solutions/*/*.ipynb"), *nbgrader.rglob("*.ipynb")]
    assert len(paths) > 20
    compared = 0
    for path in paths:
        try:
            wanted = nbformat.read(path, as_version=4)
            nbformat.validate(wanted)
        except (ValueError, AttributeError, nbformat.ValidationError):
            continue  # nbgrader's examples of broken ones
        found, _ = read_notebook(path.read_bytes(), path.name)
        assert [(c.cell_type, c.source) for c in found.cells] == [(c.cell_type, c.source) for c in wanted.cells], path
        names = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in wanted.cells]
        assert [c.metadata.get("nbgrader", {}).get("grade_id") for c in found.cells] == [name or None for name in names]
        compared += 1
    assert compared > 20


VS_CODE = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": 2,
            "id": "3f8e2c1a",
            "metadata": {"vscode": {"languageId": "python"}, "nbgrader": {"grade_id": "double", "solution": True}},
            "outputs": [{"name": "stdout", "output_type": "stream", "text": ["4\n"]}],
            "source": ["def double(x):\r\n", "    return 2 * x"],
        },
        {"cell_type": "markdown", "metadata": {}, "source": ["no id"]},
    ],
    "metadata": {
        "kernelspec": {"display_name": ".venv (3.12.3)", "language": "python", "name": "python3"},
        "language_info": {"codemirror_mode": {"name": "ipython", "version": 3}, "name": "python", "version": "3.12.3"},
        "orig_nbformat": 4,
        "vscode": {"interpreter": {"hash": "916dbcbb3f70747c44a77c7bcd40155683ae19c65e1c03b4aa3499c5328201f1"}},
    },
    "nbformat": 4,
    "nbformat_minor": 2,
}
COLAB = {
    "nbformat": 4,
    "nbformat_minor": 0,
    "metadata": {
        "colab": {"provenance": [], "toc_visible": True, "gpuType": "T4"},
        "accelerator": "GPU",
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"a1": {"state": {"value": "<b>" * 1000}}}},
    },
    "cells": [
        {
            "cell_type": "code",
            "source": ["def double(x):\n", "    return 2 * x"],
            "metadata": {
                "id": "double",
                "colab": {"base_uri": "https://localhost:8080/", "height": 34},
                "outputId": "2f1c6d3e-8f3f-4d55-c0e6-9a2f0a1b7f55",
                "nbgrader": {"grade_id": "double", "solution": True},
            },
            "execution_count": 1,
            "outputs": [{"output_type": "execute_result", "data": {"text/plain": ["4"]}, "metadata": {}}],
        },
        {"cell_type": "markdown", "source": ["![p](data:image/png;base64,iVBORw0=)"], "metadata": {"id": "Xy_0-Q"}},
    ],
}


def test_saved_by_vs_code_and_by_colab():
    found, notes = read(VS_CODE)
    assert [cell.id for cell in found.cells] == ["3f8e2c1a", "cell-2"]
    assert found.cells[0].source == "def double(x):\n    return 2 * x"
    assert found.cells[0].metadata == {"nbgrader": {"grade_id": "double"}}
    assert notes == []
    found, notes = read(COLAB)
    assert [cell.id for cell in found.cells] == ["double", "Xy_0-Q"]  # Colab keeps ids in the metadata
    assert notes == []


# Encodings and line endings.


def test_encodings():
    text = json.dumps(notebook(code("s = 'déjà vu €'")), ensure_ascii=False)
    assert read(text.encode("utf-8-sig")) == read(text.encode())
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        found, notes = read(text.encode(encoding))
        assert found.cells[0].source == "s = 'déjà vu €'", encoding
        assert "not UTF-8" in notes[0]
    for encoding, source in (("cp1252", "s = 'déjà vu €'"), ("latin-1", "s = 'déjà vu'")):
        found, notes = read(json.dumps(notebook(code(source)), ensure_ascii=False).encode(encoding))
        assert found.cells[0].source == source
        assert notes == ["the file is not UTF-8; it was read as Latin-1, so look whether its accents are right"]
    assert sources(notebook(code("é \U0001f600"))) == ["é \U0001f600"]
    assert "begins as UTF-16, and byte" in reason(b"\xff\xfe{\x00\x00\xd8")
    assert sources(text.encode("utf-8-sig").replace(b"vu", b"v\x81")) == ["s = 'dÃ©jÃ\xa0 v\x81 â\x82¬'"]  # not cp1252


def test_line_endings():
    data = json.dumps(notebook(code("a\r\nb\rc\n")), indent=1).replace("\n", "\r\n").encode()
    assert sources(data) == ["a\nb\nc\n"]
    assert sources(b"\n \t" + json.dumps(notebook(code())).encode() + b"\r\n\n") == ["x = 1"]


# What is odd, and taken.


def test_what_is_missing_or_unknown_is_said():
    plain = {"cell_type": "markdown", "metadata": {}}
    found, notes = read(
        notebook(
            {"source": "x", "outputs": []},
            {"source": "text"},
            {"cell_type": "mermaid", "source": "graph"},
            {"cell_type": 7, "source": []},
            plain,
            {**plain, "source": None},
        )
    )
    assert [cell.cell_type for cell in found.cells] == ["code", "markdown", "raw", "markdown", "markdown", "markdown"]
    assert notes == [
        "cell 1 has no type: read as code",
        "cell 2 has no type: read as text",
        "cell 3 has the unknown type 'mermaid': kept as plain text",
        "cell 4 has no type: read as text",
        "cell 5 has no text: read as empty",
    ]


def test_ids_are_unique_and_the_same_each_time():
    cells = [code(id="a"), code(id="a"), code(id="cell-2"), code(id="é"), code(id=5), code(id="x" * 65), code()]
    del cells[-1]["id"]
    found, notes = read(notebook(*cells))
    ids = [cell.id for cell in found.cells]
    assert (ids[0], ids[2], len(set(ids))) == ("a", "cell-2", 7)
    assert notes == ["several cells had the same id; they have new ones"]
    assert [cell.id for cell in read(notebook(*cells))[0].cells] == ids


def test_metadata_and_attachments_that_can_not_be_read_are_left_out():
    image = {"p.png": {"image/png": "iVBO"}}
    cells = [
        {"cell_type": "markdown", "source": "a", "metadata": {"nbgrader": "none"}, "attachments": image},
        {
            "cell_type": "markdown",
            "source": "b",
            "metadata": [1],
            "attachments": {"q.png": 3, "r.png": {"image/png": 3}},
        },
        {"cell_type": "markdown", "source": "c", "metadata": {"nbgrader": {"grade_id": 3}}, "attachments": 3},
        {"cell_type": "code", "source": "d", "metadata": {"x": "y" * 200_000}, "attachments": image},
        {"cell_type": "markdown", "source": "e", "attachments": {"s.png": {"image/png": ["iV", "BO"]}}},
    ]
    found, notes = read(notebook(*cells))
    assert [cell.get("attachments") for cell in found.cells] == [
        image,
        None,
        None,
        None,
        {"s.png": {"image/png": "iVBO"}},
    ]
    assert all(cell.metadata == {} for cell in found.cells)
    assert ["left out" in note for note in notes] == [True] * 4


def test_characters_that_no_file_can_hold():
    found, notes = read(b'{"cells": [{"cell_type": "code", "source": "a\\ud800b\\u0000c", "outputs": []}]}')
    assert found.cells[0].source == "a\ufffdb\ufffdc"
    assert notes == ["cell 1 had characters that no file can hold; they are replaced"]
    assert sources(b'{"cells": [{"cell_type": "code", "source": "a\tb\nc", "outputs": []}]}') == ["a\tb\nc"]  # bare


def test_numbers_that_json_does_not_know():
    data = b'{"nbformat": 4, "metadata": {"a": NaN, "b": -Infinity, "c": %s}, "cells": []}' % (b"9" * 10_000)
    assert sources(data) == []
    assert sources(b'{"nbformat": 4.0, "cells": [{"cell_type": "raw", "source": "", "execution_count": 1e999}]}') == [
        ""
    ]


# What is broken.


def test_the_reasons():
    whole = json.dumps(notebook(code()), indent=1).encode()
    assert reason(b"") == "n.ipynb is empty"
    assert reason(b" \n") == "n.ipynb is empty"
    assert reason(b"<!DOCTYPE html><html>") == "n.ipynb is a web page, not a notebook"
    assert reason(b"PK\x03\x04...") == "n.ipynb is an archive, not a notebook"
    assert reason(b"import torch\n") == "n.ipynb is no notebook: expected a text that begins with {"
    assert reason(b"[]") == "n.ipynb is no notebook: expected a text that begins with {"
    assert reason(b"{}") == "n.ipynb has no cells: it is not a notebook"
    assert reason(whole[: len(whole) // 2]) == "n.ipynb is damaged: it ends in the middle"
    assert reason(whole + b"{}").startswith("n.ipynb is damaged: there is more after its end")
    assert reason(whole.replace(b'"id": ', b'"id" ')).startswith("n.ipynb is damaged in line ")
    assert reason({"cells": "none", "nbformat": 4}) == "n.ipynb is no notebook: expected a list of cells"
    assert reason({"cells": [1]}) == "n.ipynb is no notebook: number 1 of its cells is no object"
    assert reason({"worksheets": {}}) == "n.ipynb is no notebook: expected a list of worksheets"
    assert reason(notebook(code(), nbformat=5)) == "n.ipynb is of notebook format 5, expected 1 to 4"
    assert "expected 1 to 4" in reason(notebook(nbformat="four"))
    assert "expected 1 to 4" in reason(b'{"nbformat": NaN, "cells": []}')
    assert "neither text nor a list of lines" in reason(notebook(code(["a", 1])))
    assert "neither text nor a list of lines" in reason(notebook(code({"a": 1})))
    assert f"more than {MAX_CELLS} cells" in reason(notebook(*[code()] * (MAX_CELLS + 1)))
    assert "characters of code" in reason(notebook(code("#" * 2_000_001)))


# What attacks: time and memory.


def measured(data: bytes) -> tuple[float, float, str]:
    """Seconds, MB of memory beyond what was used before, and what came of it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    try:
        read_notebook(data, "n.ipynb")
        outcome = "read"
    except RefusedError as refused:
        outcome = str(refused)
    return time.process_time() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, outcome


def with_outputs(outputs: bytes) -> bytes:
    head = b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "outputs": ['
    return head + outputs + b'], "execution_count": 1}]}'


def test_50_mb_of_outputs_take_no_memory_and_little_time():
    picture = b'{"data": {"image/png": "' + base64.b64encode(random.Random(1).randbytes(37_500_000)) + b'"}}'
    numbers = b'{"data": {"x": [' + b"0.123456, " * 5_000_000 + b"1]}}"
    escapes = b'{"text": "' + rb"\u001b[31m\n" * 4_000_000 + b'"}'
    for data in (picture, numbers, escapes):
        seconds, megabytes, outcome = measured(with_outputs(data))
        assert outcome == "read"
        assert (seconds < 4, megabytes < 20) == (True, True), (seconds, megabytes)  # 0.2 to 0.6 s when idle


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: with_outputs(b"[]," * 30_000_000 + b"[]"), "brackets"),
        (lambda: with_outputs(b"[" * 50_000_000), "brackets"),
        (lambda: b'{"cells": [{"source": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}]}", "can't be read"),
        (lambda: b'{"cells": [{"id": ' + b"9" * 90_000 + b"}]}", "can't be read"),
        (lambda: b'{"cells": [{"id": "' + b"9" * 200_000 + b'"}]}', "0.2 MB in its cell 1"),
        (lambda: b'{"cells": [{"source": [' + b'"",' * 20_000_000 + b'""]}]}', "MB in its cell 1"),
        (lambda: b'{"cells": [' + b"{}," * 20_000_000 + b"{}]}", "cells"),
        (lambda: b'{"a": 1,' * 1_000_000, "damaged"),
        (lambda: b'{"metadata": "' + b"\\" * 50_000_001, "damaged"),
        (lambda: b" " * 100_000_001, "100 MB"),
    ],
    ids=["empty-lists", "deep", "deep-source", "number", "id", "lines", "cells", "keys", "backslashes", "size"],
)
def test_what_is_made_to_exhaust_a_parser_ends_soon(make, why):
    seconds, megabytes, outcome = measured(make())
    assert why in outcome
    assert (seconds < 15, megabytes < 300) == (True, True), (seconds, megabytes)  # 3 s at most when idle


# Chance: whatever the bytes, a notebook or a RefusedError.

WHOLE = (ROOT / "assignments" / "checkpoint-01" / "checkpoint-01.ipynb").read_bytes()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("cell_type", "id", "source", "input", "metadata", "attachments", "outputs", "level", "execution_count")
CELLS = st.dictionaries(st.sampled_from(KEYS), VALUES | st.sampled_from(["code", "markdown", ["a", "b"]]), max_size=6)
NOTEBOOKS = st.fixed_dictionaries(
    {},
    optional={
        "nbformat": st.sampled_from([1, 2, 3, 4]) | VALUES,
        "cells": st.lists(CELLS, max_size=4) | VALUES,
        "worksheets": st.lists(st.fixed_dictionaries({"cells": st.lists(CELLS, max_size=2)}), max_size=2) | VALUES,
        "metadata": VALUES,
    },
)


def never_another_error(data: bytes) -> None:
    try:
        read(data)
    except RefusedError as refused:
        text = str(refused)
    else:
        return
    assert text.startswith("n.ipynb ")


def damage(data: bytes, chance: random.Random) -> bytes:
    """Cut, doubled, exchanged, dropped and strewn bytes."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        begin = chance.randrange(len(made) + 1)
        end = min(len(made), begin + chance.choice([1, 1, 2, 10, 200]))
        piece = chance.choice(
            [b"", bytes(made[begin:end]) * 2, b'"', b"[", b"}", b"\\", b"null", b"\xff\0", b"-1e9", b"{"]
        )
        made[begin:end] = piece
    return bytes(made[: chance.randrange(len(made) + 1)] if chance.random() < 0.1 else made)


def test_any_json_is_read_or_refused(request):
    count = 3_000 if request.config.getoption("--full") else 100

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(NOTEBOOKS)
    def check(value):
        never_another_error(json.dumps(value).encode())

    check()


def test_any_damage_is_read_or_refused(request):
    chance = random.Random(6)
    small = json.dumps(notebook(code(), {"cell_type": "markdown", "source": ["b"], "attachments": {}})).encode()
    for number in range(20_000 if request.config.getoption("--full") else 300):
        never_another_error(damage((small, WHOLE)[number % 4 == 0], chance))


def test_any_bytes_are_refused():
    chance = random.Random(7)
    for _ in range(300):
        never_another_error(chance.randbytes(chance.randrange(60)))
        never_another_error(b"{" + chance.randbytes(chance.randrange(60)))
