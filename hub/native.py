"""Sign-up on the hub itself (accounts: native), by jupyterhub-nativeauthenticator.

Its last release, 1.3, is for JupyterHub 5, which timed each log-in with a part that 6 no longer has. Made good here are
that, and what people read: why a name or a password is not taken, that they wait for an administrator, that there were
too many wrong passwords. An administrator's name lets nobody in by itself: root says who it is,

    python hub/native.py let-in NAME
"""

import contextlib
import os
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlparse

import nativeauthenticator
from nativeauthenticator import handlers
from nativeauthenticator.nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from tornado import web

SHORTEST, LONGEST = 10, 72  # of a password, in bytes; bcrypt takes no more
_WAITS = "Your account waits for an administrator, who lets you in. After that you can log in."


_is_right = UserInfo.is_valid_password
# bcrypt raises an error for what is longer, and wherever a password is typed that would be a page without words.
UserInfo.is_valid_password = lambda self, typed: len(typed.encode()) <= LONGEST and _is_right(self, typed)


def set_up(c: object) -> None:
    """Let people sign up, and an administrator let each of them in."""
    c.JupyterHub.template_paths = [str(Path(nativeauthenticator.__file__).parent / "templates")]
    c.NativeAuthenticator.check_common_password = True
    c.NativeAuthenticator.minimum_password_length = SHORTEST
    c.NativeAuthenticator.allowed_failed_logins = 5
    c.NativeAuthenticator.seconds_before_next_try = 600


class Login(handlers.LoginHandler):
    """Log in: with a page that can show what is wrong."""

    _timer = SimpleNamespace(stop=lambda send=True: None)
    _timer.start = lambda timer=_timer: timer
    statsd = SimpleNamespace(timer=lambda name, timer=_timer: timer)

    def _render(self, login_error: str | None = None, username: str | None = None, **_):
        known = self.authenticator.normalize_username(username or "")
        if login_error and self.authenticator.is_blocked(known):
            minutes = round(self.authenticator.seconds_before_next_try / 60)
            login_error = f"Too many wrong passwords for {known}: try again in {minutes} minutes."
        return super()._render(login_error, username)


class SignUp(handlers.SignUpHandler):
    """Sign up, and read what comes next or what has to be another way."""

    def get_result_message(self, user, human, taken, matches, is_admin) -> tuple[str, str]:
        """See NativeAuthenticator."""
        if user:
            return "alert-info", _WAITS
        name, password = self.get_body_argument("username"), self.get_body_argument("signup_password", strip=False)
        why = self.authenticator.why_not(name, password) if matches and not taken else ""
        if why:
            return "alert-danger", why
        return super().get_result_message(user, human, taken, matches, is_admin)


class OwnPages:
    """A page that changes something as soon as it is opened: not by a link on somebody else's site, or in a letter."""

    async def prepare(self) -> None:
        """See tornado; browsers say where a link was over https and on this machine, and its address always."""
        await super().prepare()
        where = urlparse(self.request.headers.get("Referer", ""))
        guessed = "same-origin" if where.netloc == self.request.host else "none"
        if self.request.headers.get("Sec-Fetch-Site", guessed) != "same-origin":
            raise web.HTTPError(403, "This is done under /hub/authorize, by its buttons only.")


class Toggle(OwnPages, handlers.ToggleAuthorizationHandler):
    """Let somebody in, or out again."""


class Discard(OwnPages, handlers.DiscardHandler):
    """Take away an account that waits."""


_OURS = {"/login": Login, "/signup": SignUp, "/discard/([^/]*)": Discard, "/authorize/([^/]*)": Toggle}


class SignUpAuthenticator(NativeAuthenticator):
    """Accounts that people make on the hub, and an administrator lets in."""

    def get_handlers(self, app: object) -> list[tuple]:
        """See Authenticator."""
        return [(path, _OURS.get(path, handler)) for path, handler in super().get_handlers(app)]

    def get_authed_users(self) -> set[str]:
        """Nobody is let in for their name: whoever signs up first under a name has it."""
        return set()

    def is_password_strong(self, password: str) -> bool:
        """See NativeAuthenticator."""
        return len(password.encode()) <= LONGEST and super().is_password_strong(password)

    def why_not(self, name: str, password: str) -> str:
        """Why there is no account with this name and password; nothing if there may be one."""
        name = self.normalize_username(name)
        if name in self.blocked_users:
            return f"{name} is the account of a course, with which nobody logs in. Choose another name."
        if not self.validate_username(name):
            return "Expected a name of 1 to 32 lower-case letters, digits, dots, hyphens and _, with no hyphen first."
        if not (self.allow_all or name in self.allowed_users or name in self.admin_users):
            return f"{name} is in no course of this hub. Take the name under which your instructor knows you."
        if len(password) < SHORTEST:
            return f"Expected a password of {SHORTEST} characters or more."
        if len(password.encode()) > LONGEST:
            return f"Expected a password of {LONGEST} characters or fewer; letters with accents count twice or more."
        if self.is_password_common(password):
            return "This password is among those that everybody tries first. Choose another one."
        return ""

    def create_user(self, username: str, password: str, **more):
        """See NativeAuthenticator."""
        return None if self.why_not(username, password) else super().create_user(username, password, **more)

    def can_try_to_login_again(self, username: str) -> bool:
        """See NativeAuthenticator, which counts the seconds of the last day only."""
        said = self.login_attempts.get(username)
        return not said or (handlers.datetime.now() - said["time"]).total_seconds() > self.seconds_before_next_try

    async def refresh_user(self, user, handler=None, **more):
        """See Authenticator: who is no longer let in has to log in, and reads so."""
        known = self.get_user(user.name)
        return await super().refresh_user(user, handler, **more) if known and known.is_authorized else False


def let_in(name: str, database: Path) -> bool:
    """Let somebody in who has signed up; whether there is such an account."""
    line = "UPDATE users_info SET is_authorized = 1 WHERE username = ?"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=30)) as connection:
        changed = connection.execute(line, (name,)).rowcount
        connection.commit()
    return changed > 0


if __name__ == "__main__":
    from settings import read_settings

    if len(sys.argv) != 3 or sys.argv[1] != "let-in":
        sys.exit("python hub/native.py let-in NAME")
    asked = read_settings(Path(os.environ.get("HUB_SETTINGS", "/etc/deep-learning-in-practice/hub.yml")))
    if not let_in(sys.argv[2], asked.state / "jupyterhub.sqlite"):
        sys.exit(f"{sys.argv[2]} has not signed up")
    print(f"{sys.argv[2]} may log in.")
