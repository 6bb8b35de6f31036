"""How the store writes: a transaction that the database undid for another's sake is run again, so many times.

Everything else passes through at once. In particular a commit whose outcome is unknown is never repeated here: the
caller's own compare-and-swap, or the client's, finds out what happened.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from strongroom.base.errors import Contended

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.store.ports import RecordStore, WriteTransaction

__all__ = ["transact"]

_ATTEMPTS: Final = 12
_FIRST_SECONDS: Final = 0.002
_LONGEST_SECONDS: Final = 0.25

_T = TypeVar("_T")


def transact(
    storage: RecordStore, work: Callable[[WriteTransaction], _T], *, sleep: Callable[[float], None] = time.sleep
) -> _T:
    """Run ``work`` in a write transaction and give what it gives, once it is durable.

    ``work`` may run several times, so it changes nothing but rows. Raises ``Contended`` when twelve attempts were
    undone, about a second and a half of waiting at most.
    """
    longest = _FIRST_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with storage.write() as transaction:
                return work(transaction)
        except Contended:
            if attempt == _ATTEMPTS:
                raise
        # a random share, so that those who met do not meet again
        sleep(random.uniform(0, longest))  # noqa: S311 - when to try again is no secret
        longest = min(2 * longest, _LONGEST_SECONDS)
    raise AssertionError("the last attempt gives or raises")
