"""The declared routes as an ASGI application. Thin: decode, call, encode. It runs inside the attested channel.

It refuses to answer outside of one: without the channel's session there is nothing to tie a login to.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from strongroom.base.errors import ChannelRefused, StrongroomError
from strongroom.formats import store_api as api
from strongroom.store.routes import STORE_ROUTES
from strongroom.store.sessions import ChannelSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from strongroom.store.routes import Route as DeclaredRoute
    from strongroom.store.service import StoreService

__all__ = ["store_application"]

S = TypeVar("S")
_log = logging.getLogger(__name__)


def store_application(service: StoreService) -> Starlette:
    """Make the application of one store."""
    return Starlette(
        routes=[Route(item.path, _endpoint(item, service), methods=[item.method]) for item in STORE_ROUTES],
    )


def _endpoint(route: DeclaredRoute[S], service: S) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            session = _session(request)
            body = api.decode(await request.body(), route.request)
            session.check(route.grade)
            answer = await run_in_threadpool(route.operation, service, session, body)
        except StrongroomError as error:
            if error.http_status >= 500:
                # the family and its sentence: neither holds a secret or a name
                _log.warning("%s %s: %s", route.path, error.code, error.message)
            refusal = api.ErrorBody(error=error.code, message=error.message, hint=error.hint)
            return _json(api.encode(refusal), error.http_status)
        return _json(api.encode(answer), 200)

    return endpoint


def _session(request: Request) -> ChannelSession:
    channel = request.scope.get("extensions", {}).get("strongroom")
    if channel is None:
        raise ChannelRefused("the store speaks inside an attested channel only")
    return ChannelSession.of(channel["session"], channel["state"])


def _json(content: bytes, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")
