"""The device, the seeds and the precision: the one place for each, and the only file that names CUDA.

Source: PyTorch's note on reproducibility. Equal seeds give equal numbers on the same machine, device and build of
torch; across machines, devices or releases nobody promises that.
"""

import os
import random

import numpy as np
import torch

OVERRIDE = "DEEPPRACTICE_DEVICE"  # environment variable: cpu, cuda, cuda:1, mps


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
