"""The values for a cluster held against the chart itself: its schema, its configuration of the hub, its templates.

The long form fetches the chart; JUPYTERHUB_CHART names a folder with it, unpacked. `helm template`, kubeconform and
`docker build` run where these programs are.
"""

import io
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.request import urlopen

import jsonschema
import pytest
import yaml
from traitlets.config import Config

from .test_cluster_files import CHART, HELM, ROOT, VALUES, looked_up


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The chart, unpacked."""
    if os.environ.get("JUPYTERHUB_CHART"):
        return Path(os.environ["JUPYTERHUB_CHART"])
    if not request.config.getoption("--full"):
        pytest.skip("the long form fetches the chart; or unpack it and set JUPYTERHUB_CHART to its folder")
    place = tmp_path_factory.mktemp("chart")
    try:
        with urlopen(f"https://hub.jupyter.org/helm-chart/jupyterhub-{CHART}.tgz", timeout=30) as answer:
            packed = io.BytesIO(answer.read())
    except OSError as error:
        pytest.skip(f"the chart can't be fetched from here: {error}")
    with tarfile.open(fileobj=packed) as archive:
        archive.extractall(place, filter="data")
    return place / "jupyterhub"


def merged(below: object, above: object) -> object:
    """Values over the chart's own, as helm lays them."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: merged(below.get(key), value) for key, value in above.items()}
    return above


def test_the_chart_s_schema_takes_the_values(chart):
    packed = chart / "values.schema.json"
    schema = yaml.safe_load((packed if packed.exists() else chart / "values.schema.yaml").read_text(encoding="utf-8"))
    whole = merged(yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8")), VALUES)
    jsonschema.validate(whole, schema)
    wrong = merged(whole, {"singleuser": {"networkPolicies": {}}})
    with pytest.raises(jsonschema.ValidationError, match="networkPolicies"):
        jsonschema.validate(wrong, schema)


def test_the_chart_s_hub_is_configured_as_meant(chart, monkeypatch):
    whole = merged(yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8")), VALUES)
    whole |= {"Chart": {"Name": "jupyterhub", "Version": CHART}, "Release": {"Name": "course"}}
    z2jh = runpy.run_path(str(chart / "files" / "hub" / "z2jh.py"))
    module = ModuleType("z2jh")
    vars(module).update(z2jh)
    get = lambda key, default=None: looked_up(whole, key, default)  # noqa: E731
    module.get_config, module.get_name = get, lambda name: name
    module.get_name_env = lambda name, suffix="": "8001"
    module.get_secret_value = lambda key, default="none": "" if default == "none" else default
    module.set_config_if_not_none = lambda part, trait, key: (
        part.update({trait: get(key)}) if get(key) is not None else None
    )
    monkeypatch.setitem(sys.modules, "z2jh", module)
    kubernetes = ModuleType("kubernetes_asyncio")
    kubernetes.client = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio", kubernetes)
    monkeypatch.setattr("tornado.httpclient.AsyncHTTPClient.configure", lambda *_: None)
    monkeypatch.setattr(sys, "path", [str(ROOT / "hub"), str(HELM), *sys.path])
    c = Config()
    source = (chart / "files" / "hub" / "jupyterhub_config.py").read_text(encoding="utf-8")
    names = {"get_config": lambda: c, "__file__": str(chart / "files" / "hub" / "jupyterhub_config.py")}
    exec(compile(source, "jupyterhub_config.py", "exec"), names)
    assert [service["name"] for service in c.JupyterHub.services] == ["jupyterhub-idle-culler", "ngshare"]
    assert [role["name"] for role in c.JupyterHub.load_roles] == ["jupyterhub-idle-culler", "exchange"]
    assert c.JupyterHub.authenticator_class == VALUES["hub"]["config"]["JupyterHub"]["authenticator_class"]
    assert set(c.KubeSpawner.environment) > {*VALUES["singleuser"]["extraEnv"], "NGSHARE_URL", "JUPYTER_CONFIG_PATH"}
    assert c.KubeSpawner.mem_limit == VALUES["singleuser"]["memory"]["limit"]
    assert c.KubeSpawner.init_containers == [], "nothing privileged"


def test_helm_renders_it(chart, tmp_path):
    if not shutil.which("helm"):
        pytest.skip("helm is not installed")
    line = ["helm", "template", "course", str(chart), "--values", str(HELM / "values.yaml")]
    line += ["--set-file", f"hub.extraFiles.course.stringData={ROOT / 'course.yml'}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    kinds = {part["kind"] for part in yaml.safe_load_all(done.stdout) if part}
    assert kinds >= {"Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Service", "Secret"}
    if shutil.which("kubeconform"):
        checked = subprocess.run(["kubeconform", "-strict"], input=done.stdout, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout


@pytest.mark.full
@pytest.mark.parametrize("target", ["user", "hub"])
def test_docker_builds_it(target):
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no docker that answers")
    line = ["docker", "build", "--file", str(HELM / "Dockerfile"), "--target", target, str(ROOT)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
