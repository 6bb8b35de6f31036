"""The two messages of the exchange: the client's hello and the server's answer (docs/spec/attested-channel.md 2, 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.crypto import hpke
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from strongroom.formats.claims import MAX_BATCH

__all__ = [
    "CONFIRMATION_BYTES",
    "EVIDENCE_SGX_DCAP_3",
    "MAX_ANSWER_BYTES",
    "MAX_COLLATERAL_BYTES",
    "MAX_EVIDENCE_BYTES",
    "MAX_HELLO_BYTES",
    "NONCE_BYTES",
    "SUITE_1",
    "VERSION",
    "AnswerCore",
    "Attestation",
    "ClientHello",
    "ServerAnswer",
]

VERSION: Final = 1
SUITE_1: Final = 1
"""MLKEM768-X25519, HKDF-SHA-256 and AES-256-GCM for HPKE; HKDF-SHA-256 and AES-256-GCM for the data."""

EVIDENCE_SGX_DCAP_3: Final = "sgx-dcap-3"
NONCE_BYTES: Final = 32
CONFIRMATION_BYTES: Final = 32
MAX_HELLO_BYTES: Final = 4 * 1024
MAX_EVIDENCE_BYTES: Final = 32 * 1024  # a quote with its PCK chain has about 4.7 KiB
MAX_COLLATERAL_BYTES: Final = 256 * 1024  # a set has 15 to 25 KB today; its PCK CRL is what can grow
MAX_ANSWER_BYTES: Final = MAX_EVIDENCE_BYTES + MAX_COLLATERAL_BYTES + 16 * 1024
_MAX_LIST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What a client offers and asks.

    ``deployment`` is SHA-256 of the wanted deployment key or ``None``; ``kem_key`` is a one-time public key
    (1,216 bytes); ``known_collateral`` are SHA-256 of collateral sets that need not be sent again.
    """

    suites: tuple[int, ...]
    evidence_kinds: tuple[str, ...]
    deployment: bytes | None
    nonce: bytes
    kem_key: bytes
    known_collateral: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Encode; these exact bytes enter the transcript."""
        return canonical.encode(
            {
                "version": VERSION,
                "suites": self.suites,
                "evidence": self.evidence_kinds,
                "deployment": self.deployment,
                "nonce": self.nonce,
                "kem_key": self.kem_key,
                "known_collateral": self.known_collateral,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ClientHello:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="hello", error=MalformedMessage, max_bytes=MAX_HELLO_BYTES)
        fields.exactly("version", VERSION)
        hello = cls(
            suites=fields.numbers("suites", at_most=_MAX_LIST),
            evidence_kinds=fields.texts("evidence", at_most=_MAX_LIST),
            deployment=fields.optional_byte_string("deployment", length=DIGEST_BYTES),
            nonce=fields.byte_string("nonce", length=NONCE_BYTES),
            kem_key=fields.byte_string("kem_key", length=hpke.PUBLIC_KEY_BYTES),
            known_collateral=fields.byte_strings("known_collateral", length=DIGEST_BYTES, at_most=_MAX_LIST),
        )
        fields.done()
        return hello


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCore:
    """What a server chooses, before there is evidence. Its bytes complete the transcript."""

    suite: int
    evidence_kind: str
    sealed_secret: bytes
    deployment_key: bytes
    collateral_digest: bytes

    def to_bytes(self) -> bytes:
        """Encode; these exact bytes enter the transcript."""
        return canonical.encode(
            {
                "version": VERSION,
                "suite": self.suite,
                "evidence": self.evidence_kind,
                "sealed_secret": self.sealed_secret,
                "deployment_key": self.deployment_key,
                "collateral_digest": self.collateral_digest,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> AnswerCore:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="answer core", error=MalformedMessage, max_bytes=MAX_HELLO_BYTES)
        fields.exactly("version", VERSION)
        core = cls(
            suite=fields.number("suite"),
            evidence_kind=fields.text("evidence", at_most=32),
            sealed_secret=fields.byte_string("sealed_secret", length=hpke.SEALED_SECRET_BYTES),
            deployment_key=fields.byte_string("deployment_key", length=PUBLIC_KEY_BYTES),
            collateral_digest=fields.byte_string("collateral_digest", length=DIGEST_BYTES),
        )
        fields.done()
        return core


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """Evidence over a batch and one binder's place in it."""

    evidence: bytes
    claims: bytes
    claims_signature: bytes
    instance_certificate: bytes
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAnswer:
    """The whole answer. ``core`` stays encoded, because its bytes are hashed; ``collateral`` is JSON or absent."""

    core: bytes
    confirmation: bytes
    attestation: Attestation
    collateral: bytes | None

    def to_bytes(self) -> bytes:
        """Encode."""
        shown = self.attestation
        return canonical.encode(
            {
                "core": self.core,
                "confirmation": self.confirmation,
                "evidence": shown.evidence,
                "claims": shown.claims,
                "claims_signature": shown.claims_signature,
                "instance_certificate": shown.instance_certificate,
                "index": shown.index,
                "path": shown.path,
                "collateral": self.collateral,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ServerAnswer:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="answer", error=MalformedMessage, max_bytes=MAX_ANSWER_BYTES)
        answer = cls(
            core=fields.byte_string("core", at_most=MAX_HELLO_BYTES),
            confirmation=fields.byte_string("confirmation", length=CONFIRMATION_BYTES),
            attestation=Attestation(
                evidence=fields.byte_string("evidence", at_most=MAX_EVIDENCE_BYTES),
                claims=fields.byte_string("claims", at_most=512),
                claims_signature=fields.byte_string("claims_signature", length=SIGNATURE_BYTES),
                instance_certificate=fields.byte_string("instance_certificate", at_most=1024),
                index=fields.number("index", at_most=MAX_BATCH - 1),
                path=fields.byte_strings("path", length=DIGEST_BYTES, at_most=MAX_BATCH.bit_length()),
            ),
            collateral=fields.optional_byte_string("collateral", at_most=MAX_COLLATERAL_BYTES),
        )
        fields.done()
        return answer
