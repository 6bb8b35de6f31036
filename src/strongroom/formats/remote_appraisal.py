"""What travels to and from an attestation service, and the file that convicts one (docs/spec/remote-verifier.md 2, 6).

Nothing here is judged: the evidence, the collateral, the policy and the tokens are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields

__all__ = [
    "MAX_ANSWER_BYTES",
    "MAX_PROOF_BYTES",
    "MAX_REQUEST_BYTES",
    "NONCE_BYTES",
    "AppraisalProof",
    "AppraisalRequest",
    "SignedAppraisal",
]

NONCE_BYTES: Final = 32
_MAX_EVIDENCE_BYTES: Final = 32 * 1024  # a quote with its PCK chain has about 4.7 KiB
_MAX_COLLATERAL_BYTES: Final = 1024 * 1024  # a set has 15 to 25 KB today; its PCK CRL is what can grow
_MAX_POLICY_BYTES: Final = 256 * 1024
_MAX_TOKEN_BYTES: Final = 64 * 1024
_MAX_KEY_TEXT: Final = 256
MAX_REQUEST_BYTES: Final = _MAX_EVIDENCE_BYTES + _MAX_COLLATERAL_BYTES + 1024
MAX_ANSWER_BYTES: Final = MAX_REQUEST_BYTES + _MAX_POLICY_BYTES + 2 * _MAX_TOKEN_BYTES
MAX_PROOF_BYTES: Final = MAX_ANSWER_BYTES

_REQUEST: Final = "strongroom appraisal request v1"
_ANSWER: Final = "strongroom signed appraisal v1"
_PROOF: Final = "strongroom appraisal proof v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisalRequest:
    """What a client asks: evidence, its collateral (JSON of nine keys), and 32 bytes of its own."""

    evidence: bytes
    collateral: bytes
    nonce: bytes

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode(
            {"label": _REQUEST, "evidence": self.evidence, "collateral": self.collateral, "nonce": self.nonce}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> AppraisalRequest:
        """Decode, or raise ``MalformedMessage``."""
        fields = _fields(data, "appraisal request", MAX_REQUEST_BYTES)
        fields.exactly("label", _REQUEST)
        request = cls(
            evidence=fields.byte_string("evidence", at_most=_MAX_EVIDENCE_BYTES),
            collateral=fields.byte_string("collateral", at_most=_MAX_COLLATERAL_BYTES),
            nonce=fields.byte_string("nonce", length=NONCE_BYTES),
        )
        fields.done()
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAppraisal:
    """What a service answers: one result signed twice, as CWT and as JWT, and all that it was made from.

    ``policy`` is the policy's file (TOML). Whoever has this and an implementation of the appraisal can do it again.
    """

    cwt: bytes
    jwt: bytes
    evidence: bytes
    collateral: bytes
    policy: bytes

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode(
            {
                "label": _ANSWER,
                "cwt": self.cwt,
                "jwt": self.jwt,
                "evidence": self.evidence,
                "collateral": self.collateral,
                "policy": self.policy,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedAppraisal:
        """Decode, or raise ``MalformedMessage``."""
        fields = _fields(data, "signed appraisal", MAX_ANSWER_BYTES)
        fields.exactly("label", _ANSWER)
        answer = cls(
            cwt=fields.byte_string("cwt", at_most=_MAX_TOKEN_BYTES),
            jwt=fields.byte_string("jwt", at_most=_MAX_TOKEN_BYTES),
            evidence=fields.byte_string("evidence", at_most=_MAX_EVIDENCE_BYTES),
            collateral=fields.byte_string("collateral", at_most=_MAX_COLLATERAL_BYTES),
            policy=fields.byte_string("policy", at_most=_MAX_POLICY_BYTES),
        )
        fields.done()
        return answer

    def proof(self, key: str, *, token: bytes | None = None) -> AppraisalProof:
        """Give the file for whoever is to judge the verifier: ``token``, or else the CWT, with what it speaks of.

        ``key`` is the verifier's public key as text (``ES256:…``).
        """
        return AppraisalProof(
            key=key,
            token=self.cwt if token is None else token,
            evidence=self.evidence,
            collateral=self.collateral,
            policy=self.policy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisalProof:
    """One signed result with everything needed to see whether it is true. ``key`` is the signer's, as text."""

    key: str
    token: bytes
    evidence: bytes
    collateral: bytes
    policy: bytes

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode(
            {
                "label": _PROOF,
                "key": self.key,
                "token": self.token,
                "evidence": self.evidence,
                "collateral": self.collateral,
                "policy": self.policy,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> AppraisalProof:
        """Decode, or raise ``MalformedMessage``."""
        fields = _fields(data, "appraisal proof", MAX_PROOF_BYTES)
        fields.exactly("label", _PROOF)
        proof = cls(
            key=fields.text("key", at_most=_MAX_KEY_TEXT),
            token=fields.byte_string("token", at_most=_MAX_TOKEN_BYTES),
            evidence=fields.byte_string("evidence", at_most=_MAX_EVIDENCE_BYTES),
            collateral=fields.byte_string("collateral", at_most=_MAX_COLLATERAL_BYTES),
            policy=fields.byte_string("policy", at_most=_MAX_POLICY_BYTES),
        )
        fields.done()
        return proof


def _fields(data: bytes, path: str, limit: int) -> Fields:
    return Fields.decode(data, path=path, error=MalformedMessage, max_bytes=limit)
