"""Small changes that turn a right answer into a typical wrong one; each takes Python source and a source of chance.

A change gives the new source, or None where there is nothing of its kind to change. Comments are lost on the way.
"""

import ast
from collections.abc import Callable
from random import Random

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}


def constant(source: str, chance: Random) -> str | None:
    """Another number: 2 becomes 3."""

    def change(node: ast.Constant) -> None:
        node.value += 1

    return _change_one(source, chance, _is_number, change)


def comparison(source: str, chance: Random) -> str | None:
    """A comparison that is wrong at the border: < becomes <=."""

    def change(node: ast.Compare) -> None:
        node.ops[0] = _COMPARISONS[type(node.ops[0])]()

    return _change_one(source, chance, lambda n: isinstance(n, ast.Compare) and type(n.ops[0]) in _COMPARISONS, change)


def operator(source: str, chance: Random) -> str | None:
    """The wrong sign or operation: + becomes -."""

    def change(node: ast.BinOp | ast.AugAssign) -> None:
        node.op = _OPERATORS[type(node.op)]()

    def fits(node: ast.AST) -> bool:
        return isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS

    return _change_one(source, chance, fits, change)


def off_by_one(source: str, chance: Random) -> str | None:
    """A range or a slice that ends one too early."""

    def less(node: ast.expr) -> ast.expr:
        return ast.BinOp(left=node, op=ast.Sub(), right=ast.Constant(value=1))

    def change(node: ast.Call | ast.Slice) -> None:
        if isinstance(node, ast.Slice):
            node.upper = less(node.upper)
        else:
            end = 0 if len(node.args) == 1 else 1
            node.args[end] = less(node.args[end])

    def fits(node: ast.AST) -> bool:
        if isinstance(node, ast.Slice):
            return node.upper is not None
        return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "range" and bool(node.args)

    return _change_one(source, chance, fits, change)


def dropped_line(source: str, chance: Random) -> str | None:
    """One statement of a function is missing."""

    def change(body: list[ast.stmt]) -> None:
        del body[chance.randrange(len(body))]

    return _change_a_body(source, chance, change)


def swapped_lines(source: str, chance: Random) -> str | None:
    """Two statements in the wrong order."""

    def change(body: list[ast.stmt]) -> None:
        first = chance.randrange(len(body) - 1)
        body[first], body[first + 1] = body[first + 1], body[first]

    return _change_a_body(source, chance, change)


def forgotten_return(source: str, chance: Random) -> str | None:
    """A value is computed and not returned."""

    def change(function: ast.FunctionDef) -> None:
        last = function.body[-1]
        function.body[-1] = ast.Expr(value=last.value)

    def fits(node: ast.AST) -> bool:
        return isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return) and bool(node.body[-1].value)

    return _change_one(source, chance, fits, change)


def not_implemented(source: str, chance: Random) -> str:
    """Given up: the heads of the functions, and an error in each; without a function the error alone."""
    tree = _parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []
    for function in functions:
        function.body = ast.parse("raise NotImplementedError('to do')").body
    return "\n\n\n".join(map(ast.unparse, functions)) or "raise NotImplementedError('to do')"


def syntax_error(source: str, chance: Random) -> str:
    """A bracket that is not closed."""
    return f"{source}\nprint('done'"


def wrong_name(source: str, chance: Random) -> str:
    """A name that nothing has, at the end of the cell: what stands before it counts."""
    return f"{source}\nprint(resutl)"


Mutation = Callable[[str, Random], str | None]
MUTATIONS: dict[str, Mutation] = {
    "constant": constant,
    "comparison": comparison,
    "operator": operator,
    "off by one": off_by_one,
    "dropped line": dropped_line,
    "swapped lines": swapped_lines,
    "forgotten return": forgotten_return,
    "not implemented": not_implemented,
    "syntax error": syntax_error,
    "wrong name": wrong_name,
}


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except SyntaxError:  # a magic of IPython's, or no Python
        return None


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _change_one(source: str, chance: Random, fits: Callable[[ast.AST], bool], change: Callable) -> str | None:
    tree = _parse(source)
    found = [node for node in ast.walk(tree) if fits(node)] if tree else []
    if not found:
        return None
    change(chance.choice(found))
    return ast.unparse(ast.fix_missing_locations(tree))


def _change_a_body(source: str, chance: Random, change: Callable[[list[ast.stmt]], None]) -> str | None:
    """Change the list of statements of a function that has two or more."""

    def fits(node: ast.AST) -> bool:
        return isinstance(node, ast.FunctionDef) and len(node.body) > 1

    return _change_one(source, chance, fits, lambda function: change(function.body))
