"""A training that was interrupted and goes on, against one that was not: bit for bit on a CPU."""

import os
import random
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from deeppractice import runtime, training
from deeppractice.training import History, accuracy, fit, minibatches

LIBRARY = Path(training.__file__).parents[1]


class Interrupted(Exception):  # noqa: N818  (it is no error)
    pass


def noisy_cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Draws from each global generator: dropout from torch's, noise from numpy's and Python's."""
    noise = np.random.normal(size=x.shape) + random.random() if model.training else np.zeros(x.shape)
    return F.cross_entropy(model(x + 0.1 * torch.as_tensor(noise).to(x)), y)


def sources(kind: str) -> tuple:
    draw = torch.Generator().manual_seed(1)
    X, y = torch.randn(60, 6, generator=draw), torch.randint(3, (60,), generator=draw)
    valid = minibatches(X[40:], y[40:], size=7, seed=9)  # shuffled, so that its generator counts
    if kind == "minibatches":
        return minibatches(X[:40], y[:40], size=8, seed=5), valid
    data = TensorDataset(X[:40], y[:40])
    generator = torch.Generator().manual_seed(5) if kind == "a DataLoader with a generator" else None
    return DataLoader(data, batch_size=8, shuffle=True, generator=generator), valid


def train(
    checkpoint: Path | None = None,
    *,
    kind: str = "minibatches",
    stop_after: int | None = None,
    seed: int = 7,
    **changes,
) -> tuple[nn.Module, History, torch.optim.Optimizer]:
    """Train with all that has a state; `stop_after` epochs, a metric fails in the next one."""
    runtime.seed_everything(seed)
    width = changes.pop("width", 32)
    model = nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(), nn.Linear(width, 3))
    optimizer = changes.pop("optimizer", torch.optim.AdamW)(model.parameters(), lr=changes.pop("lr", 0.02))
    batches, valid = sources(kind)
    calls = []

    def counted(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        calls.append(1)
        if stop_after is not None and len(calls) > stop_after * len(valid):
            raise Interrupted
        return accuracy(model, x, y)

    settings = {"epochs": 9, "schedule": "warmup-cosine", "clip": 0.5, "patience": 3, "validation": valid}
    settings |= {"metrics": {"accuracy": counted}, "optimizer": optimizer, "device": "cpu"} | changes
    history = fit(model, batches, noisy_cross_entropy, checkpoint=checkpoint, **settings)
    return model, history, optimizer


def assert_same(ours: tuple, theirs: tuple) -> None:
    (model, history, optimizer), (other, expected, wanted) = ours, theirs
    for (name, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    for state, other_state in zip(optimizer.state.values(), wanted.state.values(), strict=True):
        assert all(torch.equal(state[key], other_state[key]) for key in other_state)
    assert optimizer.param_groups[0]["lr"] == wanted.param_groups[0]["lr"] == 0.02
    assert vars(history) | {"seconds": 0} == vars(expected) | {"seconds": 0}


def draws() -> tuple:
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()


@pytest.mark.parametrize("kind", ["minibatches", "a DataLoader", "a DataLoader with a generator"])
@pytest.mark.parametrize("stop_after", [0, 1, 4])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(kind: str, stop_after: int, tmp_path: Path) -> None:
    expected = train(kind=kind, patience=9)
    after = draws()
    assert len(expected[1].train) == 9
    file = tmp_path / "deep" / "run.pt"
    with pytest.raises(Interrupted):
        train(file, kind=kind, stop_after=stop_after, patience=9)
    assert file.exists() == (stop_after > 0)
    # Another start: all of it has to come from the file. Without a file, only the same start gives the same end.
    resumed = train(file, kind=kind, patience=9, seed=99 if stop_after else 7)
    assert_same(resumed, expected)
    assert draws() == after
    assert not list(file.parent.glob("*.partial"))


def test_a_training_interrupted_again_and_again(tmp_path: Path) -> None:
    file = tmp_path / "run.pt"
    for _ in range(8):
        with pytest.raises(Interrupted):
            train(file, stop_after=1, patience=9)
    assert_same(train(file, patience=9), train(patience=9))


def test_patience_counts_across_the_break(tmp_path: Path) -> None:
    whole = {"epochs": 60, "schedule": "constant", "lr": 0.02}
    expected = train(**whole)
    assert "no lower validation loss in 3 epochs" in expected[1].stopped
    file = tmp_path / "run.pt"
    for stop in (expected[1].best + 1, 1):  # right at the best epoch, and one after it
        with pytest.raises(Interrupted):
            train(file, stop_after=stop, **whole)
    assert_same(train(file, **whole), expected)
    # It is over: to run it again, also with more epochs, returns it as it ended.
    assert_same(train(file, stop_after=0, **whole), expected)
    assert_same(train(file, stop_after=0, **whole | {"epochs": 80}), expected)


def test_the_default_optimizer_and_a_training_without_validation(tmp_path: Path) -> None:
    def run(file: Path | None, stop: int = 99) -> nn.Module:
        def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            steps.append(1)
            if len(steps) > stop:
                raise Interrupted
            return noisy_cross_entropy(model, x, y)

        steps = []
        model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(), nn.Linear(8, 3))
        fit(model, sources("minibatches")[0], loss, epochs=4, checkpoint=file, device="cpu", weight_decay=0.1)
        return model

    expected = run(None)
    runtime.seed_everything(0)
    with pytest.raises(Interrupted):
        run(tmp_path / "run.pt", stop=13)  # in the middle of the third epoch
    resumed = run(tmp_path / "run.pt")
    for a, b in zip(resumed.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    expected = train(tmp_path / "run.pt", patience=9)
    assert expected[1].stopped == "all 9 epochs done"
    again = train(tmp_path / "run.pt", patience=9, stop_after=0, seed=3)
    assert_same(again, expected)
    assert again[1].seconds == pytest.approx(expected[1].seconds, abs=0.5)


def test_more_epochs_go_on_at_a_constant_rate(tmp_path: Path) -> None:
    constant = {"schedule": "constant", "patience": 99}
    train(tmp_path / "run.pt", **constant, epochs=4)
    longer = train(tmp_path / "run.pt", **constant, epochs=9)
    assert_same(longer, train(**constant, epochs=9))
    with pytest.raises(ValueError, match=r"run.pt has 9 epochs behind it, but 4 were asked for"):
        train(tmp_path / "run.pt", **constant, epochs=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 16}, r"the shape of 0.weight is \(32, 6\) there and \(16, 6\) here; .*; and 4 more; delete it"),
        ({"epochs": 12}, "epochs is 9 there and 12 here; delete"),
        ({"schedule": "linear"}, "schedule is 'warmup-cosine' there and 'linear' here"),
        ({"schedule": lambda done: 1.0}, "schedule is 'warmup-cosine' there and 'a function' here"),
        ({"lr": 0.1}, "lr of the optimizer's group 0 is 0.02 there and 0.1 here"),
        ({"optimizer": torch.optim.SGD}, "the optimizer is 'AdamW' there and 'SGD' here"),
        ({"clip": None}, "clip is 0.5 there and None here"),
        ({"precision": "bf16"}, "precision is 'float32' there and 'bf16' here"),
        ({"patience": 4}, "patience is 3 there and 4 here"),
        ({"metrics": {}}, r"metrics is \['accuracy'\] there and \[\] here"),
        ({"kind": "a DataLoader"}, "the generators of the batches is 2 there and 1 here"),
    ],
)
def test_a_checkpoint_of_another_training_names_what_differs(changes: dict, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.pt"
    train(file, epochs=9)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))} is of another training: .*{message}"):
        train(file, **changes)
    assert file.read_bytes() == before


def test_a_file_that_is_cut_short_or_of_another_kind_is_named(tmp_path: Path) -> None:
    file = tmp_path / "run.pt"
    train(file)
    whole = file.read_bytes()
    weights = tmp_path / "weights.pt"
    torch.save(nn.Linear(2, 2).state_dict(), weights)
    wrong = [whole[:n] for n in (0, 1, 100, len(whole) // 2, len(whole) - 1)] + [
        b"# notes\n" * 50,
        weights.read_bytes(),
    ]
    for content in wrong:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"^{re.escape(str(file))} can't be read as a checkpoint \(cut short\?\)"):
            train(file)
        assert file.read_bytes() == content


def test_how_a_step_is_computed_is_up_to_the_machine_that_goes_on(tmp_path: Path) -> None:
    file, constant = tmp_path / "run.pt", {"schedule": "constant", "patience": 99}
    train(file, **constant, epochs=4, optimizer=partial(torch.optim.AdamW, fused=True))
    _, history, optimizer = train(file, **constant, epochs=9, optimizer=partial(torch.optim.AdamW, foreach=True))
    (group,) = optimizer.param_groups
    assert (group["fused"], group["foreach"]) == (None, True)
    np.testing.assert_allclose(history.steps, train(**constant, epochs=9)[1].steps, rtol=1e-3)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"settings": Harmful()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="can't be read as a checkpoint"):
        train(tmp_path / "run.pt")
    assert not (tmp_path / "made").exists()


KILLED = """
import os, signal, sys
import torch
sys.path.insert(0, {tests!r})
import test_checkpoint
replaced, replace = [], os.replace
def last_words(source, target):
    # The third checkpoint is written but not yet in place when the process is killed; or it is, in its fourth epoch.
    replaced.append(target)
    if len(replaced) == 3 and {when!r} == "while it writes":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if len(replaced) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = last_words
torch.set_num_threads(1)
test_checkpoint.train({file!r}, patience=9)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal on Windows")
@pytest.mark.parametrize(("when", "behind"), [("while it writes", 2), ("between two", 3)])
def test_a_killed_process_leaves_a_file_that_goes_on(when: str, behind: int, tmp_path: Path) -> None:
    file = tmp_path / "run.pt"
    code = KILLED.format(tests=str(Path(__file__).parent), when=when, file=str(file))
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, "", "")
    assert len(torch.load(file, weights_only=True)["history"]["train"]) == behind
    assert_same(train(file, patience=9, seed=99), train(patience=9))


def test_training_goes_on_on_each_device(device: torch.device, tmp_path: Path) -> None:
    file = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        train(file, stop_after=4, patience=9, device=device)
    model, history, _ = train(file, patience=9, device=device, seed=99)
    _, expected, _ = train(patience=9, device=device)
    assert next(model.parameters()).device.type == device.type
    # On an accelerator sums may be taken in another order; the draws are the same.
    np.testing.assert_allclose(history.steps, expected.steps, rtol=1e-3)
    # A checkpoint moves from one kind of device to another.
    assert train(file, patience=9, device="cpu")[1].steps == history.steps
