"""An OAuth provider, as an institution has one: a second JupyterHub, which tells the hub under test who somebody is."""

import contextlib
import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import requests

from .running import Hub

CONFIG = Path(__file__).with_name("provider_config.py")


class Provider(Hub):
    """A JupyterHub with groups of people, and one client: the hub at `back`."""

    def __init__(self, folder: Path, back: str, groups: dict[str, list[str]]) -> None:
        # A host name of its own, since cookies know no ports. Of the hub's ports it takes the last two.
        port = urlparse(back).port
        inside = 10_000 + port % 10_000 // 10 * 10 + 8
        self.secret = secrets.token_hex(16)
        url = f"http://localhost:{port + 1}"
        said = {"url": f"http://127.0.0.1:{port + 1}", "inside": inside, "password": "a-password-of-tests"}
        said |= {"groups": groups, "secret": self.secret, "back": f"{back}/hub/oauth_callback"}
        line = [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)]
        super().__init__(folder, port + 1, line, folder, PROVIDER=json.dumps(said))
        self.url, self.password = url, said["password"]

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/hub/login", timeout=5).ok
        return False

    def settings(self, **more: object) -> dict:
        """What hub.yml says under `oauth`, as an administrator writes it down from the provider's pages."""
        asked = {"client_id": "service-course", "client_secret": self.secret, "login_service": "the university"}
        asked["authorize_url"] = f"{self.url}/hub/api/oauth2/authorize"
        asked["token_url"] = f"{self.url}/hub/api/oauth2/token"
        asked |= {"userdata_url": f"{self.url}/hub/api/user", "username_claim": "name"}
        asked["scope"] = ["read:users:name!user", "read:users:groups!user"]
        return {"provider": "generic-oauth", "settings": asked | more}


@contextlib.contextmanager
def provider(folder: Path, back: str, groups: dict[str, list[str]]) -> Iterator[Provider]:
    """A provider that runs, for the hub whose address is `back`."""
    folder.mkdir()
    one = Provider(folder, back, groups)
    try:
        one.start()
        yield one
    finally:
        one.stop()
