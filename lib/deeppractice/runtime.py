"""The device, the seeds and the precision: the one place for each, and the only file that names CUDA.

Source: PyTorch's note on reproducibility. Equal seeds give equal numbers on the same machine, device and build of
torch; across machines, devices or releases nobody promises that. Micikevicius et al. (2018) for mixed precision;
Kalamkar et al. (2019) for bfloat16.
"""

import importlib.util
import os
import random
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

OVERRIDE = "DEEPPRACTICE_DEVICE"  # environment variable: cpu, cuda, cuda:1, mps
PRECISIONS = ("float32", "bf16")


def device(name: str | None = None) -> torch.device:
    """The device to compute on: `name`, else the variable DEEPPRACTICE_DEVICE, else the best that is there.

    Raises:
        ValueError: for a name that torch does not know.
        RuntimeError: for a device that this machine does not have.
    """
    there = available()
    wanted = name or os.environ.get(OVERRIDE) or there[0]
    try:
        chosen = torch.device(wanted)
    except RuntimeError as error:
        raise ValueError(f"expected a device such as 'cpu', 'cuda', 'cuda:1' or 'mps', got {wanted!r}") from error
    count = torch.cuda.device_count() if chosen.type == "cuda" else 1
    if chosen.type not in there or (chosen.index or 0) >= count:
        raise RuntimeError(f"device {wanted!r} was asked for, but this machine has {', '.join(there)}")
    return chosen


def available() -> list[str]:
    """The kinds of device on this machine, best first; always ends with "cpu"."""
    kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    return [kind for kind, there in kinds if there]


def has_fused_optimizer(on: torch.device) -> bool:
    """Whether torch updates all parameters in one kernel there: a quarter of the step for the book's small models."""
    return on.type in ("cpu", "cuda")


def reads_are_free(on: torch.device) -> bool:
    """Whether reading a number costs no wait, so that each step may look at its loss.

    An accelerator computes behind the program's back; to look is to wait until all that was asked of it is done.
    """
    return on.type == "cpu"


def autocast(on: torch.device | str, precision: str = "float32") -> AbstractContextManager:
    """A context in which matrix products and convolutions run in `precision`; parameters stay as they are.

    Args:
        on: the device that computes.
        precision: "float32" changes nothing; "bf16" runs in bfloat16 what is safe there and keeps sums, norms, softmax
            and losses in float32. It has float32's range of exponents with 8 significant bits, so gradients need no
            scaling. float16 is not offered: it ends at 65,504, small gradients become zero, and it needs a loss scaler
            that skips steps.

    Raises:
        ValueError: for another precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"expected a precision among {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(on).type, dtype=torch.bfloat16)


def compile_if_it_pays(target: Callable, on: torch.device | str) -> Callable:
    """`target`, compiled by `torch.compile` where that pays: on an NVIDIA GPU with Triton and a C compiler.

    Elsewhere it comes back as it is: on a CPU, compiling costs up to a minute a model and needs a C++ compiler, which
    is more than the book's trainings take; and old cards and the platforms for which there is no Triton cannot.

    Args:
        target: a module, compiled in place (its parameters and the keys of its state stay), or a function.
        on: the device that it will run on.
    """
    on = torch.device(on)
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if on.type != "cuda" or importlib.util.find_spec("triton") is None or compiler is None:
        return target
    if torch.cuda.get_device_capability(on) < (7, 0):  # the oldest that Triton generates code for
        return target
    if isinstance(target, torch.nn.Module):
        target.compile()
        return target
    return torch.compile(target)


def uncompiled() -> AbstractContextManager:
    """A context in which what was compiled runs as it was written, so that hooks inside it are called."""
    stance = getattr(torch.compiler, "set_stance", None)  # from torch 2.6 on
    return stance("force_eager") if stance else nullcontext()


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel."""
    shell = sys.modules["IPython"].get_ipython() if sys.modules.get("IPython") else None
    return hasattr(shell, "kernel")


def seed_everything(seed: int, *, deterministic: bool | None = None) -> None:
    """Seed Python's, numpy's and torch's global generators, on every device.

    Args:
        seed: 0 to 2**32 - 1, the range that numpy takes.
        deterministic: make torch refuse operations that have no deterministic form (slower on a GPU), or allow them
            again; None leaves the mode as it is.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"expected a seed from 0 to 2**32 - 1, got {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # every device
    if deterministic:
        # cuBLAS reads this when it starts; set later, it has no effect in this process.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    if deterministic is not None:
        torch.use_deterministic_algorithms(deterministic)


def generator(seed: int, on: torch.device | str = "cpu") -> torch.Generator:
    """A random generator of one's own: what a function that draws takes, so that no other draw can shift it."""
    return torch.Generator(device=on).manual_seed(seed)


def random_state() -> dict[str, Any]:
    """The state of Python's, numpy's and torch's global generators, on every device in use; of plain types and tensors.

    `set_random_state` takes it back; a `torch.Generator` or numpy `Generator` of one's own is not in it.
    """
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put the global generators back to where `random_state` found them; a device that is absent is left out."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    for index, one in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(one, index)
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
