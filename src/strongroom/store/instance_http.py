"""The routes between instances as an ASGI application around the store's. Inside the attested channel only.

Bodies are deterministic CBOR, both ways (docs/spec/instances.md). Whatever is not for an instance is passed on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool

from strongroom.base.errors import ChannelRefused, MalformedMessage, StrongroomError
from strongroom.formats.joining import CBOR_TYPE, MAX_JOIN_BYTES, error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]
    Operation = Callable[[bytes, Mapping[str, Any]], bytes]

__all__ = ["InstanceRoutes"]

_log = logging.getLogger(__name__)
_STATUS_OK: Final = 200


class InstanceRoutes:
    """Serves ``routes`` (path: operation on the body and the channel's extension) before ``application``."""

    def __init__(self, application: Application, routes: Mapping[str, Operation]) -> None:
        self._application = application
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        operation = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if operation is None or scope["method"] != "POST":
            await self._application(scope, receive, send)
            return
        try:
            channel = scope.get("extensions", {}).get("strongroom")
            if channel is None or channel["shared_key"] is not None:
                raise ChannelRefused("instances speak inside an attested channel only")
            status, body = _STATUS_OK, await run_in_threadpool(operation, await _body(receive), channel)
        except StrongroomError as error:
            # the family and its sentence: neither holds a secret
            _log.warning("%s %s: %s", scope["path"], error.code, error.message)
            status, body = error.http_status, error_body(error)
        headers = [(b"content-type", CBOR_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedMessage("the request ended early", path="request")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_JOIN_BYTES:
            raise MalformedMessage(f"more than {MAX_JOIN_BYTES} bytes", path="request")
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)
