"""Pages of other origins that may talk to a service (CORS): those that are listed, and none by default.

It guards browsers' users against pages, not the service: whoever is no browser is bound by none of this, and the
channel's own checks do not rest on it. So the host may set it, and it is not measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware

from strongroom.base.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cross_origin", "is_origin"]

_PREFLIGHT_SECONDS: Final = 600


def cross_origin(service: Any, origins: Sequence[str]) -> Any:
    """Let pages of these origins (``https://app.example``) read the service's answers; of none, as it is.

    ``Misconfigured`` for anything but an origin: a star would be every page on the web. No credentials are allowed,
    since a browser's cookies are no part of the channel.
    """
    for origin in origins:
        if not is_origin(origin):
            raise Misconfigured(f"{origin!r} is no origin, as https://app.example is one", setting="allow-origin")
    if not origins:
        return service
    return CORSMiddleware(
        service,
        allow_origins=tuple(origins),
        allow_methods=("GET", "POST"),
        allow_headers=("content-type",),
        expose_headers=("retry-after",),
        max_age=_PREFLIGHT_SECONDS,
    )


def is_origin(text: str) -> bool:
    """Tell whether a text is one origin of the web and nothing more (RFC 6454 section 6.2)."""
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}"
