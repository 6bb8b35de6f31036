"""Appraisal of a TLS peer by its certificate: from DER and collateral to a ``KeyBoundPeer``, or every objection.

Pure functions. The steps and their numbers are those of docs/spec/ra-tls.md. This is the only place that makes a
``KeyBoundPeer``, which is no ``AttestedPeer`` and cannot become one: its evidence speaks of a key, not of a session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.crypto import der
from strongroom.crypto.hashing import sha256
from strongroom.crypto.tls_certificates import PeerCertificate
from strongroom.formats.tagged_evidence import GRAMINE_EVIDENCE_OID, TAGGED_EVIDENCE_OID
from strongroom.ratls.binding import KeyEvidence, Profile, judge_key
from strongroom.verifier.appraisal import appraise
from strongroom.verifier.policy import AnyValue

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.formats.collateral import Collateral
    from strongroom.verifier.memo import Memo
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.result import AttestationResult

__all__ = ["CAVEAT", "KeyBoundPeer", "RaTlsTerms", "appraise_certificate", "appraise_key"]

CAVEAT: Final = "key-bound: safe unless a channel key leaks"
"""What every verdict here comes with: evidence of a key can be relayed by whoever got hold of the key."""

_TAGGED: Final = der.oid(TAGGED_EVIDENCE_OID)
_GRAMINE: Final = der.oid(GRAMINE_EVIDENCE_OID)
# Gramine writes the identifier's tag and length once more into its contents; both forms are in use
_GRAMINE_FORMS: Final = (_GRAMINE, der.element(der.OBJECT_IDENTIFIER, _GRAMINE))
_KNOWN_EXTENSIONS: Final = frozenset(
    {
        _TAGGED,
        *_GRAMINE_FORMS,
        *map(der.oid, ("2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.35", "2.5.29.37")),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaTlsTerms:
    """What a client accepts. Every field is set; ``ANY`` and ``True`` are leniencies that are written down.

    ``maximum_lifetime``: the longest life of a certificate (Gramine's own live from 2001 to 2030).
    ``accept_older_gramine``: take a bare quote over the key, without claims, when there is no tagged evidence.
    ``accept_unknown_claims``: take claims of the peer's own beside the defined ones; they are not judged.
    ``authority``: ``None`` wants a certificate that carries its evidence and signs itself. The DER of a pinned
    authority's certificate wants one that this authority signed, with the evidence beside it.
    """

    policy: Policy
    maximum_lifetime: timedelta | AnyValue
    accept_older_gramine: bool
    accept_unknown_claims: bool
    authority: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBoundPeer:
    """The other end of a TLS connection: a key that accepted evidence names.

    ``public_key_hash`` is SHA-256 of the SubjectPublicKeyInfo; ``nonce`` is what the evidence claims, unjudged unless
    it was expected. The evidence is as old as the certificate at least, and possibly older than its dates. The verdict
    ends at ``expires_at``.
    """

    result: AttestationResult
    profile: Profile
    public_key_hash: bytes
    nonce: bytes | None
    unknown_claims: tuple[str, ...]
    certified: bool
    not_before: datetime
    not_after: datetime
    expires_at: datetime

    @property
    def caveat(self) -> str:
        """What this verdict does not exclude."""
        return CAVEAT

    def to_json_object(self) -> dict[str, object]:
        """Give the verdict as JSON, with what it does not exclude."""
        return {
            **self.result.to_json_object(),
            "binding": "key",
            "caveat": CAVEAT,
            "ra_tls": {
                "profile": self.profile.value,
                "public_key_sha256": self.public_key_hash.hex(),
                "nonce": None if self.nonce is None else self.nonce.hex(),
                "unknown_claims": list(self.unknown_claims),
                "certified_by_authority": self.certified,
                "not_before": self.not_before.isoformat(),
                "not_after": self.not_after.isoformat(),
                "expires_at": self.expires_at.isoformat(),
            },
        }


def appraise_certificate(
    certificate: bytes,
    collateral: Collateral,
    terms: RaTlsTerms,
    *,
    at: datetime,
    host: str | None = None,
    evidence: bytes | None = None,
    memo: Memo | None = None,
) -> KeyBoundPeer:
    """Appraise a peer by its certificate (DER), or raise ``AppraisalRefused`` with every finding.

    ``host`` (the name or address that was asked for) and ``evidence`` (tagged, beside the certificate) count only where
    ``terms.authority`` is set, and must be there then.
    That the peer holds the certificate's key is what the TLS handshake proves and not looked at here. What cannot be
    read raises ``MalformedCollateral`` (a certificate, collateral) or ``MalformedQuote`` (evidence).
    """
    peer = PeerCertificate.from_der(certificate)
    findings = _judge_certificate(peer, terms, at)
    if terms.authority is not None and host not in peer.names():
        names = ", ".join(ascii(name) for name in peer.names())
        message = "the certificate is for another server than the one asked for"
        findings.append(_finding(Check.DEPLOYMENT, "1.8", message, host or "", names))
    found, objections = _find_evidence(peer, terms, evidence)
    findings += objections
    if found is None:
        raise AppraisalRefused(findings)
    result, objections = appraise_key(
        found,
        peer.spki,
        collateral,
        terms.policy,
        at=at,
        expected_nonce=None,
        accept_unknown_claims=terms.accept_unknown_claims,
        memo=memo,
    )
    findings += objections
    if findings or result is None:
        raise AppraisalRefused(findings)
    return KeyBoundPeer(
        result=result,
        profile=found.profile,
        public_key_hash=sha256(peer.spki),
        nonce=found.nonce,
        unknown_claims=found.unknown_claims,
        certified=terms.authority is not None,
        not_before=peer.not_before,
        not_after=peer.not_after,
        expires_at=min(peer.not_after, result.expires_at),
    )


def appraise_key(
    evidence: KeyEvidence,
    spki: bytes,
    collateral: Collateral,
    policy: Policy,
    *,
    at: datetime,
    expected_nonce: bytes | None,
    accept_unknown_claims: bool,
    memo: Memo | None = None,
) -> tuple[AttestationResult | None, list[Finding]]:
    """Judge evidence and its tie to a key, and give the result beside every finding; refused if there is any."""
    findings = judge_key(evidence, spki, expected_nonce=expected_nonce, accept_unknown_claims=accept_unknown_claims)
    try:
        return appraise(evidence.quote, collateral, policy, at=at, memo=memo), findings
    except AppraisalRefused as refusal:
        return None, [*findings, *refusal.findings]


def _judge_certificate(peer: PeerCertificate, terms: RaTlsTerms, at: datetime) -> list[Finding]:
    findings: list[Finding] = []
    if not peer.not_before <= at <= peer.not_after:
        findings.append(
            _finding(
                Check.EXPIRY,
                "1.1",
                "the certificate is not valid now",
                f"{peer.not_before.isoformat()} to {peer.not_after.isoformat()}",
                at.isoformat(),
            )
        )
    lifetime = peer.not_after - peer.not_before
    if not isinstance(terms.maximum_lifetime, AnyValue) and not timedelta(0) <= lifetime <= terms.maximum_lifetime:
        message = "the certificate lives longer than is accepted"
        findings.append(_finding(Check.EXPIRY, "1.2", message, f"at most {terms.maximum_lifetime}", str(lifetime)))
    if terms.authority is None:
        if not peer.self_signed:
            findings.append(_finding(Check.SIGNATURE, "1.3", "the certificate's own key did not sign it"))
    else:
        authority = PeerCertificate.from_der(terms.authority, path="authority")
        if peer.issuer != authority.subject or not peer.signed_by(authority.spki):
            findings.append(_finding(Check.CHAIN, "1.4", "the expected authority did not sign the certificate"))
        if not authority.not_before <= at <= authority.not_after:
            findings.append(_finding(Check.EXPIRY, "1.5", "the authority's certificate is not valid now"))
    unknown = [item for item in peer.extensions if item.critical and item.oid not in _KNOWN_EXTENSIONS]
    if unknown:
        shown = ", ".join(item.oid.hex() for item in unknown)
        message = "the certificate has critical extensions that are not known"
        findings.append(_finding(Check.CHAIN, "1.6", message, actual=shown))
    others = [item.oid for item in peer.extensions if item.oid not in (_TAGGED, *_GRAMINE_FORMS)]
    if len(set(others)) < len(others):
        findings.append(_finding(Check.CHAIN, "1.7", "the certificate has an extension more than once"))
    return findings


def _find_evidence(
    peer: PeerCertificate, terms: RaTlsTerms, beside: bytes | None
) -> tuple[KeyEvidence | None, list[Finding]]:
    """Section 2: exactly one piece of evidence, where the terms want it."""
    if terms.authority is not None:
        if beside is None:
            return None, [_finding(Check.KEY_BINDING, "2.1", "there is no evidence beside the certificate")]
        return KeyEvidence.from_tagged(beside), []
    tagged, older = peer.find(_TAGGED), peer.find(*_GRAMINE_FORMS)
    if len(tagged) > 1 or len(older) > 1:
        shown = str(max(len(tagged), len(older)))
        return None, [_finding(Check.KEY_BINDING, "2.2", "the certificate has evidence more than once", "1", shown)]
    if tagged:  # an older Gramine extension beside it is for older peers, and is not looked at
        return KeyEvidence.from_tagged(tagged[0].value), []
    if not older:
        return None, [_finding(Check.KEY_BINDING, "2.1", "the certificate has no evidence in it")]
    if not terms.accept_older_gramine:
        message = "the certificate has evidence in the form of older Gramine releases only, which is not accepted"
        return None, [_finding(Check.KEY_BINDING, "2.3", message)]
    return KeyEvidence.from_older_gramine(older[0].value), []


def _finding(check: Check, section: str, message: str, expected: str = "", actual: str = "") -> Finding:
    return Finding(check=check, message=message, section=f"ra-tls {section}", expected=expected, actual=actual)
