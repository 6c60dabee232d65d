"""Which names a notebook's cell binds, reads and changes, found in its text; nothing of it is run.

A cell is cut into units: a simple statement, or the head of a compound one, in the order in which they run. What a
function's body reads is kept apart, because it is read when the function is called, and not where it is written.
"""

from __future__ import annotations

import ast
import builtins
import functools
import itertools
import re
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

# What a notebook's names hold before its first cell runs.
GIVEN = frozenset(dir(builtins)) | {"__name__", "__builtins__", "__doc__", "__file__", "__spec__", "__loader__"}
GIVEN |= {"get_ipython", "display", "exit", "quit", "In", "Out", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh"}
GIVEN |= {"_dh"}
PYTHON_BODY = ("time", "capture", "prun")  # cell magics whose body is Python
_FILLING = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "remove", "clear", "sort", "reverse"}
_CHANGING = {"setattr", "delattr", "next", "exec"}  # builtins that change what they are given
MOST = 50_000  # characters of a cell; a longer one is not looked at
MOST_UNITS = 2_000  # of a cell; the rest of a longer one is not looked at
_TIMED = re.compile(r"(\s*)%(?:time|prun)\s+([^-\s].*)$")
_MAGIC = re.compile(r"(\s*)(?:%|!)")
_ASSIGNED = re.compile(r"(\s*[\w.,\[\]\"' ]+=\s*)[%!](?!=)")
_QUESTION = re.compile(r"\s*\?|[\w.%*\s]+\?{1,2}\s*$")
_RUNS = re.compile(r"^\s*%(?:run|pylab)\b", re.M)
_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass
class Unit:
    """A part of a cell that runs as a whole."""

    line: int
    binds: frozenset[str]
    outside: frozenset[str]  # names that it reads and that the cell has not bound before
    inside: frozenset[str]  # names that it reads and that the cell has bound before
    deep: frozenset[str]  # global names that functions and lambdas in it read when they are called
    changes: frozenset[str] = frozenset()  # names whose objects it may change: `x[0] = 1`, `np.random.seed(0)`
    fills: frozenset[str] = frozenset()  # those of them whose objects it certainly changes: `x[0] = 1`, `x.append(1)`
    imports: bool = False
    deletes: frozenset[str] = frozenset()


@dataclass
class Names:
    """What a cell's text says about names.

    `stars`: a star import or a %run brings names that can't be known. `python`: False where the text can't be parsed
    as Python, as in a cell of %%bash; then it binds and reads nothing.
    """

    units: list[Unit] = field(default_factory=list)
    stars: bool = False
    python: bool = True
    tree: ast.Module | None = None
    shift: int = 0  # lines to add to a line of `tree` to have that of the cell's text

    @property
    def binds(self) -> set[str]:
        """Names that the cell binds at top level, or in a function by a `global` statement."""
        return set().union(*(unit.binds for unit in self.units))

    @property
    def changes(self) -> set[str]:
        """Names whose objects the cell may change."""
        return set().union(*(unit.changes for unit in self.units))

    @property
    def fills(self) -> set[str]:
        """Names whose objects the cell puts something into."""
        return set().union(*(unit.fills for unit in self.units))

    @property
    def outside(self) -> set[str]:
        """Names that are read where the cell runs, and that it does not bind itself before."""
        return set().union(*(unit.outside for unit in self.units))

    @property
    def deep(self) -> set[str]:
        """Names that functions of the cell read when they are called."""
        return set().union(*(unit.deep for unit in self.units))

    def first_read(self, name: str) -> int:
        """The line of the cell's text in which a name is first read; 0 if it is not."""
        nodes = [] if self.tree is None else ast.walk(self.tree)
        lines = [n.lineno for n in nodes if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
        return min(lines, default=-self.shift) + self.shift


@functools.lru_cache(maxsize=2000)  # most cells of a class's notebooks are those of the release
def names_of(source: str) -> Names:
    """What a code cell's text says about names, magics and shell lines included; shared, so leave it as it is.

    Students' text comes through here: whatever it is, this takes a time that grows with its length alone.
    """
    body, capture = _python_body(source)
    if len(source) > MOST or body.lstrip().startswith("%%"):
        return Names(python=False)
    stripped = body.lstrip("\n")
    shift = source.count("\n") - stripped.count("\n")
    found = Names(shift=shift)
    bound: set[str] = set()
    try:
        found.tree = _parsed(stripped)
        found.stars = any(_brings_unknown(node) for node in ast.walk(found.tree)) or bool(_RUNS.search(stripped))
        for line, node in itertools.islice(_in_order(found.tree.body), MOST_UNITS):
            unit = _unit(line + shift, node, bound)
            bound |= unit.binds
            found.units.append(unit)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Names(python=False)
    if capture:
        found.units.append(Unit(1, frozenset({capture}), frozenset(), frozenset(), frozenset()))
    return found


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():  # of escapes such as "\d": the cell says so itself when it runs
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except SyntaxError:
            return ast.parse("\n".join(map(_without_magic, source.split("\n"))))


def _without_magic(line: str) -> str:
    """A line of IPython's own as Python that binds and reads the same names, as far as they show.

    IPython's transformer would do, but begins anew with the whole cell for each such line.
    """
    if match := _TIMED.match(line):
        return match[1] + match[2]
    if match := _MAGIC.match(line):
        return match[1] + "pass"
    if match := _ASSIGNED.match(line):
        return match[1] + "None"
    return "pass" if _QUESTION.match(line) else line


def _python_body(source: str) -> tuple[str, str]:
    """A cell without a first line such as %%time, and the name that %%capture binds."""
    text = source.lstrip()
    if not text.startswith("%%"):
        return source, ""
    first, _, rest = text.partition("\n")
    words = first[2:].split()
    if not words or words[0] not in PYTHON_BODY:
        return source, ""
    outputs = [word for word in words[1:] if word.isidentifier()] if words[0] == "capture" else []
    return rest, outputs[0] if outputs else ""


def _brings_unknown(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


def _in_order(body: list[ast.stmt]) -> Iterator[tuple[int, ast.stmt]]:
    """Statements in the order in which they run, compound ones taken apart; what is repeated comes once."""
    for node in body:
        line = node.lineno
        if isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                yield line, ast.Expr(item.context_expr)
                if item.optional_vars is not None:
                    yield line, _bind(item.optional_vars)
            yield from _in_order(node.body)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            yield line, ast.Expr(node.iter)
            yield line, _bind(node.target)
            yield from _in_order(node.body + node.orelse)
        elif isinstance(node, (ast.If, ast.While)):
            yield line, ast.Expr(node.test)
            yield from _in_order(node.body + node.orelse)
        elif isinstance(node, (ast.Try, getattr(ast, "TryStar", ast.Try))):
            yield from _in_order(node.body)
            for handler in node.handlers:
                if handler.type is not None:
                    yield handler.lineno, ast.Expr(handler.type)
                if handler.name:
                    yield handler.lineno, _bind(ast.Name(handler.name, ast.Store()))
                yield from _in_order(handler.body)
            yield from _in_order(node.orelse + node.finalbody)
        elif isinstance(node, ast.Match):
            yield line, ast.Expr(node.subject)
            for case in node.cases:
                pattern = ast.match_case(case.pattern, case.guard, [ast.Pass()])
                yield case.pattern.lineno, ast.Match(ast.Constant(None), [pattern])
                yield from _in_order(case.body)
        else:
            yield line, node


def _bind(target: ast.expr) -> ast.stmt:
    return ast.Assign([target], ast.Constant(None), lineno=0)


def _unit(line: int, node: ast.stmt, bound: set[str]) -> Unit:
    """The names of one unit; `bound` are those of the cell's units before it."""
    binds: set[str] = set()
    now: set[str] = set()
    deep: set[str] = set()
    text = ast.unparse(ast.fix_missing_locations(ast.Module([node], [])))
    _collect(symtable.symtable(text, "<cell>", "exec"), binds, now, deep, called_later=False)
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        now.add(node.target.id)
    deletes = set()
    if isinstance(node, ast.Delete):
        deletes = {target.id for target in node.targets if isinstance(target, ast.Name)}
        now |= deletes
        binds -= deletes  # what is deleted is no name of the cell's own
    elif not isinstance(node, ast.AugAssign):
        now -= {inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)}
    if isinstance(node, _DEFINITIONS):
        deep -= {node.name} & binds  # a function that calls itself
    return Unit(
        line,
        frozenset(binds),
        frozenset(now - bound),
        frozenset(now & bound),
        frozenset(deep),
        *map(frozenset, _changed(node)),
        isinstance(node, (ast.Import, ast.ImportFrom)),
        frozenset(deletes),
    )


def _collect(table: symtable.SymbolTable, binds: set, now: set, deep: set, *, called_later: bool) -> None:
    """Sort the global names of a scope and of those in it."""
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        name = symbol.get_name()
        if top:
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                binds.add(name)
            if symbol.is_referenced():
                now.add(name)
        elif symbol.is_global():
            if symbol.is_declared_global() and symbol.is_assigned():
                binds.add(name)
            if symbol.is_referenced():
                (deep if called_later else now).add(name)
    for child in table.get_children():
        # A comprehension and a class's body run where they stand, a function's and a lambda's where they are called.
        waits = child.get_type() == "function" and child.get_name() not in _COMPREHENSIONS
        _collect(child, binds, now, deep, called_later=called_later or waits)


def _changed(node: ast.stmt) -> tuple[set[str], set[str]]:
    """Names whose objects a statement at top level seems to change, and those whose objects it does change."""
    targets: list[ast.expr] = []
    if isinstance(node, (ast.Assign, ast.Delete)):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    fills = {_root(target) for target in targets if isinstance(target, (ast.Attribute, ast.Subscript))} - {None}
    maybe: set[str | None] = set()
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Await):
        call = call.value
    if isinstance(call, ast.Call):
        if isinstance(call.func, ast.Attribute):
            (fills if call.func.attr in _FILLING and _root(call.func) else maybe).add(_root(call.func))
        named = call.func.id if isinstance(call.func, ast.Name) else ""
        if named not in GIVEN or named in _CHANGING:
            maybe |= {argument.id for argument in call.args if isinstance(argument, ast.Name)}
    return fills | maybe - {None}, fills


def _root(node: ast.expr) -> str | None:
    """`x` of `x.y[0].z`."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
