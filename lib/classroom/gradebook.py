"""nbgrader's gradebook, SQLite or PostgreSQL: opened with one clear message where it cannot be, and our table in it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import sqlalchemy as sa
from nbgrader.api import Gradebook
from sqlalchemy.exc import DBAPIError, OperationalError

from classroom.errors import ClassroomError

WAIT_SECONDS = 60.0  # for a lock that another program holds; formgrader holds one for milliseconds
_TRY_SECONDS = 1.0  # of one attempt, so that Ctrl-C is heard and the message comes soon
_LOCKED = ("database is locked", "database table is locked", "lock timeout", "could not obtain lock", "deadlock")
_SQLITE = "sqlite:///"

T = TypeVar("T")

# What the writer merged last, in the gradebook itself: so it is true exactly when the grades beside it are.
metadata = sa.MetaData()
merged = sa.Table(
    "classroom_merged",
    metadata,
    sa.Column("project", sa.String(128), primary_key=True),
    sa.Column("student", sa.String(128), primary_key=True),
    sa.Column("stamp", sa.String(64), nullable=False),  # of the result file: inode, size and time of change
    sa.Column("graded_at", sa.String(40), nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("answers", sa.Text, nullable=False),  # JSON: the hashes of the text that stands graded
)


def normal_url(url: str) -> str:
    """The address with a driver that is installed: psycopg 3 for PostgreSQL."""
    scheme, mark, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if mark and scheme in ("postgresql", "postgres") else url


def shown_url(url: str) -> str:
    """The gradebook's name for a message, without a password."""
    if url.startswith(_SQLITE):
        return os.path.relpath(url.removeprefix(_SQLITE))
    return sa.make_url(url).render_as_string(hide_password=True)


@contextlib.contextmanager
def speaking(url: str) -> Iterator[None]:
    """Around what uses the gradebook: errors of the database become one line that says what to do.

    Raises:
        ClassroomError: it is locked, damaged, read-only, full, or its server does not answer.
    """
    try:
        yield
    except (DBAPIError, sa.exc.NoSuchModuleError) as error:
        raise explain(error, url) from error


def explain(error: Exception, url: str) -> ClassroomError:
    """What an error of the database means to the person at the keyboard."""
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()
    first = reason[0] if reason else type(error).__name__
    name = shown_url(url)
    if is_locked(error):
        return ClassroomError(
            f"{name}: another program has held it for too long ({first}); close what is writing to it (formgrader, "
            "another nbgrader); nothing is lost, and the same command goes on from here"
        )
    if not url.startswith(_SQLITE):
        return ClassroomError(
            f"{name}: the database says: {first}; is the server up, the address right, the password in ~/.pgpass or "
            "PGPASSWORD? Nothing is lost, and the same command goes on from here"
        )
    if "not a database" in first or "malformed" in first:
        return ClassroomError(
            f"{name} is damaged ({first}): put a copy of yesterday's in its place; or move it away and type "
            "`classroom release` and then `classroom autograde PROJECT`, which makes it anew from the result files, "
            "without the grades that people gave by hand"
        )
    return ClassroomError(f"{name}: {first}; nothing is half-written, and the same command goes on once that is mended")


def is_locked(error: Exception) -> bool:
    """Whether another program holds the gradebook, so that waiting may help."""
    return isinstance(error, DBAPIError) and any(text in str(error.orig).lower() for text in _LOCKED)


class _Speaking(Gradebook):
    """nbgrader's gradebook, whose errors within a `with` statement become ClassroomError."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        super().__exit__(kind, error, trace)
        if isinstance(error, DBAPIError):
            raise explain(error, self.engine.url.render_as_string(hide_password=False)) from error


def open_gradebook(url: str, course_id: str) -> Gradebook:
    """nbgrader's own gradebook, for a `with` statement; its tables are made where there are none.

    Raises:
        ClassroomError: it cannot be opened; or, at the end of the `with` statement, something in it failed.
    """
    with speaking(url):
        return _Speaking(normal_url(url), course_id)


class Connection:
    """A connection of ours, with transactions that wait for other programs, but not for ever.

    Args:
        url: the gradebook's address.
        say: told once in a while that somebody holds it.
        wait: seconds until we give up.
    """

    def __init__(self, url: str, say: Callable[[str], None], wait: float = WAIT_SECONDS) -> None:
        self.url, self.say, self.wait = url, say, wait
        sqlite = url.startswith("sqlite")
        options = {"connect_args": {"timeout": min(wait / 3, _TRY_SECONDS)}} if sqlite else {"pool_pre_ping": True}
        self.engine = sa.create_engine(normal_url(url), **options)
        if sqlite:
            # Python's driver would begin only at the first change, and then fail instead of waiting.
            sa.event.listen(self.engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
            sa.event.listen(self.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    def close(self) -> None:
        """Give the connection back."""
        self.engine.dispose()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One transaction: all of it or nothing.

        Raises:
            ClassroomError: the gradebook stayed locked, or cannot be written.
        """
        with speaking(self.url):
            connection = self._patiently(self._begin)
            try:
                yield connection
                if self.engine.dialect.name == "sqlite":  # a reader holds off the end of a transaction too
                    self._patiently(lambda: connection.exec_driver_sql("COMMIT"))
                connection.commit()
            finally:
                connection.close()  # rolls back what was not committed

    def _begin(self) -> sa.Connection:
        connection = self.engine.connect()
        try:
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{int(self.wait)}s'"))
            else:
                connection.begin()
        except BaseException:
            connection.close()
            raise
        return connection

    def _patiently(self, step: Callable[[], T]) -> T:
        """Do a step, again and again while another program holds the gradebook, as long as we wait."""
        end, told = time.monotonic() + self.wait, False
        while True:
            try:
                return step()
            except OperationalError as error:
                if not is_locked(error) or time.monotonic() > end:
                    raise
            if not told:
                self.say(f"{shown_url(self.url)} is held by another program; waiting for at most {self.wait:g} s")
                told = True
