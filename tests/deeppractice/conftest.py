"""Fixtures of the library's tests. Imports only what a GPU machine has: torch, numpy, matplotlib, pytest."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from deeppractice import runtime


@pytest.fixture(autouse=True)
def equal_conditions() -> Iterator[None]:
    """Every test starts from the same seeds on one thread, and leaves no setting or open figure behind."""
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    torch.set_num_threads(1)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    yield
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = benchmark
    if workspace is None:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    plt.close("all")


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.gpu) for kind in runtime.available()])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each kind of device that this machine has; `pytest -m gpu` runs the tests that take it."""
    return torch.device(request.param)


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What a test hands to IPython's display: a list of {"data": ..., "metadata": ...} that fills as it happens."""
    import IPython.display

    shown: list[dict] = []

    def display(data: object, *, raw: bool = False, metadata: dict | None = None) -> None:
        shown.append({"data": data, "metadata": metadata or {}, "raw": raw})

    monkeypatch.setattr(IPython.display, "display", display)
    return shown


@pytest.fixture(scope="session")
def run_notebook() -> Callable:
    """Run cells in a real kernel, one started for each call; cells that fail do not stop the rest."""

    def run(cells: list, folder: Path) -> list:
        import nbformat
        from nbclient import NotebookClient

        cells = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=cells)
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=120, resources=resources).execute()
        return notebook.cells

    return run
