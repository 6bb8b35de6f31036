"""Who watches a store at work: figures and traces hang on here, and learn names of routes, outcomes and durations.

Nothing that identifies an account, a vault, a tenant or a client is passed to an observer. What it does learn, a host
that watches its own database and network could count as well (docs/decisions/0011).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from strongroom.transport.ports import ChannelObserver, Unobserved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction

__all__ = ["ObservedStorage", "Observer", "Observers", "UnobservedStore"]


class Observer(ChannelObserver, Protocol):
    """Each method surrounds one piece of work; an exception that passes through it is the outcome."""

    def request(self, route: str) -> AbstractContextManager[None]:
        """Surround one request inside a channel; ``route`` is a name from the table of routes."""
        ...

    def storage(self, kind: str) -> AbstractContextManager[None]:
        """Surround one transaction: ``"read"`` or ``"write"``."""
        ...


class UnobservedStore(Unobserved):
    """Nobody watches the store either."""

    def request(self, route: str) -> AbstractContextManager[None]:
        """Look away."""
        return nullcontext()

    def storage(self, kind: str) -> AbstractContextManager[None]:
        """Look away."""
        return nullcontext()


class Observers:
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def request(self, route: str) -> AbstractContextManager[None]:
        """Let all watch."""
        return _all([observer.request(route) for observer in self._observers])

    def storage(self, kind: str) -> AbstractContextManager[None]:
        """Let all watch."""
        return _all([observer.storage(kind) for observer in self._observers])

    def exchange(self, kind: str) -> AbstractContextManager[None]:
        """Let all watch."""
        return _all([observer.exchange(kind) for observer in self._observers])

    def quote(self, leaves: int) -> AbstractContextManager[None]:
        """Let all watch."""
        return _all([observer.quote(leaves) for observer in self._observers])


class ObservedStorage:
    """A record store whose transactions are watched. Satisfies ``RecordStore``."""

    def __init__(self, inner: RecordStore, observer: Observer) -> None:
        self._inner = inner
        self._observer = observer

    def read(self) -> AbstractContextManager[ReadTransaction]:
        """Open a snapshot."""
        return self._read()

    def write(self) -> AbstractContextManager[WriteTransaction]:
        """Open the write transaction."""
        return self._write()

    def close(self) -> None:
        """Let go of the database."""
        self._inner.close()

    @contextmanager
    def _read(self) -> Iterator[ReadTransaction]:
        with self._observer.storage("read"), self._inner.read() as transaction:
            yield transaction

    @contextmanager
    def _write(self) -> Iterator[WriteTransaction]:
        with self._observer.storage("write"), self._inner.write() as transaction:
            yield transaction


@contextmanager
def _all(contexts: list[AbstractContextManager[None]]) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield
