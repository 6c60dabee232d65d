"""Checks that speak to the student: one form for exercises, checkpoints and mini-projects.

    with check("kl-shape", points=1, hint="sum over the latent dimensions, keep the batch"):
        assert kl(mu, logvar).shape == (4,)
    score(further="two more checks, on other batches and on gradients")

`check` catches whatever fails in its block and prints the hint; `score` hands the points to nbgrader. The other
functions are for tests that need more than a call: gradients, a few training steps, a change in place, a replaced
name. In a student's kernel they act on the student's own objects. In grading, test cells run in a process of their own:
there a student's objects are handles, which have a method `__remote__` that the functions below use, and `_examiner` is
that process. Everything prints to standard output, because nbgrader gives no points to a test cell that writes to
standard error.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import importlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

# torch is imported where it is used: an assignment that needs none starts, and is graded, a second and a half sooner.


@dataclass(frozen=True)
class Outcome:
    """What one check found."""

    name: str
    points: float
    passed: bool
    hint: str
    error: str  # what went wrong, in one line; empty where the check passed


class WithheldError(RuntimeError):
    """The student's code used what this assignment asks the student to write."""


# The process in which grading runs test cells, while it runs one (classroom.inside.examine.examiner); None in a kernel.
_examiner = None


class _Ledger:
    """The outcomes of the cell that runs; a new cell starts a new page, even if the last never called `score`."""

    def __init__(self) -> None:
        self.cell: int | None = None
        self.outcomes: list[Outcome] = []

    def page(self) -> list[Outcome]:
        cell = _execution_count()
        if cell != self.cell:
            self.cell, self.outcomes = cell, []
        return self.outcomes


_ledger = _Ledger()


def _execution_count() -> int | None:
    if not sys.modules.get("IPython"):
        return None
    shell = sys.modules["IPython"].get_ipython()
    return None if shell is None else shell.execution_count


class check:  # noqa: N801  (reads as a statement: `with check("name"):`)
    """One check: a block that passes if nothing in it raises.

    Args:
        name: short and unique within the cell; students quote it when they ask for help.
        points: what the check is worth; 0 for the exercises of a chapter.
        hint: what to do if it fails, in the student's terms.

    Raises:
        ValueError: for an empty name, negative points, or a name used twice in a cell.
    """

    def __init__(self, name: str, *, points: float = 0, hint: str = "") -> None:
        if not name:
            raise ValueError("a check needs a name, got an empty string")
        if points < 0 or not math.isfinite(points):
            raise ValueError(f"check {name!r}: expected points >= 0, got {points}")
        self.name, self.points, self.hint = name, points, hint

    def __enter__(self) -> check:
        if any(outcome.name == self.name for outcome in _ledger.page()):
            raise ValueError(f"two checks of this cell are called {self.name!r}; names are unique within a cell")
        # A warning that the student's code gives rise to must not cost the cell's points.
        self._quiet = redirect_stderr(sys.stdout)
        self._quiet.__enter__()
        # Where a check stands tells the examiner whether it is a hidden one.
        self._lines = [] if _examiner is None else _examiner.lines(sys._getframe(1))
        return self

    def __exit__(self, kind, error, traceback) -> bool:
        self._quiet.__exit__(kind, error, traceback)
        lines, self._lines = self._lines, []
        # An interrupt is the user's or the time limit's, never a wrong answer; everything else is the verdict.
        if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
            return False
        passed = error is None
        outcome = Outcome(self.name, self.points, passed, self.hint, "" if passed else _one_line(error))
        _ledger.page().append(outcome)
        if _examiner is not None:
            _examiner.outcome(outcome, lines)
        print(_line(outcome))
        return True


def _one_line(error: BaseException) -> str:
    """The message of an exception, with its type unless it is a bare or worded assertion."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a student's own exception class; a check never raises
        text = ""
    text = text if len(text) <= 300 else text[:297] + "..."
    if isinstance(error, AssertionError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(outcome: Outcome) -> str:
    worth = f" ({_number(outcome.points)} point{'' if outcome.points == 1 else 's'})" if outcome.points else ""
    if outcome.passed:
        return f"✓ {outcome.name}{worth}"
    reasons = [reason for reason in (outcome.error, outcome.hint) if reason]
    return "\n    ".join([f"✗ {outcome.name}{worth}", *reasons])


def _number(value: float) -> str:
    return f"{value:g}"


def score(further: str | None = None) -> float | None:
    """Close a test cell; its last line, so that nbgrader sees the value.

    Args:
        further: what the checks that only grading makes are about, in words.

    Returns:
        None if every check that ran passed (nbgrader then gives the cell's full points), else the points earned.

    Raises:
        RuntimeError: if the cell made no check at all.
    """
    outcomes = list(_ledger.page())
    _ledger.page().clear()
    if not outcomes:
        raise RuntimeError("score() found no check in this cell: expected at least one `with check(...)` before it")
    if further:
        print(f"Grading makes further checks: {further}.")
    if all(outcome.passed for outcome in outcomes):
        return None
    earned = round(sum(outcome.points for outcome in outcomes if outcome.passed), 6)
    return int(earned) if earned == int(earned) else earned


def build(path: str, **settings):
    """Make an object from public code: `build("deeppractice.architectures:MLP", sizes=[2, 8, 1])`.

    Tests use it for models that a student's function takes as an argument; in grading, the object is made on the
    student's side and only its name and settings travel.

    Raises:
        ValueError: if `path` is not of the form "package.module:Name", or the module has no such name.
    """
    if _examiner is not None:
        return _examiner.build(path, settings)
    module_name, colon, name = path.partition(":")
    if not colon or not name.isidentifier():
        raise ValueError(f"expected 'package.module:Name', got {path!r}")
    module = importlib.import_module(module_name)
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, dir(module))
        raise ValueError(f"{module_name} has no {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
    return getattr(module, name)(**settings)


def grad(f: Callable[..., Tensor], *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
    """The gradient of a scalar function with respect to each floating-point input.

    Args:
        f: takes the inputs and returns a tensor with one element.
        inputs: tensors of any shape; they are copied, so that the caller's stay as they are.

    Returns:
        One tensor of the input's shape, or a tuple if there are several floating-point inputs; zeros for an input that
        `f` does not use.

    Raises:
        TypeError: if no input is a floating-point tensor, or `f` does not return a tensor.
        ValueError: if `f` returns more than one element, or a value cut off from the graph.
    """
    import torch
    from torch import Tensor

    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) if isinstance(x, Tensor) else x for x in inputs]
    wanted = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise TypeError("grad needs at least one floating-point tensor among its inputs")
    value = f(*leaves)
    if not isinstance(value, Tensor):
        raise TypeError(f"grad needs a function that returns a tensor, got {type(value).__name__}")
    if value.numel() != 1:
        raise ValueError(f"grad needs a function that returns one number, got shape {tuple(value.shape)}")
    if not value.requires_grad:
        raise ValueError("the returned value has no gradient: was it detached, or made with .item() or numpy?")
    found = torch.autograd.grad(value.reshape(()), wanted, allow_unused=True)
    found = tuple(torch.zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True))
    return found[0] if len(found) == 1 else found


def jacobian(f: Callable[..., Tensor], *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
    """The Jacobian of `f`: shape (output shape + input shape), a tuple for several inputs."""
    import torch

    found = torch.autograd.functional.jacobian(f, tuple(x.detach().clone() for x in inputs))
    return found[0] if len(inputs) == 1 else found


def parameters(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's parameters by name, so that a test can compare them before and after."""
    if _is_remote(module):
        return module.__remote__("parameters")
    from torch import nn

    if not isinstance(module, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(module).__name__}")
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def train(
    model: nn.Module,
    loss: Callable[..., Tensor],
    *batch: Tensor,
    steps: int = 100,
    lr: float = 1e-2,
    optimizer: str = "Adam",
) -> list[float]:
    """Take gradient steps on one batch and return the loss before each: does the student's model learn at all?

    Args:
        model: trained in place.
        loss: `loss(model, *batch)` returns a scalar tensor.
        optimizer: a name in `torch.optim`.
    """
    if _is_remote(model):
        stepper = model.__remote__("train", lr=lr, optimizer=optimizer)
    else:
        import torch

        stepper = getattr(torch.optim, optimizer)(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        stepper.zero_grad()
        value = loss(model, *batch)
        value.backward()
        stepper.step()
        losses.append(value.item())
    return losses


def seed(number: int) -> None:
    """Seed Python, numpy and torch where the student's code runs, and where the test does."""
    from deeppractice.runtime import seed_everything

    seed_everything(number)
    if _examiner is not None:
        _examiner.seed(number)


def fresh_seed(name: str) -> int:
    """A seed to draw a test's inputs from: one number for each name.

    In a kernel it is always the same, so that a student can repeat what a test did. In grading it is another one, that
    nobody outside the course knows and that is the same for the whole class: no answer can be made for known inputs.
    """
    if _examiner is not None:
        return _examiner.fresh_seed(name)
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def withhold(*paths: str, why: str) -> None:
    """Make names of libraries raise `WithheldError`, so that the student writes what they would do.

        withhold("torch.nn.utils.spectral_norm", why="part 4 asks for it")

    Functions and classes are replaced in their module; calling one, or making a subclass, raises. Test cells of grading
    may use them: there this function does nothing. It is a sign on a door, for honest work; it stops nobody who looks.

    Raises:
        ValueError: for a path that leads to nothing.
    """
    if _examiner is not None:
        return
    for path in paths:
        module_name, _, name = path.partition(":") if ":" in path else path.rpartition(".")
        try:
            module = importlib.import_module(module_name)
        except (ImportError, ValueError) as error:
            raise ValueError(f"withhold: expected 'package.module.name', got {path!r} ({error})") from None
        if not hasattr(module, name):
            raise ValueError(f"withhold: {module_name} has no {name!r}")
        setattr(module, name, _withheld(path.replace(":", "."), why))


def _withheld(path: str, why: str) -> type:
    def refuse(*_, **__):
        raise WithheldError(f"{path} is not to be used here: {why}")

    kind = type("Withheld", (type,), {"__call__": refuse, "__getattr__": refuse})
    return kind(path.rpartition(".")[2], (), {"__init_subclass__": classmethod(refuse)})


def _is_remote(thing: object) -> bool:
    """Whether it is a student's object in another process."""
    return hasattr(type(thing), "__remote__")


def inplace(f: Callable, *arguments, **settings) -> tuple[object, tuple]:
    """Call `f` on copies of the arguments; return its result and the copies as `f` left them.

    A test that is about a change in place says so with this function: in grading, arguments are never written back.
    What goes by keyword is passed as it is.
    """
    if _is_remote(f):
        return f.__remote__("inplace", *arguments, **settings)
    copies = copy.deepcopy(arguments)
    return f(*copies, **settings), copies


@contextmanager
def patch(names: Mapping[str, object] | None = None, /, **replacements) -> Iterator[None]:
    """Replace names of the notebook for the length of a block, for example by the reference of an earlier part.

        with patch(kl=reference_kl):
            assert elbo(x).shape == (4,)

    Raises:
        NameError: for a name that the notebook does not define.
    """
    replacements = {**(names or {}), **replacements}
    namespace = sys._getframe(2).f_globals  # 0 is this generator, 1 is contextlib, 2 the cell
    if _examiner is not None:
        with _examiner.patch(namespace, replacements):
            yield
        return
    missing = [name for name in replacements if name not in namespace]
    if missing:
        raise NameError(f"patch: the notebook does not define {', '.join(missing)}")
    before = {name: namespace[name] for name in replacements}
    namespace.update(replacements)
    try:
        yield
    finally:
        namespace.update(before)
