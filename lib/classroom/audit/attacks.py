"""The submissions of an audit: the release with answers that do no work, and with attempts to forge, break and read.

Each is made from the release alone, so that they fit any project. What they may gain is nothing; what they must not
leave behind, `classroom.audit.effects` looks for.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from nbformat import from_dict

from classroom.audit import reaching, sources
from classroom.audit.answers import Lazy, emptied_answer, lazy_answer
from classroom.audit.effects import Bait
from classroom.simulate.hostile import (
    DISK,
    ENDLESS,
    EXIT,
    FLOOD,
    FORKS,
    KILL,
    MEMORY,
    STUBBORN,
    forged_tests,
    second_tests,
    skip_tags,
)
from classroom.simulate.material import Work, grade_id, is_answer, own_cell

RIGHT, ANSWERS, FORGERIES, LIMITS, REACH = "right", "no work", "forgery", "limits", "reach"
UNTOUCHED, ZEROS = "untouched release", "zeros of the input's shape"
# What is tried with --quick: of each kind the most telling.
QUICK = (
    UNTOUCHED,
    "0",
    "1",
    "ValueError",
    "right shapes of zeros",
    "right shapes of nothing",
    "object that is equal to all",
    "library replaced",
)
QUICK += ("checks replaced", "hooks of the shell", "edited tests", "exit in a call", "network", "files", "hidden tests")
QUICK += ("the official solution",)


@dataclass(frozen=True)
class Attack:
    """One submission: what it is called, what it tries, and how it is made of the right one."""

    group: str
    name: str
    tries: str
    make: Callable[[Work, Bait], None]
    base: str = ""  # the attack whose answers it has: what those earn is theirs

    @property
    def student(self) -> str:
        """The name that it hands in under."""
        words = "".join(letter if letter.isalnum() else " " for letter in self.name.lower()).split()
        return f"{_ORDER[self.group]}-{'-'.join(words)}"


# What the names of its students begin with. In which order they are graded says `classroom.audit._grade`.
_ORDER = {RIGHT: "right", ANSWERS: "answers", FORGERIES: "forgery", LIMITS: "limits", REACH: "reach"}


def right(work: Work, bait: Bait) -> None:
    """Every answer right: nothing to change."""


def shuffled(work: Work, bait: Bait) -> None:
    """The right answers each twice, cells of the student's own between, and all in another order than the release's."""
    for notebook in work.notebooks.values():
        copies = [cell for cell in notebook.cells if is_answer(cell) and cell.cell_type == "code"]
        for number, cell in enumerate(copies, 1):
            notebook.cells.append(from_dict({**copy.deepcopy(cell), "id": f"copy-{number}"}))
            notebook.cells.append(own_cell(f"audit_{number} = {number}", number))
        Random(1).shuffle(notebook.cells)


def untouched(work: Work, bait: Bait) -> None:
    work.begin()


def empty(work: Work, bait: Bait) -> None:
    for _, cell in work.answers():
        cell.source = ""


def lazy(how: Lazy) -> Callable[[Work, Bait], None]:
    """A submission whose code answers all do what `how` says; the text answers are the release's."""

    def make(work: Work, bait: Bait) -> None:
        work.begin()
        for name, cell in work.answers("code"):
            cell.source = lazy_answer(cell.source, work.material.solutions[name, grade_id(cell)], how)

    return make


def emptied(how: str) -> Callable[[Work, Bait], None]:
    """A submission whose answers are of the right types and shapes."""

    def make(work: Work, bait: Bait) -> None:
        work.begin()
        for name, cell in work.answers("code"):
            cell.source = emptied_answer(work.material.solutions[name, grade_id(cell)], how)

    return make


def before(code: str, how: Lazy | None = None) -> Callable[[Work, Bait], None]:
    """A submission that runs `code` in a cell of its own before each notebook's first answer."""

    def make(work: Work, bait: Bait) -> None:
        (lazy(how) if how else untouched)(work, bait)
        for number, notebook in enumerate(work.notebooks.values(), 1):
            at = next((n for n, cell in enumerate(notebook.cells) if is_answer(cell)), 0)
            notebook.cells.insert(at, own_cell(bait.fill(code), number))

    return make


def during(code: str) -> Callable[[Work, Bait], None]:
    """A submission in which every function runs `code` when a test calls it, and returns a 0."""

    def make(work: Work, bait: Bait) -> None:
        lazy(Lazy("0", statement=f"{bait.fill(code)}\nreturn 0"))(work, bait)

    return make


def search(work: Work, bait: Bait) -> None:
    """A submission that looks for the hidden tests in all of its memory, at once and whenever a test calls it."""
    before(reaching.SEARCH, Lazy("0", statement="audit_search()\nreturn 0"))(work, bait)


def modules(work: Work, bait: Bait) -> None:
    """Files beside the notebook that have the names of modules and of start-up files."""
    before(sources.IMPORTS, Lazy("0"))(work, bait)
    for name in sources.MODULES:
        work.files[name] = bait.fill(sources.MODULE).encode()


def links(work: Work, bait: Bait) -> None:
    """The notebook is a link to the source with its solutions; beside it links to everything else."""
    work.links[work.name] = str(work.material.source / work.name)
    work.links |= {"everything": "/", "gradebook.db": str(bait.home / "gradebook.db")}


def link_for_a_folder(work: Work, bait: Bait) -> None:
    """Beside an unanswered notebook: links to files with a secret, and to the whole course."""
    work.begin()
    work.links |= {f"canary-{number}.txt": path for number, path in enumerate(bait.canaries)}
    work.links["course"] = str(bait.root)


def hostile(make: Callable[[Work, Random], None]) -> Callable[[Work, Bait], None]:
    """A kind of `classroom simulate`."""
    return lambda work, bait: make(work, Random(0))


_ZEROS = Lazy("_shaped(input, 0)", "0.0", helpers=True)


def attacks(*, quick: bool = False) -> list[Attack]:
    """All of them, or those of QUICK, in the order of the table."""
    return [attack for attack in _all() if not quick or attack.name in QUICK]


def _all() -> Iterator[Attack]:
    yield Attack(RIGHT, "the official solution", "graded after all that meant harm", right)
    yield Attack(RIGHT, "the solution, shuffled", "its cells in another order and twice, others between", shuffled)

    yield Attack(ANSWERS, UNTOUCHED, "as it was handed out", untouched)
    yield Attack(ANSWERS, "empty cells", "every answer cell is empty", empty)
    for name, how in {
        "None": Lazy("None"),
        "0": Lazy("0"),
        "1": Lazy("1"),
        "True": Lazy("True"),
        "not a number": Lazy("float('nan')"),
        "empty text": Lazy("''"),
        "empty list": Lazy("[]"),
        "the input itself": Lazy("input", "None"),
        ZEROS: _ZEROS,
        "ones of the input's shape": Lazy("_shaped(input, 1)", "1.0", helpers=True),
        "no values in the input's shape": Lazy("_nothing(input)", "_nothing()", helpers=True),
        "random values of the input's shape": Lazy("_random(input)", "_random()", helpers=True),
    }.items():
        yield Attack(ANSWERS, name, "what every function returns and every name is", lazy(how))
    raises = Lazy("None", statement='raise ValueError("a wrong input, whatever it is")')
    yield Attack(ANSWERS, "ValueError", "every function raises it, whatever it is given", lazy(raises))
    yield Attack(ANSWERS, "right shapes of zeros", "the solution's types and shapes, all values zero", emptied("zeros"))
    yield Attack(ANSWERS, "right shapes of noise", "the solution's types and shapes, random values", emptied("noise"))
    yield Attack(
        ANSWERS, "right shapes of nothing", "arrays without values, which go with every shape", emptied("nothing")
    )

    same = "compares as equal to everything"
    yield Attack(FORGERIES, "object that is equal to all", same, lazy(Lazy("_Same()", helpers=True)), "1")
    yield Attack(FORGERIES, "number that is equal to all", same, lazy(Lazy("_SameNumber(0)", helpers=True)), "0")
    array = Lazy("_same_array(input)", "_SameNumber(0)", helpers=True)
    yield Attack(FORGERIES, "array that is equal to all", same, lazy(array), ZEROS)
    for name, tries, code in (
        ("transformers", "takes the asserts out of every cell that runs", sources.TRANSFORMERS),
        ("library replaced", "allclose, all, AssertionError and their like say yes", sources.REPLACED),
        ("checks replaced", "check and score of the course's library give all points", sources.CHECKS),
        ("printed verdict", "prints what a cell that passed prints, and its points", sources.PRINTED),
        ("hooks of the shell", "answers for each cell that is run, and as it ends", sources.HOOKS),
        ("answers of its own", "writes replies into every open file, from a thread", sources.FRAMES_SENT),
        ("written modules", "writes its own numpy, torch and deeppractice, and reloads", sources.WRITTEN),
        ("exits with success", "ends the process as if all had gone well", sources.EXITS_WELL),
    ):
        yield Attack(FORGERIES, name, tries, before(code, Lazy("0")), "0")
    reflected = "looks for the caller's frames and objects, and changes them"
    yield Attack(FORGERIES, "frames of the caller", reflected, during(sources.FRAMES), "0")
    yield Attack(FORGERIES, "modules beside the notebook", "torch.py, conftest.py, .pth and others", modules, "0")
    for name, tries, kind in (
        ("skip tags", "tests tagged so that common tools leave them out", skip_tags),
        ("edited tests", "tests replaced, worth more, and no longer locked", forged_tests),
        ("second tests", "cells with the tests' names, in which nothing is tested", second_tests),
    ):
        yield Attack(FORGERIES, name, tries, hostile(kind), UNTOUCHED)

    for name, tries, code in (
        ("exit", "ends its process", EXIT),
        ("kill", "kills every process that it can reach", KILL),
        ("loop", "never ends", ENDLESS),
        ("stubborn loop", "never ends, and takes no interrupt", STUBBORN),
        ("flood", "puts out text without end", FLOOD),
        ("memory", "takes all memory", MEMORY),
        ("forks", "starts processes without end", FORKS),
        ("disk", "writes until nothing more fits", DISK),
        ("left behind", "leaves a process behind", reaching.DAEMON),
    ):
        yield Attack(LIMITS, name, tries, before(code), UNTOUCHED)
    yield Attack(
        LIMITS, "exit in a call", "ends its process while it is tested", during("__import__('os')._exit(0)"), "0"
    )
    yield Attack(LIMITS, "loop in a call", "never ends when a test calls it", during("while True:\n    pass"), "0")

    yield Attack(
        REACH, "network", "connects to this machine and beyond, asks for names", before(reaching.NETWORK), UNTOUCHED
    )
    yield Attack(REACH, "files", "reads secrets, the course and others' work", before(reaching.READ), UNTOUCHED)
    yield Attack(REACH, "hidden tests", "looks for them in memory and files, also in a call", search, "0")
    yield Attack(REACH, "writes", "writes outside its folder, start-up files too", before(reaching.WRITE), UNTOUCHED)
    yield Attack(REACH, "notebook is a link", "to the source with its solutions", links)
    yield Attack(REACH, "links beside it", "to secrets, and to the whole course", link_for_a_folder, UNTOUCHED)
