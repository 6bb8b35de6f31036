"""Connections to a database that speaks PostgreSQL's protocol, and what it says went wrong in words of the taxonomy.

Connections are made by the thread that needs one, so that a database that is down is told at once and by name, and
kept for the next. One that failed in any way is not used again; one that died while it was idle is replaced in silence,
because nothing was asked of it yet.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from strongroom.base.errors import Contended, Misconfigured, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.abc import PQGen

__all__ = ["Connections", "DatabaseAddress", "mapped"]

_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 15.0  # for a database that accepts and then is silent
_STATEMENT_SECONDS: Final = 10
_IDLE_SECONDS: Final = 60  # in a transaction, should this process stop in the middle of one
_GREATEST: Final = 32
_WAIT_SECONDS: Final = 5.0

_SETTINGS: Final = (
    f"SET statement_timeout = '{_STATEMENT_SECONDS}s'; SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'"
).encode()

_PREFIX: Final = ("postgresql://", "postgres://")
_LOCAL: Final = frozenset({"", "localhost", "127.0.0.1", "::1"})

# https://www.postgresql.org/docs/15/errcodes-appendix.html; a class stands for its codes that are not named
_CONTENDED: Final = frozenset({"40001", "40P01"})
_MISTAKES: Final = frozenset({"42601", "22P02", "42883"})
_FACTS: Final = {
    "53100": ("the disk is full", "free some space and try again; what was stored before is intact"),
    "53200": ("there is not enough memory", ""),
    "53300": ("it takes no more connections", "raise its limit, or run fewer instances"),
    "53": ("its resources are exhausted", ""),
    "57014": ("a statement took too long", "look at the database's load"),
    "57P": ("it is shutting down or starting", "try again in a moment"),
    "58": ("reading or writing failed on its disk", "look at the disk and the database's log"),
    "XX001": ("its files are damaged", "put back a backup"),
    "XX002": ("its files are damaged", "put back a backup"),
    "25006": ("it is a read-only replica", "name the primary, or several hosts with target_session_attrs=read-write"),
    "3F": ("there is no such schema", "look at search_path"),
    "42501": ("we may not use its tables", "grant the tables to the user in the address"),
    "42P01": ("a table is missing", "put back a backup"),
    "42": ("its tables were altered", "put back a backup"),
    "08": ("the connection was lost", "try again in a moment"),
}
_LOST: Final = (  # libpq gives no code for what goes wrong before a session begins
    "it cannot be reached, or does not let us in",
    "look at whether it runs, and at the address, user and password; its log says more",
)
_OTHERWISE: Final = ("the database reported an error", "look at the database's log")
_LASTING: Final = frozenset({"3F", "42", "XX"})

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DatabaseAddress:
    """A ``postgresql://`` address and the password that goes with it. No representation."""

    url: str
    password: str | None = None

    @staticmethod
    def is_one(text: str) -> bool:
        """Tell whether a text names such a database."""
        return text.startswith(_PREFIX)

    def parameters(self) -> dict[str, Any]:
        """Give libpq's parameters.

        An address holds no password, for command lines can be read by everybody on a machine. Over a network the
        server's certificate and name are checked unless the address says otherwise. ``Misconfigured`` otherwise.
        """
        try:
            found = conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:
            raise Misconfigured("the database's address cannot be read", setting="database") from None
        if "password" in found:
            raise Misconfigured(
                "the database's address holds a password, which every process on this machine could read",
                setting="database",
                hint="use --database-password-file, or libpq's PGPASSFILE",
            )
        if self.password is not None:
            found["password"] = self.password
        if "sslmode" not in found and not self._is_local(found):
            found["sslmode"] = "verify-full"
            found.setdefault("sslrootcert", "system")
        found.setdefault("connect_timeout", _CONNECT_SECONDS)
        found.setdefault("target_session_attrs", "read-write")
        found.setdefault("application_name", "strongroom")
        return found

    def __str__(self) -> str:
        found = conninfo_to_dict(self.url)
        return f"{found.get('dbname', '')} at {found.get('host') or 'the local socket'}"

    @staticmethod
    def _is_local(found: dict[str, Any]) -> bool:
        hosts = str(found.get("hostaddr") or found.get("host") or "").split(",")
        return all(host in _LOCAL or host.startswith("/") for host in hosts)


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that does not wait for ever."""

    patience = _ANSWER_SECONDS

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        return super().wait(gen, interval=interval, timeout=timeout or self.patience)


class Connections:
    """The connections of one process to one database: at most 32, in the hands of one thread each."""

    def __init__(self, address: DatabaseAddress) -> None:
        self._conninfo = make_conninfo(**address.parameters())
        self.subject = f"the database {address}"
        self._places = threading.BoundedSemaphore(_GREATEST)
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._closed = False

    @contextmanager
    def begun(self, begin: bytes) -> Iterator[_Connection]:
        """Give a connection on which ``begin`` has begun a transaction; what is not committed after is undone."""
        self._check_open()
        if not self._places.acquire(timeout=_WAIT_SECONDS):
            raise StorageUnavailable(f"{self.subject}: every connection is in use", retry_after_seconds=1.0)
        try:
            connection = self._begin(begin)
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _begin(self, begin: bytes) -> _Connection:
        while (connection := self._take()) is not None:
            try:
                connection.execute(begin)
            except psycopg.Error:
                connection.close()  # it died while it was idle: nothing was asked of it yet
                continue
            except BaseException:
                connection.close()
                raise
            return connection
        with mapped(self.subject):
            connection = self._connect()
            try:
                connection.execute(begin)
            except BaseException:
                connection.close()
                raise
            return connection

    def _connect(self) -> _Connection:
        # autocommit: transactions are begun and ended by our own statements
        connection = _Connection.connect(self._conninfo, autocommit=True)
        try:
            connection.execute(_SETTINGS)
            waits = connection.execute(b"SHOW synchronous_commit").fetchone()
            if waits == ("off",):  # a role or a database can be set to acknowledge what a crash would lose
                connection.execute(b"SET synchronous_commit = on")
        except BaseException:
            connection.close()
            raise
        return connection

    def _take(self) -> _Connection | None:
        with self._lock:
            self._check_open()
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: _Connection) -> None:
        try:
            if connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                connection.execute(b"ROLLBACK")
        except psycopg.Error:
            connection.close()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if not self._closed and connection.info.transaction_status is TransactionStatus.IDLE:
                self._idle.append(connection)
                return
        with suppress(psycopg.Error):
            connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageUnavailable(f"{self.subject} is closed")


@contextmanager
def mapped(subject: str) -> Iterator[None]:
    """Turn the driver's errors into ``Contended`` and ``StorageUnavailable``; mistakes in a program pass through."""
    try:
        yield
    except psycopg.Error as cause:
        code = cause.sqlstate or ""
        if code in _CONTENDED:
            raise Contended(f"{subject}: another transaction was first", retry_after_seconds=0.1) from cause
        if code in _MISTAKES or (not code and not isinstance(cause, psycopg.OperationalError)):
            raise
        # the driver's own text stays in the cause: it can name statements and addresses
        fact, hint = next((_FACTS[part] for part in (code, code[:3], code[:2]) if part in _FACTS), _OTHERWISE)
        if not code:
            fact, hint = _LOST
        raise StorageUnavailable(
            f"{subject}: {fact}{f' ({code})' if code else ''}",
            retry_after_seconds=None if code[:2] in _LASTING else 1.0,
            hint=hint,
        ) from cause
