"""The store's routes as an ASGI application. Thin: decode, call, encode. It runs inside the attested channel.

It refuses to answer outside of one: without the channel's session there is nothing to tie a login to.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from strongroom.base.errors import ChannelRefused, StrongroomError
from strongroom.formats import store_api as api
from strongroom.store.sessions import ChannelSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from strongroom.store.service import StoreService

__all__ = ["store_application"]

_log = logging.getLogger(__name__)


def store_application(service: StoreService) -> Starlette:
    """Make the application of one store."""
    routes: dict[str, tuple[type[api.Body], Callable[[ChannelSession, Any], api.Body]]] = {
        "/v1/accounts/register/start": (api.RegisterStart, service.register_start),
        "/v1/accounts/register/finish": (api.RegisterFinish, service.register_finish),
        "/v1/sessions/login/start": (api.LoginStart, service.login_start),
        "/v1/sessions/login/finish": (api.LoginFinish, service.login_finish),
        "/v1/sessions/device": (api.DeviceSession, service.prove_device),
        "/v1/vault/fetch": (api.FetchPage, service.fetch),
        "/v1/vault/append": (api.Append, service.append),
    }
    return Starlette(
        routes=[Route(path, _endpoint(kind, operation), methods=["POST"]) for path, (kind, operation) in routes.items()]
    )


def _endpoint(
    kind: type[api.Body], operation: Callable[[ChannelSession, Any], api.Body]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            session = _session(request)
            answer = await run_in_threadpool(operation, session, api.decode(await request.body(), kind))
        except StrongroomError as error:
            if error.http_status >= 500:
                # the family and its sentence: neither holds a secret or a name
                _log.warning("%s %s: %s", request.url.path, error.code, error.message)
            body = api.ErrorBody(error=error.code, message=error.message, hint=error.hint)
            return _json(api.encode(body), error.http_status)
        return _json(api.encode(answer), 200)

    return endpoint


def _session(request: Request) -> ChannelSession:
    channel = request.scope.get("extensions", {}).get("strongroom")
    if channel is None:
        raise ChannelRefused("the store speaks inside an attested channel only")
    return ChannelSession.of(channel["session"], channel["state"])


def _json(content: bytes, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")
