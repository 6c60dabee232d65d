"""The checks of numbers, gradients and units. Each takes a `Subject` and returns status, number, finding and advice."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from deeppractice import _finite
from deeppractice.checkup.subject import Listener, Skipped, Subject, by_unit

Outcome = tuple[str, float, str, str]
STEPS = (1e-5, 1e-3, 1e-4, 1e-6, 1e-7)  # of the differences; the others where the first sees an error


def graded(value: float, warn: float, fail: float) -> str:
    """The status of a number that should be small."""
    return "fail" if value > fail else "warn" if value > warn else "passed"


def finite(s: Subject) -> Outcome:
    """Everything that a step of training touches is finite."""
    model = s.copy()
    value, _ = s.run(model)
    value.backward()
    bad = _finite.bad_gradients(model.parameters())
    if math.isfinite(value.item()) and not bad:
        return "passed", value.item(), "the loss and every gradient are finite", ""
    if bad and math.isfinite(value.item()):
        place = _finite.where_gradients_are_not(model, bad)
    else:
        place = _finite.where_not_finite(s.copy(), s.loss, [s.batch])
    return "fail", value.item(), place, "mend this first; the other checks were not made"


def _sizes(x: Tensor) -> tuple[float, float]:
    """The largest root mean square of a column, and how many times that of the median column it is."""
    size = by_unit(x if x.ndim > 1 else x[:, None]).double().square().mean(0).sqrt()
    used = size[size > 0]
    return (used.max().item(), (used.max() / used.median()).item()) if len(used) else (0.0, 1.0)


def _sized(largest: float, ratio: float) -> tuple[str, str]:
    status = max(graded(largest, 30, 1e4), graded(ratio, 30, 1e4), key=["passed", "warn", "fail"].index)
    found = f"the largest column has a root mean square of {largest:.3g}"
    return status, found + (f", {ratio:.3g} times the median column's" if ratio > 1 else "")


def input_scale(s: Subject) -> Outcome:
    """Columns of about one size; for images and signals, channels."""
    if not s.batch[0].is_floating_point():
        raise Skipped("the inputs are whole numbers, such as tokens")
    largest, ratio = _sizes(s.batch[0])
    if largest == 0:
        return "fail", 0.0, "every input is zero", "look at what the loader hands over"
    status, found = _sized(largest, ratio)
    return status, largest, found, "standardise the columns, with mean and deviation of the training rows"


def target_scale(s: Subject) -> Outcome:
    """The targets of a regression have about the size of the answers of a fresh network: one."""
    if len(s.batch) < 2 or not s.batch[-1].is_floating_point():
        raise Skipped("the targets are whole numbers, or there are none")
    largest, ratio = _sizes(s.batch[-1])
    if largest == 0:
        raise Skipped("every target is zero")
    status, found = _sized(largest, ratio)
    status = "warn" if status == "passed" and largest < 0.01 else status
    advice = "standardise the targets, each column; take the logarithm where they span powers of ten"
    return status, largest, found, f"{advice}; undo it when you predict"


def start(s: Subject) -> Outcome:
    """Before training, the loss is about that of the best constant answer: log K for K balanced classes."""
    _, best, middle = s.constant(s.batch)
    with torch.no_grad():
        value = s.run(s.copy())[0].item()
    if best < 1e-3:
        raise Skipped(f"the best constant answer has a loss of {best:.2g}: nothing to compare with")
    found = f"{value:.3g}; the best constant answer has {best:.3g}"
    # The mean of the model's answers, given to every row, has the loss `middle`: is it the middle or the scatter?
    if middle - best > value - middle:
        advice = "if untrained: the answers lie off the targets. Centre these, or start the last bias at their mean"
    else:
        advice = "if untrained: the answers scatter too much. Scale the inputs, make the last layer's weights smaller"
    return graded(value / best, 2, 10), value / best, found, advice


def gradient(s: Subject) -> Outcome:
    """Central differences in float64 along a random direction of each parameter agree with backpropagation."""
    model, batch = s.copy(double=True), s.take(slice(0, 64), double=True)
    value, _ = s.run(model, batch)
    value.backward()
    draw, slopes = torch.Generator().manual_seed(s.seed), []
    for name, p in model.named_parameters():
        if p.requires_grad:
            v = torch.randn(p.shape, generator=draw, dtype=p.dtype)
            v /= v.norm()
            auto = 0.0 if p.grad is None else (p.grad * v).sum().item()
            slopes.append((name, p, v, auto, _slope(s, model, batch, p, v, STEPS[0])))
    # A bias before a normalisation has a gradient of zero, and the difference is rounding alone: hence the floor.
    floor = 1e-3 * max(abs(numeric) for *_, numeric in slopes) + 1e-12

    def error(auto: float, numeric: float) -> float:
        return abs(auto - numeric) / max(abs(auto) + abs(numeric), floor)

    worst, where = 0.0, "any parameter"
    for name, p, v, auto, numeric in slopes:
        found = error(auto, numeric)
        for h in STEPS[1:]:  # a wrong gradient is wrong at each step; kinks and rounding are not
            found = found if found <= 1e-4 else min(found, error(auto, _slope(s, model, batch, p, v, h)))
        if found > worst:
            worst, where = found, name
    advice = "look for detach, .data, .item(), numpy or a backward of your own; small errors are kinks of ReLU"
    return graded(worst, 1e-4, 1e-2), worst, f"largest relative error {worst:.1e}, at {where}", advice


def _slope(s: Subject, model: nn.Module, batch: tuple, p: nn.Parameter, v: Tensor, h: float) -> float:
    """The central difference of the loss along the direction v of the parameter p."""
    with torch.no_grad():
        kept, values = p.clone(), []
        for step in (h, -h):
            p.copy_(kept + step * v)
            values.append(s.run(model, batch)[0].item())
        p.copy_(kept)
    return (values[0] - values[1]) / (2 * h)


def every_parameter(s: Subject) -> Outcome:
    """Each parameter that wants a gradient gets one."""
    model, draw = s.copy(double=True), torch.Generator().manual_seed(s.seed)
    with torch.no_grad():  # a layer that starts at zero holds gradients back at the first step only
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=draw, dtype=p.dtype) * (1e-3 * p.square().mean().sqrt() + 1e-4))
    s.run(model, s.take(slice(None), double=True))[0].backward()
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad}
    without = [name for name, p in wanted.items() if p.grad is None or not p.grad.any()]
    found = f"{len(wanted) - len(without)} of {len(wanted)} get a gradient" + (": not " if without else "")
    found += ", ".join(without[:4]) + (", …" if len(without) > 4 else "")
    advice = "is it used in forward, and not behind detach or a layer whose units are all dead?"
    return ("fail" if without else "passed"), float(len(without)), found, advice


def symmetry(s: Subject) -> Outcome:
    """The gradient of the first layer has a rank above 1, or its units stay equal for ever."""
    model = s.copy(double=True)
    s.run(model, s.take(slice(None), double=True))[0].backward()
    matrices = [(n, p) for n, p in model.named_parameters() if p.ndim > 1 and min(len(p), p[0].numel()) > 1]
    if not matrices or matrices[0][1].grad is None:
        raise Skipped("no layer with several units, several inputs and a gradient")
    name, p = matrices[0]
    # A gradient that is zero but for rounding (a constant head's is) has any rank, hence `atol`.
    largest = max(q.grad.norm() for q in model.parameters() if q.grad is not None)
    rank = int(torch.linalg.matrix_rank(p.grad.flatten(1), atol=1e-9 * largest, rtol=1e-6))
    own = int(torch.linalg.matrix_rank(p.detach().flatten(1), rtol=1e-6))
    found = f"rank {rank} of the gradient of {name}, {tuple(p.shape)}; rank {own} of its weights"
    # A rank of 1 alone is no fault: a linear model with two classes has it.
    status = "fail" if own <= 1 and rank <= 1 else "passed"
    return status, float(rank), found, "draw the weights at random, each unit its own"


def bends(s: Subject) -> Outcome:
    """Between two layers that multiply by weights stands something that is not linear, or a narrow code."""
    with torch.no_grad(), Listener() as listener:
        s.run(s.copy(training=False))
    if not listener.layers:
        raise Skipped("no linear or convolutional layer is called")
    found = f"{len(listener.straight)} of {listener.layers} layers take the output of another as it is"
    found += f": {listener.straight[0]}" if listener.straight else ""
    advice = "an activation is missing: without it the two layers are one. Fine if meant so, as in a factorisation"
    return ("warn" if listener.straight else "passed"), float(len(listener.straight)), found, advice


def _listen(s: Subject) -> list[tuple[str, float, float, float, int]]:
    with torch.no_grad(), Listener() as listener:
        _, outputs = s.run(s.copy())
    ends = {x.data_ptr() for x in outputs}
    heard = [one for one in listener.heard if one[4] not in ends]  # an output may saturate: it is an answer
    if not heard:
        raise Skipped("no ReLU, tanh or sigmoid is called on hidden units")
    return heard


def alive(s: Subject) -> Outcome:
    """Hidden units answer to their inputs: a ReLU is not zero on every row, a tanh not at an end of its range."""
    heard = _listen(s)
    shares = [max(dead, saturated) for _, _, dead, saturated, _ in heard]
    worst = max(range(len(heard)), key=shares.__getitem__)
    kind = "dead (zero on every row)" if heard[worst][0] == "relu" else "saturated (within 3 % of an end)"
    found = f"activation {worst + 1} of {len(heard)}, a {heard[worst][0]}: {100 * shares[worst]:.0f} % {kind}"
    advice = "standardise the inputs, biases 0, weights with variance 1/fan-in (2/fan-in for ReLU), a smaller rate"
    return graded(shares[worst], 0.3, 0.6), shares[worst], found, advice


def scale(s: Subject) -> Outcome:
    """What varies between rows neither fades nor grows from the first hidden layer to the last."""
    heard = _listen(s)
    if len(heard) < 2:
        raise Skipped("fewer than two hidden activations")
    first, last = heard[0][1], heard[-1][1]
    ratio = last / max(first, 1e-30)
    found = f"deviation over the rows {first:.2g} after the first activation, {last:.2g} after the last"
    advice = "weights with variance 1/fan-in (2/fan-in for ReLU), a normalisation layer, or skip connections"
    fold = max(ratio, 1 / max(ratio, 1e-30))
    return graded(fold, 20, 1000), ratio, found, advice


CHECKS: dict[str, tuple[Callable[[Subject], Outcome], str]] = {
    "finite numbers": (finite, "S.06"),
    "input scale": (input_scale, "S.01"),
    "target scale": (target_scale, "S.01"),
    "loss at the start": (start, "S.13"),
    "gradient check": (gradient, "S.03"),
    "every parameter learns": (every_parameter, "S.15"),
    "symmetry": (symmetry, "S.07"),
    "units alive": (alive, "S.05"),
    "activation scale": (scale, "S.08"),
    "no activation lost": (bends, "S.15"),
}
