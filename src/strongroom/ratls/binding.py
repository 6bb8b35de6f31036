"""Evidence about a key: made by its holder, judged by a peer (docs/spec/ra-tls.md sections 3 and 4).

Pure functions. ``KeyEvidence`` says what the evidence is and where it lay; ``judge_key`` gives every objection to its
tie with a key. Neither says whether the evidence itself is genuine: that is ``verifier.appraise``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedQuote
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import equal, sha256
from strongroom.crypto.named_hashes import SHA256, named_hash
from strongroom.formats.quote import parse_quote
from strongroom.formats.tagged_evidence import (
    MAX_EVIDENCE_BYTES,
    NONCE,
    PUBLIC_KEY_HASH,
    EvidenceClaims,
    HashEntry,
    TaggedEvidence,
)

if TYPE_CHECKING:
    from strongroom.ratls.ports import Attester

__all__ = ["KeyEvidence", "Profile", "attest_key", "attest_key_for_older_gramine", "judge_key", "report_data_of"]

_HASH_BYTES: Final = 32
_KNOWN_CLAIMS: Final = frozenset({PUBLIC_KEY_HASH, NONCE})


class Profile(StrEnum):
    """How evidence names the key."""

    TAGGED_EVIDENCE = "tcg-dice-tagged-evidence"
    OLDER_GRAMINE = "older-gramine"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvidence:
    """A quote, and the claims between it and the key: ``None`` for older Gramine, whose quote names the key itself."""

    profile: Profile
    quote: bytes
    encoded_claims: bytes
    claims: EvidenceClaims | None

    @classmethod
    def from_tagged(cls, data: bytes) -> KeyEvidence:
        """Read tagged evidence, or raise ``MalformedQuote``."""
        tagged = TaggedEvidence.from_bytes(data)
        return cls(
            profile=Profile.TAGGED_EVIDENCE,
            quote=tagged.quote,
            encoded_claims=tagged.claims,
            claims=EvidenceClaims.from_bytes(tagged.claims),
        )

    @classmethod
    def from_older_gramine(cls, data: bytes) -> KeyEvidence:
        """Take a bare quote; it is read when it is judged."""
        if len(data) > MAX_EVIDENCE_BYTES:
            raise MalformedQuote(f"{len(data)} bytes, at most {MAX_EVIDENCE_BYTES} are read", path="evidence")
        return cls(profile=Profile.OLDER_GRAMINE, quote=data, encoded_claims=b"", claims=None)

    @property
    def nonce(self) -> bytes | None:
        """The nonce in the claims, when there is exactly one."""
        values = self.claims.named(NONCE) if self.claims else ()
        return values[0] if len(values) == 1 else None

    @property
    def unknown_claims(self) -> tuple[str, ...]:
        """The names of claims that the profile does not define."""
        return tuple(name for name, _ in self.claims.entries if name not in _KNOWN_CLAIMS) if self.claims else ()


def report_data_of(committed: bytes) -> bytes:
    """Give the 64 bytes of report data that commit to ``committed`` (encoded claims, or an older Gramine's key)."""
    return sha256(committed) + bytes(_HASH_BYTES)


def attest_key(attester: Attester, spki: bytes, *, nonce: bytes | None = None) -> bytes:
    """Make tagged evidence about a public key (SubjectPublicKeyInfo, DER); raises ``AttesterUnavailable``.

    The claims hold SHA-256 of the key and, where the verifier gave one, its nonce.
    """
    entry = HashEntry(algorithm=SHA256, value=sha256(spki)).to_bytes()
    entries = [(PUBLIC_KEY_HASH, entry)] + ([] if nonce is None else [(NONCE, nonce)])
    claims = EvidenceClaims(entries=tuple(entries)).to_bytes()
    return TaggedEvidence(quote=attester.evidence(report_data_of(claims)), claims=claims).to_bytes()


def attest_key_for_older_gramine(attester: Attester, spki: bytes) -> bytes:
    """Make a bare quote over SHA-256 of a public key, as older Gramine releases read it."""
    return attester.evidence(report_data_of(spki))


def judge_key(
    evidence: KeyEvidence, spki: bytes, *, expected_nonce: bytes | None, accept_unknown_claims: bool
) -> list[Finding]:
    """Give every objection to the tie between evidence and key. Raises ``MalformedQuote``."""
    quoted = parse_quote(evidence.quote).report.report_data
    findings: list[Finding] = []
    if evidence.claims is not None:
        findings += _judge_claims(evidence.claims, spki, accept_unknown_claims=accept_unknown_claims)
    if expected_nonce is not None:
        findings += _judge_nonce(evidence.claims, expected_nonce)
    committed, of = (spki, "key") if evidence.claims is None else (evidence.encoded_claims, "claims")
    if not equal(quoted[:_HASH_BYTES], sha256(committed)):
        wanted, shown = sha256(committed).hex(), quoted[:_HASH_BYTES].hex()
        findings.append(_objection("4.1", f"the quote does not commit to the {of}", wanted, shown))
    if quoted[_HASH_BYTES:].strip(b"\0"):
        message = "the second half of the quote's report data is not zero"
        findings.append(_objection("4.2", message, "32 zero bytes", quoted[_HASH_BYTES:].hex()))
    return findings


def _judge_claims(claims: EvidenceClaims, spki: bytes, *, accept_unknown_claims: bool) -> list[Finding]:
    findings: list[Finding] = []
    hashes = claims.named(PUBLIC_KEY_HASH)
    if not hashes:
        findings.append(_objection("3.1", "the claims do not name a public key"))
    if len(hashes) > 1:
        findings.append(_objection("3.2", "the claims name a public key more than once", "1", str(len(hashes))))
    for encoded in hashes:
        entry = HashEntry.from_bytes(encoded)
        own = named_hash(entry.algorithm, spki)
        if own is None:
            message = "the public key is named by a hash function that is not read"
            findings.append(_objection("3.3", message, "1, 7 or 8", str(entry.algorithm)))
        elif not equal(entry.value, own):
            message = "the claims name another public key"
            findings.append(_objection("3.4", message, own.hex(), entry.value.hex()))
    names = [name for name, _ in claims.entries]
    unknown = sorted({name for name in names if name not in _KNOWN_CLAIMS})
    if unknown and not accept_unknown_claims:
        shown = ", ".join(ascii(name) for name in unknown)  # foreign text
        findings.append(
            _objection("3.5", "the claims hold some that are not known", ", ".join(sorted(_KNOWN_CLAIMS)), shown)
        )
    if len({*names} - {PUBLIC_KEY_HASH}) < len([name for name in names if name != PUBLIC_KEY_HASH]):
        findings.append(_objection("3.6", "a claim stands there more than once"))
    return findings


def _judge_nonce(claims: EvidenceClaims | None, expected: bytes) -> list[Finding]:
    """Step 3.7: the evidence was made for this request."""
    shown = claims.named(NONCE) if claims is not None else ()
    if len(shown) == 1 and equal(shown[0], expected):
        return []
    return [
        Finding(
            check=Check.FRESHNESS,
            message="the evidence was not made for this nonce",
            section="ra-tls 3.7",
            expected=expected.hex(),
            actual=", ".join(nonce.hex() for nonce in shown) or "no nonce",
        )
    ]


def _objection(section: str, message: str, expected: str = "", actual: str = "") -> Finding:
    return Finding(
        check=Check.KEY_BINDING, message=message, section=f"ra-tls {section}", expected=expected, actual=actual
    )
