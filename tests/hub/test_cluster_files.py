"""The files for a cluster, as far as they can be held against each other: see also test_cluster_chart.py.

values.yaml's Python runs and agrees with the exchange; ports and names agree; the images are made of files that are
there and let in, and of nothing else.
"""

import asyncio
import json
import re
import runpy
import shutil
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
HELM = ROOT / "hub" / "helm"
TEXT = (HELM / "values.yaml").read_text(encoding="utf-8")
VALUES = yaml.safe_load(TEXT)
DOCKERFILE = (HELM / "Dockerfile").read_text(encoding="utf-8")
PAGE = (ROOT / "book" / "teach" / "hub-cluster.md").read_text(encoding="utf-8")
COURSE = "deep-learning-in-practice"
CHART, HUB = re.search(r"Zero to JupyterHub, ([\d.]+) \(JupyterHub ([\d.]+)\)", TEXT).groups()
PORT = 10101


def looked_up(values: dict, key: str, default: object = None) -> object:
    """As the chart's own get_config does."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return default
        values = values[part]
    return default if values is None else values


def run_extra_config(monkeypatch: pytest.MonkeyPatch, c: Config) -> Config:
    """What the hub of the chart does with hub.extraConfig, with the folders of its image being those here."""
    z2jh = ModuleType("z2jh")
    z2jh.get_config = lambda key, default=None: looked_up(VALUES, key, default)
    monkeypatch.setitem(sys.modules, "z2jh", z2jh)
    monkeypatch.setattr(sys, "path", [str(ROOT / "hub"), str(HELM), *sys.path])
    for name in ("cluster", "accounts", "exchange_config"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name, source in sorted(VALUES["hub"]["extraConfig"].items()):
        exec(compile(source, name, "exec"), {"c": c})
    return c


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    c = Config()
    c.JupyterHub.services, c.JupyterHub.load_roles = [], []
    c.KubeSpawner.environment = dict(VALUES["singleuser"]["extraEnv"])  # so does the chart
    for kind, fields in VALUES["hub"]["config"].items():
        c[kind].update(fields)
    return run_extra_config(monkeypatch, c)


def person(name: str) -> SimpleNamespace:
    return SimpleNamespace(user=SimpleNamespace(name=name))


def test_the_exchange_is_a_service_that_both_kinds_of_members_may_use(config):
    (service,) = config.JupyterHub.services
    assert service["name"] == "ngshare"
    assert service["url"] == f"http://hub:{PORT}"
    assert "--listen=0.0.0.0" in service["command"]
    state = service["command"][service["command"].index("--state") + 1]
    assert state.startswith("/srv/jupyterhub/"), "the hub's volume is there; elsewhere files go with the pod"
    (role,) = config.JupyterHub.load_roles
    assert role["groups"] == [f"formgrade-{COURSE}", f"nbgrader-{COURSE}"]
    assert role["scopes"] == ["access:services!service=ngshare"]
    assert role["scopes"][0] in config.Spawner.server_token_scopes


def run(coroutine: Coroutine) -> object:
    """What it comes to; in a thread of its own, since Playwright leaves a loop in that of the tests."""
    with ThreadPoolExecutor(1) as hands:
        return hands.submit(asyncio.run, coroutine).result()


def test_groups_are_those_of_the_hub_on_one_machine(config):
    kind = config.JupyterHub.authenticator_class
    assert kind.__name__ == "GenericOAuthenticator", "what values.yaml says of it holds for it"
    one = kind(config=config)
    given = {name: run(one.run_post_auth_hook(None, {"name": name}))["groups"] for name in ("ines", "ada")}
    assert given == {"ines": [f"formgrade-{COURSE}"], "ada": [f"nbgrader-{COURSE}"]}
    assert one.manage_groups
    assert one.allow_all


@pytest.mark.parametrize("more", [{}, {"GenericOAuthenticator": {"allowed_groups": {"staff"}}}])
def test_who_is_taken_out_of_the_values_is_out(config, more):
    import cluster

    c = Config(more)
    c.JupyterHub.services, c.JupyterHub.load_roles = [], []
    c.JupyterHub.authenticator_class = "generic-oauth"
    cluster.add_courses(c, {COURSE: {"instructors": ["ines"], "students": ["ada"]}})
    one = c.JupyterHub.authenticator_class(config=c)
    assert not one.allow_existing_users
    fresh = run(one.refresh_user(SimpleNamespace(name="ada")))
    assert (fresh["groups"], fresh["admin"]) == ([f"nbgrader-{COURSE}"], False)
    # Out, unless the provider's groups may let them in, which only it knows.
    eve = run(one.refresh_user(SimpleNamespace(name="eve")))
    assert eve["groups"] == [] if more else eve is False


def test_peoples_servers_have_the_settings_of_their_role_and_find_the_exchange(config):
    environment = config.KubeSpawner.environment
    assert environment["NGSHARE_URL"] == f"http://hub:{PORT}/services/ngshare/"
    assert environment["JUPYTER_PLATFORM_DIRS"] == "1", "what values.yaml sets is still there"
    for name, role in (("ines", "instructor"), ("ada", "student")):
        place = environment["JUPYTER_CONFIG_PATH"](person(name))
        assert place == f"/opt/course/servers/{role}"
        assert (ROOT / "hub" / "servers" / role / "jupyter_server_config.d").is_dir()
    assert "COPY hub/servers /opt/course/servers\n" in DOCKERFILE
    place = VALUES["singleuser"]["extraEnv"]["JUPYTER_PATH"]
    assert f"COPY lib/classroom/hub/lab {place}\n" in DOCKERFILE


def test_due_dates_come_from_the_course_s_own_file(config, monkeypatch, tmp_path):
    import cluster

    mounted = VALUES["hub"]["extraFiles"]["course"]["mountPath"]
    assert mounted == str(cluster.FILES / COURSE / "course.yml")
    (tmp_path / COURSE).mkdir()
    shutil.copy(ROOT / "course.yml", tmp_path / COURSE)
    c = Config()
    c.JupyterHub.services, c.JupyterHub.load_roles = [], []
    cluster.add_courses(c, VALUES["custom"]["courses"], files=tmp_path)
    (told,) = json.loads(c.KubeSpawner.environment[cluster.VARIABLE](person("ada")))
    said = yaml.safe_load((ROOT / "course.yml").read_text(encoding="utf-8"))
    assert told["title"] == said["title"]
    assert {given["name"] for given in told["assignments"]} == set(said["projects"])


@pytest.mark.parametrize(
    ("courses", "message"),
    [
        (None, "custom.courses: expected courses by their ids, found None"),
        ({"a": {"instructors": ["x"]}}, "custom.courses.a: expected the fields instructors and students, found"),
        (
            {"a": {"instructors": "ines", "students": []}},
            "a.instructors: expected a list of accounts, found 'ines'",
        ),
        (
            {"a": {"instructors": [], "students": "all"}},
            "a.students: expected a list of accounts or everybody, found 'all'",
        ),
    ],
)
def test_members_that_are_none(config, courses, message):
    import cluster

    with pytest.raises(ValueError, match=re.escape(message)):
        cluster.members(courses)


def test_the_way_to_the_exchange_is_open_and_no_other(config):
    hub, singleuser = VALUES["hub"], VALUES["singleuser"]
    (port,) = hub["service"]["extraPorts"]
    assert port["port"] == port["targetPort"] == PORT
    (incoming,) = hub["networkPolicy"]["ingress"]
    assert incoming["ports"] == [{"port": PORT}]
    allowed = [next(iter(one["podSelector"]["matchLabels"].items())) for one in incoming["from"]]
    assert allowed == [("hub.jupyter.org/network-access-hub", "true"), ("app.kubernetes.io/component", "proxy")]
    to_hub = {
        "to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "hub"}}}],
        "ports": [{"port": PORT}],
    }
    assert singleuser["networkPolicy"]["egress"] == [to_hub]
    assert VALUES["proxy"]["chp"]["networkPolicy"]["egress"] == [to_hub]


def test_limits_profiles_and_the_idle():
    singleuser = VALUES["singleuser"]
    assert singleuser["memory"]["limit"]
    assert singleuser["cpu"]["limit"]
    cpu, gpu = singleuser["profileList"]
    assert cpu["default"]
    assert "kubespawner_override" not in cpu
    over = gpu["kubespawner_override"]
    assert over["extra_resource_limits"] == {"nvidia.com/gpu": "1"}
    image = singleuser["image"]
    assert over["image"] == f"{image['name']}:{image['tag']}-gpu"
    assert VALUES["cull"]["enabled"]


def test_no_secret_stands_in_the_values():
    keys = re.findall(r"^\s*([\w-]+):", TEXT, re.M)
    assert [key for key in keys if re.search("secret$|password|token$|key$", key, re.I)] == []


def copies(stage: str) -> list[list[str]]:
    """Sources and target of each COPY of a stage."""
    (body,) = re.findall(rf"^FROM \S+ AS {stage}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S)
    return [line.split()[1:] for line in body.splitlines() if line.startswith("COPY ")]


def test_the_images_are_made_of_files_that_are_there_and_let_in():
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert lines[0] == "*", "what nobody names stays out"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    for source in [source for stage in ("user", "hub") for *sources, _ in copies(stage) for source in sources]:
        assert (ROOT / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in let_in), f".dockerignore hides {source}"
    for name in let_in:
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] not in {"solutions", "tests", "course", "assignments", ".git", "_build"}


def test_the_library_in_the_image_is_not_editable_and_nobody_who_has_a_server_owns_it():
    user = DOCKERFILE.split("FROM ")[1]
    assert re.search(r"pip install --no-deps --no-build-isolation \. ", user)
    assert not re.search(r"pip install .*(-e|--editable)\b", DOCKERFILE)
    assert user.rindex("USER student") > user.rindex("COPY ")
    assert "-r requirements.lock" in user


def test_versions_agree():
    assert f"FROM quay.io/jupyterhub/k8s-hub:{CHART} AS hub\n" in DOCKERFILE
    assert f"ARG JUPYTERHUB={HUB}\n" in DOCKERFILE
    declared = runpy.run_path(str(ROOT / "tests" / "project" / "test_environment.py"))["declared"]()
    wanted: Requirement = declared["jupyterhub"]
    assert wanted.specifier.contains(HUB)
    assert f"--version {CHART}" in PAGE
    for image in (VALUES["hub"]["image"], VALUES["singleuser"]["image"]):
        assert f"{image['name']}:{image['tag']}" in PAGE
