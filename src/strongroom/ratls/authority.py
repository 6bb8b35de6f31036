"""An attested authority: ordinary certificates for enclaves whose evidence passes (docs/spec/attested-ca.md).

The decision is a pure function of request, terms and an instant. The authority holds a key that was born in this
process and is never written down; its root certificate carries evidence about that key, so whoever appraises can check
the authority itself. A client that checks the chain alone has verified none of this.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, Misconfigured, Unavailable
from strongroom.base.findings import Check, Finding
from strongroom.crypto.tls_certificates import (
    SigningRequest,
    TlsKey,
    issue_authority_certificate,
    issue_server_certificate,
    new_serial,
)
from strongroom.formats.collateral import Collateral
from strongroom.formats.tagged_evidence import TAGGED_EVIDENCE_OID
from strongroom.ratls.binding import KeyEvidence, attest_key, judge_key
from strongroom.ratls.issuing import CLOCK_SKEW
from strongroom.ratls.peer import appraise_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.ratls.authority_messages import CertificateRequest
    from strongroom.ratls.ports import Attester
    from strongroom.verifier.memo import Memo
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.result import AttestationResult

__all__ = ["Approval", "Authority", "AuthorityTerms", "IssuingRule", "NonceBook", "decide"]

MAX_LIFETIME: Final = timedelta(days=7)
MAX_AUTHORITY_LIFETIME: Final = timedelta(days=366)
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.ASCII)
_MAX_HOST_NAME: Final = 253
_NONCE_BYTES: Final = 32
_MAX_NONCES: Final = 10_000
_NONCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingRule:
    """Which code, on which platforms in which state, may have a certificate for which names (host names, exact)."""

    policy: Policy
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityTerms:
    """What an authority certifies: names below ``domains`` only, for code that a rule accepts, for ``lifetime``."""

    domains: tuple[str, ...]
    rules: tuple[IssuingRule, ...]
    lifetime: timedelta

    def __post_init__(self) -> None:
        if not self.domains:
            raise Misconfigured("an authority needs domains that it is constrained to", setting="domains")
        for name in [*self.domains, *(name for rule in self.rules for name in rule.names)]:
            if not _is_host_name(name) or not _below(name, self.domains):
                raise Misconfigured(f"{name!r} is not a host name below the domains", setting="names")
        if not timedelta(0) < self.lifetime <= MAX_LIFETIME:
            raise Misconfigured(f"a certificate lives at most {MAX_LIFETIME}", setting="lifetime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request that passed: the key (SubjectPublicKeyInfo), its names, the evidence and the verdict on it."""

    spki: bytes
    names: tuple[str, ...]
    evidence: bytes
    result: AttestationResult


def decide(
    request: CertificateRequest,
    terms: AuthorityTerms,
    *,
    nonce_is_live: bool,
    at: datetime,
    memo: Memo | None = None,
) -> Approval:
    """Judge a request, or raise ``AppraisalRefused`` with every finding; what cannot be read raises ``Malformed``.

    ``nonce_is_live`` tells whether this authority drew the request's nonce, lately, and has not seen it come back.
    """
    signing = SigningRequest.from_der(request.signing_request)
    evidence = KeyEvidence.from_tagged(request.evidence)
    collateral = Collateral.from_json(request.collateral)
    findings: list[Finding] = []
    if not nonce_is_live:
        message = "the nonce is not one of this authority's, was used before, or is too old"
        findings.append(_finding(Check.FRESHNESS, "1.1", message))
    if not signing.possession:
        findings.append(_finding(Check.SIGNATURE, "1.2", "the request is not signed by its own key"))
    findings += _judge_names(signing.names, terms)
    result, objections = _judge_code(evidence, collateral, signing, request.nonce, terms, at=at, memo=memo)
    findings += objections
    if findings or result is None:
        raise AppraisalRefused(findings)
    return Approval(spki=signing.spki, names=signing.names, evidence=request.evidence, result=result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """One certificate that was issued (DER), its serial number, and the evidence behind it."""

    certificate: bytes
    serial: int
    evidence: bytes
    not_after: datetime


class Authority:
    """A key that was born here, and the root certificate around it. It certifies approvals and nothing else."""

    def __init__(
        self,
        attester: Attester,
        terms: AuthorityTerms,
        *,
        subject: str,
        at: datetime,
        lifetime: timedelta = timedelta(days=90),
    ) -> None:
        """Draw the key and attest it; raises ``AttesterUnavailable``."""
        if not timedelta(0) < lifetime <= MAX_AUTHORITY_LIFETIME:
            raise Misconfigured(f"an authority lives at most {MAX_AUTHORITY_LIFETIME}", setting="lifetime")
        self.terms = terms
        self._subject = subject
        self._key = TlsKey.generate()
        self._not_after = (at + lifetime).replace(microsecond=0)
        self.certificate = issue_authority_certificate(
            key=self._key,
            subject=subject,
            domains=terms.domains,
            not_before=(at - CLOCK_SKEW).replace(microsecond=0),
            not_after=self._not_after,
            evidence=[(TAGGED_EVIDENCE_OID, attest_key(attester, self._key.spki))],
        )

    def certify(self, approval: Approval, *, at: datetime) -> Certified:
        """Issue the certificate; it ends with the terms' lifetime, the verdict or the root, whichever is first."""
        serial = new_serial()
        not_after = min(at + self.terms.lifetime, approval.result.expires_at, self._not_after).replace(microsecond=0)
        certificate = issue_server_certificate(
            issuer=self._subject,
            issuer_key=self._key,
            spki=approval.spki,
            names=approval.names,
            serial=serial,
            not_before=(at - CLOCK_SKEW).replace(microsecond=0),
            not_after=not_after,
        )
        return Certified(certificate=certificate, serial=serial, evidence=approval.evidence, not_after=not_after)


class NonceBook:
    """Nonces that were drawn: bounded in number and age, each good once. Threads may share it."""

    def __init__(self, *, capacity: int = _MAX_NONCES, seconds: float = _NONCE_SECONDS) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._drawn: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, now: float) -> bytes:
        """Draw 32 bytes at a monotonic instant, or raise ``Unavailable`` when too many are out."""
        with self._lock:
            self._drop_old(now)
            if len(self._drawn) >= self._capacity:
                raise Unavailable("too many nonces are out", retry_after_seconds=self._seconds)
            nonce = secrets.token_bytes(_NONCE_BYTES)
            self._drawn[nonce] = now
            return nonce

    def take(self, nonce: bytes, now: float) -> bool:
        """Use a nonce up, and tell whether it was good."""
        with self._lock:
            self._drop_old(now)
            return self._drawn.pop(nonce, None) is not None

    def _drop_old(self, now: float) -> None:
        while self._drawn and now - next(iter(self._drawn.values())) > self._seconds:
            self._drawn.popitem(last=False)


def _judge_code(
    evidence: KeyEvidence,
    collateral: Collateral,
    signing: SigningRequest,
    nonce: bytes,
    terms: AuthorityTerms,
    *,
    at: datetime,
    memo: Memo | None,
) -> tuple[AttestationResult | None, list[Finding]]:
    """Steps 2 and 3.2: the first rule that gives these names and accepts the evidence; else what all of them said."""
    covering = [rule for rule in terms.rules if rule.names >= set(signing.names)]
    if not covering:
        shown = ", ".join(map(ascii, signing.names))
        tie = judge_key(evidence, signing.spki, expected_nonce=nonce, accept_unknown_claims=False)
        return None, [_finding(Check.DEPLOYMENT, "3.2", "no rule gives these names to anybody", actual=shown), *tie]
    objections: list[Finding] = []
    for rule in covering:
        result, found = appraise_key(
            evidence,
            signing.spki,
            collateral,
            rule.policy,
            at=at,
            expected_nonce=nonce,
            accept_unknown_claims=False,
            memo=memo,
        )
        if result is not None and not found:
            return result, []
        objections += [finding for finding in found if finding not in objections]
    return None, objections


def _judge_names(names: Sequence[str], terms: AuthorityTerms) -> list[Finding]:
    """Step 3.1: host names in their one form, below the domains. No wildcards, no addresses."""
    wrong = [name for name in names if not (_is_host_name(name) and _below(name, terms.domains))]
    if not wrong:
        return []
    message = "the request has names that are no host names below the authority's domains"
    return [_finding(Check.DEPLOYMENT, "3.1", message, ", ".join(terms.domains), ", ".join(map(ascii, wrong)))]


def _is_host_name(name: str) -> bool:
    return len(name) <= _MAX_HOST_NAME and _HOST_NAME.fullmatch(name) is not None


def _below(name: str, domains: Sequence[str]) -> bool:
    return any(name == domain or name.endswith("." + domain) for domain in domains)


def _finding(check: Check, section: str, message: str, expected: str = "", actual: str = "") -> Finding:
    return Finding(check=check, message=message, section=f"attested-ca {section}", expected=expected, actual=actual)
