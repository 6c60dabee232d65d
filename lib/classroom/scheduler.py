"""Where a batch is computed: a scheduler's address, and who may be talked to.

A Dask worker runs what the scheduler sends it, and a scheduler takes work from anybody who can reach it. So an address
outside this machine is only used over TLS, with certificates on both sides, and the local cluster makes itself a pair
for the time of the batch: on a machine with many users, nobody else can join it.
"""

import asyncio
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from classroom.errors import ClassroomError

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

CONNECT_SECONDS = 10  # for a scheduler to answer
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
    except (OSError, ValueError, KeyError, TypeError) as error:  # the last three: it answers, but is no Dask scheduler
        reason = str(error.__cause__ or error).strip().splitlines() or [f"not within {CONNECT_SECONDS:g} s"]
        raise ClassroomError(
            f"no Dask scheduler answers at {address} ({reason[0][:160]}); is it running, and do the certificates match?"
        ) from None


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
