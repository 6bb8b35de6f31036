"""The declared routes as an ASGI application. Thin: decode, call, encode. It runs inside the attested channel.

It refuses to answer outside of one: without the channel's session there is nothing to tie a login to.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from strongroom.base.errors import ChannelRefused, DeviceRevoked, MalformedMessage, StrongroomError, TenantUnknown
from strongroom.formats import store_api as api
from strongroom.store.admin_routes import ADMIN_ROUTES
from strongroom.store.keys import DEFAULT_TENANT
from strongroom.store.observers import UnobservedStore
from strongroom.store.routes import STORE_ROUTES
from strongroom.store.service import StoreService
from strongroom.store.sessions import ChannelSession, Grade
from strongroom.transport.client_evidence import shown_client
from strongroom.transport.inner import end_channel

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from strongroom.store.administration import AdminService
    from strongroom.store.observers import Observer
    from strongroom.store.routes import Route as DeclaredRoute
    from strongroom.store.tenancy import Tenancy

__all__ = ["store_application"]

_Answer = Callable[[ChannelSession, bytes, bytes], api.Body]
_TENANT: Final = re.compile(r"[0-9a-f]{32}")
_log = logging.getLogger(__name__)


def store_application(
    store: StoreService | Tenancy,
    *,
    administration: AdminService | None = None,
    observer: Observer | None = None,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    """Make the application of one store: of all its tenants, or of one service that knows of no others.

    ``administration`` adds the administrators' routes. ``lifespan`` surrounds the time in which it is served.
    """
    admit = _only(store) if isinstance(store, StoreService) else store.admit
    watch = observer or UnobservedStore()
    routes = [_route(item, _for_people(item, admit), watch) for item in STORE_ROUTES]
    if administration is not None:
        routes += [_route(item, _for_administrators(item, administration), watch) for item in ADMIN_ROUTES]
    return Starlette(routes=routes, lifespan=lifespan)


def _for_people(route: DeclaredRoute[StoreService], admit: Callable[[bytes], StoreService]) -> _Answer:
    def answer(session: ChannelSession, tenant: bytes, content: bytes) -> api.Body:
        service = admit(tenant)
        body = api.decode(content, route.request)
        session.bind_tenant(tenant)
        session.check(route.grade)
        if route.grade is not Grade.NOTHING:
            service.check(session)
        service.count_request(session)
        return route.operation(service, session, body)

    return answer


def _for_administrators(route: DeclaredRoute[AdminService], service: AdminService) -> _Answer:
    def answer(session: ChannelSession, _: bytes, content: bytes) -> api.Body:
        session.check(route.grade)
        return route.operation(service, session, api.decode(content, route.request))

    return answer


def _route(route: DeclaredRoute[Any], answer: _Answer, observer: Observer) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            with observer.request(route.name):
                session, tenant = _session(request), _tenant(request)
                body = await run_in_threadpool(answer, session, tenant, await request.body())
        except StrongroomError as error:
            if isinstance(error, DeviceRevoked):
                end_channel(request.scope)
            if error.http_status >= 500:
                # the family and its sentence: neither holds a secret or a name
                _log.warning("%s %s: %s", route.path, error.code, error.message)
            refusal = api.ErrorBody(error=error.code, message=error.message, hint=error.hint)
            return _json(api.encode(refusal), error.http_status)
        return _json(api.encode(body), 200)

    return Route(route.path, endpoint, methods=[route.method], name=route.name)


def _only(service: StoreService) -> Callable[[bytes], StoreService]:
    def admit(tenant: bytes) -> StoreService:
        if tenant != DEFAULT_TENANT:
            raise TenantUnknown("this store has no tenants")
        return service

    return admit


def _tenant(request: Request) -> bytes:
    """Read which tenant a request is for. Only the enclave sees this: it is inside the channel."""
    named = request.headers.getlist(api.TENANT_HEADER)
    if not named:
        return DEFAULT_TENANT
    if len(named) > 1 or not _TENANT.fullmatch(named[0]):
        raise MalformedMessage("a tenant is named once, by 32 hexadecimal digits", path=api.TENANT_HEADER)
    return bytes.fromhex(named[0])


def _session(request: Request) -> ChannelSession:
    channel = request.scope.get("extensions", {}).get("strongroom")
    if channel is None:
        raise ChannelRefused("the store speaks inside an attested channel only")
    session = ChannelSession.of(channel["session"], channel["state"])
    session.client = shown_client(request.scope)
    return session


def _json(content: bytes, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")
