"""hub.yml: each mistake in it is one message with the line, the field, what was expected and what came."""

import json
import re
from pathlib import Path

import pytest
import yaml
from traitlets.config import Config

from classroom.errors import ClassroomError

from .hub_yml import module

ROOT = Path(__file__).resolve().parents[2]
RIGHT = """\
accounts: system
state: /var/lib/hub
courses:
  dlip:
    folder: FOLDER
    grader: grade
    instructors: [ines]
    students: [ada, ben]
"""
ADDRESSES = (
    *("https://", "https:///hub", "https://:443", "https://hub:port", "https://hub:70000", "https://[::1"),
    *("https://hub.org/course", "https://a@hub.org", "https://hub.org?a=b", "https://hub.org\n"),
)


def read(text: str, folder: Path):
    path = folder / "hub.yml"
    path.write_text(text.replace("FOLDER", str(folder / "course")))
    return module("settings").read_settings(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "nbgrader_config.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("accounts: system", "acounts: system", "line 1: unknown field acounts; did you mean accounts?"),
        ("accounts: system", "accounts: pam", "line 1: accounts: expected system (PAM), oauth, native"),
        ("accounts: system", "accounts: oauth", "line 1: accounts: expected a field 'oauth' beside accounts: oauth"),
        (
            "accounts: system",
            "accounts: oauth\noauth: {provider: githup, settings: {client_id: x}}",
            "line 2: oauth.provider: expected one of auth0, azuread, bitbucket,",
        ),
        (
            "accounts: system",
            "accounts: oauth\noauth: {provider: dummy, settings: {client_id: x}}",
            "line 2: oauth.provider: expected one of auth0,",
        ),
        (
            "accounts: system",
            "accounts: oauth\noauth:\n  provider: github\n  settings: {client_id: x, allowed_organisations: [a]}",
            "line 4: unknown field oauth.settings.allowed_organisations; did you mean allowed_organizations",
        ),
        (
            "accounts: system",
            "accounts: oauth\noauth:\n  provider: github\n  settings: {zzzzz: x}",
            "line 4: unknown field oauth.settings.zzzzz; see https://oauthenticator.readthedocs.io",
        ),
        ("accounts: system\n", "", "expected a field 'accounts', got none"),
        ("state: /var/lib/hub", "state: hub", "line 2: state: expected the hub's own folder"),
        ("state: /var/lib/hub", "state: /s\nport: 70000", "line 3: port: expected a port, 1 to 65535, got 70000"),
        ("state: /var/lib/hub", "state: /s\nport: '80'", "line 3: port: expected a port, 1 to 65535, got '80'"),
        ("state: /var/lib/hub", "state: /s\naddress: hub.org", "line 3: address: expected an address such as"),
        *(
            ("state: /var/lib/hub", f"state: /s\naddress: {json.dumps(said)}", "line 3: address: expected an address")
            for said in ADDRESSES
        ),
        (
            "state: /var/lib/hub",
            "state: /s\naddress: https://\nhost_for_each: true",
            "line 3: address: expected an address such as https://hub.example.org, with nothing behind the host "
            "and its port, got 'https://'",
        ),
        (
            "state: /var/lib/hub",
            "state: /s\nport: 10003",
            "line 3: port: expected a port outside of 10000 to 10003, which the hub takes for itself beside this one",
        ),
        (
            "accounts: system",
            "accounts: demo\nlisten: 0.0.0.0",
            "line 2: listen: expected 127.0.0.1 with accounts: demo, whose people share a password, got '0.0.0.0'",
        ),
        ("state: /var/lib/hub", "state: /s\ntls: {key: /k}", "line 3: tls: expected a field 'certificate', got none"),
        (
            "state: /var/lib/hub",
            "state: /s\nhost_for_each: true",
            "line 3: host_for_each: expected an address with a name in it, since a number has no names below it",
        ),
        ("state: /var/lib/hub", "state: /s\nlimits: {memory: 5}", "line 3: unknown field limits.memory; did you mean"),
        ("state: /var/lib/hub", "state: /s\nlimits: {cores: 0}", "line 3: limits.cores: expected a number above 0"),
        ("state: /var/lib/hub", "state: /s\nidle_minutes: 0", "line 3: idle_minutes: expected a number above 0"),
        ("state: /var/lib/hub", "state: /s\nstate: /t", "line 3: state is there twice"),
        ("dlip:", "Deep Learning:", "line 4: courses: expected the id of course.yml"),
        ("folder: FOLDER", "folder: course", "line 5: courses.dlip.folder: expected the course's folder"),
        ("folder: FOLDER", "folder: /nowhere", "line 5: courses.dlip.folder: expected a folder with nbgrader_config"),
        ("grader: grade", "grader: Grade Account", "line 6: courses.dlip.grader: expected the account that owns"),
        ("grader: grade", 'grader: "grade\\n"', "line 6: courses.dlip.grader: expected the account that owns"),
        ("grader: grade", "grader: root", "line 6: courses.dlip.grader: expected an account that is not root's"),
        ("instructors: [ines]", 'instructors: ["ines\\n"]', "line 7: courses.dlip.instructors.0: expected the name of"),
        ("dlip:", '"dlip\\n":', "line 4: courses: expected the id of course.yml"),
        ("grader: grade", "grader: ines", "line 6: courses.dlip.grader: expected an account that is nobody's own"),
        ("grader: grade", "grader: ada", "line 6: courses.dlip.grader: expected an account that is nobody's own"),
        ("instructors: [ines]", "instructors: ines", "line 7: courses.dlip.instructors: expected a list of accounts"),
        ("students: [ada, ben]", "students: all", "line 8: courses.dlip.students: expected everybody, or a list"),
        ("students: [ada, ben]", "students: [ada", "hub.yml, line 9"),
    ],
)
def test_a_mistake_is_named_with_its_line(folder, old, new, said):
    with pytest.raises(ClassroomError) as error:
        read(RIGHT.replace(old, new), folder)
    assert said in str(error.value)


def test_two_courses_with_one_grader_are_refused(folder):
    second = RIGHT + RIGHT.partition("courses:\n")[2].replace("dlip", "other")
    with pytest.raises(ClassroomError, match="each course needs a grader of its own, found grade, grade"):
        read(second, folder)


def test_the_example_is_right_and_has_every_field():
    settings, path = module("settings"), ROOT / "hub" / "hub.yml"
    assert settings.read_settings(path, made=False).port == 443
    text = path.read_text()
    behind = [
        line.removeprefix("# ") for line in text.splitlines() if line.startswith(("# oauth:", "#   ", "# library:"))
    ]
    fields = set(yaml.safe_load(text)) | set(yaml.safe_load("\n".join(behind)))
    assert fields == set(settings.SCHEMA["properties"])
    course = next(iter(yaml.safe_load(text)["courses"].values()))
    assert set(course) == set(settings.SCHEMA["properties"]["courses"]["additionalProperties"]["properties"])


def test_what_is_left_out_has_a_default(folder):
    said = read(RIGHT, folder)
    assert (said.listen, said.port, said.tls, said.idle_minutes) == ("127.0.0.1", 8000, None, 60)
    assert said.address == "http://127.0.0.1:8000"


def test_an_address_may_end_in_a_slash_and_be_of_ipv6(folder):
    assert read(f"address: https://hub.example.org/\n{RIGHT}", folder).address == "https://hub.example.org"
    said = read(f"listen: '::1'\n{RIGHT}", folder)
    assert (said.bound, said.address) == ("http://[::1]:8000", "http://[::1]:8000")


def test_a_host_name_for_each_is_jupyterhubs(folder):
    said = read(f"address: https://hub.example.org\nhost_for_each: true\n{RIGHT}", folder)
    assert said.host_of("dlip") == "https://dlip--service.hub.example.org"
    assert read(RIGHT, folder).host_of("dlip") == "http://127.0.0.1:8000"


def test_nobody_logs_in_as_root_or_a_grader_or_by_a_name_with_a_lines_end(folder):
    accounts, plain, named = module("accounts"), Config(), Config()
    accounts.set_up(plain, read(RIGHT, folder))
    assert plain.Authenticator.blocked_users == {"grade", "root"}
    accounts.set_up(named, read(f"administrators: [root]\n{RIGHT}", folder))
    assert named.Authenticator.blocked_users == {"grade"}, "an administrator whom hub.yml names"
    assert re.match(plain.Authenticator.username_pattern, "ada")
    assert not re.match(plain.Authenticator.username_pattern, "ada\n")
