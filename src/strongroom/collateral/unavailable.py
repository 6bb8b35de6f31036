"""One thing that could not be had, with its name and with when to ask again."""

from __future__ import annotations

from strongroom.base.errors import CollateralUnavailable

__all__ = ["ResourceUnavailable"]


class ResourceUnavailable(CollateralUnavailable):
    """A source has not got something, or not in a state that may be used.

    ``resource`` names it for people ("TCB info of 00906ED50000 from pccs.example"); ``request_id`` is the service's
    own mark for the request, where it gave one, to be quoted to its operator.
    """

    def __init__(
        self,
        message: str,
        *,
        resource: str,
        retry_after_seconds: float | None = None,
        request_id: str = "",
        hint: str = "",
    ) -> None:
        shown = f" (request {request_id})" if request_id else ""
        super().__init__(f"{resource}: {message}{shown}", retry_after_seconds=retry_after_seconds, hint=hint)
        self.resource = resource
        self.request_id = request_id
