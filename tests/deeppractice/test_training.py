"""The training loop, against a loop written out by hand, torch's schedulers and DataLoader, and closed forms."""

import copy
import math
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from deeppractice.architectures import MLP
from deeppractice.data import load
from deeppractice.training import SCHEDULES, accuracy, evaluate, fit, minibatches, progress_bar


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y)


def table(rows: int = 50) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(rows, 6, generator=draw), torch.randint(3, (rows,), generator=draw)


def assert_equal_weights(a: nn.Module, b: nn.Module) -> None:
    for (name, ours), theirs in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


# Batches


@pytest.mark.parametrize("size", [1, 3, 10, 64])
def test_each_pass_has_every_row_exactly_once(size: int) -> None:
    rows = torch.arange(10)
    batches = minibatches(rows, rows * 2, size=size)
    for _ in range(3):
        parts = list(batches)
        assert len(parts) == len(batches) == math.ceil(10 / size)
        assert [len(x) for x, _ in parts[:-1]] == [size] * (len(parts) - 1)
        assert all(torch.equal(y, x * 2) for x, y in parts)
        assert sorted(torch.cat([x for x, _ in parts]).tolist()) == list(range(10))


def test_orders_differ_between_passes_and_repeat_with_the_seed() -> None:
    def orders(seed: int) -> list[list[int]]:
        batches = minibatches(np.arange(100), size=7, seed=seed)
        return [torch.cat([x for (x,) in batches]).tolist() for _ in range(3)]

    first = orders(5)
    torch.rand(10)  # a draw from elsewhere shifts nothing
    assert orders(5) == first
    assert first[0] != first[1] != first[2]
    assert orders(6)[0] != first[0]


def test_batches_are_those_of_a_dataloader() -> None:
    X, y = table(23)
    data = TensorDataset(X, y)
    ordered = zip(minibatches(X, y, size=5, shuffle=False), DataLoader(data, batch_size=5), strict=True)
    shuffled = zip(
        minibatches(X, y, size=5, seed=4),
        DataLoader(data, batch_size=5, sampler=RandomSampler(data, generator=torch.Generator().manual_seed(4))),
        strict=True,
    )
    for pairs in (ordered, shuffled):
        for ours, theirs in pairs:
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])


def test_the_data_stay_where_they_are(device: torch.device) -> None:
    X, y = table()
    for x, labels in minibatches(X.to(device), y, size=16):
        assert x.device.type == device.type
        assert labels.device.type == "cpu"
        rows = (X[:, None] == x.cpu()).all(-1).float().argmax(0)
        assert torch.equal(labels, y[rows])


@pytest.mark.parametrize(
    ("arrays", "got"), [([], r"\[\]"), ([[1, 2], [1]], r"\[2, 1\]"), ([[]], r"\[0\]"), ([[], []], r"\[0, 0\]")]
)
def test_arrays_that_do_not_align_are_counted(arrays: list, got: str) -> None:
    with pytest.raises(ValueError, match=f"one equal, positive number of rows, got {got}"):
        minibatches(*map(np.array, arrays))


def test_a_size_below_one() -> None:
    with pytest.raises(ValueError, match="expected a batch size of 1 or more, got 0"):
        minibatches(np.arange(3), size=0)


def test_a_smaller_last_batch_can_be_left_out():
    rows = np.arange(10)
    kept, all_rows = minibatches(rows, size=4, drop_last=True), minibatches(rows, size=4)
    first, second = list(kept), list(kept)
    assert [len(x) for (x,) in first] == [4, 4]
    assert len(kept) == 2
    assert torch.equal(torch.cat([x for (x,) in first]), torch.cat([x for (x,) in all_rows])[:8]), "the same order"
    assert {*torch.cat([x for (x,) in first]).tolist()} != {*torch.cat([x for (x,) in second]).tolist()}
    with pytest.raises(ValueError, match="expected a batch size of at most 10, the number of rows, got 11"):
        minibatches(rows, size=11, drop_last=True)


# The loop itself

CLOSED_FORMS = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1 - t,
    "cosine": lambda t: math.cos(math.pi * t / 2) ** 2,
    "warmup-cosine": lambda t: 10 * t if t < 0.1 else math.cos(math.pi / 2 * (t - 0.1) / 0.9) ** 2,
}


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_fit_is_the_loop_by_hand_bit_for_bit(schedule: str, clip: float | None) -> None:
    X, y = table()
    ours = MLP([6, 16, 3])
    theirs = copy.deepcopy(ours)
    history = fit(
        ours,
        minibatches(X, y, size=16, seed=2),
        cross_entropy,
        epochs=5,
        lr=0.01,
        weight_decay=0.1,
        schedule=schedule,
        clip=clip,
        device="cpu",
    )

    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    batches = minibatches(X, y, size=16, seed=2)
    losses, norms = [], []
    for epoch in range(5):
        for i, (x, labels) in enumerate(batches):
            optimizer.param_groups[0]["lr"] = 0.01 * SCHEDULES[schedule]((epoch * 4 + i) / 20)
            optimizer.zero_grad()
            value = F.cross_entropy(theirs(x), labels)
            value.backward()
            norms.append(nn.utils.clip_grad_norm_(theirs.parameters(), clip or math.inf).item())
            optimizer.step()
            losses.append(value.item())

    assert_equal_weights(ours, theirs)
    assert history.steps == losses
    assert max(norms) > 0.05  # so that clipping had something to do
    assert history.train == pytest.approx(np.reshape(losses, (5, 4)).mean(1))
    assert history.lr == pytest.approx([0.01 * CLOSED_FORMS[schedule]((4 * e + 3) / 20) for e in range(5)])
    assert history.stopped == "all 5 epochs done"
    assert history.seconds > 0
    assert history.validation == []
    assert history.best is None


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_a_schedule_is_its_closed_form(schedule: str) -> None:
    for done in np.linspace(0, 1, 101):
        assert SCHEDULES[schedule](done) == pytest.approx(CLOSED_FORMS[schedule](done), abs=1e-12)


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        ("constant", lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=12)),
        ("linear", lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=12)),
        ("cosine", lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)),
    ],
)
def test_the_rate_of_each_step_is_that_of_torchs_scheduler(schedule: str, theirs) -> None:
    rates = {"ours": [], "theirs": []}
    model = MLP([6, 3])
    optimizer = torch.optim.SGD([{"params": [model.head.weight], "lr": 0.2}, {"params": [model.head.bias], "lr": 0.01}])

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        rates["ours"].append([group["lr"] for group in optimizer.param_groups])
        return cross_entropy(model, x, y)

    fit(model, minibatches(*table(), size=16), loss, epochs=3, optimizer=optimizer, schedule=schedule, device="cpu")
    other = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": 0.2}, {"params": [torch.zeros(1)], "lr": 0.01}])
    scheduler = theirs(other)
    for _ in range(12):
        rates["theirs"].append([group["lr"] for group in other.param_groups])
        other.step()
        scheduler.step()
    np.testing.assert_allclose(rates["ours"], rates["theirs"], rtol=1e-9, atol=1e-12)
    # A second call with this optimizer starts from its own rates, not from the decayed ones.
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.01]


def test_a_schedule_of_ones_own() -> None:
    history = fit(
        MLP([6, 3]),
        minibatches(*table(), size=25),
        cross_entropy,
        epochs=3,
        lr=0.5,
        schedule=lambda done: done**2,
        device="cpu",
    )
    assert history.lr == pytest.approx([0.5 * (step / 6) ** 2 for step in (1, 3, 5)])


def test_clipping_bounds_the_norm_and_leaves_small_gradients_alone() -> None:
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()

    def steep(model: nn.Module, slope: Tensor) -> Tensor:
        return (model.weight * slope).sum()

    def step(slope: list[float]) -> Tensor:
        with torch.no_grad():
            model.weight.copy_(before)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        fit(model, [(torch.tensor([slope]),)], steep, epochs=1, optimizer=optimizer, clip=1.0, device="cpu")
        return before - model.weight.detach()

    torch.testing.assert_close(step([30.0, 40.0]), torch.tensor([[0.6, 0.8]]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(step([0.3, 0.4]), torch.tensor([[0.3, 0.4]]), rtol=1e-5, atol=1e-6)


def test_equal_seeds_train_equal_models() -> None:
    def trained() -> MLP:
        torch.manual_seed(3)
        model = MLP([6, 16, 3], dropout=0.5)
        fit(model, minibatches(*table(), size=16), cross_entropy, epochs=2, device="cpu")
        return model

    assert_equal_weights(trained(), trained())


def test_training_learns_on_each_device(device: torch.device) -> None:
    X_train, y_train, X_test, y_test = load("digits").split(0)
    model = MLP([64, 32, 10])
    history = fit(
        model,
        minibatches(X_train / 16, y_train, size=64),
        cross_entropy,
        epochs=12,
        lr=5e-3,
        schedule="cosine",
        validation=minibatches(X_test / 16, y_test, size=200, shuffle=False),
        metrics={"accuracy": accuracy},
        patience=4,
        device=device,
    )
    assert next(model.parameters()).device.type == device.type
    assert history.train[-1] < 0.2 * history.train[0]
    assert history.metrics["accuracy"][history.best] > 0.93
    # Without a device, the batches go where the model is.
    again = evaluate(model, minibatches(X_test / 16, y_test, size=45, shuffle=False), {"loss": cross_entropy})
    assert again["loss"] == pytest.approx(history.validation[history.best], rel=1e-3)


def test_a_linear_regression_ends_at_the_least_squares_solution() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5] + 3 + 0.1 * rng.normal(size=40)
    model = nn.Linear(3, 1).double()
    fit(
        model,
        minibatches(X, y, size=40),
        lambda model, x, y: F.mse_loss(model(x)[:, 0], y),
        epochs=400,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.2),
        device="cpu",
    )
    solution = np.linalg.lstsq(np.c_[X, np.ones(40)], y, rcond=None)[0]
    np.testing.assert_allclose(model.weight.detach().numpy()[0], solution[:3], rtol=1e-8)
    np.testing.assert_allclose(model.bias.item(), solution[3], rtol=1e-8)


# Validation and early stop


def falls_by_one(model: nn.Module, training: Tensor, target: Tensor) -> Tensor:
    """In training the weight falls by one a step (with SGD at rate 1); in validation, its distance from a target."""
    return model.weight.sum() if training.any() else (model.weight - target).square().mean()


def scripted(*, epochs: int, patience: int | None, target: float = -3.0, start: float = 0.0):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, start)
    history = fit(
        model,
        [(torch.tensor([True]), torch.zeros(1))],
        falls_by_one,
        epochs=epochs,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        validation=[(torch.tensor([False]), torch.tensor([target]))],
        patience=patience,
        device="cpu",
    )
    return model, history


def test_early_stop_picks_the_best_epoch_and_restores_its_weights() -> None:
    model, history = scripted(epochs=20, patience=2)
    assert history.validation == [4, 1, 0, 1, 4]  # weights -1, -2, -3, -4, -5
    assert history.best == 2
    assert model.weight.item() == -3
    assert history.stopped == "no lower validation loss in 2 epochs; weights of epoch 2 restored"
    assert len(history.train) == len(history.steps) == len(history.lr) == 5


@pytest.mark.parametrize(("patience", "epochs_run"), [(1, 4), (3, 6)])
def test_patience_counts_epochs_since_the_best(patience: int, epochs_run: int) -> None:
    model, history = scripted(epochs=20, patience=patience)
    assert len(history.validation) == epochs_run
    assert model.weight.item() == -3


def test_the_best_weights_come_back_also_when_the_epochs_ran_out_first() -> None:
    model, history = scripted(epochs=4, patience=5)
    assert (history.best, model.weight.item()) == (2, -3)
    assert history.stopped == "all 4 epochs done"


def test_without_patience_the_last_weights_stay() -> None:
    model, history = scripted(epochs=6, patience=None)
    assert (history.best, model.weight.item()) == (2, -6)


def test_an_equal_validation_loss_is_no_improvement() -> None:
    model, history = scripted(epochs=20, patience=2, target=-1.5)
    assert history.validation[:2] == [0.25, 0.25]
    assert (history.best, len(history.validation), model.weight.item()) == (0, 3, -1)


def test_early_stop_restores_a_real_models_weights_and_buffers_bit_for_bit() -> None:
    X, y = table(60)
    model = nn.Sequential(nn.Linear(6, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 3))
    snapshots = []

    def measured(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        if not model.training:
            snapshots.append(copy.deepcopy(model))
        return cross_entropy(model, x, y)

    history = fit(
        model,
        minibatches(X[:40], y[:40], size=10),
        measured,
        epochs=60,
        lr=0.01,
        validation=[(X[40:], y[40:])],
        patience=3,
        device="cpu",
    )
    assert history.best == int(np.argmin(history.validation)) == len(history.validation) - 4
    assert len(snapshots) == len(history.validation) < 60
    assert_equal_weights(model, snapshots[history.best])


def test_validation_is_in_evaluation_mode_and_changes_no_statistics() -> None:
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))
    modes = []

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        modes.append((model.training, torch.is_grad_enabled()))
        return cross_entropy(model, x, y)

    X, y = table(40)
    model.eval()  # however it comes, it trains in training mode
    fit(model, [(X, y)], loss, epochs=2, validation=[(X[:7], y[:7])], device="cpu")
    assert modes == [(True, True), (False, False)] * 2
    assert model[0].num_batches_tracked == 2


def test_validation_and_metrics_do_not_disturb_training() -> None:
    X, y = table(40)

    def trained(**settings) -> MLP:
        torch.manual_seed(0)
        model = MLP([6, 16, 3], dropout=0.3)
        fit(model, minibatches(X, y, size=8), cross_entropy, epochs=3, device="cpu", **settings)
        return model

    assert_equal_weights(
        trained(), trained(validation=minibatches(X, y, size=9), metrics={"accuracy": accuracy}, patience=9)
    )


def test_metrics_are_recorded_each_epoch() -> None:
    X, y = table(40)
    calls = []

    def counting(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        calls.append(len(x))
        return torch.tensor(float(len(calls)))

    history = fit(
        MLP([6, 3]), [(X, y)], cross_entropy, epochs=3, validation=[(X, y)], metrics={"count": counting}, device="cpu"
    )
    assert history.metrics == {"count": [1.0, 2.0, 3.0]}
    assert calls == [40, 40, 40]
    assert len(history.validation) == 3


# evaluate and accuracy


def test_evaluate_weights_batches_by_their_rows() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 10.0])
    batches = [(x[:3],), (x[3:],)]  # means 2 and 10: their plain mean would be 6
    assert evaluate(nn.Identity(), batches, {"mean": lambda model, x: model(x).mean()}, device="cpu") == {"mean": 4.0}


def test_accuracy_is_scikit_learns(device: torch.device) -> None:
    X, y = table(50)
    model = MLP([6, 8, 3]).to(device)
    found = evaluate(model, minibatches(X, y, size=16), {"accuracy": accuracy, "loss": cross_entropy}, device=device)
    output = model(X.to(device)).detach().cpu()
    assert found["accuracy"] == pytest.approx(accuracy_score(y, output.argmax(1)))
    assert found["loss"] == pytest.approx(F.cross_entropy(output, y).item(), rel=1e-5)
    assert accuracy(model, X.to(device), y.to(device)).item() == pytest.approx(found["accuracy"])


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_restores_the_mode_of_each_part(training: bool) -> None:
    model = nn.Sequential(nn.Dropout(), nn.Linear(6, 3)).train(training)
    model[0].train(not training)  # a part that someone froze
    evaluate(model, [table()], {"loss": cross_entropy})
    assert [part.training for part in model.modules()] == [training, not training, training]
    with pytest.raises(ZeroDivisionError):
        evaluate(model, [table()], {"wrong": lambda model, x, y: 1 / 0})
    assert [part.training for part in model.modules()] == [training, not training, training]


def test_evaluate_keeps_no_graph() -> None:
    seen = []
    evaluate(MLP([6, 3]), [table()], {"out": lambda model, x, y: seen.append(model(x).requires_grad) or x.mean()})
    assert seen == [False]


def test_evaluate_on_no_batches() -> None:
    with pytest.raises(ValueError, match="at least one batch to evaluate on"):
        evaluate(MLP([6, 3]), [], {"loss": cross_entropy})


# Precision


def test_training_in_bf16_ends_near_the_loss_of_float32(device: torch.device) -> None:
    X_train, y_train, X_test, y_test = load("digits").split(0)
    kinds = []

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        output = model(x)
        kinds.append(output.dtype)
        return F.cross_entropy(output, y)

    def trained(precision: str) -> tuple[MLP, list[float], set]:
        torch.manual_seed(0)
        model = MLP([64, 32, 10])
        kinds.clear()
        batches, valid = minibatches(X_train / 16, y_train), minibatches(X_test / 16, y_test, size=200)
        settings = {"epochs": 8, "lr": 5e-3, "metrics": {"accuracy": accuracy}, "device": device}
        history = fit(model, batches, loss, validation=valid, precision=precision, **settings)
        return model, history, set(kinds)

    model, history, seen = trained("bf16")
    _, plain, also_seen = trained("float32")
    assert (seen, also_seen) == ({torch.bfloat16}, {torch.float32})  # in training and in validation
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history.train[-1] == pytest.approx(plain.train[-1], rel=0.1)
    assert history.train[-1] < 0.2 * history.train[0]
    assert history.train != plain.train
    assert history.metrics["accuracy"][-1] == pytest.approx(plain.metrics["accuracy"][-1], abs=0.02)
    found = evaluate(model, minibatches(X_test / 16, y_test, size=200), {"loss": loss}, precision="bf16")
    assert found["loss"] == pytest.approx(history.validation[-1], rel=1e-3)


# Bad input


@pytest.mark.parametrize(("bad", "said"), [(math.nan, "nan"), (math.inf, "inf")])
@pytest.mark.parametrize("when", [0, 5])
def test_a_loss_that_stops_being_finite_names_the_step(when: int, bad: float, said: str) -> None:
    steps = []

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        steps.append(1)
        return cross_entropy(model, x, y) * (bad if len(steps) > when else 1.0)

    with pytest.raises(FloatingPointError, match=f"the loss is {said} at step {when}; .* the loss itself: try"):
        fit(MLP([6, 3]), minibatches(*table(), size=25), loss, epochs=4, device="cpu")
    assert len(steps) == when + 2  # found at once, and looked at a second time


def test_a_validation_loss_that_is_not_finite_is_no_best_epoch() -> None:
    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(model, x, y) * (1.0 if model.training else math.nan)

    with pytest.raises(FloatingPointError, match="the validation loss is nan at step 1"):
        fit(MLP([6, 3]), minibatches(*table(), size=25), loss, validation=[table()], patience=2, device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "expected 1 epoch or more, got 0"),
        ({"patience": 3}, "patience and metrics need validation batches"),
        ({"metrics": {"accuracy": accuracy}}, "patience and metrics need validation batches"),
        ({"metrics": {"loss": accuracy}, "validation": [table()]}, "another name for the metric 'loss'"),
        ({"schedule": "cosin"}, "constant, linear, cosine, warmup-cosine, got 'cosin'"),
        ({"precision": "fp16"}, "expected a precision among float32, bf16, got 'fp16'"),
        ({"batches": []}, "expected at least one batch, got none"),
        (
            {"loss": lambda model, x, y: F.cross_entropy(model(x), y, reduction="none")},
            r"expected a loss that is one number, got shape \(50,\)",
        ),
    ],
)
def test_settings_that_cannot_train_say_why(settings: dict, message: str) -> None:
    arguments = {"batches": [table()], "loss": cross_entropy, "device": "cpu", **settings}
    with pytest.raises(ValueError, match=message):
        fit(MLP([6, 3]), **arguments)


def test_patience_of_zero_needs_validation_as_well() -> None:
    with pytest.raises(ValueError, match="need validation batches"):
        fit(MLP([6, 3]), [table()], cross_entropy, patience=0, device="cpu")


def test_a_dataloader_trains_like_minibatches() -> None:
    X, y = table()
    ours, theirs = MLP([6, 3]), MLP([6, 3])
    theirs.load_state_dict(ours.state_dict())
    fit(ours, minibatches(X, y, size=16, shuffle=False), cross_entropy, epochs=2, device="cpu")
    fit(theirs, DataLoader(TensorDataset(X, y), batch_size=16), cross_entropy, epochs=2, device="cpu")
    assert_equal_weights(ours, theirs)


# The progress bar


@pytest.fixture
def impatient_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that does not wait two seconds before it shows."""
    tqdm = pytest.importorskip("tqdm")

    class Impatient(tqdm.tqdm):
        def __init__(self, *args, **kwargs) -> None:
            assert kwargs.pop("delay") == 2
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(tqdm, "tqdm", Impatient)


def train_once(progress: bool | None) -> None:
    fit(MLP([6, 3]), minibatches(*table(), size=10), cross_entropy, epochs=2, device="cpu", progress=progress)


@pytest.mark.usefixtures("impatient_bar")
@pytest.mark.parametrize(
    ("progress", "terminal", "building", "shows"),
    [
        (True, False, False, True),
        (None, True, False, True),
        (None, False, False, False),
        (None, True, True, False),
        (False, True, False, False),
    ],
)
def test_the_bar_shows_on_standard_output_where_somebody_waits(
    progress: bool | None,
    terminal: bool,
    building: bool,
    shows: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    if building:
        monkeypatch.setenv("DEEPPRACTICE_BUILD", "1")
    train_once(progress)
    out, err = capsys.readouterr()
    assert ("10" in out and "step" in out) == shows
    assert err == ""
    assert shows or out == ""


def test_a_loop_of_ones_own_has_the_same_bar(capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("tqdm")
    with progress_bar(5, wanted=True) as advance:
        advance()
        advance(4)
    with progress_bar(5) as advance:
        advance()
        advance(4)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("impatient_bar")
def test_the_bar_counts_steps(capsys: pytest.CaptureFixture) -> None:
    with progress_bar(5, wanted=True) as advance:
        advance()
        advance(3)
        time.sleep(0.2)
        advance()
    assert "5/5" in capsys.readouterr().out


def test_a_short_training_shows_no_bar(capfd: pytest.CaptureFixture) -> None:
    pytest.importorskip("tqdm")
    train_once(True)
    assert capfd.readouterr() == ("", "")


def test_loss_falls_monotonically_on_a_convex_problem() -> None:
    X, y = table()
    history = fit(MLP([6, 3]), [(X, y)], cross_entropy, epochs=30, lr=1e-3, device="cpu")
    assert all(later < earlier for earlier, later in pairwise(history.train))


def test_fit_leaves_the_model_in_evaluation_mode() -> None:
    x, y = table()
    model = MLP([6, 8, 3], dropout=0.5)
    fit(model, minibatches(x, y), cross_entropy, epochs=1, device="cpu")
    assert not any(module.training for module in model.modules())
    assert torch.equal(model(x), model(x)), "dropout would draw anew"


def test_a_bare_tensor_is_no_batch() -> None:
    x, _ = table()
    with pytest.raises(
        TypeError, match=r"expected a batch that is a tuple of tensors, got one tensor of shape \(50, 6\)"
    ):
        fit(MLP([6, 3]), DataLoader(x, batch_size=50), cross_entropy, device="cpu")


def test_the_fused_optimizer_of_fit_takes_the_steps_of_the_plain_one() -> None:
    x, y = table()
    ours = MLP([6, 16, 3])
    theirs = copy.deepcopy(ours)
    fit(ours, minibatches(x, y, seed=2), cross_entropy, epochs=20, lr=0.01, weight_decay=0.1, device="cpu")
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=False, foreach=False)
    fit(theirs, minibatches(x, y, seed=2), cross_entropy, epochs=20, optimizer=plain, device="cpu")
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
