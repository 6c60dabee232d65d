"""Who people are, and whom the hub lets in: JupyterHub's authenticator for each kind of accounts.

Whichever it is, people are held against hub.yml (on a cluster values.yaml) again when the hub has started, and every
few minutes after that: who was taken out of it is out, and courses are those of today, not those of the last log-in.
A server that such a person left running is ended.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from jupyterhub.auth import Authenticator
from tornado import web
from tornado.httpclient import HTTPClientError

if TYPE_CHECKING:
    from settings import Settings  # on a cluster there is none

NAME = r"^[a-z0-9_][a-z0-9_.-]{0,31}\Z"  # \Z: $ takes a line's end behind the last letter, too
_EVERY = 20  # seconds between two looks at whose servers run
_PLAIN = {"system": "pam", "native": "native", "demo": "shared-password"}


def set_up(c: object, settings: "Settings") -> None:
    """Say in the hub's configuration who may log in, and which courses they belong to."""
    named = set(settings.administrators)
    for course in settings.courses:
        named.update(course.instructors, course.students or [])
    c.Authenticator.username_pattern = NAME
    c.Authenticator.admin_users = set(settings.administrators)
    # Nobody logs in as a grader: it grades, and its formgrader is a service.
    c.Authenticator.blocked_users = {course.grader for course in settings.courses}
    if settings.accounts == "system" and "root" not in named:  # whose password everybody could try here
        c.Authenticator.blocked_users.add("root")
    c.Authenticator.allowed_users = named
    c.Authenticator.allow_all = any(course.students is None for course in settings.courses)
    c.Authenticator.allow_existing_users = False  # to have been let in once is no reason
    c.Authenticator.manage_groups = True
    c.Authenticator.auth_refresh_strict = True  # a server's token is worth as much as its owner
    only_lists = not c.Authenticator.allow_all
    if settings.oauth:
        chosen, fields = settings.oauth
        c.OAuthenticator.oauth_callback_url = f"{settings.address}/hub/oauth_callback"
        c.Authenticator.allow_all = False  # everybody would be all of the provider's: its settings say who is let in
        only_lists = not any(name.startswith("allow") for name in fields)
        for name, value in fields.items():
            c.OAuthenticator[name] = value
    else:
        chosen = _PLAIN[settings.accounts]
    if settings.accounts == "native":
        import native

        native.set_up(c)
        kind = native.SignUpAuthenticator
    else:
        (entry,) = entry_points(group="jupyterhub.authenticators", name=chosen)
        kind = entry.load()
    if settings.oauth:
        kind = in_words(kind)
    members = {course.id: (course.instructors, course.students) for course in settings.courses}
    c.JupyterHub.authenticator_class = by_lists(kind, belongs_to(members), only_lists)


def belongs_to(
    members: Mapping[str, tuple[Collection[str], Collection[str] | None]],
) -> Callable[[str], list[str]]:
    """A function that says which groups, and so which courses, an account belongs to.

    Args:
        members: instructors and students (None: everybody) by course.
    """

    def groups(name: str) -> list[str]:
        found = []
        for course, (instructors, students) in members.items():
            if name in instructors:
                found.append(f"formgrade-{course}")
            elif students is None or name in students:
                found.append(f"nbgrader-{course}")
        return found

    return groups


def by_lists(kind: type[Authenticator], groups: Callable[[str], list[str]], only_lists: bool) -> type[Authenticator]:
    """An authenticator whose people have the courses that hub.yml says, at log-in and whenever it is looked at again.

    Args:
        kind: how people say who they are.
        groups: the groups of an account.
        only_lists: whether nobody is let in beside those whom hub.yml names.
    """

    class Account(kind):
        async def run_post_auth_hook(self, handler, auth_model: dict) -> dict:
            """See JupyterHub; called for who was let in."""
            model = await super().run_post_auth_hook(handler, auth_model)
            # Not None, which would leave somebody an administrator whom hub.yml no longer names.
            return model | {"groups": groups(model["name"]), "admin": bool(model.get("admin"))}

        def has_left(self, name: str) -> bool:
            """Whether somebody who was let in once would not be let in today."""
            known = name in self.allowed_users or name in self.admin_users
            if name in self.blocked_users or (only_lists and not known):
                return True
            return hasattr(super(), "has_left") and super().has_left(name)

        def get_handlers(self, app) -> list[tuple]:
            """See JupyterHub, which calls this once, when it starts."""
            self._looking = asyncio.get_running_loop().create_task(_end_servers(app, self.has_left))  # kept: it runs
            return super().get_handlers(app)

        async def refresh_user(self, user, handler=None, **more):
            """See JupyterHub: False, and they have to log in again, where they read why not."""
            if self.has_left(user.name):
                return False
            fresh = await super().refresh_user(user, handler, **more)
            if not fresh:
                return False
            model = fresh if isinstance(fresh, dict) else {"name": user.name}
            if not getattr(self, "admin_groups", None):  # those are the provider's to say, at log-in
                model["admin"] = user.name in self.admin_users
            return model | {"groups": groups(user.name)}

    Account.__name__ = Account.__qualname__ = kind.__name__
    return Account


async def _end_servers(app: object, has_left: Callable[[str], bool]) -> None:
    """End what runs in the name of people who have left, as long as the hub runs: pages are closed to them anyway, but
    what they started would go on, and what they have open would go on speaking to it."""

    async def end(user, name: str) -> None:
        app.log.warning("%s is not let in any more: their server is ended", user.name)
        try:
            await app.proxy.delete_user(user, name)
            await user.stop(name)
        except Exception:  # of any kind: one server that can't be ended keeps no other
            app.log.exception("%s's server could not be ended", user.name)

    while True:
        await asyncio.sleep(_EVERY)
        left = [user for user in app.users.values() if user.active and has_left(user.name)]
        await asyncio.gather(*(end(user, name) for user in left for name, one in user.spawners.items() if one.ready))


def in_words(kind: type[Authenticator]) -> type[Authenticator]:
    """A provider's authenticator that tells people why they are not let in."""

    class InWords(kind):
        async def authenticate(self, handler, data=None, **more):
            """See JupyterHub."""
            try:
                model = await super().authenticate(handler, data, **more)
            except (HTTPClientError, OSError, ValueError) as error:
                self.log.error("%s, which says who people are: %s", self.login_service, error)
                words = f"{self.login_service} could not be asked who you are. Try again in some minutes."
                raise web.HTTPError(503, words) from error
            if model is None:
                return None
            name = self.normalize_username(model["name"])
            if not self.validate_username(name):
                say = f"{self.login_service} says that you are {name}, and this hub has no account of such a name."
                raise web.HTTPError(403, say)
            if name in self.blocked_users:
                raise web.HTTPError(403, f"{name} is the account of a course, with which nobody logs in.")
            return model

        async def check_allowed(self, username: str, auth_model: dict | None) -> bool:
            """See JupyterHub."""
            if await super().check_allowed(username, auth_model):
                return True
            say = f"{self.login_service} says that you are {username}, whom this hub does not let in."
            raise web.HTTPError(403, f"{say} If you take part in a course here, write to its instructor.")

    InWords.__name__ = InWords.__qualname__ = kind.__name__
    return InWords
