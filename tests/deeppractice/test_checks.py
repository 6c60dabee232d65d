"""Checks: what a student reads, what nbgrader gives for it, and the helpers against autograd and closed forms."""

import copy
import random
import re
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeppractice import checks
from deeppractice.architectures import MLP
from deeppractice.checks import (
    WithheldError,
    build,
    check,
    fresh_seed,
    grad,
    inplace,
    jacobian,
    parameters,
    patch,
    score,
    seed,
    train,
    withhold,
)

# The names that this "notebook" defines, for `patch`.
kl = "the student's kl"
elbo = "the student's elbo"


@pytest.fixture(autouse=True)
def a_cell_of_its_own():
    """Each test is one cell, and nothing in it writes to standard error."""
    checks._ledger.page().clear()
    yield
    checks._ledger.page().clear()


def failing(name: str = "wrong", **settings) -> None:
    with check(name, **settings):
        raise AssertionError


def passing(name: str = "right", **settings) -> None:
    with check(name, **settings):
        pass


# What is printed


def test_what_a_student_reads(capfd: pytest.CaptureFixture) -> None:
    with check("plain"):
        pass
    with check("one", points=1):
        pass
    with check("half", points=0.5, hint="not shown when right"):
        pass
    with check("bare", points=2, hint="sum over the latent dimensions"):
        assert 1 == 2
    with check("worded", hint="compare with torch"):
        raise AssertionError("the shape is (3,),\n   not (4,)")
    with check("raises", points=1):
        {}["loss"]
    with check("empty"):
        raise ZeroDivisionError
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[:3] == ["✓ plain", "✓ one (1 point)", "✓ half (0.5 points)"]
    # pytest words a bare assertion; a notebook does not, see below.
    assert lines[3] == "✗ bare (2 points)"
    assert "    sum over the latent dimensions" in lines
    after = lines[lines.index("    sum over the latent dimensions") + 1 :]
    assert after == [
        "✗ worded",
        "    the shape is (3,), not (4,)",
        "    compare with torch",
        "✗ raises (1 point)",
        "    KeyError: 'loss'",
        "✗ empty",
        "    ZeroDivisionError",
    ]
    assert err == ""


def test_a_bare_assertion_shows_the_hint_alone(capsys: pytest.CaptureFixture) -> None:
    failing(hint="sum over the batch")
    assert capsys.readouterr().out == "✗ wrong\n    sum over the batch\n"


def test_a_long_message_is_cut(capsys: pytest.CaptureFixture) -> None:
    with check("long"):
        raise ValueError("x" * 400)
    line = capsys.readouterr().out.splitlines()[1].strip()
    assert line == "ValueError: " + "x" * 297 + "..."


def test_an_exception_without_a_message_of_its_own_is_still_a_failed_check(capsys: pytest.CaptureFixture) -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with check("broken"):
        raise BrokenError
    assert capsys.readouterr().out == "✗ broken\n    BrokenError\n"


def test_a_student_who_leaves_python_fails_the_check() -> None:
    with check("exit", points=1):
        raise SystemExit(0)
    assert score() == 0


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, GeneratorExit])
def test_an_interrupt_goes_through(interrupt: type[BaseException], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(interrupt), check("slow", points=1):
        raise interrupt
    assert capsys.readouterr().out == ""
    passing(points=2)
    assert score() is None  # the interrupted check is no outcome


def test_what_goes_to_standard_error_in_a_check_comes_out_on_standard_output(capfd: pytest.CaptureFixture) -> None:
    with check("noisy"):
        print("a warning", file=sys.stderr)
    with pytest.raises(KeyboardInterrupt), check("interrupted"):
        raise KeyboardInterrupt
    print("outside", file=sys.stderr)
    assert capfd.readouterr() == ("a warning\n✓ noisy\n", "outside\n")


# score


def test_score_is_none_when_all_passed() -> None:
    passing("a", points=1)
    passing("b", points=2)
    assert score() is None


@pytest.mark.parametrize(
    ("worth", "right", "earned"),
    [
        ([1, 2, 4], [True, False, True], 5),
        ([1, 2, 4], [False, False, False], 0),
        ([0.5, 0.25, 1], [True, True, False], 0.75),
        ([0.1, 0.2, 1], [True, True, False], 0.3),  # not 0.30000000000000004
        ([0, 3], [False, True], 3),
    ],
)
def test_score_is_the_points_earned_when_some_failed(worth: list, right: list, earned: float) -> None:
    for i, (points, passed) in enumerate(zip(worth, right, strict=True)):
        (passing if passed else failing)(f"check {i}", points=points)
    found = score()
    assert found == earned
    assert repr(found) == repr(earned)  # nbgrader reads the text: 5, not 5.0


def test_score_starts_a_new_page(capsys: pytest.CaptureFixture) -> None:
    failing("a", points=1)
    assert score() == 0
    passing("a", points=1)  # the name is free again
    assert score(further="two more checks, on other batches") is None
    assert capsys.readouterr().out.endswith("Grading makes further checks: two more checks, on other batches.\n")


def test_score_without_a_check() -> None:
    with pytest.raises(RuntimeError, match="found no check in this cell"):
        score()


def test_two_checks_of_one_name() -> None:
    failing("shape", points=1)
    with pytest.raises(ValueError, match="two checks of this cell are called 'shape'"), check("shape"):
        pytest.fail("the block must not run")
    assert score() == 0


@pytest.mark.parametrize("points", [-1, float("nan"), float("inf")])
def test_points_that_are_none(points: float) -> None:
    with pytest.raises(ValueError, match=f"check 'a': expected points >= 0, got {points}"):
        check("a", points=points)


def test_a_check_without_a_name() -> None:
    with pytest.raises(ValueError, match="a check needs a name"):
        check("")


# In real notebooks, with nbgrader's own verdict

IMPORTS = "import sys\nfrom deeppractice.checks import build, check, grad, parameters, patch, score, seed, train"
CHECKED = (
    "with check('a', points=1): assert {a}\nwith check('b', points=2, hint='think'): assert {b}\nscore(further='one')"
)
HIDING = (
    "with check('seen', points=1): pass\n"
    "### BEGIN HIDDEN TESTS\n"
    "with check('unseen', points=2): assert False\n"
    "### END HIDDEN TESTS\n"
    "score(further='one more')"
)
GRADED = {
    "full": (CHECKED.format(a=True, b=True), 3.0),
    "partial": (CHECKED.format(a=False, b=True), 2.0),
    "zero": (CHECKED.format(a=False, b=False), 0.0),
    "exit": ("with check('a', points=3): sys.exit(0)\nscore()", 0.0),
    # nbgrader gives nothing to a cell that raises.
    "unscored": ("with check('a', points=3): assert False\nundefined_name\nscore()", 0.0),
    # The failed check of the cell before must not cost this one anything.
    "after": ("with check('a', points=3): pass\nscore()", 3.0),
    # What is hidden until grading counts for as much as it says; without it, Validate has nothing to complain of.
    "hidden": (HIDING, 1.0),
    "released": (HIDING, 3.0),
    "warns": ("import warnings\nwith check('a', points=3): warnings.warn('odd')\nscore()", 3.0),
    "interrupted": ("with check('a', points=3): raise KeyboardInterrupt\nscore()", 0.0),
    "no check": ("score()", 0.0),
    "patched": ("answer = 1\nwith check('a', points=3), patch(answer=2): assert answer == 2\nscore()", 3.0),
    "not patched": ("with check('a', points=3), patch(nothing=2): pass\nscore()", 0.0),
    # A progress bar, too, must not write to standard error: nbgrader would give nothing.
    "fit": (
        "import torch\nfrom deeppractice.training import fit, minibatches\n"
        "with check('a', points=3):\n"
        "    model, batches = build('deeppractice.architectures:MLP', sizes=[2, 1]), minibatches(torch.ones(4, 2))\n"
        "    fit(model, batches, lambda m, x: m(x).square().mean(), epochs=2, device='cpu', progress=True)\n"
        "score()",
        3.0,
    ),
    "helpers": (
        "import torch\nseed(1)\nmodel = build('deeppractice.architectures:MLP', sizes=[2, 1])\n"
        "with check('a', points=3):\n"
        "    assert grad(lambda x: (x ** 2).sum(), torch.ones(2)).tolist() == [2, 2]\n"
        "    before = parameters(model)\n"
        "    losses = train(model, lambda m, x: m(x).square().mean(), torch.ones(4, 2), steps=20)\n"
        "    assert len(losses) == 20 and losses[-1] < losses[0]\n"
        "    assert not torch.equal(before['head.bias'], parameters(model)['head.bias'])\n"
        "score()",
        3.0,
    ),
}


@pytest.fixture(scope="module")
def executed(run_notebook, tmp_path_factory: pytest.TempPathFactory) -> dict:
    import nbformat
    from nbgrader.preprocessors import ClearHiddenTests

    cells = [nbformat.v4.new_code_cell(IMPORTS)]
    for name, (source, _) in GRADED.items():
        graded = {"grade": True, "solution": False, "points": 3, "grade_id": name, "schema_version": 3}
        cells.append(nbformat.v4.new_code_cell(source, metadata={"nbgrader": graded}))
        if name == "released":
            ClearHiddenTests().preprocess_cell(cells[-1], {}, 0)
            assert "unseen" not in cells[-1].source
    done = run_notebook(cells, tmp_path_factory.mktemp("assignment"))
    assert done[0].outputs == []
    return dict(zip(GRADED, done[1:], strict=True))


@pytest.mark.parametrize("name", list(GRADED))
def test_nbgrader_gives_the_points_that_were_earned(name: str, executed: dict) -> None:
    from nbgrader.utils import determine_grade

    assert determine_grade(executed[name]) == (GRADED[name][1], 3.0)
    assert all(output.get("name") != "stderr" for output in executed[name].outputs)


def test_what_a_notebook_shows(executed: dict) -> None:
    assert [o.text for o in executed["full"].outputs] == [
        "✓ a (1 point)\n✓ b (2 points)\nGrading makes further checks: one.\n"
    ]
    partial = executed["partial"].outputs
    assert partial[0].text == "✗ a (1 point)\n✓ b (2 points)\nGrading makes further checks: one.\n"
    assert partial[1].data["text/plain"] == "2"
    assert executed["zero"].outputs[0].text.startswith("✗ a (1 point)\n✗ b (2 points)\n    think\n")
    assert executed["unscored"].outputs[-1].ename == "NameError"
    assert executed["interrupted"].outputs[-1].ename == "KeyboardInterrupt"
    assert "patch: the notebook does not define nothing" in executed["not patched"].outputs[0].text


# build


def test_build_makes_an_object_from_public_code() -> None:
    model = build("deeppractice.architectures:MLP", sizes=[2, 8, 1], activation="tanh")
    assert isinstance(model, MLP)
    assert model.sizes == (2, 8, 1)


@pytest.mark.parametrize("path", ["deeppractice.architectures", "deeppractice.architectures:", "a:b.c", "a:b:c", ":"])
def test_build_expects_a_module_and_a_name(path: str) -> None:
    with pytest.raises(ValueError, match=f"expected 'package.module:Name', got {path!r}"):
        build(path)


def test_build_names_the_near_miss() -> None:
    with pytest.raises(ValueError, match=r"deeppractice.architectures has no 'MPL'; did you mean MLP\?"):
        build("deeppractice.architectures:MPL")


# grad and jacobian


def test_grad_is_the_closed_form(device: torch.device) -> None:
    A = torch.randn(3, 3, device=device)
    x = torch.randn(3, device=device)
    torch.testing.assert_close(grad(lambda x: x @ A @ x, x), (A + A.T) @ x)


def test_grad_is_autograds_for_several_inputs() -> None:
    x, w = torch.randn(5, 4), torch.randn(2, 4, requires_grad=True)
    y = torch.tensor([0, 1, 1, 0, 1])  # integers go along, without a gradient
    found = grad(lambda x, w, y: F.cross_entropy(x @ w.T, y), x, w, y)
    leaves = x.clone().requires_grad_(), w.detach().clone().requires_grad_()
    F.cross_entropy(leaves[0] @ leaves[1].T, y).backward()
    assert isinstance(found, tuple)
    assert len(found) == 2
    for ours, leaf in zip(found, leaves, strict=True):
        assert torch.equal(ours, leaf.grad)
    assert w.grad is None


def test_grad_leaves_the_inputs_alone() -> None:
    x = torch.ones(3)

    def in_place(x: Tensor) -> Tensor:
        y = x * 1
        x.data.mul_(7)
        return (y**2).sum()

    grad(in_place, x)
    assert torch.equal(x, torch.ones(3))
    assert not x.requires_grad
    assert x.grad is None


def test_grad_of_an_input_that_is_not_used_is_zero() -> None:
    found = grad(lambda x, y: x.sum(), torch.ones(2), torch.ones(3, 2))
    assert [g.tolist() for g in found] == [[1, 1], [[0, 0], [0, 0], [0, 0]]]


def test_grad_takes_any_value_of_one_element() -> None:
    assert grad(lambda x: (x**2)[None], torch.tensor(3.0)).item() == 6
    assert grad(lambda x: x, torch.tensor(3.0)).item() == 1
    assert grad(lambda x, k: x * k, torch.tensor(3.0), 4).item() == 4


@pytest.mark.parametrize(
    ("f", "inputs", "error", "message"),
    [
        (lambda x: x.sum(), [torch.arange(3)], TypeError, "at least one floating-point tensor"),
        (lambda x: x, [3.0], TypeError, "at least one floating-point tensor"),
        (lambda x: x.sum().item(), [torch.ones(3)], TypeError, "returns a tensor, got float"),
        (lambda x: x, [torch.ones(3)], ValueError, r"returns one number, got shape \(3,\)"),
        (lambda x: x.sum().detach(), [torch.ones(3)], ValueError, "has no gradient: was it detached"),
    ],
)
def test_grad_says_what_it_needs(f, inputs: list, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        grad(f, *inputs)


def test_jacobian_is_the_closed_form(device: torch.device) -> None:
    A, x, y = (torch.randn(*shape, device=device) for shape in ((2, 3), (3,), (2,)))
    torch.testing.assert_close(jacobian(lambda x: A @ x, x), A)
    by_x, by_y = jacobian(lambda x, y: (A @ x) * y, x, y)
    torch.testing.assert_close(by_x, y[:, None] * A)
    torch.testing.assert_close(by_y, torch.diag(A @ x))
    assert jacobian(lambda x: x**2, torch.ones(2, 3, device=device)).shape == (2, 3, 2, 3)


# parameters, train, seed, inplace


def test_parameters_are_copies() -> None:
    model = MLP([2, 3, 1])
    kept = parameters(model)
    assert list(kept) == [name for name, _ in model.named_parameters()]
    with torch.no_grad():
        for value in model.parameters():
            value.add_(1)
    for name, value in model.named_parameters():
        torch.testing.assert_close(kept[name] + 1, value.detach())
        assert not kept[name].requires_grad
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module, got dict"):
        parameters({})


@pytest.mark.parametrize(("optimizer", "lr", "steps"), [("SGD", 0.1, 500), ("Adam", 0.05, 2000)])
def test_train_ends_at_the_least_squares_solution(optimizer: str, lr: float, steps: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    y = X @ [2.0, -1.0] + 0.5 + 0.1 * rng.normal(size=30)
    model = nn.Linear(2, 1).double()
    losses = train(
        model,
        lambda model, x, y: F.mse_loss(model(x)[:, 0], y),
        torch.from_numpy(X),
        torch.from_numpy(y),
        steps=steps,
        lr=lr,
        optimizer=optimizer,
    )
    solution, residual, *_ = np.linalg.lstsq(np.c_[X, np.ones(30)], y, rcond=None)
    np.testing.assert_allclose([*model.weight.tolist()[0], model.bias.item()], solution, atol=1e-5)
    assert len(losses) == steps
    assert losses[-1] == pytest.approx(residual[0] / 30, rel=1e-6)


def test_train_returns_the_loss_before_each_step() -> None:
    model = MLP([3, 1])
    x = torch.randn(8, 3)
    twin = copy.deepcopy(model)

    def loss(model: nn.Module, x: Tensor) -> Tensor:
        return model(x).square().mean()

    losses = train(model, loss, x, steps=5, lr=0.01)
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.01)
    for value in losses:
        assert loss(twin, x).item() == value
        optimizer.zero_grad()
        loss(twin, x).backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_seed_fixes_every_generator() -> None:
    def draws() -> tuple:
        seed(4)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draws() == draws()


def test_inplace_shows_the_change_and_spares_the_arguments() -> None:
    x, names = torch.ones(2), ["a"]

    def change(x: Tensor, names: list, *, by: int) -> str:
        x.add_(by)
        names.append("b")
        return "done"

    result, (left, left_names) = inplace(change, x, names, by=1)
    assert result == "done"
    assert (left.tolist(), left_names) == ([2, 2], ["a", "b"])
    assert (x.tolist(), names) == ([1, 1], ["a"])


# patch


def test_patch_replaces_names_for_the_block_alone() -> None:
    with patch(kl="reference", elbo="another"):
        assert (kl, elbo) == ("reference", "another")
    assert (kl, elbo) == ("the student's kl", "the student's elbo")
    with patch({"kl": "from a mapping"}, elbo="and a keyword"):
        assert (kl, elbo) == ("from a mapping", "and a keyword")
    assert kl == "the student's kl"


def test_patch_restores_after_an_exception_and_when_nested() -> None:
    with patch(kl="outer"):
        with pytest.raises(KeyError, match="inner"), patch(kl="inner"):
            raise {}[kl]
        assert kl == "outer"
    assert kl == "the student's kl"


def test_patch_reports_every_name_that_the_notebook_lacks() -> None:
    with (
        pytest.raises(NameError, match=re.escape("the notebook does not define lk, oble")),
        patch(lk=1, kl="reference", oble=2),
    ):
        pytest.fail("the block must not run")
    assert kl == "the student's kl"


def test_a_failed_check_inside_a_patch_restores_the_name(capfd: pytest.CaptureFixture) -> None:
    with check("elbo", points=1, hint="use the kl of part 1"), patch(kl="reference"):
        assert kl != "reference", "the elbo is off"
    assert kl == "the student's kl"
    assert score() == 0
    out, err = capfd.readouterr()
    assert "the elbo is off" in out
    assert err == ""


def test_a_fresh_seed_is_one_number_for_each_name_in_a_kernel() -> None:
    assert fresh_seed("kl") == fresh_seed("kl") != fresh_seed("elbo")
    assert 0 <= fresh_seed("kl") < 2**32


@pytest.mark.parametrize("path", ["{}:sum_of_squares", "{}.sum_of_squares", "{}:Model"])
def test_a_withheld_name_says_why_when_it_is_called_or_made_a_subclass_of(monkeypatch, path: str) -> None:
    module = types.ModuleType("withheld_here")
    module.sum_of_squares, module.Model = sum, dict
    monkeypatch.setitem(sys.modules, "withheld_here", module)
    path = path.format("withheld_here")
    withhold(path, why="part 4 asks for it")
    found = getattr(module, re.split("[.:]", path)[1])
    with pytest.raises(WithheldError, match="part 4 asks for it"):
        found([1])
    with pytest.raises(WithheldError, match="withheld_here"):
        type("Mine", (found,), {})
    with pytest.raises(WithheldError):
        _ = found.attribute


def test_withholding_what_there_is_not_is_an_error() -> None:
    for path in ("deeppractice.nothing:f", "deeppractice.checks:nothing", "f"):
        with pytest.raises(ValueError, match="withhold"):
            withhold(path, why="it is not there")
