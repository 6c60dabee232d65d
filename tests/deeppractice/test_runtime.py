"""The device, the seeds, and what the library asks of a machine."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import deeppractice
from deeppractice import runtime

ROOM = Path(deeppractice.__file__).parent
ABSENT = next(kind for kind in ("mps", "cuda") if kind not in runtime.available())  # no machine has both


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOM.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


# The device


def test_the_default_is_the_best_that_is_there() -> None:
    assert runtime.available()[-1] == "cpu"
    assert runtime.device() == torch.device(runtime.available()[0])


def test_each_available_device_computes(device: torch.device) -> None:
    assert runtime.device(str(device)) == device
    assert torch.ones(3, device=runtime.device(str(device))).sum().item() == 3


def test_the_variable_overrides_the_default_and_the_argument_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.OVERRIDE, "cpu")
    assert runtime.device() == torch.device("cpu")
    monkeypatch.setenv(runtime.OVERRIDE, ABSENT)
    assert runtime.device("cpu") == torch.device("cpu")
    with pytest.raises(RuntimeError, match=f"'{ABSENT}' was asked for"):
        runtime.device()
    monkeypatch.setenv(runtime.OVERRIDE, "")
    assert runtime.device() == torch.device(runtime.available()[0])


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cpu:one", "card"])
def test_a_name_that_torch_does_not_know(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected a device such as 'cpu'.*got '{name}'"):
        runtime.device(name)


@pytest.mark.parametrize("name", [ABSENT, "cuda:99", "cpu:1", "meta"])
def test_a_device_that_is_absent_names_those_that_are_there(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"'{name}' was asked for, but this machine has .*cpu"):
        runtime.device(name)


def test_a_machine_with_two_graphics_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert runtime.available() == ["cuda", "cpu"]
    assert runtime.device() == torch.device("cuda")
    assert runtime.device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(RuntimeError, match="'cuda:2' was asked for"):
        runtime.device("cuda:2")


# The seeds


def draws() -> tuple[list, list, list]:
    return [random.random() for _ in range(3)], np.random.rand(3).tolist(), torch.rand(3).tolist()


def test_one_seed_fixes_all_three_generators() -> None:
    runtime.seed_everything(7)
    first = draws()
    runtime.seed_everything(7)
    assert draws() == first
    runtime.seed_everything(8)
    assert all(ours != theirs for ours, theirs in zip(draws(), first, strict=True))


def test_the_seed_reaches_the_device(device: torch.device) -> None:
    runtime.seed_everything(7)
    first = torch.rand(4, device=device)
    runtime.seed_everything(7)
    assert torch.equal(torch.rand(4, device=device), first)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_outside_the_range_of_numpy_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"from 0 to 2**32 - 1, got {seed}")):
        runtime.seed_everything(seed)


def test_the_ends_of_the_range_are_allowed() -> None:
    runtime.seed_everything(0)
    runtime.seed_everything(2**32 - 1)
    assert torch.initial_seed() == 2**32 - 1


def test_the_deterministic_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.backends.cudnn.benchmark = True
    runtime.seed_everything(0)
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    runtime.seed_everything(0, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark is False
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    runtime.seed_everything(1)
    assert torch.are_deterministic_algorithms_enabled(), "a plain seed leaves the mode as it is"
    runtime.seed_everything(1, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_generator_of_ones_own_shares_nothing(device: torch.device) -> None:
    ours = runtime.generator(3, on=device)
    before = torch.random.get_rng_state()
    first = torch.rand(4, generator=ours, device=device)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(100)
    torch.rand(100, device=device)
    assert torch.equal(torch.rand(4, generator=runtime.generator(3, on=device), device=device), first)
    assert not torch.equal(torch.rand(4, generator=runtime.generator(4, on=device), device=device), first)


def test_the_state_of_all_generators_comes_back(device: torch.device, tmp_path: Path) -> None:
    torch.rand(3, device=device)
    np.random.normal()  # numpy's generator keeps the second of a pair of normal numbers
    state = runtime.random_state()
    torch.save(state, tmp_path / "state.pt")
    first = draws(), np.random.normal(), random.gauss(0, 1), torch.rand(3, device=device).tolist()
    for saved in (state, torch.load(tmp_path / "state.pt", weights_only=True)):
        runtime.seed_everything(1)
        runtime.set_random_state(saved)
        assert (draws(), np.random.normal(), random.gauss(0, 1), torch.rand(3, device=device).tolist()) == first


# The precision and the compiler


def test_autocast_computes_in_bfloat16_what_is_safe_there(device: torch.device) -> None:
    layer, x = torch.nn.Linear(8, 4).to(device), torch.randn(5, 8, device=device)
    plain = layer(x)
    with runtime.autocast(device, "bf16"):
        half = layer(x)
        loss = torch.nn.functional.cross_entropy(half, torch.zeros(5, dtype=torch.long, device=device))
    assert (half.dtype, loss.dtype, layer.weight.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    torch.testing.assert_close(half.float(), plain, rtol=2e-2, atol=2e-2)
    loss.backward()
    assert layer.weight.grad.dtype == torch.float32
    with runtime.autocast(str(device)):
        assert torch.equal(layer(x), plain)


@pytest.mark.parametrize("name", ["fp16", "float16", "bfloat16", ""])
def test_a_precision_that_is_not_offered(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected a precision among float32, bf16, got '{name}'"):
        runtime.autocast("cpu", name)


def test_only_the_processor_can_be_read_for_free(device: torch.device) -> None:
    assert runtime.reads_are_free(device) == (device.type == "cpu")


def test_what_compiling_does_not_pay_for_stays_as_it_is() -> None:
    layer = torch.nn.Linear(3, 2)
    assert runtime.compile_if_it_pays(layer, "cpu") is layer
    assert layer._compiled_call_impl is None
    assert runtime.compile_if_it_pays(torch.relu, torch.device("cpu")) is torch.relu


@pytest.mark.filterwarnings("ignore")  # torch's own, when it first loads its compiler
@pytest.mark.parametrize("lacking", ["nothing", "triton", "a compiler", "a new card"])
def test_a_card_compiles_if_it_has_all_that_this_needs(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None if lacking == "triton" else name)
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None if lacking == "a compiler" else f"/usr/bin/{name}")
    capability = (6, 1) if lacking == "a new card" else (8, 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda on: capability)
    layer = torch.nn.Linear(3, 2)
    keys = list(layer.state_dict())
    assert runtime.compile_if_it_pays(layer, "cuda") is layer  # in place: an optimizer that has its weights keeps them
    assert (layer._compiled_call_impl is not None) == (lacking == "nothing")
    assert list(layer.state_dict()) == keys
    assert (runtime.compile_if_it_pays(torch.relu, "cuda") is not torch.relu) == (lacking == "nothing")


@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_what_compiles_computes_the_same(device: torch.device) -> None:
    layer, x = torch.nn.Linear(3, 2).to(device), torch.randn(4, 3, device=device)
    plain = layer(x)
    torch.testing.assert_close(runtime.compile_if_it_pays(layer, device)(x), plain)


# What it asks of a machine


def test_importing_the_package_imports_nothing_else() -> None:
    heavy = {"torch", "numpy", "scipy", "sklearn", "matplotlib", "IPython", "yaml", "tqdm"}
    assert python(f"import sys, deeppractice; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


def test_every_module_imports_without_what_only_a_notebook_or_the_book_has() -> None:
    printed = python(
        "import sys, pkgutil, importlib\n"
        "for name in ('yaml', 'tqdm', 'ipywidgets', 'IPython', 'ipykernel', 'nbgrader', 'classroom', 'myst_nb'):\n"
        "    sys.modules[name] = None\n"
        "import deeppractice\n"
        "names = [m.name for m in pkgutil.walk_packages(deeppractice.__path__, 'deeppractice.')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(*names)\n"
        # And training and checks work there, not only import.
        "from deeppractice.training import fit\n"
        "from deeppractice.architectures import MLP\n"
        "from deeppractice.checks import check, score\n"
        "import torch\n"
        "class Stub:  # torch's own optimizers take seconds to import\n"
        "    param_groups = [{'lr': 1.0}]\n"
        "    def zero_grad(self, set_to_none): pass\n"
        "    def step(self): pass\n"
        "loss = lambda model, x: model(x).square().mean()\n"
        "history = fit(MLP([2, 1]), [(torch.zeros(4, 2),)], loss, epochs=2, optimizer=Stub(), device='cpu')\n"
        "with check('trained'): assert len(history.train) == 2\n"
        "assert score() is None\n"
    )
    for module in (
        "runtime",
        "data.tables",
        "_checkpoint",
        "_finite",
        "training",
        "viz",
        "claims",
        "checks",
        "architectures.mlp",
        "_html",
    ):
        assert f"deeppractice.{module}" in printed.split("\n")[0].split()
    assert "✓ trained" in printed


def test_only_the_runtime_names_the_graphics_card() -> None:
    files = sorted(ROOM.rglob("*.py"))
    assert len(files) >= 10
    naming = [file.relative_to(ROOM).as_posix() for file in files if re.search(r"cuda|mps\b", file.read_text("utf-8"))]
    assert naming == ["runtime.py"]
