"""The table of the library's models: formulas give counts, models agree with the peers that they are timed against."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "benchmarks")]  # scripts, no packages

import architectures_convolutional  # noqa: E402
import architectures_others  # noqa: E402
import architectures_sequences  # noqa: E402
from paired import called  # noqa: E402

from book_models import by_hand, count, formula, read_models, speeds  # noqa: E402

SCRIPTS = {
    "architectures_convolutional": architectures_convolutional.PAIRS,
    "architectures_sequences": architectures_sequences.PAIRS,
    "architectures_others": architectures_others.PAIRS,
}
MODELS = [pytest.param(entry, id=entry["make"].partition("(")[0]) for entry in read_models(ROOT)]


@pytest.mark.parametrize("entry", MODELS)
def test_the_formula_gives_the_count(entry: dict) -> None:
    assert by_hand(entry) == count(entry)
    assert not any(word in formula(entry) for word in ("pairwise", "range", "**", "//")), "a page should not show code"


@pytest.mark.parametrize("entry", MODELS)
def test_the_model_agrees_with_its_peer_in_values_and_gradients(entry: dict) -> None:
    ((script, name),) = entry["pair"].items()
    if "torchvision" in name and importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs torchvision")
    if "PyG" in name:
        pytest.importorskip("torch_geometric.nn", reason="needs torch_geometric")
    pair = SCRIPTS[script][name]
    torch.manual_seed(0)
    found = []
    shape = (1, *pair.shape[1:]) if len(pair.shape) == 4 else pair.shape  # one image is enough
    x = torch.randn(shape, dtype=torch.float64).requires_grad_()
    for module, call in map(called, pair.make()):
        module.double().eval()
        out = call(x)
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        by = torch.autograd.grad(out.square().sum(), [x, *weights])
        found.append([out, by[0], torch.cat([slope.flatten() for slope in by[1:]]).sort().values])
    near = {
        "rtol": entry["tolerance"],
        "atol": entry["tolerance"] * max(1.0, *(a.abs().max().item() for a in found[0])),
    }
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, **near)


def test_all_models_together_can_be_read_in_an_afternoon() -> None:
    lengths = {
        path.name: len(path.read_text().splitlines())
        for path in (ROOT / "lib" / "deeppractice" / "architectures").glob("*.py")
    }
    assert len(lengths) > 10
    assert max(lengths.values()) <= 200, lengths
    assert sum(lengths.values()) <= 1800, lengths


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_file_of_measurements_has_what_the_benchmark_measures(script: str) -> None:
    for path in (ROOT / "benchmarks").glob(f"{script}-*.json"):
        wanted = [f"{name}, {kind}" for name, pair in SCRIPTS[script].items() for kind in pair.kinds]
        if not path.stem.endswith("-cpu"):  # a machine with a GPU may have neither torchvision nor PyG
            wanted = [name for name in wanted if "torchvision" not in name and "PyG" not in name]
        assert set(wanted) <= set(json.loads(path.read_text())["times as fast"]), f"measure anew: {path.name}"


@pytest.mark.parametrize("entry", MODELS)
def test_the_table_shows_what_was_measured(entry: dict) -> None:
    ((script, name),) = entry["pair"].items()
    assert len(speeds(ROOT, entry)) == len(SCRIPTS[script][name].kinds) == 2


def test_no_model_is_missing() -> None:
    from torch import nn

    from deeppractice import architectures

    made = " ".join(entry["make"] for entry in read_models(ROOT))
    # Parts of others, or forms of them; their oracles stand in the page's second table.
    parts = "AdditiveAttention BasicBlock BatchNorm Bottleneck Embedding FullyConvolutional GCNLayer LinearAttention "
    parts += "MessagePassing PreActBlock Recurrent ResNet TNet Transformer"
    for name in architectures.__all__:
        kind = getattr(architectures, name)
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            assert (f"{name}(" in made or f"{name}." in made) != (name in parts.split()), name
