"""TLS: a hub that speaks it, with a certificate made here, and what is said of certificates that will not do."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from classroom.errors import ClassroomError

from .hub_yml import module, place_for_a_hub, running, write
from .person import Person
from .running import COURSE, ROOT, Hub

HOSTS = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("hub.example.org")]
PLAIN, SECRET = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"secret")


def make(folder: Path, name: str, hosts=tuple(HOSTS), days: float = 90, since: float = 0, how=PLAIN) -> Path:
    """A key and a certificate, NAME.key and NAME.pem, which holds from `since` days on for `days`; its path."""
    key, named = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    first = datetime.now(UTC) + timedelta(days=since, hours=-1)
    made = x509.CertificateBuilder(named, named, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(first).not_valid_after(first + timedelta(days=days))
    made = made.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (folder / f"{name}.key").write_bytes(key.private_bytes(*kind, how))
    (folder / f"{name}.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return folder / f"{name}.pem"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with place_for_a_hub() as hub, pytest.MonkeyPatch.context() as patched:
        pem = make(hub.folder, "hub")
        for name in ("REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE"):
            patched.setenv(name, str(pem))  # what browsers know of an authority
        write(hub, tls={"key": str(pem.with_suffix(".key")), "certificate": str(pem)})
        hub.url = f"https://127.0.0.1:{hub.port}"
        with running(hub):
            yield hub


class Careful(Person):
    """Somebody whose browser looks at certificates."""

    def _log_in(self, password: str) -> requests.Response:
        self.web.verify = os.environ["REQUESTS_CA_BUNDLE"]
        return super()._log_in(password)


def test_people_work_over_https(hub):
    ada, ines = Careful(hub.url, "ada", hub.password), Careful(hub.url, "ines", hub.password)
    ada.start()
    kernel, said = ada.execute("", "print(6 * 7)")
    assert (bool(kernel), said) == (True, "42\n")
    assert all(cookie.secure for cookie in ada.web.cookies if cookie.name.startswith("jupyterhub-")), ada.web.cookies
    opened = ines.web.get(f"{hub.url}/services/{COURSE}/formgrader/manage_assignments", timeout=120)
    assert opened.status_code == 200


def test_http_is_refused_on_that_port(hub):
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{hub.port}/hub/login", timeout=60)


def said_of(folder: Path, pem: Path, key: Path | None = None) -> str:
    """What is said of hub.yml before a hub starts with it."""
    (folder / "hub.yml").write_text(
        "accounts: system\nstate: /s\naddress: https://hub.example.org\n"
        f"tls: {{key: {key or pem.with_suffix('.key')}, certificate: {pem}}}\n"
        "courses: {dlip: {folder: /c, grader: grade, instructors: [ines]}}\n"
    )
    try:
        read = module("settings").read_settings(folder / "hub.yml", made=False, tls=True)
    except ClassroomError as error:
        return str(error).replace(f"{folder}/", "")
    return "".join(f"warning: {doubt}" for doubt in read.doubts).replace(f"{folder}/", "")


@pytest.mark.parametrize("expired", [True, False])
def test_the_hub_and_its_installation_say_it(tmp_path, expired):
    pem = make(tmp_path, "hub", days=10, since=-20 if expired else 0)
    if not expired:
        pem.with_suffix(".key").unlink()
    said_of(tmp_path, pem)
    line = [sys.executable, str(ROOT / "hub" / "settings.py"), str(tmp_path / "hub.yml")]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(line, capture_output=True, text=True, env=variables, timeout=120)
    assert done.returncode == (0 if expired else 1)
    words = (
        "warning: hub.yml, line 4: {0}.pem has expired on" if expired else "hub.yml, line 4: tls.key: {0}.key: no such"
    )
    assert done.stderr.startswith(words.format(tmp_path / "hub"))
    assert len(done.stderr.splitlines()) == 1


def test_with_a_host_name_for_each_the_certificate_is_for_all_of_them(tmp_path):
    both = [x509.DNSName("hub.example.org"), x509.DNSName("*.hub.example.org")]
    one, all_of_them = make(tmp_path, "one"), make(tmp_path, "all", both)
    check = module("certificate").check
    addresses = ["https://hub.example.org", "https://anybody.hub.example.org"]
    (said,) = check(str(one.with_suffix(".key")), str(one), addresses)
    assert "not for anybody.hub.example.org" in said
    assert check(str(all_of_them.with_suffix(".key")), str(all_of_them), addresses) == []


def test_a_good_one_is_not_talked_of(tmp_path):
    assert said_of(tmp_path, make(tmp_path, "hub")) == ""
    assert said_of(tmp_path, make(tmp_path, "all", [x509.DNSName("*.example.org")])) == ""


@pytest.mark.parametrize(
    ("pem", "key", "said"),
    [
        ("none.pem", None, "tls.certificate: none.pem: no such file or directory"),
        ("hub.pem", "none.key", "tls.key: none.key: no such file or directory"),
        ("hub.pem", "folder", "tls.key: folder: is a directory"),
        ("hub.key", "hub.key", "tls.certificate: hub.key is no certificate (PEM)"),
        ("hub.pem", "hub.pem", "tls.key: hub.pem is no private key (PEM)"),
        ("hub.pem", "closed.key", "tls.key: closed.key has a password; expected a key without one"),
        ("hub.pem", "other.key", "tls.key: other.key is not the key of hub.pem, whose first certificate is for hub."),
    ],
)
def test_what_can_not_serve_is_named(tmp_path, pem, key, said):
    (tmp_path / "folder").mkdir()
    make(tmp_path, "hub")
    make(tmp_path, "other")
    make(tmp_path, "closed", how=SECRET)
    text = said_of(tmp_path, tmp_path / pem, key and tmp_path / key)
    assert text.startswith(f"hub.yml, line 4: {said}"), text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"days": 10, "since": -20}, "hub.pem has expired on "),
        ({"days": 10}, "hub.pem expires on "),
        ({"since": 2}, "hub.pem holds from "),
        ({"hosts": [x509.DNSName("b.org")]}, "hub.pem is for b.org, not for hub.example.org: browsers warn"),
        ({"hosts": [x509.DNSName("*.org")]}, "hub.pem is for *.org, not for hub.example.org: browsers warn"),
    ],
)
def test_what_browsers_warn_of_is_said_and_the_hub_starts(tmp_path, made, said):
    assert said_of(tmp_path, make(tmp_path, "hub", **made)).startswith(f"warning: hub.yml, line 4: {said}")
