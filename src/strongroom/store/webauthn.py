"""Security keys by WebAuthn, with the checks of the ``fido2`` library: challenge, origin, RP id, presence, signature.

No attestation is asked for: which make of key somebody has is nobody's business here, and proves nothing more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    UserVerificationRequirement,
)

from strongroom.base.errors import MalformedMessage, NotAuthorised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.store.second_factor import SecurityKey

__all__ = ["Challenge", "asked_for_assertion", "asked_for_registration", "asserted", "registered"]

Challenge = dict[str, Any]
"""What the library remembers of a challenge, for this session only."""

_NAME = "Strongroom"


def asked_for_registration(rp_id: str, user: bytes, known: Sequence[SecurityKey]) -> tuple[str, Challenge]:
    """Begin the registration of a key: options as JSON, and the challenge to keep."""
    entity = PublicKeyCredentialUserEntity(id=user, name="strongroom", display_name="Strongroom")
    options, challenge = _server(rp_id).register_begin(
        entity,
        [AttestedCredentialData(key.credential) for key in known],
        user_verification=UserVerificationRequirement.DISCOURAGED,
    )
    return json.dumps(dict(options)), challenge


def registered(rp_id: str, challenge: Challenge, response: str) -> tuple[bytes, int]:
    """Check what a key answered: its credential data and its counter, or ``NotAuthorised``."""
    document = _document(response)
    credential, count = b"", 0
    try:
        data = _server(rp_id).register_complete(challenge, document)
        credential, count = bytes(data.credential_data or b""), data.counter
    except Exception:  # noqa: BLE001 - a foreign parser over foreign bytes; whatever it says, the key is not taken
        credential = b""
    if not credential:
        raise NotAuthorised("the security key's answer does not hold")
    return credential, count


def asked_for_assertion(rp_id: str, keys: Sequence[SecurityKey]) -> tuple[str, Challenge]:
    """Ask for an assertion of one of these keys: options as JSON, and the challenge to keep."""
    options, challenge = _server(rp_id).authenticate_begin(
        [AttestedCredentialData(key.credential) for key in keys],
        user_verification=UserVerificationRequirement.DISCOURAGED,
    )
    return json.dumps(dict(options)), challenge


def asserted(rp_id: str, keys: Sequence[SecurityKey], challenge: Challenge, response: str) -> tuple[SecurityKey, int]:
    """Check an assertion: whose it is and that key's counter, or ``NotAuthorised``."""
    document = _document(response)
    try:
        found = _server(rp_id).authenticate_complete(
            challenge, [AttestedCredentialData(key.credential) for key in keys], document
        )
        count = AuthenticationResponse.from_dict(document).response.authenticator_data.counter
        return next(key for key in keys if key.credential == bytes(found)), count
    except Exception:  # noqa: BLE001 - as above
        raise NotAuthorised("the security key's answer does not hold") from None


def _server(rp_id: str) -> Fido2Server:
    return Fido2Server(PublicKeyCredentialRpEntity(id=rp_id, name=_NAME))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise MalformedMessage("not a WebAuthn response", path="response")
    return document
