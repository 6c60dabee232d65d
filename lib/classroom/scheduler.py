"""Where a batch is computed: a scheduler's address, and who may be talked to.

A Dask worker runs what the scheduler sends it, and a scheduler takes work from anybody who can reach it. So an address
outside this machine is only used over TLS, with certificates on both sides, and the local cluster makes itself a pair
for the time of the batch: on a machine with many users, nobody else can join it.
"""

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from classroom.errors import ClassroomError

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

CONNECT_SECONDS = 8  # for a scheduler to answer
_DASK = "distributed.comm.tls"


@dataclass(frozen=True)
class Certificates:
    """Files of the --tls options; what is not given comes from Dask's own settings (distributed.comm.tls)."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


def check_address(address: str) -> str:
    """The address as Dask wants it, with its protocol.

    Raises:
        ClassroomError: if it is no address, or one outside this machine without TLS.
    """
    protocol, _, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    if not host or not port.isdigit() or protocol not in ("", "tcp", "tls"):
        raise ClassroomError(f"--scheduler {address}: expected an address such as tls://scheduler.example.org:8786")
    if protocol == "tls":
        return address
    if not _loopback(host.strip("[]")):
        raise ClassroomError(
            f"--scheduler {address}: outside this machine only with TLS, since whoever reaches a scheduler without it "
            f"can read submissions and run code here; use tls://{host}:{port} and --tls-ca, --tls-cert, --tls-key"
        )
    return f"tcp://{host}:{port}"


def is_here(address: str) -> bool:
    """Whether a checked address is on this machine."""
    return _loopback(address.rpartition("://")[2].rpartition(":")[0].strip("[]"))


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def security(address: str, certificates: Certificates) -> "Security | None":
    """Dask's security settings for a checked address; None where none is needed.

    Raises:
        ClassroomError: if a certificate is missing.
    """
    given = [name for name in ("ca", "cert", "key") if getattr(certificates, name)]
    if not address.startswith("tls://"):
        if given:
            raise ClassroomError(f"--tls-{given[0]} is for a scheduler with an address tls://…, got {address}")
        return None
    import dask.config
    from distributed.security import Security

    ca = certificates.ca or dask.config.get(f"{_DASK}.ca-file", None)
    cert = certificates.cert or dask.config.get(f"{_DASK}.client.cert", None)
    key = certificates.key or dask.config.get(f"{_DASK}.client.key", None)
    for option, setting, path in (("ca", "ca-file", ca), ("cert", "client.cert", cert), ("key", "client.key", key)):
        if not path:
            variable = f"DASK_DISTRIBUTED__COMM__TLS__{setting.replace('.', '__').replace('-', '_').upper()}"
            raise ClassroomError(f"{address} needs certificates: --tls-{option} FILE, or the variable {variable}")
        if not Path(path).is_file():
            raise ClassroomError(f"--tls-{option}: there is no file {path}")
    return Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True)


def for_one_batch() -> "Security":
    """A key and a certificate that exist in memory only, for the processes of one batch on this machine.

    As Dask's `Security.temporary`, but valid on any date: a clock that is set back in mid-batch changes nothing.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from distributed.security import Security

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "classroom")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1))
        .not_valid_after(datetime(9999, 12, 31))
        .sign(key, hashes.SHA256())
    )
    certificate = made.public_bytes(serialization.Encoding.PEM).decode()
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret = key.private_bytes(*encoding).decode()
    roles = ("client", "scheduler", "worker")
    keys = {f"tls_{role}_key": secret for role in roles} | {f"tls_{role}_cert": certificate for role in roles}
    return Security(require_encryption=True, tls_ca_file=certificate, **keys)


def connect(address: str, certificates: Certificates) -> "Client":
    """A client of the scheduler at a checked address.

    Raises:
        ClassroomError: if it does not answer within CONNECT_SECONDS.
    """
    from distributed import Client

    settings = security(address, certificates)
    try:
        # First by hand: Dask's client itself waits for ever at a port that takes the connection and says nothing.
        asyncio.run(_identify(address, settings))
        return Client(address, security=settings, timeout=CONNECT_SECONDS, set_as_default=False, name="classroom")
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:  # all but the first: it is no scheduler
        reason = _reason(error) or _refusal(address) or f"no answer within {CONNECT_SECONDS:g} s"
        raise ClassroomError(
            f"no Dask scheduler answers at {address} ({reason}); is it running, and do the certificates match?"
        ) from None


def _refusal(address: str) -> str:
    """What the system says to one more try: Dask's last one may have been cut off by the time limit."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError as error:
        return _reason(error)
    return ""


def _reason(error: BaseException) -> str:
    """What the system said of a connection that failed, if it did; Dask wraps it several times."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    for kind, text in (
        (ssl.SSLCertVerificationError, "its certificate is not signed by that authority"),
        (ssl.SSLError, "it does not speak TLS, or does not accept the certificate"),
        (socket.gaierror, "no such host"),
        (ConnectionRefusedError, "nothing listens there: connection refused"),
    ):
        if any(isinstance(one, kind) or kind.__name__ in str(one) for one in chain):
            return text
    if any(isinstance(one, KeyError | TypeError | ValueError | MemoryError) for one in chain[:1]):
        return "what answers there is something else"
    told = next((one.strerror for one in chain if isinstance(one, OSError) and one.strerror), None)
    return told.lower() if told else ""


async def _identify(address: str, settings: "Security | None") -> None:
    """Ask who is there."""
    from distributed.comm import connect

    arguments = settings.get_connection_args("client") if settings else {}
    async with asyncio.timeout(CONNECT_SECONDS + 1):
        comm = await connect(address, timeout=CONNECT_SECONDS, **arguments)
        try:
            await comm.write({"op": "identity", "reply": True})
            answer = await comm.read()
        finally:
            comm.abort()
    if answer["type"] != "Scheduler":
        raise ValueError(f"it is a Dask {answer['type']}")
