"""What several tests of the hub's pages start."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from .small_exchange import Exchange, put


@pytest.fixture
def exchange(monkeypatch) -> Iterator[dict]:
    """What the exchange says, by path; two assignments are known and nothing else."""
    Exchange.table = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NGSHARE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a-token")
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    put(Exchange.table, "one", released=False, known=False)
    yield Exchange.table
    server.shutdown()
    server.server_close()
