"""The hub's certificate and its key: are they there, do they belong together, and does a browser take them?"""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlparse

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from classroom.errors import ClassroomError

_SOON = timedelta(days=14)


def check(key: str, certificate: str, addresses: list[str], now: datetime | None = None) -> list[str]:
    """Look at both files, as the proxy will.

    Args:
        key: the private key, in a file of PEM.
        certificate: the certificate, and those of the authorities between it and the browser's own, in PEM.
        addresses: of the hub, as people type them.
        now: the time; without it that of the clock.

    Returns:
        What people's browsers will warn of: the hub can start with it.

    Raises:
        ClassroomError: naming the file with which no proxy can speak TLS.
    """
    chain = _certificates(Path(certificate))
    secret = _read(Path(key))
    try:
        private = load_pem_private_key(secret, password=None)
    except TypeError:
        raise ClassroomError(f"tls.key: {key} has a password; expected a key without one") from None
    except ValueError:
        raise ClassroomError(f"tls.key: {key} is no private key (PEM)") from None
    if private.public_key() != chain[0].public_key():
        say = f"tls.key: {key} is not the key of {certificate}, whose first certificate is for {_names(chain[0])}"
        raise ClassroomError(say)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise ClassroomError(f"tls.certificate: {certificate} can't be used: {error.reason}") from None
    hosts = [urlparse(address).hostname or "" for address in addresses]
    return _doubts(chain[0], certificate, hosts, now or datetime.now(UTC))


def _read(path: Path, field: str = "key") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClassroomError(f"tls.{field}: {path}: {error.strerror.lower()}") from None


def _certificates(path: Path) -> list[x509.Certificate]:
    text = _read(path, "certificate")
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        raise ClassroomError(f"tls.certificate: {path} is no certificate (PEM)") from None


def _alternatives(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    addresses = [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    return [name.lower() for name in found.get_values_for_type(x509.DNSName)], addresses


def _names(certificate: x509.Certificate) -> str:
    names, addresses = _alternatives(certificate)
    return ", ".join([*names, *addresses]) or "no host"


def _doubts(certificate: x509.Certificate, path: str, hosts: list[str], now: datetime) -> list[str]:
    found = []
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > last:
        found.append(f"{path} has expired on {last:%Y-%m-%d}: browsers warn everybody of this hub")
    elif now > last - _SOON:
        found.append(f"{path} expires on {last:%Y-%m-%d}; after a renewal the hub has to be started again")
    elif now < first:
        found.append(f"{path} holds from {first:%Y-%m-%d} only: browsers warn everybody of this hub")
    names, addresses = _alternatives(certificate)
    for host in hosts:
        if host not in (*names, *addresses) and f"*.{host.partition('.')[2]}" not in names:
            found.append(f"{path} is for {_names(certificate)}, not for {host}: browsers warn everybody of this hub")
    return found
