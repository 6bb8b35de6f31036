"""An appraisal made for somebody else: signed, with digests of what it was made from, and read again.

The instant of the appraisal is a whole second and is the token's ``iat``, so that whoever has evidence, collateral
and policy can repeat the very same appraisal (docs/spec/remote-verifier.md 3). Pure: the time is an argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, MalformedToken, Unavailable
from strongroom.crypto.hashing import sha256
from strongroom.formats.collateral import Collateral
from strongroom.formats.quote import open_quote
from strongroom.formats.remote_appraisal import SignedAppraisal
from strongroom.verifier.appraisal import appraise, evidence_kind
from strongroom.verifier.cwt import read_cwt, sign_cwt
from strongroom.verifier.eat import Ear, ear_of_refusal, ear_of_result
from strongroom.verifier.jwt import read_jwt, sign_jwt
from strongroom.verifier.policy_compose import policy_to_toml

if TYPE_CHECKING:
    from strongroom.formats.remote_appraisal import AppraisalRequest
    from strongroom.verifier.eat import VerifierId
    from strongroom.verifier.memo import Memo
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.token_keys import IssuerKey, PinnedKey

__all__ = ["RESULT_LIFETIME", "Statement", "appraise_for", "read_statement"]

RESULT_LIFETIME: Final = timedelta(minutes=5)
"""How long a result is good. The nonce makes it good for one question anyway."""

_EVIDENCE, _COLLATERAL = "evidence_sha256", "collateral_sha256"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_POLICY: Final = re.compile(r"strongroom-policy:sha-256:([0-9a-f]{64})")
_ACCEPTED, _REFUSED = "accepted", "refused"
_COSE_SIGN1: Final = b"\xd2"


def appraise_for(
    request: AppraisalRequest,
    policy: Policy,
    key: IssuerKey,
    *,
    verifier: VerifierId,
    at: datetime,
    lifetime: timedelta = RESULT_LIFETIME,
    memo: Memo | None = None,
) -> SignedAppraisal:
    """Appraise evidence for a client and sign what came of it, also a refusal.

    Raises ``Malformed`` for bytes that are no evidence or collateral: of those nothing is said. ``Unavailable`` when
    what a result would rest on ends within the second.
    """
    instant = at.astimezone(UTC).replace(microsecond=0)
    quote = open_quote(request.evidence)
    collateral = Collateral.from_json(request.collateral)
    try:
        result = appraise(request.evidence, collateral, policy, at=instant, memo=memo)
    except AppraisalRefused as refusal:
        ear = ear_of_refusal(
            refusal,
            kind=evidence_kind(quote),
            policy_digest=policy.digest,
            verifier=verifier,
            at=instant,
            lifetime=lifetime,
            nonce=request.nonce,
        )
    else:
        if result.expires_at < instant + timedelta(seconds=1):
            raise Unavailable("what the result would rest on ends within this second", retry_after_seconds=1.0)
        ear = ear_of_result(result, policy, verifier=verifier, at=instant, lifetime=lifetime, nonce=request.nonce)
    digests = {_EVIDENCE: sha256(request.evidence).hex(), _COLLATERAL: sha256(request.collateral).hex()}
    ear = replace(ear, details={**ear.details, **digests})
    return SignedAppraisal(
        cwt=sign_cwt(ear, key),
        jwt=sign_jwt(ear, key),
        evidence=request.evidence,
        collateral=request.collateral,
        policy=policy_to_toml(policy),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a verifier said, its signature having been checked: yes or no, about what, under which policy and when.

    Digests are SHA-256. ``ear`` has the rest, times and nonce included, which are not judged here.
    """

    ear: Ear
    accepted: bool
    evidence_digest: bytes
    collateral_digest: bytes
    policy_digest: bytes

    @property
    def appraised_at(self) -> datetime:
        """The instant for which the verifier speaks."""
        return self.ear.issued_at

    @classmethod
    def of(cls, ear: Ear) -> Statement:
        """Read a result, or raise ``MalformedToken`` when it does not say what it is about."""
        verdict = ear.details.get("verdict")
        if verdict not in (_ACCEPTED, _REFUSED):
            raise MalformedToken("neither accepted nor refused", path="token.submods")
        policies = [_POLICY.fullmatch(text) for text in ear.policy_ids]
        if len(policies) != 1 or policies[0] is None:
            raise MalformedToken("not one policy by its digest", path="token.submods")
        return cls(
            ear=ear,
            accepted=verdict == _ACCEPTED,
            evidence_digest=_digest(ear, _EVIDENCE),
            collateral_digest=_digest(ear, _COLLATERAL),
            policy_digest=bytes.fromhex(policies[0].group(1)),
        )


def read_statement(token: bytes, key: PinnedKey) -> Statement:
    """Read a CWT or a JWT that the key signed; raises ``MalformedToken``, ``AppraisalRefused`` for another's."""
    read = read_cwt if token.startswith(_COSE_SIGN1) else read_jwt
    return Statement.of(read(token, key))


def _digest(ear: Ear, name: str) -> bytes:
    text = ear.details.get(name)
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise MalformedToken(f"{name} is not a digest in hexadecimal", path="token.submods")
    return bytes.fromhex(text)
