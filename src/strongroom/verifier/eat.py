"""Attestation results as an EAT (RFC 9711) in the profile EAR (draft-ietf-rats-ear-04), before any signature.

The claims are those of docs/spec/attestation-results.md section 1. ``Ear`` holds them once; ``to_json_claims`` and
``to_cbor_claims`` write them with the labels of each encoding and ``from_json_claims`` and ``from_cbor_claims`` read
them. Signing is in ``jwt`` and ``cwt``. Unknown claims are left out, as the draft has it; a known one that is ill
formed is malformed.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, MalformedToken
from strongroom.base.fields import Fields
from strongroom.base.findings import Check, Finding
from strongroom.verifier.policy import AnyValue
from strongroom.verifier.result import finding_to_json
from strongroom.verifier.trustworthiness import (
    CLAIM_LABELS,
    Tier,
    TrustworthinessVector,
    vector_of_findings,
    vector_of_result,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strongroom.base.canonical import Value
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.result import AttestationResult

    _Map = dict[str | int | bytes, Value]

__all__ = [
    "MAX_TOKEN_BYTES",
    "PROFILE",
    "Ear",
    "VerifierId",
    "base64url",
    "ear_of_refusal",
    "ear_of_result",
    "from_base64url",
    "judge_ear",
]

PROFILE: Final = "tag:ietf.org,2026:rats/ear#04"
"""``eat_profile``; the media type is ``application/eat+jwt`` or ``application/eat+cwt`` with this profile."""

MAX_TOKEN_BYTES: Final = 64 * 1024  # one of ours has 2 to 4 KB
_MAX_TEXT: Final = 256
_MAX_POLICIES: Final = 16
_MAX_SECONDS: Final = 253_402_300_799  # the last second of the year 9999
_NONCE_BYTES: Final = (8, 64)  # RFC 9711 section 4.1
_ATTESTER: Final = re.compile(r"[a-z0-9-]{1,64}")
_DETAILS: Final = "strongroom_result"

# Labels in CBOR: RFC 8392, RFC 9711, draft-ietf-rats-ear section 9.1; the details' one is from the private space.
_TOKEN_LABELS: Final = {
    "exp": 4,
    "iat": 6,
    "eat_nonce": 10,
    "eat_profile": 265,
    "submods": 266,
    "ear_verifier_id": 1004,
}
_APPRAISAL_LABELS: Final = {
    "ear_status": 1000,
    "ear_trustworthiness_vector": 1001,
    "ear_appraisal_policy_ids": 1003,
    _DETAILS: -70100,
}
_VERIFIER_LABELS: Final = {"developer": 0, "build": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierId:
    """Which software made an appraisal: who answers for it, and the build (``strongroom 0.1.0``)."""

    developer: str
    build: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """One attestation result as claims.

    ``attester`` is the submodule's name, the kind of evidence. ``status`` is the whole appraisal's; it is never better
    than ``vector.tier``, and ``CONTRAINDICATED`` when evidence was refused. ``policy_ids`` names the policies applied.
    ``details`` is the result or the refusal as JSON (docs/spec/attestation-results.md section 1.3). Times are in whole
    seconds, ``nonce`` has 8 to 64 bytes or is ``None``.
    """

    verifier: VerifierId
    issued_at: datetime
    expires_at: datetime
    nonce: bytes | None
    attester: str
    status: Tier
    vector: TrustworthinessVector
    policy_ids: tuple[str, ...]
    details: Mapping[str, object]

    def __post_init__(self) -> None:
        if self.status < self.vector.tier:
            raise ValueError("a status is not better than the worst claim")
        if self.issued_at.tzinfo is None or self.expires_at.tzinfo is None:
            raise ValueError("an instant needs its time zone")
        if self.issued_at.microsecond or self.expires_at.microsecond:
            raise ValueError("instants are whole seconds")
        if self.nonce is not None and not _NONCE_BYTES[0] <= len(self.nonce) <= _NONCE_BYTES[1]:
            raise ValueError("a nonce has 8 to 64 bytes")
        if not self.policy_ids:
            raise ValueError("an appraisal names its policy")

    @property
    def affirming(self) -> bool:
        """Whether evidence was accepted and no claim warns."""
        return self.status is Tier.AFFIRMING

    def to_json_claims(self) -> dict[str, object]:
        """Give the claims set with the names of JWT."""
        claims: dict[str, object] = {
            "eat_profile": PROFILE,
            "iat": int(self.issued_at.timestamp()),
            "exp": int(self.expires_at.timestamp()),
            "ear_verifier_id": {"developer": self.verifier.developer, "build": self.verifier.build},
        }
        if self.nonce is not None:
            claims["eat_nonce"] = base64url(self.nonce)
        claims["submods"] = {
            self.attester: {
                "ear_status": self.status.label,
                "ear_trustworthiness_vector": self.vector.claims(),
                "ear_appraisal_policy_ids": list(self.policy_ids),
                _DETAILS: dict(self.details),
            }
        }
        return claims

    def to_cbor_claims(self) -> dict[int, object]:
        """Give the claims set with the labels of CWT; the details are the same map as in JSON."""
        claims: dict[int, object] = {
            _TOKEN_LABELS["eat_profile"]: PROFILE,
            _TOKEN_LABELS["iat"]: int(self.issued_at.timestamp()),
            _TOKEN_LABELS["exp"]: int(self.expires_at.timestamp()),
            _TOKEN_LABELS["ear_verifier_id"]: {
                _VERIFIER_LABELS["developer"]: self.verifier.developer,
                _VERIFIER_LABELS["build"]: self.verifier.build,
            },
            _TOKEN_LABELS["submods"]: {
                self.attester: {
                    _APPRAISAL_LABELS["ear_status"]: int(self.status),
                    _APPRAISAL_LABELS["ear_trustworthiness_vector"]: {
                        CLAIM_LABELS[name]: value for name, value in self.vector.claims().items()
                    },
                    _APPRAISAL_LABELS["ear_appraisal_policy_ids"]: list(self.policy_ids),
                    _APPRAISAL_LABELS[_DETAILS]: dict(self.details),
                }
            },
        }
        if self.nonce is not None:
            claims[_TOKEN_LABELS["eat_nonce"]] = self.nonce
        return claims

    @classmethod
    def from_json_claims(cls, claims: Value) -> Ear:
        """Read a claims set with the names of JWT, or raise ``MalformedToken``."""
        token = _map(claims, "token")
        if "eat_nonce" in token:
            token["eat_nonce"] = from_base64url(token["eat_nonce"], path="token.eat_nonce")
        name, appraisal = _only(_map(token.get("submods"), "token.submods"))
        status = appraisal.get("ear_status")
        labels: dict[Value, Value] = {tier.label: int(tier) for tier in Tier}
        appraisal["ear_status"] = labels.get(status) if isinstance(status, str) else None
        return _read(token, name, appraisal)

    @classmethod
    def from_cbor_claims(cls, claims: Value) -> Ear:
        """Read a claims set with the labels of CWT, or raise ``MalformedToken``."""
        token = _named(claims, _TOKEN_LABELS, "token")
        name, numbered = _only(_map(token.get("submods"), "token.submods"))
        appraisal = _named(numbered, _APPRAISAL_LABELS, "token.submods")
        vector = appraisal.get("ear_trustworthiness_vector")
        appraisal["ear_trustworthiness_vector"] = _named(vector, CLAIM_LABELS, "token.ear_trustworthiness_vector")
        token["ear_verifier_id"] = _named(token.get("ear_verifier_id"), _VERIFIER_LABELS, "token.ear_verifier_id")
        return _read(token, name, appraisal)


def ear_of_result(
    result: AttestationResult,
    policy: Policy,
    *,
    verifier: VerifierId,
    at: datetime,
    lifetime: timedelta,
    nonce: bytes | None,
) -> Ear:
    """Give the claims of accepted evidence; they end with ``lifetime`` or with what the verdict rests on.

    ``policy`` is the one that accepted. ``ValueError`` when it is another, when the result has ended or lies in the
    future.
    """
    begin, end = _whole_second(at), _whole_second(min(at + lifetime, result.expires_at))
    if at < result.appraised_at or end <= begin:
        raise ValueError("a result is issued between its appraisal and its end")
    vector = vector_of_result(result, policy)
    return Ear(
        verifier=verifier,
        issued_at=begin,
        expires_at=end,
        nonce=nonce,
        attester=result.kind,
        status=vector.tier,
        vector=vector,
        policy_ids=(_policy_id(result.policy_digest),),
        details=result.to_json_object(),
    )


def ear_of_refusal(
    refusal: AppraisalRefused,
    *,
    kind: str,
    policy_digest: bytes,
    verifier: VerifierId,
    at: datetime,
    lifetime: timedelta,
    nonce: bytes | None,
) -> Ear:
    """Give the claims of refused evidence: contraindicated, whatever its findings say one by one."""
    begin = _whole_second(at)
    return Ear(
        verifier=verifier,
        issued_at=begin,
        expires_at=begin + lifetime,
        nonce=nonce,
        attester=kind,
        status=Tier.CONTRAINDICATED,
        vector=vector_of_findings(refusal.findings),
        policy_ids=(_policy_id(policy_digest),),
        details={"verdict": "refused", "findings": [finding_to_json(finding) for finding in refusal.findings]},
    )


def judge_ear(
    ear: Ear, *, at: datetime, maximum_age: timedelta | AnyValue, nonce: bytes | AnyValue, clock_skew: timedelta
) -> list[Finding]:
    """Say what a relying party has against a result's times and nonce (section 3.3)."""
    findings = []

    def require(holds: bool, check: Check, step: str, message: str, **found: str) -> None:
        if not holds:
            findings.append(Finding(check=check, message=message, section=f"attestation-results {step}", **found))

    begin, end, now = ear.issued_at.isoformat(), ear.expires_at.isoformat(), at.isoformat()
    early, late = ear.issued_at > at + clock_skew, ear.expires_at <= at - clock_skew
    require(not early, Check.EXPIRY, "3.3.1", "the token is issued in the future", expected=f"by {now}", actual=begin)
    require(not late, Check.EXPIRY, "3.3.2", "the token has expired", expected=f"after {now}", actual=end)
    if not isinstance(maximum_age, AnyValue):
        young = at - ear.issued_at <= maximum_age + clock_skew
        message = "the token is older than accepted"
        require(young, Check.FRESHNESS, "3.3.3", message, expected=f"at most {maximum_age}", actual=f"issued {begin}")
    if not isinstance(nonce, AnyValue):
        message = "the token does not carry the nonce that was asked for"
        actual = "none" if ear.nonce is None else ear.nonce.hex()
        require(ear.nonce == nonce, Check.FRESHNESS, "3.3.4", message, expected=nonce.hex(), actual=actual)
    return findings


def base64url(data: bytes) -> str:
    """Write bytes in base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: object, *, path: str) -> bytes:
    """Read base64url in its one form, or raise ``MalformedToken``: no padding, no other alphabet, no spare bits."""
    if not isinstance(text, str):
        raise MalformedToken("not a text", path=path)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64url(data) != text:
        raise MalformedToken("not base64url in its one form", path=path)
    return data


def _policy_id(digest: bytes) -> str:
    return f"strongroom-policy:sha-256:{digest.hex()}"


def _whole_second(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


def _map(value: Value, path: str) -> _Map:
    if not isinstance(value, dict):
        raise MalformedToken("not a map", path=path)
    return dict(value)


def _named(value: Value, labels: Mapping[str, int], path: str) -> _Map:
    numbered = _map(value, path)
    return {name: numbered[label] for name, label in labels.items() if label in numbered}


def _only(submods: _Map) -> tuple[str, _Map]:
    if len(submods) != 1:
        raise MalformedToken(f"{len(submods)} submodules, not one", path="token.submods")
    [(name, appraisal)] = submods.items()
    if not isinstance(name, str) or not _ATTESTER.fullmatch(name):
        raise MalformedToken("a submodule's name is not that of a kind of evidence", path="token.submods")
    return name, _map(appraisal, "token.submods")


def _read(token: _Map, attester: str, appraisal: _Map) -> Ear:
    fields = Fields(token, path="token", error=MalformedToken)
    fields.exactly("eat_profile", PROFILE)
    issued, expires = (fields.number(name, at_most=_MAX_SECONDS) for name in ("iat", "exp"))
    nonce = fields.byte_string("eat_nonce", at_most=_NONCE_BYTES[1]) if "eat_nonce" in token else None
    verifier = Fields(token.get("ear_verifier_id"), path="token.ear_verifier_id", error=MalformedToken)
    about = Fields(appraisal, path="token.submods", error=MalformedToken)
    details = appraisal.get(_DETAILS)
    if not isinstance(details, dict) or not all(isinstance(name, str) for name in details):
        raise about.fail(f"field {_DETAILS!r} is not a map of names")
    status = about.number("ear_status", at_most=max(Tier))
    try:
        return Ear(
            verifier=VerifierId(
                developer=verifier.text("developer", at_most=_MAX_TEXT), build=verifier.text("build", at_most=_MAX_TEXT)
            ),
            issued_at=datetime.fromtimestamp(issued, UTC),
            expires_at=datetime.fromtimestamp(expires, UTC),
            nonce=nonce,
            attester=attester,
            status=Tier(status),
            vector=_vector(appraisal.get("ear_trustworthiness_vector")),
            policy_ids=about.texts("ear_appraisal_policy_ids", at_most=_MAX_POLICIES),
            details={str(name): item for name, item in details.items()},
        )
    except ValueError as error:
        raise MalformedToken(str(error), path="token") from error


def _vector(claims: Value) -> TrustworthinessVector:
    numbers = {
        name: value
        for name, value in _map(claims, "token.ear_trustworthiness_vector").items()
        if isinstance(name, str) and name in CLAIM_LABELS and isinstance(value, int) and not isinstance(value, bool)
    }
    if isinstance(claims, dict) and len(numbers) != len(claims.keys() & CLAIM_LABELS.keys()):
        raise MalformedToken("a claim is not a number", path="token.ear_trustworthiness_vector")
    return TrustworthinessVector.from_claims(numbers)
