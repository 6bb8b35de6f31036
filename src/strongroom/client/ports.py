"""What the client asks of the place where it keeps its state between runs.

The adapter is ``strongroom.storage.local_encrypted``; ``tests/conformance`` holds it to this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["LocalStore"]


class LocalStore(Protocol):
    """Values by kind and key, confidential and authenticated against whoever gets hold of the file.

    ``kind`` is a short name ("record", "entry", "view"), ``key`` at most 64 bytes. One process has the store at a
    time. Threads may share it: a transaction keeps the others waiting. Whatever cannot be read or written raises
    ``StorageUnavailable``.
    """

    def transaction(self) -> AbstractContextManager[None]:
        """Make the changes in the block atomic, and durable when it is left; an exception undoes them all.

        Transactions do not nest. A ``put`` or ``delete`` outside of one is a transaction of its own.
        """
        ...

    def get(self, kind: str, key: bytes) -> bytes | None:
        """Give one value, or ``None``."""
        ...

    def put(self, kind: str, key: bytes, value: bytes) -> None:
        """Set a value, whether or not there was one."""
        ...

    def delete(self, kind: str, key: bytes) -> None:
        """Remove a value; one that is not there is as good as removed."""
        ...

    def items(self, kind: str) -> Iterator[tuple[bytes, bytes]]:
        """Give all keys and values of a kind, in the keys' bytewise order, as they are at the call."""
        ...

    def close(self) -> None:
        """Let go of the file. Closing twice is allowed."""
        ...
