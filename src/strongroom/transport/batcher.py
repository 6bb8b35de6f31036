"""One quote for many clients: while a quote is being made, whoever arrives waits for the next one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AttesterUnavailable, StrongroomError
from strongroom.channel.server import Batch
from strongroom.formats.claims import MAX_BATCH

if TYPE_CHECKING:
    from strongroom.base.clock import Clock
    from strongroom.channel.messages import Attestation
    from strongroom.transport.ports import Attester, IdentitySource

__all__ = ["QuoteBatcher"]

_MAX_WAITING: Final = 2 * MAX_BATCH  # the batch being quoted and one more; beyond that a client is told to come back
_RETRY_AFTER_SECONDS: Final = 2.0


class QuoteBatcher:
    """Serialises a quoting device and shares each quote. A lone client gets one at once."""

    def __init__(self, attester: Attester, identities: IdentitySource, clock: Clock) -> None:
        self._attester = attester
        self._identities = identities
        self._clock = clock
        self._waiting: list[tuple[bytes, asyncio.Future[Attestation]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def attest(self, leaf: bytes) -> Attestation:
        """Wait for the batch that holds ``leaf``; ``AttesterUnavailable`` when too many wait or quoting fails."""
        if len(self._waiting) >= _MAX_WAITING:
            raise AttesterUnavailable(
                "too many clients are waiting for evidence", retry_after_seconds=_RETRY_AFTER_SECONDS
            )
        future: asyncio.Future[Attestation] = asyncio.get_running_loop().create_future()
        self._waiting.append((leaf, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                batch = [(leaf, future) for leaf, future in batch if not future.done()]  # some clients have left
                if batch:
                    await self._quote(batch)
        finally:
            self._worker = None

    async def _quote(self, members: list[tuple[bytes, asyncio.Future[Attestation]]]) -> None:
        try:
            batch = Batch([leaf for leaf, _ in members], self._identities.identity(self._clock.now()))
            evidence = await asyncio.to_thread(self._attester.evidence, batch.report_data)
        except Exception as cause:  # noqa: BLE001 - whatever went wrong is each waiting client's answer
            for _, future in members:
                if not future.done():
                    future.set_exception(_failure(cause))
            return
        for index, (_, future) in enumerate(members):
            if not future.done():
                future.set_result(batch.attestation(index, evidence))


def _failure(cause: Exception) -> StrongroomError:
    """Give one waiting client's error: each its own, since a raised exception collects the traceback of its task."""
    if isinstance(cause, AttesterUnavailable):
        error = AttesterUnavailable(cause.message, retry_after_seconds=cause.retry_after_seconds, hint=cause.hint)
    elif isinstance(cause, StrongroomError):
        return cause
    else:
        error = AttesterUnavailable(f"making evidence failed: {type(cause).__name__}")
    error.__cause__ = cause
    return error
