"""Sign-up on the hub itself (accounts: native), by jupyterhub-nativeauthenticator.

Its last release, 1.3, is for JupyterHub 5, which timed each log-in with a part that 6 no longer has. Made good here are
that, and what people read: why a name or a password is not taken, that they wait for an administrator, that there were
too many wrong passwords. An administrator's name lets nobody in by itself: root says who it is,

    python hub/native.py let-in NAME

and takes away the accounts that wait, where somebody has made many (not of those whom hub.yml names, or were in once):

    python hub/native.py forget-waiting
"""

import asyncio
import contextlib
import os
import secrets
import sqlite3
import sys
from pathlib import Path
from urllib.parse import urlparse

import bcrypt
import nativeauthenticator
from nativeauthenticator import handlers
from nativeauthenticator.nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from tornado import web

from classroom.errors import ClassroomError

SHORTEST, LONGEST = 10, 72  # of a password, in bytes; bcrypt takes no more
MOST_WAITING = 100  # people whom no list names; each sign-up takes a quarter of a second of the hub's time, too
_KNOWN = "hub-known-browser"  # a cookie
_KNOWN_DAYS = 200  # longer than a term
_WAITS = "Your account waits for an administrator, who lets you in. After that you can log in."


def is_right(typed: str, kept: bytes) -> bool:
    """Whether this is the password. bcrypt raises an error for a longer one, which would be a page without words."""
    return len(typed.encode()) <= LONGEST and bcrypt.checkpw(typed.encode(), kept)


UserInfo.is_valid_password = lambda self, typed: is_right(typed, self.password)  # wherever one is typed


def set_up(c: object) -> None:
    """Let people sign up, and an administrator let each of them in."""
    c.JupyterHub.template_paths = [str(Path(nativeauthenticator.__file__).parent / "templates")]
    c.NativeAuthenticator.check_common_password = True
    c.NativeAuthenticator.minimum_password_length = SHORTEST
    c.NativeAuthenticator.allowed_failed_logins = 5
    c.NativeAuthenticator.seconds_before_next_try = 600


class Login(handlers.LoginHandler):
    """Log in: with a page that can show what is wrong."""

    why = ""  # somebody is not let in, if there is more to say than that

    def _render(self, login_error: str | None = None, username: str | None = None, **_):
        return super()._render(login_error, username)

    async def post(self) -> None:
        """See tornado."""
        typed = {name: self.get_body_argument(name, "", strip=name == "username") for name in ("username", "password")}
        user = await self.login_user(typed)
        if user:
            self._jupyterhub_user = user
            self.redirect(self.get_next_url(user))
            return
        self.finish(await self._render(self.why or "Invalid username or password.", typed["username"][:32]))

    def known_browser(self, name: str) -> str:
        """Which browser this is, if somebody has logged in as `name` in it before; "" if not."""
        said = (self.get_secure_cookie(_KNOWN, max_age_days=_KNOWN_DAYS) or b"").decode()
        whose, _, browser = said.partition(" ")
        return browser if whose == name else ""

    def remember(self, name: str) -> None:
        """Know this browser the next time."""
        how = {"path": self.hub.base_url, "httponly": True, "samesite": "Lax", "expires_days": _KNOWN_DAYS}
        how["secure"] = self.request.protocol == "https"
        self.set_secure_cookie(_KNOWN, f"{name} {self.known_browser(name) or secrets.token_hex(8)}", **how)


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
        if name not in self.allowed_users | self.admin_users and self._is_full():
            return f"{MOST_WAITING} people wait to be let in, and no more can. Tell the administrator of this hub."
        if len(password) < SHORTEST:
            return f"Expected a password of {SHORTEST} characters or more."
        if len(password.encode()) > LONGEST:
            return f"Expected a password of {LONGEST} characters or fewer; letters with accents count twice or more."
        if self.is_password_common(password):
            return "This password is among those that everybody tries first. Choose another one."
        return ""

    def create_user(self, username: str, password: str, **_):
        """See NativeAuthenticator; what else a form says is nothing that was asked for."""
        return None if self.why_not(username, password) else super().create_user(username, password)

    def _is_full(self) -> bool:
        """Whether nobody else may wait whom hub.yml does not name."""
        waiting = self.db.query(UserInfo.username).filter(UserInfo.is_authorized.is_(False))
        unnamed = [name for (name,) in waiting if name not in self.allowed_users | self.admin_users]
        return len(unnamed) >= MOST_WAITING

    async def authenticate(self, handler, data: dict) -> str | None:
        """See NativeAuthenticator. Wrong passwords are counted for themselves in a browser in which somebody has logged
        in before: nobody else can make them wait there."""
        name, password = self.normalize_username(data["username"]), data["password"]
        known = self.get_user(name)
        if known is None:
            return None
        kept, may = known.password, known.is_authorized
        at_page = isinstance(handler, Login)  # the other way in is the hub's API
        counted = f"{name} {handler.known_browser(name)}".strip() if at_page else name
        if not self.is_blocked(counted):
            self.add_login_attempt(counted)  # before it is looked at, which takes time: many may come at once
            if await asyncio.to_thread(is_right, password, kept):
                self.login_attempts.pop(counted, None)
                if not may:
                    handler.why = f"User {name} has not been authorized by an administrator yet."
                elif at_page:
                    handler.remember(name)
                return name if may else None
        if self.is_blocked(counted):
            minutes = round(self.seconds_before_next_try / 60)
            handler.why = f"Too many wrong passwords for {name}: try again in {minutes} minutes."
        return None

    def is_blocked(self, username: str) -> bool:
        """See NativeAuthenticator, which counts the seconds of the last day only."""
        said = self.login_attempts.get(username)
        if said and (handlers.datetime.now() - said["time"]).total_seconds() > self.seconds_before_next_try:
            del self.login_attempts[username]
            return False
        return bool(said) and said["count"] >= self.allowed_failed_logins

    def change_password(self, username: str, new_password: str) -> bool | None:
        """See NativeAuthenticator: who has a new password waits no longer."""
        done = super().change_password(username, new_password)
        if done:
            self.login_attempts.pop(self.normalize_username(username), None)
        return done

    def has_left(self, name: str) -> bool:
        """Whether an administrator has put somebody out again (accounts.py asks)."""
        known = self.get_user(name)
        return not (known and known.is_authorized)


def let_in(name: str, database: Path) -> bool:
    """Let somebody in who has signed up; whether there is such an account."""
    line = "UPDATE users_info SET is_authorized = 1 WHERE username = ?"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=30)) as connection:
        changed = connection.execute(line, (name,)).rowcount
        connection.commit()
    return changed > 0


def forget_waiting(database: Path) -> list[str]:
    """Take away the accounts that wait to be let in, of people whom the hub does not know; their names."""
    line = "DELETE FROM users_info WHERE NOT is_authorized AND username NOT IN (SELECT name FROM users)"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=30)) as connection:
        names = [name for (name,) in connection.execute(f"{line} RETURNING username")]
        connection.commit()
    return sorted(names)


def main(words: list[str]) -> None:
    """What root types."""
    from settings import read_settings

    try:
        where = os.environ.get("HUB_SETTINGS", "/etc/deep-learning-in-practice/hub.yml")
        asked = read_settings(Path(where), made=False)
    except ClassroomError as error:
        sys.exit(str(error))
    database = asked.state / "jupyterhub.sqlite"
    match words:
        case ["let-in", name]:
            if not let_in(name, database):
                sys.exit(f"{name} has not signed up")
            print(f"{name} may log in.")
        case ["forget-waiting"]:
            names = forget_waiting(database)
            print(f"{len(names)} accounts that waited are gone{': ' if names else ''}{', '.join(names)}")
        case _:
            sys.exit("python hub/native.py let-in NAME\npython hub/native.py forget-waiting")


if __name__ == "__main__":
    main(sys.argv[1:])
