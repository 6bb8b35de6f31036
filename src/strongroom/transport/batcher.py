"""One quote for many clients: while a quote is being made, whoever arrives waits for the next one."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AttesterUnavailable, StrongroomError
from strongroom.channel.server import Batch
from strongroom.formats.claims import MAX_BATCH
from strongroom.transport.ports import Unobserved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.base.clock import Clock
    from strongroom.channel.messages import Attestation
    from strongroom.channel.server import InstanceIdentity
    from strongroom.transport.ports import Attester, ChannelObserver, IdentitySource

    Place = tuple[Batch, int, bytes]
    Waiting = asyncio.Future[Place]

__all__ = ["QuoteBatcher"]

_MAX_WAITING: Final = 2 * MAX_BATCH  # the next two batches; beyond that a client is told to come back
_RETRY_AFTER_SECONDS: Final = 2.0


class QuoteBatcher:
    """Serialises a quoting device and shares each quote. A lone client gets one at once.

    Who came first is in the earlier batch. Who leaves makes room at once, and costs no quote if nobody else waits.
    """

    def __init__(
        self, attester: Attester, identities: IdentitySource, clock: Clock, *, observer: ChannelObserver | None = None
    ) -> None:
        self._observer = observer or Unobserved()
        self._attester = attester
        self._identities = identities
        self._clock = clock
        self._waiting: dict[Waiting, bytes] = {}  # in order of arrival
        self._worker: asyncio.Task[None] | None = None

    async def attest(self, leaf: bytes) -> Attestation:
        """Wait for the batch that holds ``leaf``; ``AttesterUnavailable`` when too many wait or quoting fails."""
        if len(self._waiting) >= _MAX_WAITING:
            raise AttesterUnavailable(
                "too many clients are waiting for evidence", retry_after_seconds=_RETRY_AFTER_SECONDS
            )
        future: Waiting = asyncio.get_running_loop().create_future()
        self._waiting[future] = leaf
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        try:
            batch, index, evidence = await future
        finally:
            self._waiting.pop(future, None)
        return batch.attestation(index, evidence)  # here, so that a large batch does not hold up everybody else

    async def _work(self) -> None:
        try:
            while self._waiting:
                members = dict(islice(self._waiting.items(), MAX_BATCH))
                for future in members:
                    del self._waiting[future]
                await self._quote(members)
        finally:
            self._worker = None

    async def _quote(self, members: dict[Waiting, bytes]) -> None:
        try:
            identity = self._identities.identity(self._clock.now())
            batch, evidence = await asyncio.to_thread(self._make, list(members.values()), identity)
        except Exception as cause:  # noqa: BLE001 - whatever went wrong is each waiting client's answer
            _fail(members, cause)
            return
        except asyncio.CancelledError as cause:
            _fail(members, cause)  # the service is being stopped; nobody is left waiting for ever
            raise
        for index, future in enumerate(members):
            if not future.done():
                future.set_result((batch, index, evidence))

    def _make(self, leaves: list[bytes], identity: InstanceIdentity) -> tuple[Batch, bytes]:
        batch = Batch(leaves, identity)
        with self._observer.quote(len(leaves)):
            return batch, self._attester.evidence(batch.report_data)


def _fail(members: Iterable[Waiting], cause: BaseException) -> None:
    for future in members:
        if not future.done():
            future.set_exception(_failure(cause))


def _failure(cause: BaseException) -> StrongroomError:
    """Give one waiting client's error: each its own, since a raised exception collects the traceback of its task."""
    if isinstance(cause, AttesterUnavailable):
        error = AttesterUnavailable(cause.message, retry_after_seconds=cause.retry_after_seconds, hint=cause.hint)
    elif isinstance(cause, StrongroomError):
        return cause
    else:
        error = AttesterUnavailable(f"making evidence failed: {type(cause).__name__}")
    error.__cause__ = cause
    return error
