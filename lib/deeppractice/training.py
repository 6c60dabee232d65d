"""One training loop, `fit`, for every model of the course: the loss is given, the plumbing is here.

    history = fit(model, minibatches(X, y, size=64), lambda model, x, y: F.cross_entropy(model(x), y), epochs=20)

Source: Prechelt (1998) for early stopping; Pascanu, Mikolov, Bengio (2013) for clipping the norm of the gradient;
Loshchilov and Hutter (2017) for the cosine schedule.
"""

import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from deeppractice import runtime

Loss = Callable[..., Tensor]  # loss(model, *batch) -> scalar
Schedule = Callable[[float], float]  # share of the training that is done, 0 to 1 -> factor on the learning rate

SCHEDULES: dict[str, Schedule] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    # A tenth of the training to warm up, then the cosine.
    "warmup-cosine": lambda done: done / 0.1 if done < 0.1 else 0.5 * (1.0 + math.cos(math.pi * (done - 0.1) / 0.9)),
}


class minibatches:  # noqa: N801  (reads as a verb: `fit(model, minibatches(X, y), …)`)
    """Batches of aligned arrays, reshuffled at each pass; the data stay where they are, on any device.

    Args:
        arrays: numpy arrays or tensors with the same number of rows, N.
        size: rows a batch; the last one may be smaller.
        shuffle: draw a new order for each pass.
        seed: of the order; the same seed gives the same sequence of orders.

    Raises:
        ValueError: for no arrays, arrays of different or zero length, or a size below 1.
    """

    def __init__(self, *arrays: np.ndarray | Tensor, size: int = 64, shuffle: bool = True, seed: int = 0) -> None:
        lengths = [len(array) for array in arrays]
        if not lengths or min(lengths) == 0 or len(set(lengths)) > 1:
            raise ValueError(f"expected arrays of one equal, positive number of rows, got {lengths}")
        if size < 1:
            raise ValueError(f"expected a batch size of 1 or more, got {size}")
        self.arrays = tuple(torch.as_tensor(array) for array in arrays)
        self.size, self.shuffle = size, shuffle
        self.generator = runtime.generator(seed)

    def __len__(self) -> int:
        return -(-len(self.arrays[0]) // self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        n = len(self.arrays[0])
        order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
        for rows in order.split(self.size):
            yield tuple(array[rows.to(array.device)] for array in self.arrays)


@dataclass
class History:
    """What happened in training, one value an epoch unless said otherwise.

    Attributes:
        steps: loss at each step.
        train: mean loss over the epoch's batches.
        validation: mean loss on the validation batches; empty if there were none.
        metrics: for each metric its mean on the validation batches.
        lr: learning rate at the end of the epoch.
        seconds: wall time of the whole training.
        best: the epoch, from 0, with the lowest validation loss; None without validation.
        stopped: why training ended, in words.
    """

    steps: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    lr: list[float] = field(default_factory=list)
    seconds: float = 0.0
    best: int | None = None
    stopped: str = ""


def fit(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, ...]],
    loss: Loss,
    *,
    epochs: int = 10,
    optimizer: torch.optim.Optimizer | None = None,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: str | Schedule = "constant",
    clip: float | None = None,
    validation: Iterable[tuple[Tensor, ...]] | None = None,
    metrics: Mapping[str, Loss] | None = None,
    patience: int | None = None,
    device: torch.device | str | None = None,
    progress: bool | None = None,
) -> History:
    """Train a model by gradient descent on batches, in place; it stays on the device, in evaluation mode.

    Args:
        batches: iterated once an epoch; `minibatches(...)` or a DataLoader, with tuples of tensors.
        loss: `loss(model, *batch)` returns a scalar tensor.
        optimizer: by default AdamW with `lr` and `weight_decay`.
        schedule: a key of `SCHEDULES`, or a function from the share of training done to a factor on the learning rate.
        clip: largest Euclidean norm of the gradient; None leaves it alone.
        validation: batches for the validation loss, computed in evaluation mode after each epoch.
        metrics: for each name a function like `loss`, averaged over the validation rows.
        patience: stop after so many epochs without a lower validation loss, and restore the best weights.
        device: where to train; by default the one that `runtime.device` chooses.
        progress: show a bar; by default in a notebook or a terminal, if training takes over two seconds.

    Raises:
        ValueError: for no epochs, no batches, an unknown schedule, a metric called "loss", or patience or metrics
            without validation.
        FloatingPointError: if the training or validation loss stops being finite; names the step.
    """
    if epochs < 1:
        raise ValueError(f"expected 1 epoch or more, got {epochs}")
    if (patience is not None or metrics) and validation is None:
        raise ValueError("patience and metrics need validation batches, and none were given")
    if "loss" in (metrics or {}):
        raise ValueError("the validation loss is measured anyway; expected another name for the metric 'loss'")
    if isinstance(schedule, str) and schedule not in SCHEDULES:
        raise ValueError(f"expected a schedule among {', '.join(SCHEDULES)}, got {schedule!r}")
    factor = SCHEDULES[schedule] if isinstance(schedule, str) else schedule
    device = runtime.device(None if device is None else str(device))
    model.to(device)
    if optimizer is None:
        fused = runtime.has_fused_optimizer(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay, fused=fused)
    base = [group["lr"] for group in optimizer.param_groups]
    total = epochs * len(batches)
    if total == 0:
        raise ValueError("expected at least one batch, got none")

    history, best_weights = History(metrics={name: [] for name in metrics or {}}), None
    start, step = time.perf_counter(), 0
    with _bar(total, progress) as advance:
        for epoch in range(epochs):
            model.train()
            losses = []
            for batch in batches:
                for group, rate in zip(optimizer.param_groups, base, strict=True):
                    group["lr"] = rate * factor(step / total)
                optimizer.zero_grad(set_to_none=True)
                value = loss(model, *_to(batch, device))
                if value.ndim:
                    raise ValueError(f"expected a loss that is one number, got shape {tuple(value.shape)}")
                value.backward()
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                losses.append(value.detach())
                step += 1
                advance()
            losses = torch.stack(losses).tolist()  # one wait for the device an epoch, not one a step
            _assert_finite(losses, first=step - len(losses))
            history.steps += losses
            history.train.append(sum(losses) / len(losses))
            history.lr.append(optimizer.param_groups[0]["lr"])
            if validation is None:
                continue
            measured = evaluate(model, validation, {"loss": loss, **(metrics or {})}, device=device)
            _assert_finite([measured["loss"]], first=step - 1, what="validation loss")
            history.validation.append(measured["loss"])
            for name in history.metrics:
                history.metrics[name].append(measured[name])
            if history.best is None or measured["loss"] < history.validation[history.best]:
                history.best = epoch
                best_weights = copy.deepcopy(model.state_dict()) if patience is not None else None
            elif patience is not None and epoch - history.best >= patience:
                history.stopped = (
                    f"no lower validation loss in {patience} epochs; weights of epoch {history.best} restored"
                )
                break
    for group, rate in zip(optimizer.param_groups, base, strict=True):
        group["lr"] = rate  # a second call with the same optimizer starts from its own rate, not from the decayed one
    if best_weights is not None:
        model.load_state_dict(best_weights)
    model.eval()  # what follows training is a prediction, where dropout would be a silent mistake
    history.stopped = history.stopped or f"all {epochs} epochs done"
    history.seconds = time.perf_counter() - start
    return history


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, ...]],
    measures: Mapping[str, Loss],
    *,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Average measures over the rows of all batches, in evaluation mode; the mode of each part is restored.

    Args:
        measures: for each name a function `f(model, *batch)` that returns the batch's mean.
        device: where the batches go; by default, where the model is.
    """
    if device is None:
        weight = next(model.parameters(), None)
        device = runtime.device() if weight is None else weight.device
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    sums, rows = dict.fromkeys(measures, 0.0), 0
    try:
        for batch in batches:
            batch = _to(batch, torch.device(device))
            rows += len(batch[0])
            for name, measure in measures.items():
                sums[name] += float(measure(model, *batch)) * len(batch[0])
    finally:
        for part, mode in modes:
            part.training = mode
    if rows == 0:
        raise ValueError("expected at least one batch to evaluate on, got none")
    return {name: value / rows for name, value in sums.items()}


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Share of rows whose largest of K outputs is the class: (B, D), (B,) -> scalar."""
    return (model(x).argmax(dim=-1) == y).float().mean()


def _to(batch: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    if isinstance(batch, Tensor):  # unpacking it would take its rows for arguments of the loss
        raise TypeError(f"expected a batch that is a tuple of tensors, got one tensor of shape {tuple(batch.shape)}")
    return tuple(x.to(device, non_blocking=True) if isinstance(x, Tensor) else x for x in batch)


def _assert_finite(losses: list[float], first: int, what: str = "loss") -> None:
    for offset, value in enumerate(losses):
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the {what} is {value} at step {first + offset}: try a smaller learning rate, clip the gradient, "
                "or look for a division, logarithm or root of zero in the loss"
            )


@contextmanager
def _bar(total: int, wanted: bool | None) -> Iterator[Callable[[], object]]:
    """A progress bar on standard output, from the third second on; none while the book is built."""
    shell = sys.modules["IPython"].get_ipython() if sys.modules.get("IPython") else None
    notebook = shell is not None and hasattr(shell, "kernel")
    if wanted is None:
        wanted = not os.environ.get("DEEPPRACTICE_BUILD") and (notebook or sys.stdout.isatty())
    if not wanted:
        yield lambda: None
        return
    if notebook:
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    # Standard output, because nbgrader gives no points to a test cell that writes to standard error.
    with tqdm(total=total, unit="step", delay=2, leave=False, file=sys.stdout) as bar:
        yield bar.update
