"""hub/install: what it says and makes, below a folder of its own, with the environment that is there already."""

import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .person import free_port, inside
from .running import COURSE, REACHED, ROOT

UNIT = "deep-learning-in-practice-hub.service"
# Some account of this machine with a home of its own, which nothing here writes into.
OWNERS = [
    one.pw_name for one in pwd.getpwall() if Path(one.pw_dir).is_dir() and Path(one.pw_dir).owner() == one.pw_name
]
GRADER = next((name for name in OWNERS if name != "root"), "nobody")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def install(root: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    variables = os.environ | {"ROOT": str(root), "ENVIRONMENT": sys.prefix} | environment
    line = ["bash", str(ROOT / "hub" / "install"), *words]
    return subprocess.run(line, capture_output=True, text=True, env=variables, timeout=120)


def settings(root: Path, **changed: object) -> Path:
    """A hub.yml below the folder."""
    course = {"folder": str(root / "srv" / COURSE), "grader": GRADER, "instructors": ["ines"]}
    values = {"accounts": "system", "port": free_port(), "state": str(root / "state"), "courses": {COURSE: course}}
    path = root / "etc" / "deep-learning-in-practice" / "hub.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values | changed))
    return path


@root_only
def test_the_first_run_puts_an_example_there_and_stops(tmp_path):
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    written = tmp_path / "etc" / "deep-learning-in-practice" / "hub.yml"
    assert "is new. Write in it what holds for your hub, then type hub/install again" in done.stdout
    assert written.read_text() == (ROOT / "hub" / "hub.yml").read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["etc"]


@root_only
def test_it_makes_everything_and_does_it_again_without_touching_a_course(tmp_path):
    path = settings(tmp_path)
    done = install(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "There is no systemd here to start it" in done.stdout
    course, hub = tmp_path / "srv" / COURSE, tmp_path / "opt" / "deep-learning-in-practice" / "hub"
    assert (course.owner(), stat.S_IMODE(course.stat().st_mode)) == (GRADER, 0o700)
    assert (course / "solutions" / "checkpoint-01").is_dir()
    assert {one.owner() for one in course.rglob("*")} == {GRADER}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert (hub / "jupyterhub_config.py").is_file() and (hub / "servers" / "student").is_dir()  # noqa: PT018
    open_to_others = [one for one in hub.rglob("*") if one.stat().st_mode & 0o022]
    assert not open_to_others
    assert not [one for one in hub.rglob("*") if not one.stat().st_mode & 0o004]
    (course / "course.yml").write_text("mine: now\n")
    course.chmod(0o755)
    again = install(tmp_path)
    assert again.returncode == 0, again.stderr
    assert (course / "course.yml").read_text() == "mine: now\n"
    assert "is closed to others (mode 0700)" in again.stdout
    assert stat.S_IMODE(course.stat().st_mode) == 0o700


@root_only
def test_people_of_hub_yml_without_an_account_are_told(tmp_path):
    settings(tmp_path, administrators=["root", "dlip-nobody-yet"])
    done = install(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "names dlip-nobody-yet, who has none here yet: adduser dlip-nobody-yet" in done.stdout
    assert "adduser root" not in done.stdout
    settings(tmp_path, administrators=["dlip-nobody-yet"], accounts="native")  # who make their accounts on the hub
    assert "adduser" not in install(tmp_path, "--dry-run").stdout


def test_a_proxy_that_can_not_listen_says_so_and_ends():
    """It would go on without its port, and the hub with it, as if all were well."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = [
            sys.executable,
            str(ROOT / "hub" / "proxying.py"),
            "/bin/echo",
            "--ip",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert f"The hub's proxy can't listen: port {port} is in use" in done.stderr
    started = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert started.returncode == 0
    assert f"--port {port}" in started.stdout


@root_only
def test_a_dry_run_changes_nothing(tmp_path):
    settings(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = install(tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"would run: chown -R {GRADER}: {tmp_path}/srv/{COURSE}.half" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


@root_only
def test_what_is_wrong_is_said_before_anything_is_made(tmp_path):
    path = settings(tmp_path, port=0)
    done = install(tmp_path)
    assert done.returncode == 1
    assert "hub.yml, line 8: port: expected a port, 1 to 65535, got 0" in done.stderr
    with socket.socket() as taken:
        port = free_port()
        other = inside(f"http://127.0.0.1:{port}") + 1
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection of a hub before may still be ending
        taken.bind(("127.0.0.1", other))
        taken.listen()
        settings(tmp_path, port=port)
        done = install(tmp_path)
    assert done.returncode == 1
    assert f"port {other} is in use" in done.stderr
    assert f"choose another port in {path}" in done.stderr
    path = settings(tmp_path)
    path.write_text(path.read_text().replace(f"grader: {GRADER}", "grader: nobody"))
    assert "expected a grader with a home of its own" in install(tmp_path).stderr
    settings(tmp_path)
    (tmp_path / "srv" / COURSE).mkdir(parents=True)
    (tmp_path / "srv" / COURSE / "thesis.tex").touch()
    done = install(tmp_path)
    assert "has files, and no nbgrader_config.py among them" in done.stderr
    assert not (tmp_path / "opt").exists()
    assert "expected nothing or --dry-run, found --help-me" in install(tmp_path, "--help-me").stderr


@root_only
@pytest.mark.skipif(not REACHED, reason="another account has to reach this clone")
def test_who_is_not_root_and_what_is_not_debian_are_told(tmp_path):
    line = ["setpriv", "--reuid=65534", "--clear-groups", "bash", str(ROOT / "hub" / "install")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "expected to be root, am nobody. Type: sudo hub/install" in done.stderr
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "id", "dirname"):
        (tools / name).symlink_to(shutil.which(name))
    done = install(tmp_path, PATH=str(tools))
    assert done.returncode == 1
    assert "expected Debian or Ubuntu (apt-get and /etc/debian_version), found" in done.stderr


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    unit = ROOT / "hub" / "systemd" / UNIT
    text = unit.read_text()
    assert "/opt/deep-learning-in-practice/hub/jupyterhub_config.py" in text  # where hub/install puts it
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    # With a program that is there; everything else as it is.
    copy = tmp_path / UNIT
    copy.write_text(text.replace("/opt/deep-learning-in-practice/venv/bin/jupyterhub", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"accounts": "oauth", "oauth": {"provider": "github", "settings": {"client": "x"}}},
            "unknown field oauth.settings.client; did you mean client_id",
        ),
        ({"tls": {"key": "/none.key", "certificate": "/none.pem"}}, "tls.certificate: /none.pem: no such file"),
        ({"port": "http"}, "hub.yml, line 8: port: expected a port, 1 to 65535, got 'http'"),
    ],
    ids=["oauth", "certificate", "mistake"],
)
def test_a_hub_that_can_not_start_says_why_in_a_line(tmp_path, changed, said):
    path = settings(tmp_path, **changed)
    (tmp_path / "srv" / COURSE).mkdir(parents=True)
    (tmp_path / "srv" / COURSE / "nbgrader_config.py").touch()
    line = [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "hub" / "jupyterhub_config.py")]
    variables = os.environ | {"HUB_SETTINGS": str(path), "PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, env=variables, timeout=120)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
