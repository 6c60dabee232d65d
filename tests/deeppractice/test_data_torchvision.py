"""The import of torchvision, in fresh interpreters: with what is installed, and with packages that stand in for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import deeppractice

ROOM = Path(deeppractice.__file__).parent
OURS = "from deeppractice.data import _torchvision; from deeppractice.data._torchvision import torchvision\n"
WORKS = """
import torch
from torchvision import datasets, models, utils
from torchvision.transforms import v2
with torch.no_grad():
    out = models.resnet18(weights=None).eval()(v2.Resize(64)(torch.rand(1, 3, 32, 32)))
print(tuple(out.shape), tuple(utils.make_grid(torch.rand(4, 3, 8, 8)).shape), len(datasets.MNIST.resources))
"""


def python(code: str, *, first: Path | None = None) -> subprocess.CompletedProcess:
    """Run in a fresh interpreter where every warning is an error, with the folder `first` before all others."""
    path = os.pathsep.join(map(str, [*([first] if first else []), ROOM.parent]))
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300)


def test_what_is_installed_works_and_is_mended_only_if_it_fails_by_itself() -> None:
    raw = python("import torchvision")
    ours = python(OURS + "print(hasattr(_torchvision, '_declared'))" + WORKS)
    assert ours.returncode == 0, ours.stderr
    assert ours.stderr == ""
    mended, shapes = ours.stdout.splitlines()
    assert shapes == "(1, 1000) (3, 12, 42) 4"
    if raw.returncode:
        assert "operator torchvision::nms does not exist" in raw.stderr
    assert mended == str(raw.returncode != 0)


def test_what_is_compiled_still_raises_where_it_is_missing() -> None:
    code = OURS + "import torch\nprint(torchvision.ops.nms(torch.eye(4), torch.arange(4.0), 0.5))"
    ours, raw = python(code), python("import torchvision")
    if raw.returncode:
        assert "Couldn't load custom C++ ops" in ours.stderr
    else:
        assert ours.stdout.startswith("tensor([")


def test_a_pair_that_matches_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("name = 'as it is'\n")
    code = "import torch\nprint(torchvision.name, hasattr(_torchvision, '_declared'))\ntorch.ops.torchvision.nms"
    done = python(OURS + code, first=tmp_path)
    assert done.stdout.strip() == "as it is False"
    assert "'torchvision' object has no attribute 'nms'" in done.stderr


@pytest.mark.parametrize("error", ["RuntimeError('another reason')", "ImportError('none')"])
def test_another_error_is_passed_on(tmp_path: Path, error: str) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(f"print('tried')\nraise {error}\n")
    done = python(OURS, first=tmp_path)
    assert done.returncode == 1
    assert done.stdout == "tried\n"  # and not a second time
    assert done.stderr.strip().endswith(error.replace("('", ": ").replace("')", ""))


def test_a_notebook_has_a_public_way_to_it() -> None:
    done = python("from deeppractice.data.vision import torchvision\nprint(torchvision.models.resnet18.__name__)")
    assert done.stdout.strip() == "resnet18", done.stderr


def test_one_module_alone_imports_torchvision() -> None:
    found = [
        path.relative_to(ROOM).as_posix()
        for path in sorted(ROOM.rglob("*.py"))
        for line in path.read_text().splitlines()
        if line.strip().startswith(("import torchvision", "from torchvision"))
    ]
    assert set(found) == {"data/_torchvision.py"}


def test_the_library_is_read_without_torchvision_or_scikit_image() -> None:
    done = python("import sys, deeppractice.data; print({'torchvision', 'skimage'} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr
