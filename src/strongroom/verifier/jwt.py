"""Attestation results as JWT: JWS in compact form (RFC 7515), ES256 or EdDSA, verified with a pinned key only.

The header is not asked anything. It has to name the pinned key's algorithm and this type of token, and a header that
wants to change how it is read (``crit``, ``b64``, a key of its own) is malformed. The steps are those of
docs/spec/attestation-results.md section 3.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, MalformedCollateral, MalformedToken
from strongroom.base.findings import Check, Finding
from strongroom.formats.signed_json import parse_object, write_json
from strongroom.verifier.eat import MAX_TOKEN_BYTES, Ear, base64url, from_base64url, judge_ear

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.base.canonical import Value
    from strongroom.verifier.policy import AnyValue
    from strongroom.verifier.token_keys import IssuerKey, PinnedKey

__all__ = ["TYPE", "open_jws", "read_jwt", "sign_jws", "sign_jwt", "verify_jwt"]

TYPE: Final = "eat+jwt"
"""``typ`` (RFC 9782), so that no other kind of JWT of the same issuer passes as a result (RFC 8725 section 3.11)."""

_HEADER: Final = frozenset({"alg", "typ", "kid"})
_NO_SKEW: Final = timedelta(0)


def sign_jwt(ear: Ear, key: IssuerKey) -> bytes:
    """Sign an attestation result."""
    claims = json.dumps(ear.to_json_claims(), separators=(",", ":"), allow_nan=False).encode()
    return sign_jws(claims, key, typ=TYPE)


def verify_jwt(
    token: bytes,
    key: PinnedKey,
    *,
    at: datetime,
    maximum_age: timedelta | AnyValue,
    nonce: bytes | AnyValue,
    clock_skew: timedelta = _NO_SKEW,
) -> Ear:
    """Verify a token with the one key that is trusted for it, at an instant, and give its claims.

    ``maximum_age`` counts from ``iat``; ``nonce`` is the one given to the verifier; ``ANY`` leaves either open.
    A refusal of evidence verifies too: look at ``status``. Raises ``MalformedToken``, and ``AppraisalRefused`` with
    every finding about signature, time and nonce.
    """
    ear = read_jwt(token, key)
    findings = judge_ear(ear, at=at, maximum_age=maximum_age, nonce=nonce, clock_skew=clock_skew)
    if findings:
        raise AppraisalRefused(findings)
    return ear


def read_jwt(token: bytes, key: PinnedKey) -> Ear:
    """Give the claims that the pinned key signed, at whatever time and for whatever nonce; raises as ``verify_jwt``."""
    payload, findings = open_jws(token, key, typ=TYPE)
    if findings:  # what nobody signed is not read
        raise AppraisalRefused(findings)
    return Ear.from_json_claims(_json(payload, "token"))


def sign_jws(payload: bytes, key: IssuerKey, *, typ: str) -> bytes:
    """Sign any payload in compact form."""
    header = write_json({"alg": key.algorithm.jose, "typ": typ})
    signed = f"{base64url(header)}.{base64url(payload)}".encode()
    return signed + b"." + base64url(key.sign(signed)).encode()


def open_jws(token: bytes, key: PinnedKey, *, typ: str | None) -> tuple[bytes, list[Finding]]:
    """Give the payload of a compact JWS and what is wrong with its algorithm or signature; ``typ`` as in its header."""
    if len(token) > MAX_TOKEN_BYTES:
        raise MalformedToken(f"{len(token)} bytes, at most {MAX_TOKEN_BYTES} are read", path="token")
    try:
        parts = token.decode("ascii").split(".")
    except UnicodeDecodeError as error:
        raise MalformedToken("not ASCII", path="token", offset=error.start) from error
    if len(parts) != 3:
        raise MalformedToken(f"{len(parts)} parts, not three", path="token")
    names = ("header", "payload", "signature")
    header, payload, signature = (
        from_base64url(part, path=f"token.{name}") for part, name in zip(parts, names, strict=True)
    )
    said = _json(header, "token.header")
    if not isinstance(said, dict) or not said.keys() <= _HEADER:
        raise MalformedToken(f"a header has {', '.join(sorted(_HEADER))} and nothing else", path="token.header")
    if said.get("typ") != typ:
        raise MalformedToken(f"typ is not {typ!r}", path="token.header")
    findings = []
    if said.get("alg") != key.algorithm.jose:
        message = "the token names another algorithm than the pinned key's"
        findings.append(_objection("3.1.3", message, key.algorithm.jose, ascii(said.get("alg"))[:40]))
    if not key.signed(token[: token.rindex(b".")], signature):
        findings.append(_objection("3.1.4", "the token is not signed by the pinned key"))
    return payload, findings


def _objection(step: str, message: str, expected: str = "", actual: str = "") -> Finding:
    section = f"attestation-results {step}"
    return Finding(check=Check.SIGNATURE, message=message, section=section, expected=expected, actual=actual)


def _json(data: bytes, path: str) -> Value:
    """Read JSON that has been found strict: each key once, whole numbers, nothing after the value."""
    try:
        parse_object(data, path=path)
    except MalformedCollateral as error:
        raise MalformedToken(error.message) from error
    value: Value = json.loads(data.decode())
    return value
