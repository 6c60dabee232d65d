"""What a training needs to go on as if it had never stopped, and the file that holds it.

Private; `training.fit` writes and reads it. A checkpoint is made of plain types and tensors, so that to read one runs
no code (`torch.load` with `weights_only`).
"""

import io
import os
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deeppractice import runtime

# Where a loop's batches may keep a generator: `minibatches`, a DataLoader, its samplers.
_PLACES = ("generator", "sampler.generator", "batch_sampler.generator", "batch_sampler.sampler.generator")
_HOW = ("fused", "foreach", "capturable", "differentiable")  # how a step is computed, which each device does its way


class Checkpoint:
    """The state of all that a step of training changes.

    Args:
        path: the file, or None for none.
        sources: what batches are drawn from; their generators are part of the state.
        settings: what else has to be equal for the file to fit, of plain types.

    Raises:
        ValueError: for a file that is truncated or of another kind, or that is of another training; names what differs.
    """

    def __init__(
        self,
        path: str | Path | None,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        sources: Iterable,
        settings: dict[str, Any],
    ) -> None:
        self.path = None if path is None else Path(path)
        self.model, self.optimizer = model, optimizer
        self.generators = generators(*sources)
        self.settings = settings | {"the generators of the batches": len(self.generators)}
        self.settings["the optimizer"] = type(optimizer).__name__
        for i, group in enumerate(optimizer.param_groups):
            self.settings |= {
                f"{k} of the optimizer's group {i}": v for k, v in group.items() if k not in ("params", *_HOW)
            }
        for name, x in model.state_dict().items():
            self.settings[f"the shape of {name}"] = tuple(x.shape) if torch.is_tensor(x) else None

    def snapshot(self) -> dict[str, Any]:
        """The state; its tensors are the live ones, not copies."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": [one.get_state() for one in self.generators],
            "random": runtime.random_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `snapshot` found."""
        self.model.load_state_dict(state["model"])
        for group, ours in zip(state["optimizer"]["param_groups"], self.optimizer.param_groups, strict=True):
            group.update({key: ours[key] for key in _HOW if key in ours})
        self.optimizer.load_state_dict(state["optimizer"])
        for one, was in zip(self.generators, state["generators"], strict=True):
            one.set_state(was)
        runtime.set_random_state(state["random"])

    def save(self, **more: object) -> None:
        """Write the state and more; whenever the machine stops, the file is the old one or the new one, and whole."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        with partial.open("wb") as file:
            torch.save({"settings": self.settings, **more, **self.snapshot()}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.path)

    def load(self) -> dict[str, Any] | None:
        """What was saved, checked against the settings; None if there is no file. `restore` puts it back."""
        if self.path is None or not self.path.exists():
            return None
        content = io.BytesIO(self.path.read_bytes())
        try:
            state = torch.load(content, map_location="cpu", weights_only=True)
            there = state["settings"]
        except Exception as error:  # a damaged file may fail anywhere in the reader
            raise ValueError(
                f"{self.path} can't be read as a checkpoint (cut short?); delete it to start anew"
            ) from error
        keys = [key for key in self.settings | there if self.settings.get(key) != there.get(key)]
        differ = "; ".join(f"{key} is {there.get(key)!r} there and {self.settings.get(key)!r} here" for key in keys[:3])
        if keys:
            more = f"; and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise ValueError(f"{self.path} is of another training: {differ}{more}; delete it to start anew")
        return state


def generators(*sources: object) -> list[torch.Generator]:
    """The generators that these iterables draw from, each once."""
    found: dict[int, torch.Generator] = {}
    for source in sources:
        for place in _PLACES:
            try:
                value = attrgetter(place)(source)
            except AttributeError:
                continue
            if isinstance(value, torch.Generator):
                found[id(value)] = value
    return list(found.values())
