"""What a running store does beside answering: usage figures go to the database at intervals, and once at the end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from strongroom.base.errors import StrongroomError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.applications import Starlette

__all__ = ["flushing"]

_log = logging.getLogger(__name__)


def flushing(flush: Callable[[], None], *, seconds: float) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Give a lifespan that calls ``flush`` every so many seconds, and when the service stops."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(_repeat(flush, seconds))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.to_thread(_try, flush)

    return lifespan


async def _repeat(flush: Callable[[], None], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(_try, flush)


def _try(flush: Callable[[], None]) -> None:
    try:
        flush()
    except StrongroomError as error:
        # kept in memory; the next flush adds it
        _log.warning("usage figures could not be kept: %s", error.code, extra={"code": error.code})
