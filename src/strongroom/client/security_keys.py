"""Security keys at this machine, through the ``fido2`` library: what the store asked, and what the key answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client
from fido2.hid import CtapHidDevice

from strongroom.base.errors import Malformed, Misconfigured, NotAuthorised

if TYPE_CHECKING:
    from fido2.ctap import CtapDevice

__all__ = ["answer_assertion", "answer_registration", "present_key"]


def present_key() -> CtapDevice | None:
    """Give the security key that is plugged in, if any is."""
    try:
        return next(CtapHidDevice.list_devices(), None)
    except OSError as cause:
        raise Misconfigured("security keys cannot be looked for", hint="are there rights on /dev/hidraw*?") from cause


def answer_registration(options: str, key: CtapDevice, page: str) -> str:
    """Have a key make a credential; ``page`` is the origin that it is for."""
    try:
        response = _client(key, page).make_credential(_public_key(options))
    except ClientError as cause:
        raise _failed(cause) from cause
    return json.dumps(dict(response))


def answer_assertion(options: str, key: CtapDevice, page: str) -> str:
    """Have a key answer a challenge."""
    try:
        response = _client(key, page).get_assertion(_public_key(options)).get_response(0)
    except ClientError as cause:
        raise _failed(cause) from cause
    return json.dumps(dict(response))


def _client(key: CtapDevice, page: str) -> Fido2Client:
    return Fido2Client(key, DefaultClientDataCollector(page))


def _public_key(options: str) -> Any:
    try:
        return json.loads(options)["publicKey"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Malformed("no WebAuthn options", path="options") from None


def _failed(cause: ClientError) -> NotAuthorised:
    return NotAuthorised(f"the security key did not answer ({cause.code.name.lower().replace('_', ' ')})")
