"""JupyterHub for the test's OAuth provider: who logs in here is told to the hub that asks. See provider.py."""

import json
import os

c = get_config()  # noqa: F821  (JupyterHub defines it where this file runs)
said = json.loads(os.environ["PROVIDER"])
c.JupyterHub.bind_url = said["url"]
c.JupyterHub.hub_ip, c.JupyterHub.hub_port = "127.0.0.1", said["inside"]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{said['inside'] + 1}"
c.JupyterHub.db_url = "sqlite:///provider.sqlite"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = said["password"]
c.Authenticator.username_pattern = ".*"
c.Authenticator.allow_all = True
c.JupyterHub.load_groups = {name: {"users": users} for name, users in said["groups"].items()}
everybody = sorted({user for users in said["groups"].values() for user in users})
c.JupyterHub.services = [
    {
        "name": "course",
        "oauth_client_id": "service-course",
        "api_token": said["secret"],
        "oauth_redirect_uri": said["back"],
        "oauth_client_allowed_scopes": ["read:users:name!user", "read:users:groups!user"],
    }
]
c.JupyterHub.load_roles = [{"name": "may", "scopes": ["access:services!service=course"], "users": everybody}]
