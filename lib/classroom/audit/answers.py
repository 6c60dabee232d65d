"""Answers without work: texts for an answer cell that define what the task asks for, and compute nothing.

Names and signatures are taken from the released text; what only the solution binds is added. A function whose solution
returns two things returns two, so that a check which unpacks them gets as far as it can.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

HELPERS = '''\
def _shaped(value, number):
    """A number in the shape of a value: of a tensor, an array, a list, a dict; alone where there is no shape."""
    if hasattr(value, "new_full"):
        return __import__("torch").full(value.shape, float(number))
    if hasattr(value, "dtype"):
        return __import__("numpy").full(value.shape, float(number))
    if isinstance(value, (list, tuple)):
        return type(value)(_shaped(part, number) for part in value)
    if isinstance(value, dict):
        return {key: _shaped(part, number) for key, part in value.items()}
    return number


def _nothing(value=None):
    """No values at all, in a shape that goes with every other one: of no values everything is true."""
    if hasattr(value, "new_full"):
        return __import__("torch").empty(0, *value.shape)
    if isinstance(value, dict):
        return {key: _nothing(part) for key, part in value.items()}
    numpy = __import__("numpy")
    try:
        return numpy.empty((0, *numpy.shape(value)))
    except ValueError:  # a list of unequal parts
        return numpy.empty(0)


_draw = __import__("random").Random(20260).gauss  # the same each time: whether a check is passed is no luck


def _random(value=None):
    """Random numbers in the shape of a value."""
    if hasattr(value, "new_full"):
        return __import__("torch").as_tensor(_random(__import__("numpy").empty(value.shape))).float()
    if hasattr(value, "dtype"):
        numpy = __import__("numpy")
        return numpy.array([_draw(0, 1) for _ in range(value.size)]).reshape(value.shape)
    if isinstance(value, (list, tuple)):
        return type(value)(_random(part) for part in value)
    if isinstance(value, dict):
        return {key: _random(part) for key, part in value.items()}
    return _draw(0, 1)


class _Same:
    """Says yes to every question."""

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = lambda *_, **__: True
    __getattr__ = __call__ = __add__ = __sub__ = __mul__ = __truediv__ = __neg__ = __abs__ = __enter__ = (
        lambda self, *_, **__: self
    )
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __pow__ = __round__ = __add__
    __hash__ = __len__ = __index__ = __int__ = lambda self: 1
    __float__ = lambda self: 1.0
    __iter__ = lambda self: iter((1.0, 1.0))
    __getitem__ = lambda self, place: 1.0
    __exit__ = lambda *_: True
    __class__ = property(lambda self: float)


class _SameNumber(float):
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = lambda *_: True
    __sub__ = __rsub__ = __abs__ = lambda self, *_: self
    __hash__ = float.__hash__


def _same_array(value):
    """An array, or a tensor, in the shape of a value, whose comparisons are all true."""
    if hasattr(value, "new_full"):
        torch = __import__("torch")

        class Tensor(torch.Tensor):
            __torch_function__ = classmethod(lambda cls, *_, **__: True)

        return torch.zeros(value.shape).as_subclass(Tensor)
    numpy = __import__("numpy")

    class Array(numpy.ndarray):
        __array_ufunc__ = __array_function__ = lambda *_, **__: True
        __eq__ = __ne__ = lambda *_: True

    return numpy.zeros(numpy.shape(value)).view(Array)
'''

WRAPPERS = '''\
_chance = __import__("random").Random(20260)  # the same each time: whether a check is passed is no luck


def _emptied(value, how):
    """What stands in place of a right value: of its type and shape, without what was computed."""
    random = how == "noise"
    if hasattr(value, "new_full"):
        torch = __import__("torch")
        if how == "nothing":
            return torch.empty(0, *value.shape)
        if not random:
            return torch.zeros_like(value)
        return torch.tensor([_chance.gauss(0, 1) for _ in range(value.numel())]).reshape(value.shape)
    if how == "nothing" and (hasattr(value, "dtype") or type(value) in (int, float, list)):
        numpy = __import__("numpy")
        return numpy.empty((0, *numpy.shape(value)))
    if hasattr(value, "dtype"):
        numpy = __import__("numpy")
        if not random:
            return numpy.zeros_like(value)
        return numpy.array([_chance.gauss(0, 1) for _ in range(value.size)]).reshape(value.shape)
    if isinstance(value, bool):
        return random and _chance.random() < 0.5
    if isinstance(value, int):
        return _chance.randrange(10_000, 1_000_000) if random else 0
    if isinstance(value, float):
        return _chance.gauss(0, 1) if random else 0.0
    if isinstance(value, str):
        return ""
    if isinstance(value, dict):
        return {key: _emptied(part, how) for key, part in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_emptied(part, how) for part in value)
    return None


def _empty(thing, how):
    """A function, a class or a value whose results are emptied."""
    import functools

    if isinstance(thing, type):
        for name, method in list(vars(thing).items()):
            if callable(method) and (name == "__call__" or not name.startswith("_")):
                setattr(thing, name, _empty(method, how))
        return thing
    if not callable(thing):
        return _emptied(thing, how)

    @functools.wraps(thing)
    def emptied(*arguments, **settings):
        try:
            return _emptied(thing(*arguments, **settings), how)
        except Exception:  # to see that an input is wrong is work, too
            return None

    return emptied
'''


@dataclass(frozen=True)
class Lazy:
    """What every function returns, as Python text; `input` in it stands for the first argument."""

    value: str
    alone: str = ""  # where there is no argument; default: `value`
    helpers: bool = False
    statement: str = ""  # instead of returning anything


def lazy_answer(released: str, solution: str, lazy: Lazy) -> str:
    """The text of a code cell that binds what the task asks for, to what `lazy` says.

    Args:
        released: the cell's text as students get it.
        solution: as the author wrote it, without marks.
    """
    given, solved = _parse(released), _parse(solution)
    if solved is None:
        return lazy.alone or lazy.value
    supplied = {ast.unparse(node) for node in solved.body}
    stubs = {node.name: node for node in (given.body if given else ()) if isinstance(node, _DEFINITIONS)}
    lines = [HELPERS] if lazy.helpers else []
    # What stands around the answer stays: it is as good as given.
    for node in given.body if given else ():
        kept = isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign))
        if kept and ast.unparse(node) in supplied:
            lines.append(ast.unparse(node))
    kept_texts = set(lines)
    for node in solved.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if ast.unparse(node) not in kept_texts:
                lines.append(ast.unparse(node))
        elif isinstance(node, _DEFINITIONS):
            lines.append(_defined(stubs.get(node.name, node), node, lazy))
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and ast.unparse(node) not in kept_texts:
            lines += [f"{name} = {_value(lazy, '')}" for name in _targets(node) if not lazy.statement]
    return "\n\n".join(lines) or lazy.alone or lazy.value


def emptied_answer(solution: str, how: str) -> str:
    """The solution, with results of the right types and shapes in which nothing of what was computed is left.

    Args:
        solution: the cell's text as the author wrote it, without marks.
        how: `zeros`, `noise`, or `nothing`: arrays of as many dimensions and one more, without any values.
    """
    tree = _parse(solution)
    names: list[str] = []
    for node in tree.body if tree else ():
        if isinstance(node, _DEFINITIONS):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            names += _targets(node)
    emptied = [f"{name} = _empty({name}, {how!r})" for name in dict.fromkeys(names)]
    return "\n\n".join([solution, WRAPPERS, "\n".join(emptied)]) if emptied else "None"


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):  # a magic of IPython's, or a stub that is no Python
        return None


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _defined(head: ast.AST, solved: ast.AST, lazy: Lazy) -> str:
    """A function or a class with the head of the release, and nothing done in it."""
    if isinstance(head, ast.ClassDef):
        methods = {node.name: node for node in head.body if isinstance(node, _FUNCTIONS)}
        solutions = {node.name: node for node in getattr(solved, "body", ()) if isinstance(node, _FUNCTIONS)}
        body = []
        for name, method in {**solutions, **methods}.items():
            if name == "__init__":
                text = "super().__init__()" if head.bases else "pass"
                body.append(_with_body(method, [text]))
            else:
                body.append(_with_body(method, _body(method, solutions.get(name, method), lazy, method=True)))
        made = ast.ClassDef(head.name, head.bases, head.keywords, body or [ast.Pass()], head.decorator_list)
        made.type_params = getattr(head, "type_params", [])
        return ast.unparse(ast.fix_missing_locations(made))
    return ast.unparse(ast.fix_missing_locations(_with_body(head, _body(head, solved, lazy))))


def _with_body(function: ast.AST, lines: list[str]) -> ast.AST:
    made = ast.parse(ast.unparse(function)).body[0]  # a copy
    made.body = ast.parse("\n".join(lines)).body
    return made


def _body(function: ast.AST, solved: ast.AST, lazy: Lazy, *, method: bool = False) -> list[str]:
    if lazy.statement:
        return lazy.statement.split("\n")
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    fixed = method and not any(getattr(node, "id", "") == "staticmethod" for node in function.decorator_list)
    names = [argument.arg for argument in arguments[fixed:]]
    value = _value(lazy, names[0] if names else "")
    own = list(_own(solved))
    counts = {
        len(node.value.elts) for node in own if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple)
    }
    parts = counts.pop() if len(counts) == 1 else 1
    if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in own):
        return [f"yield {value}"]
    return [f"return {', '.join([value] * parts)}"]


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions in it."""
    todo = list(getattr(function, "body", ()))
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            todo += ast.iter_child_nodes(node)


def _value(lazy: Lazy, argument: str) -> str:
    return lazy.value.replace("input", argument) if argument else lazy.alone or lazy.value
