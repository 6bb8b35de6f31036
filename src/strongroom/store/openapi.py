"""The OpenAPI 3.1 document of the interface inside the channel, from the tables of routes and the bodies' own types."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from strongroom import __version__
from strongroom.formats import store_api as api
from strongroom.store.admin_routes import ADMIN_ROUTES
from strongroom.store.routes import STORE_ROUTES
from strongroom.store.sessions import Grade

if TYPE_CHECKING:
    from strongroom.base.errors import StrongroomError
    from strongroom.store.routes import Route

__all__ = ["openapi_document"]

_REFERENCE: Final = "#/components/schemas/{name}"
_DIGITS: Final = "[A-Za-z0-9+/]"
_EXACT: Final = {
    24: rf"^{_DIGITS}{{21}}[AQgw]==$",  # 16 bytes
    44: rf"^{_DIGITS}{{42}}[AEIMQUYcgkosw048]=$",  # 32 bytes
    88: rf"^{_DIGITS}{{85}}[AQgw]==$",  # 64 bytes
}
_ANY: Final = rf"^({_DIGITS}{{4}})*({_DIGITS}[AQgw]==|{_DIGITS}{{2}}[AEIMQUYcgkosw048]=)?$"
_NEEDS: Final = {
    Grade.NOTHING: "Needs nothing proven.",
    Grade.ACCOUNT: "Needs a proven account or device.",
    Grade.DEVICE: "Needs a proven device.",
    Grade.ADMINISTRATOR: "Needs a proven administrator.",
}
_DESCRIPTION: Final = (
    "These routes answer inside the attested channel and nowhere else (docs/spec/store-api.md). "
    "Reach them through a client of the channel, or through `strongroom connect`. "
    "Byte strings are base64 (RFC 4648 section 4, padded)."
)


def openapi_document() -> dict[str, Any]:
    """Give the document as JSON can hold it; the same for the same code."""
    routes: tuple[Route[Any], ...] = (*STORE_ROUTES, *ADMIN_ROUTES)
    kinds = list(dict.fromkeys([kind for route in routes for kind in (route.request, route.response)]))
    _, schemas = msgspec.json.schema_components([*kinds, api.ErrorBody], ref_template=_REFERENCE)
    responses: dict[str, Any] = {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Strongroom, inside the channel", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "https://store.strongroom.invalid", "description": "as clients name it in the channel"}],
        "paths": {route.path: {route.method.lower(): _operation(route, responses)} for route in routes},
        "components": {
            "responses": dict(sorted(responses.items())),
            "schemas": {name: _exact(schema) for name, schema in sorted(schemas.items())},
        },
    }


def _operation(route: Route[Any], responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": route.name,
        "summary": route.summary,
        "description": _NEEDS[route.grade],
        "tags": [route.path.split("/")[2]],
        "x-session-grade": str(route.grade),
        "parameters": [] if route.path.startswith("/v1/admin/") else [_TENANT],
        "requestBody": {"required": True, "content": _json(_reference(route.request))},
        "responses": {
            "200": {"description": _sentence(route.response), "content": _json(_reference(route.response))},
            **_refusals(route.errors, responses),
        },
    }


_TENANT: Final = {
    "name": api.TENANT_HEADER,
    "in": "header",
    "required": False,
    "description": "The tenant that the request is for; without it, the default one.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}


def _refusals(errors: tuple[type[StrongroomError], ...], responses: dict[str, Any]) -> dict[str, Any]:
    """Refer to one response for each status; what they are is added to ``responses``, which routes share."""
    codes: defaultdict[int, set[str]] = defaultdict(set)
    for error in errors:
        codes[error.http_status].add(error.code)
    shown = {}
    for status, named in sorted(codes.items()):
        name = f"{status}.{'.'.join(sorted(named))}"
        narrowed = {"allOf": [_reference(api.ErrorBody), {"properties": {"error": {"enum": sorted(named)}}}]}
        responses[name] = {"description": ", ".join(sorted(named)), "content": _json(narrowed)}
        shown[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return shown


def _reference(kind: type[api.Body]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _sentence(kind: type[api.Body]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


def _exact(schema: Any) -> Any:
    """Say of base64 what the library that made the schema leaves out, and fold the docstrings' lines."""
    if isinstance(schema, list):
        return [_exact(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _exact(value) for name, value in schema.items()}
    if isinstance(made.get("description"), str):
        made["description"] = " ".join(made["description"].split())
    if made.get("contentEncoding") == "base64":
        exact = made.get("maxLength") if made.get("maxLength") == made.get("minLength") else None
        made["pattern"] = _EXACT.get(exact or 0, _ANY)
    return made
