"""What a test cell's text shows that would behave differently under Validate and in the examiner, or tell too little.

Each rule looks at one test cell and names a line; nothing is run. `# lint: ok RULE` on that line, or on a line of its
own for the whole cell, says that it is meant so.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from classroom.checkcalls import check_rules
from classroom.ownership import Analysis, Cell
from classroom.plan import HIDDEN, hidden_lines

_ALLOWED = re.compile(r"#\s*lint:\s*ok\s+([\w-]+)")
_MAGIC = re.compile(r"\s*(?:[%!]|[\w, ]+=\s*[%!])")
_INSIDES = {"__code__", "__globals__", "__closure__", "__dict__", "__defaults__", "__wrapped__", "__func__"}
_SOURCES = {"getsource", "getsourcelines", "getsourcefile", "getfile", "getclosurevars", "getmembers"}
_LISTINGS = {"globals", "locals", "vars", "dir", "eval", "exec", "get_ipython"}
_SEEDS = {"manual_seed", "seed", "seed_everything"}
_MUTATORS = {"append", "extend", "insert", "add", "update", "setdefault"}


@dataclass(frozen=True)
class Finding:
    """One thing to mend."""

    notebook: str
    cell: str
    line: int  # of the cell's text, from 1; 0: of the cell as a whole
    rule: str
    what: str
    instead: str

    def __str__(self) -> str:
        place = f"{self.notebook}, cell {self.cell}" + (f", line {self.line}" if self.line else "")
        return f"{place}: {self.what}\n    {self.instead} [{self.rule}]"


def static_findings(
    notebook: str, analysis: Analysis, meta: dict[str, dict], hidden: tuple[str, str] = HIDDEN
) -> list[Finding]:
    """What the rules find in the test cells of a notebook.

    Args:
        notebook: its name.
        analysis: of it.
        meta: nbgrader's metadata by grade_id.
        hidden: the marks of hidden tests.
    """
    found, theirs = [], set(analysis.answers)
    for cell in analysis.cells:
        if cell.kind != "test":
            continue
        reached = analysis.reach(cell)
        theirs |= reached.names
        rules = _Rules(cell, analysis, reached.word, theirs)
        theirs |= rules.theirs & cell.names.binds
        lines = hidden_lines(cell.source, hidden)
        points = meta.get(cell.id, {}).get("points")
        for line, rule, what, instead in (*rules.run(), *check_rules(cell.names, lines, points)):
            if not allowed(cell.source, line, rule):
                found.append(Finding(notebook, cell.id, line, rule, what, instead))
    return found


def allowed(source: str, line: int, rule: str) -> bool:
    """Whether the author says that a finding is meant.

    Args:
        source: of the test cell.
        line: of the finding; 0: of the cell as a whole, where only a comment on a line of its own says it.
    """
    for number, text in enumerate(source.split("\n"), 1):
        match = _ALLOWED.search(text)
        if match and match[1] == rule and (number == line or text.lstrip().startswith("#")):
            return True
    return False


def from_them(tree: ast.Module, theirs: set[str]) -> set[str]:
    """The names of a cell whose values come from the student's code, with those that are theirs anyway."""
    found, before = set(theirs), -1

    def touched(node: ast.AST | None) -> bool:
        return node is not None and any(isinstance(n, ast.Name) and n.id in found for n in ast.walk(node))

    while len(found) != before:
        before = len(found)
        for node in ast.walk(tree):
            targets: list[ast.AST] = []
            if isinstance(node, ast.Assign):
                targets = node.targets if touched(node.value) else []
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
                targets = [node.target] if touched(node.value) else []
            elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
                targets = [node.target] if touched(node.iter) else []
            elif isinstance(node, ast.withitem):
                targets = [node.optional_vars] if node.optional_vars and touched(node.context_expr) else []
            elif isinstance(node, ast.Try):
                if any(map(touched, node.body)):
                    found |= {handler.name for handler in node.handlers if handler.name}
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                if touched(node):
                    found.add(node.name)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
                targets = [node.func.value] if any(map(touched, node.args)) else []
            for target in targets:
                found |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
    return found


class _Rules:
    """The rules on one test cell."""

    def __init__(self, cell: Cell, analysis: Analysis, word: dict[str, str], theirs: set[str]) -> None:
        self.cell, self.names, self.word, self.answers = cell, cell.names, word, analysis.answers
        self.tree = cell.names.tree or ast.Module([], [])
        self.theirs = from_them(self.tree, theirs)
        self.modules = {
            name
            for other in analysis.cells[: cell.number + 1]
            for unit in other.names.units
            if unit.imports
            for name in unit.binds
        }

    def run(self) -> Iterator[tuple[int, str, str, str]]:
        """Line, rule, what is wrong, what to write instead."""
        yield from self._magics()
        if not self.names.python:
            return
        yield from self._names()
        inner = {n for f in ast.walk(self.tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
        for node in ast.walk(self.tree):
            for rule, what, instead in self._node(node, inner):
                yield getattr(node, "lineno", 0) + self.names.shift, rule, what, instead

    def _magics(self) -> Iterator[tuple[int, str, str, str]]:
        try:
            ast.parse(self.cell.source)
        except (SyntaxError, ValueError):
            lines = [n for n, text in enumerate(self.cell.source.split("\n"), 1) if _MAGIC.match(text)]
            for number in lines:
                what = "a magic or a shell line runs in the examiner, not where the student's code runs"
                yield number, "magic", what, "write it in Python, or in a supplied cell"
            if not lines:
                yield 1, "syntax", "this is not Python", "mend it; nobody gets its points"

    def _names(self) -> Iterator[tuple[int, str, str, str]]:
        for unit in self.names.units:
            for name in sorted((unit.binds | unit.deletes) & self.answers.keys()):
                verb = "deletes" if name in unit.deletes else "gives a new value to"
                what = f"it {verb} {name}, the student's: their process is told, and it stays so after the cell"
                yield unit.line, "rebinds", what, f"another name, or with patch({name}=...): from deeppractice.checks"
        for name, cell in sorted(self.word.items()):
            what = f"{name} is computed in cell {cell} from the student's: this verdict rests on their process's word"
            yield self.names.first_read(name), "word", what, "compute it in the test cell, from the student's function"

    def _touched(self, *nodes: ast.AST) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self.theirs for node in nodes for n in ast.walk(node))

    def _named(self, node: ast.AST) -> list[str]:
        """The student's own names in a class, or a tuple of them."""
        return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self.answers]

    def _node(self, node: ast.AST, inner: set[ast.AST]) -> Iterator[tuple[str, str, str]]:
        if isinstance(node, ast.ExceptHandler) and node.type is not None and self._named(node.type):
            what = f"except {', '.join(self._named(node.type))}: a student's exception arrives as another class"
            yield "class", what, "except Exception as error, and look at type(error).__name__"
        elif isinstance(node, ast.Compare) and any(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
            sides = [node.left, *node.comparators]
            plain = any(isinstance(side, ast.Constant) or _is_type(side) for side in sides)
            if not plain and self._touched(*sides):
                what = "`is` between values: each result arrives as a new object"
                yield "identity", what, "compare values, or use inplace(f, x) for a change in place"
        elif isinstance(node, ast.Assert) and node not in inner and not isinstance(node.test, ast.Constant):
            if self.theirs and not self._touched(node.test):
                what = (
                    "nothing in this comes from the student's code; arguments are never written back, so it can't fail"
                )
                yield "unmoved", what, "result, (x_after,) = inplace(f, x), and look at x_after"
        elif isinstance(node, ast.Attribute) and node.attr in _INSIDES and self._touched(node.value):
            yield "source", f"{node.attr} of a student's function is not there", "test what the function does"
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.Delete)):
            targets = node.targets if not isinstance(node, ast.AugAssign) else [node.target]
            for target in targets:
                root = _root(target)
                if not isinstance(target, ast.Name) and root in self.modules:
                    what = f"it changes {ast.unparse(target)}: only in the examiner, not where the student's code runs"
                    yield "module", what, "pass what the function needs as an argument, or patch a name of the notebook"
                elif isinstance(target, ast.Attribute) and root in self.answers:
                    yield "rebinds", f"it changes {ast.unparse(target)}, the student's", "test it as it is"
        elif isinstance(node, ast.Call):
            yield from self._call(node)

    def _call(self, node: ast.Call) -> Iterator[tuple[str, str, str]]:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        root = _root(node.func)
        if name in ("isinstance", "issubclass") and len(node.args) == 2 and self._named(node.args[1]):
            what = f"{name}(…, {ast.unparse(node.args[1])}): a student's class is no class in the examiner"
            yield "class", what, "test what the object does"
        elif name in _SOURCES and self._touched(*node.args):
            yield "source", f"{name} of a student's function: its text is not there", "test what the function does"
        elif name in _LISTINGS and isinstance(node.func, ast.Name):
            yield "listing", f"{name}(): the examiner has other names than a kernel", "use the names as such"
        elif name in _SEEDS and isinstance(node.func, ast.Attribute) and _dotted(node.func) and root in self.modules:
            what = f"{ast.unparse(node.func)} seeds the examiner only, not what the student's code draws"
            yield "seed", what, "seed(number) from deeppractice.checks; a generator for what the test draws"
        elif name in ("redirect_stdout", "redirect_stderr"):
            yield "printed", "what the student's code prints is not printed here", "let the function return it"
        elif root in ("mock", "monkeypatch") or (
            name == "setattr" and node.args and _root(node.args[0]) in self.modules
        ):
            what = "it changes a module in the examiner only, not where the student's code runs"
            yield "module", what, "pass what the function needs as an argument, or patch a name of the notebook"


def _is_type(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _dotted(node: ast.AST) -> bool:
    """Whether it is a name with attributes, and no call in between."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _root(node: ast.AST) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
