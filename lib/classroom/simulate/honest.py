"""Honest submissions: right, partial and wrong ones, and odd ones that a right student may hand in by a slip.

Each kind changes a right submission. `outcome` and `points` say what grading should make of it; points are `full` (as
many as a right one), `less`, `any` (at most as many) or `none` (nothing can be graded).
"""

import ast
import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import nbformat

from classroom.simulate.material import WRITTEN, Work, grade_id, own_cell
from classroom.simulate.mutations import MUTATIONS

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True)
class Kind:
    """A kind of submission and what is expected of it; several outcomes are separated by a bar."""

    group: str
    name: str
    make: Callable[[Work, Random], None]
    outcome: str = "graded"
    points: str = "full"
    one_notebook: bool = False  # only for projects with a single notebook


def right(work: Work, chance: Random) -> None:
    """Every answer right: nothing to change."""


def some_answers(work: Work, chance: Random) -> None:
    cells = work.answers()
    for _, cell in chance.sample(cells, chance.randrange(1, len(cells) + 1)):
        _unanswer(work, cell)


def without_text(work: Work, chance: Random) -> None:
    for _, cell in work.answers("markdown"):
        _unanswer(work, cell)


def unanswered(work: Work, chance: Random) -> None:
    work.begin()


def mutated(name: str) -> Callable[[Work, Random], None]:
    """A kind in which one code answer is changed so; where that cannot be, it is given up."""

    def make(work: Work, chance: Random) -> None:
        cells = [cell for _, cell in work.answers("code")]
        chance.shuffle(cells)
        for cell in cells:
            changed = MUTATIONS[name](cell.source, chance)
            if changed is not None:
                cell.source = changed
                return
        cells[0].source = MUTATIONS["not implemented"](cells[0].source, chance)

    return make


def every_answer(name: str) -> Callable[[Work, Random], None]:
    """A kind in which every code answer is changed so."""

    def make(work: Work, chance: Random) -> None:
        for _, cell in work.answers("code"):
            cell.source = MUTATIONS[name](cell.source, chance)

    return make


def from_bank(member: dict) -> Kind:
    """A member of the project's demo class; what it earns stands with that class's tests."""

    def make(work: Work, chance: Random) -> None:
        work.begin()
        for _, cell in work.answers():
            text = member.get("cells", {}).get(grade_id(cell))
            if text is not None:
                solution = work.material.solutions[work.name, grade_id(cell)]
                cell.source = solution if text.strip() == "solution" else text.rstrip("\n")
        for number, (name, text) in enumerate(member.get("helpers", {}).items(), 1):
            at = [grade_id(cell) for cell in work.notebook.cells].index(name)
            work.notebook.cells.insert(at, own_cell(text.rstrip("\n"), number))

    return Kind("wrong", f"bank: {member['kind']}", make, "graded|student-error", "any", one_notebook=True)


def minor_4(work: Work, chance: Random) -> None:
    """nbformat 4.4: cells without ids."""
    work.notebook.nbformat_minor = 4
    for cell in work.notebook.cells:
        cell.pop("id", None)


def version_3(work: Work, chance: Random) -> None:
    work.files[work.name] = nbformat.writes(nbformat.convert(copy.deepcopy(work.notebook), 3), version=3).encode()


def byte_order_mark(work: Work, chance: Random) -> None:
    work.files[work.name] = b"\xef\xbb\xbf" + work.text().encode()


def carriage_returns(work: Work, chance: Random) -> None:
    """CRLF between the lines of the file and within the cells, as some editors on Windows leave it."""
    for cell in work.notebook.cells:
        cell.source = cell.source.replace("\n", "\r\n")
    work.files[work.name] = work.text().replace("\n", "\r\n").encode()


def latin_1(work: Work, chance: Random) -> None:
    work.code().source += "\n# vérifié à la main"
    text = re.sub(r"[^\x00-\xff]", lambda found: json.dumps(found[0])[1:-1], work.text())
    work.files[work.name] = text.encode("latin-1")


def renamed(work: Work, chance: Random) -> None:
    text, name = work.text(), work.name
    del work.notebooks[name]
    work.files[f"{name.removesuffix('.ipynb')} (1).ipynb"] = text.encode()


def split_cell(work: Work, chance: Random) -> None:
    """An answer cut in two before its last statement; both halves have its grade_id, as editors copy metadata."""
    cells, cell = work.notebook.cells, work.code()
    lines = cell.source.split("\n")
    starts = [node.lineno - 1 for node in ast.parse(cell.source).body]
    at = starts[-1] if len(starts) > 1 else len(lines)
    second = nbformat.from_dict({**cell, "id": "second-half", "source": "\n".join(lines[at:]) or "# and that is all"})
    cell.source = "\n".join(lines[:at])
    cells.insert(cells.index(cell) + 1, second)


def copied_cell(work: Work, chance: Random) -> None:
    cells, cell = work.notebook.cells, work.code()
    cells.insert(cells.index(cell), nbformat.from_dict({**cell, "id": "a-copy"}))


def same_ids(work: Work, chance: Random) -> None:
    """Every cell has the same id, as careless scripts leave it."""
    for cell in work.notebook.cells:
        cell["id"] = "cell"


def vs_code(work: Work, chance: Random) -> None:
    work.notebook.metadata["language_info"] = {"name": "python", "version": "3.12.1", "nbconvert_exporter": "python"}
    work.notebook.metadata["vscode"] = {"interpreter": {"hash": "31f2aee4e71d21fbe5cf8b01ff0e069b"}}
    work.notebook.metadata["kernelspec"] = {"display_name": ".venv", "language": "python", "name": "python3"}
    for number, cell in enumerate(work.notebook.cells):
        cell["id"] = f"{chance.getrandbits(32):08x}"
        cell.metadata["vscode"] = {"languageId": "python"}
        if cell.cell_type == "code":
            cell.execution_count = number + 1


def colab(work: Work, chance: Random) -> None:
    """nbformat 4.0 with Colab's own ids in the metadata."""
    work.notebook.nbformat_minor = 0
    work.notebook.metadata["colab"] = {"provenance": [], "toc_visible": True}
    work.notebook.metadata["accelerator"] = "GPU"
    for cell in work.notebook.cells:
        cell.pop("id", None)
        cell.metadata["id"] = f"{chance.getrandbits(60):012x}"
        if cell.cell_type == "code":
            cell.metadata["colab"] = {"base_uri": "https://localhost:8080/", "height": 35}
            cell.metadata["outputId"] = f"{chance.getrandbits(64):016x}"


def other_kernel(work: Work, chance: Random) -> None:
    work.notebook.metadata["kernelspec"] = {"display_name": "conda-dl", "language": "python", "name": "conda-env-dl-py"}


def large_outputs(work: Work, chance: Random) -> None:
    text = "epoch 1: loss 0.6931471805599453\n" * 160_000  # 5 MB
    work.code().outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]


def extra_cells(work: Work, chance: Random) -> None:
    cells = work.notebook.cells
    cells.insert(cells.index(work.code()) + 1, own_cell("print('a look at it:', 1 + 1)", 1))
    cells.append(own_cell("for i in range(3):\n    print(i)", 2))
    cells.append(nbformat.v4.new_markdown_cell("Notes to myself.", id="own-3"))


def helper_cell(work: Work, chance: Random) -> None:
    """The answer stands in a cell of one's own, before the cell that should hold it."""
    cells, cell = work.notebook.cells, work.code()
    cells.insert(cells.index(cell), own_cell(cell.source))
    cell.source = "# see above"


def deleted_answer(work: Work, chance: Random) -> None:
    work.notebook.cells.remove(work.code())


def deleted_tests(work: Work, chance: Random) -> None:
    for cell in work.tests():
        work.notebook.cells.remove(cell)


def edited_tests(work: Work, chance: Random) -> None:
    for cell in work.tests():
        cell.source += "\nprint('passed')"


def unknown_cell(work: Work, chance: Random) -> None:
    notebook = json.loads(work.text())
    notebook["cells"].insert(0, {"cell_type": "sql", "id": "sql", "metadata": {}, "source": "select 1"})
    work.files[work.name] = json.dumps(notebook).encode()


def no_time(work: Work, chance: Random) -> None:
    work.when = None


def more_files(work: Work, chance: Random) -> None:
    """What a folder collects; not on the project's list, so not taken, and the rest is."""
    work.files["notes.txt"] = b"ask about part 2\n"
    work.files[".DS_Store"] = bytes(64)
    work.files[f".ipynb_checkpoints/{work.name}"] = work.text().encode()


def pasted_image(work: Work, chance: Random) -> None:
    for _, cell in work.answers("markdown"):
        cell.source = f"{WRITTEN}\n\n![sketch](attachment:image.png)"
        cell["attachments"] = {"image.png": {"image/png": PIXEL}}


def empty_file(work: Work, chance: Random) -> None:
    work.files[work.name] = b""


def _unanswer(work: Work, cell: nbformat.NotebookNode) -> None:
    cells = (c for notebook in work.material.released.values() for c in notebook.cells)
    cell.source = next(c.source for c in cells if grade_id(c) == grade_id(cell))


RIGHT = [Kind("right", "right", right)]
PARTIAL = [
    Kind("partial", "some answers", some_answers, points="any"),
    Kind("partial", "without text", without_text, points="any"),
    Kind("partial", "unanswered", unanswered, points="less"),
]
WRONG = [Kind("wrong", name, mutated(name), points="any") for name in MUTATIONS] + [
    Kind("wrong", f"{name}, everywhere", every_answer(name), points="less")
    for name in ("not implemented", "syntax error")
]
ODD = [
    Kind("odd", "nbformat 4.4", minor_4),
    Kind("odd", "nbformat 3", version_3),
    Kind("odd", "byte-order mark", byte_order_mark),
    Kind("odd", "CRLF", carriage_returns),
    Kind("odd", "Latin-1", latin_1),
    Kind("odd", "renamed", renamed, one_notebook=True),
    Kind("odd", "split cell", split_cell),
    Kind("odd", "copied cell", copied_cell),
    Kind("odd", "same ids", same_ids),
    Kind("odd", "VS Code", vs_code),
    Kind("odd", "Colab", colab),
    Kind("odd", "other kernel", other_kernel),
    Kind("odd", "5 MB of outputs", large_outputs),
    Kind("odd", "extra cells", extra_cells),
    Kind("odd", "helper cell", helper_cell),
    Kind("odd", "deleted answer", deleted_answer, points="less"),
    Kind("odd", "deleted tests", deleted_tests),
    Kind("odd", "edited tests", edited_tests),
    Kind("odd", "unknown cell type", unknown_cell),
    Kind("odd", "no time", no_time),
    Kind("odd", "more files", more_files),
    Kind("odd", "pasted image", pasted_image),
    Kind("odd", "empty file", empty_file, "refused", "none"),
]
