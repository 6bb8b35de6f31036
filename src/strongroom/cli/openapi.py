"""``strongroom openapi``."""

from __future__ import annotations

__all__ = ["openapi"]


def openapi() -> None:
    """Print the OpenAPI 3.1 document of the store's interface, which answers inside the attested channel.

    Example: strongroom openapi > openapi.json
    """
    from strongroom.cli.output import emit_json
    from strongroom.store.openapi import openapi_document

    emit_json(openapi_document())
