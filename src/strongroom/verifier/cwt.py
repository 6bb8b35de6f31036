"""Attestation results as CWT: COSE_Sign1 (RFC 9052 section 4.2), ES256 or EdDSA, verified with a pinned key only.

A token has one form: tag 18, deterministic CBOR, algorithm and type in the protected header and nowhere else. Steps:
docs/spec/attestation-results.md section 3.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, MalformedToken
from strongroom.base.findings import Check, Finding
from strongroom.verifier.eat import MAX_TOKEN_BYTES, Ear, judge_ear

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.base.canonical import Value
    from strongroom.verifier.policy import AnyValue
    from strongroom.verifier.token_keys import IssuerKey, PinnedKey

__all__ = ["TYPE", "open_sign1", "read_cwt", "sign_cwt", "sign_sign1", "verify_cwt"]

TYPE: Final = "application/eat+cwt"
"""The type in the protected header (RFC 9596, RFC 9782)."""

_TAG: Final = 0xD2  # tag 18 in its shortest form
_ALG, _KID, _TYP = 1, 4, 16
_NO_SKEW: Final = timedelta(0)


def sign_cwt(ear: Ear, key: IssuerKey) -> bytes:
    """Sign an attestation result."""
    return sign_sign1(canonical.encode(ear.to_cbor_claims()), key, protected={_ALG: key.algorithm.cose, _TYP: TYPE})


def verify_cwt(
    token: bytes,
    key: PinnedKey,
    *,
    at: datetime,
    maximum_age: timedelta | AnyValue,
    nonce: bytes | AnyValue,
    clock_skew: timedelta = _NO_SKEW,
) -> Ear:
    """Verify a token with the one key that is trusted for it, at an instant, and give its claims; see ``verify_jwt``.

    Raises ``MalformedToken``, and ``AppraisalRefused`` with every finding about signature, time and nonce.
    """
    ear = read_cwt(token, key)
    findings = judge_ear(ear, at=at, maximum_age=maximum_age, nonce=nonce, clock_skew=clock_skew)
    if findings:
        raise AppraisalRefused(findings)
    return ear


def read_cwt(token: bytes, key: PinnedKey) -> Ear:
    """Give the claims that the pinned key signed, at whatever time and for whatever nonce; raises as ``verify_cwt``."""
    payload, findings = open_sign1(token, key, typ=TYPE)
    if findings:  # what nobody signed is not read
        raise AppraisalRefused(findings)
    return Ear.from_cbor_claims(_decode(payload, "token"))


def sign_sign1(payload: bytes, key: IssuerKey, *, protected: dict[int, object]) -> bytes:
    """Sign any payload, with an empty unprotected header and no external data."""
    header = canonical.encode(protected)
    signature = key.sign(_to_be_signed(header, payload))
    return bytes((_TAG,)) + canonical.encode([header, {}, payload, signature])


def open_sign1(token: bytes, key: PinnedKey, *, typ: str | None) -> tuple[bytes, list[Finding]]:
    """Give the payload of a COSE_Sign1 and what is wrong with its algorithm or signature."""
    if not token or token[0] != _TAG:
        raise MalformedToken("not a COSE_Sign1 with tag 18", path="token", offset=0)
    header, unprotected, payload, signature = _four(_decode(token[1:], "token"))
    said = _decode(header, "token.protected")
    if not isinstance(said, dict) or not said.keys() <= {_ALG, _KID, _TYP}:
        raise MalformedToken("a header has algorithm, type and key id and nothing else", path="token.protected")
    if not isinstance(unprotected, dict) or not unprotected.keys() <= {_KID}:
        raise MalformedToken("more than a key id is unprotected", path="token.unprotected")
    if said.get(_TYP) != typ:
        raise MalformedToken(f"the type is not {typ!r}", path="token.protected")
    findings = []
    alg = said.get(_ALG)
    if isinstance(alg, bool) or alg != key.algorithm.cose:
        message = "the token names another algorithm than the pinned key's"
        findings.append(_objection("3.2.3", message, str(key.algorithm.cose), ascii(alg)[:40]))
    if not key.signed(_to_be_signed(header, payload), signature):
        findings.append(_objection("3.2.4", "the token is not signed by the pinned key"))
    return payload, findings


def _to_be_signed(header: bytes, payload: bytes) -> bytes:
    return canonical.encode(["Signature1", header, b"", payload])


def _four(value: Value) -> tuple[bytes, Value, bytes, bytes]:
    match value:
        case [bytes() as header, unprotected, bytes() as payload, bytes() as signature]:
            return header, unprotected, payload, signature
        case _:
            raise MalformedToken("not header, header, payload and signature", path="token")


def _objection(step: str, message: str, expected: str = "", actual: str = "") -> Finding:
    section = f"attestation-results {step}"
    return Finding(check=Check.SIGNATURE, message=message, section=section, expected=expected, actual=actual)


def _decode(data: bytes, path: str) -> Value:
    return canonical.decode(data, path=path, error=MalformedToken, max_bytes=MAX_TOKEN_BYTES)
