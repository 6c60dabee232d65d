"""Sign-up on the hub itself (accounts: native), by jupyterhub-nativeauthenticator.

Its last release, 1.3, is for JupyterHub 5. Made good here: it times each login with a part of JupyterHub that 6 no
longer has, and its login page can't show an error. Once there is a release for 6, this file can go.
"""

from pathlib import Path
from types import SimpleNamespace

import nativeauthenticator
from nativeauthenticator.handlers import LoginHandler

_timer = SimpleNamespace(stop=lambda send=True: None)
_timer.start = lambda: _timer


def set_up(c: object) -> None:
    """Let people sign up, and an administrator let each of them in."""
    c.JupyterHub.authenticator_class = "native"
    c.JupyterHub.template_paths = [str(Path(nativeauthenticator.__file__).parent / "templates")]
    # Whoever signs up first under a name has it, so that no name lets anybody in: /hub/authorize lists who waits.
    c.Authenticator.allowed_users, c.Authenticator.allow_all = set(), True
    c.NativeAuthenticator.check_common_password = True
    c.NativeAuthenticator.minimum_password_length = 10
    c.NativeAuthenticator.allowed_failed_logins = 5
    if not hasattr(LoginHandler, "statsd"):
        LoginHandler.statsd = SimpleNamespace(timer=lambda name: _timer)
        render = LoginHandler._render
        LoginHandler._render = lambda self, login_error=None, username=None, **more: render(self, login_error, username)
