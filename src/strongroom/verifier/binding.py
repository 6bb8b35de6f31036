"""Binding: from accepted evidence and a live session to an ``AttestedPeer`` (docs/spec/attested-channel.md 6).

This is the only place that makes an ``AttestedPeer``. The chain that is checked runs without a gap: pinned
deployment key, instance certificate, instance key over the claims, claims in the report data, quote, Merkle root
in the claims, this session's binder under the root. The binder comes from the secret that also gives the data
keys, so whoever holds the channel's other end is the enclave that the evidence speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.crypto import merkle
from strongroom.crypto.hashing import equal, sha256
from strongroom.crypto.signatures import verify
from strongroom.formats.claims import Claims, report_data
from strongroom.formats.instance_certificate import MAX_LIFETIME_MS, SignedInstanceCertificate, machine_id
from strongroom.formats.quote import open_quote
from strongroom.formats.sgx_report import SgxReport
from strongroom.verifier.appraisal import appraise_quote
from strongroom.verifier.memo import Memo
from strongroom.verifier.quorum import judge_vouches
from strongroom.verifier.result import SgxClaims
from strongroom.verifier.result_reading import read_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from strongroom.formats.collateral import Collateral
    from strongroom.formats.quote import OpenedQuote
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.quorum import VouchRule
    from strongroom.verifier.result import AttestationResult

__all__ = [
    "CLAIMS_SIGNATURE_LABEL",
    "AttestedPeer",
    "ResumptionProof",
    "SessionProof",
    "attest_peer",
    "batch_leaf",
    "check_resumable",
    "resume_peer",
    "vouch_nonce",
    "vouch_peer",
]

CLAIMS_SIGNATURE_LABEL: Final = "strongroom claims signature v1"
_LEAF_LABEL: Final = b"strongroom leaf 1"
_VOUCH_LABEL: Final = b"strongroom v1 vouch nonce"


def batch_leaf(binder: bytes) -> bytes:
    """Give the leaf of a binder in a batch's tree; binders are secret-derived, so a leaf tells its siblings nothing."""
    return merkle.leaf_hash(_LEAF_LABEL + binder)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProof:
    """What a server shows beside its evidence, and what this client knows of the session.

    ``claims`` and ``instance_certificate`` are encoded; ``index`` and ``path`` lead from this session's binder to
    the root in the claims. ``binder`` and ``session`` (the transcript hash) are the client's own computation.
    """

    claims: bytes
    claims_signature: bytes
    instance_certificate: bytes
    deployment_key: bytes
    index: int
    path: Sequence[bytes]
    binder: bytes
    session: bytes
    elapsed_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedPeer:
    """The other end of one channel, proven. ``sync``, ``leases`` and ``client`` accept nothing less.

    ``deployment`` is SHA-256 of the deployment key, ``instance`` of the instance key; ``deployment_pinned`` tells
    whether the deployment was expected or is seen for the first time. ``expires_at_ms`` is the earliest end of
    anything the verdict rests on. ``attested_at_ms`` is when the evidence was appraised; ``resumed`` tells that this
    was for an earlier session, which ``session`` resumes. ``vouched_by`` is empty where this client appraised the
    evidence itself; else it names the verifiers whose word was taken instead (docs/spec/remote-verifier.md 5).
    """

    result: AttestationResult
    deployment: bytes
    deployment_pinned: bool
    instance: bytes
    machine: bytes
    epoch: int
    head_key_hash: bytes
    release: bytes
    session: bytes
    batch_size: int
    attested_at_ms: int
    expires_at_ms: int
    resumed: bool = False
    vouched_by: tuple[str, ...] = ()

    def age(self, at: datetime) -> timedelta:
        """Give how long ago the evidence was appraised."""
        return timedelta(milliseconds=int(at.timestamp() * 1000) - self.attested_at_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumptionProof:
    """What the other end said when it showed that it is the instance of an earlier verdict.

    ``session`` is the new transcript hash. ``collateral_digest`` is of the collateral that the instance would show
    today, ``verdict_collateral_digest`` of the one that the verdict rests on.
    """

    session: bytes
    deployment: bytes
    epoch: int
    collateral_digest: bytes
    verdict_collateral_digest: bytes


def check_resumable(
    peer: AttestedPeer, *, policy_digest: bytes, expected_deployment: bytes | None, max_age: timedelta, at: datetime
) -> None:
    """Raise ``AppraisalRefused`` unless this verdict may be repeated: steps 12.1 to 12.4, all of them."""
    if findings := _repeatable(peer, policy_digest, expected_deployment, max_age, at):
        raise AppraisalRefused(findings)


def resume_peer(
    peer: AttestedPeer,
    proof: ResumptionProof,
    *,
    policy_digest: bytes,
    expected_deployment: bytes | None,
    max_age: timedelta,
    at: datetime,
) -> AttestedPeer:
    """Repeat a verdict for a session that the same instance resumed, with the verdict's own time; or refuse.

    The caller has checked that the other end holds the earlier session's key. ``AppraisalRefused`` has the findings
    of steps 12.1 to 12.6.
    """
    findings = _repeatable(peer, policy_digest, expected_deployment, max_age, at)
    if not equal(proof.deployment, peer.deployment) or proof.epoch != peer.epoch:
        findings.append(
            Finding(
                check=Check.DEPLOYMENT,
                message="the instance is of another deployment or epoch by now",
                section="attested-channel 12.5",
                expected=f"{peer.deployment.hex()}, epoch {peer.epoch}",
                actual=f"{proof.deployment.hex()}, epoch {proof.epoch}",
            )
        )
    if not equal(proof.collateral_digest, proof.verdict_collateral_digest):
        findings.append(
            Finding(
                check=Check.REVOCATION,
                message="the instance has other collateral than the verdict rests on",
                section="attested-channel 12.6",
                expected=proof.verdict_collateral_digest.hex(),
                actual=proof.collateral_digest.hex(),
            )
        )
    if findings:
        raise AppraisalRefused(findings)
    return replace(peer, session=proof.session, resumed=True)


def attest_peer(
    evidence: bytes,
    collateral: Collateral,
    policy: Policy,
    proof: SessionProof,
    *,
    expected_deployment: bytes | None,
    max_elapsed_seconds: float,
    at: datetime,
    memo: Memo | None = None,
) -> AttestedPeer:
    """Appraise evidence and bind it to a session, or raise ``AppraisalRefused`` with the findings of both.

    ``expected_deployment`` is the pinned SHA-256 of the deployment key; ``None`` takes any deployment that the
    policy's measurements allow, and the result says so. ``memo`` spares repeated work on a platform known already
    and decides nothing. Malformed parts raise their ``Malformed`` error.
    """
    return _bound(
        evidence,
        lambda quote, memo: (appraise_quote(quote, collateral, policy, at=at, memo=memo), ()),
        proof,
        expected_deployment=expected_deployment,
        max_elapsed_seconds=max_elapsed_seconds,
        at=at,
        memo=memo or Memo(capacity=64),
    )


def vouch_nonce(session: bytes) -> bytes:
    """Give the nonce to ask verifiers with about the evidence of a session (32 bytes of transcript hash).

    No other session has it, so a verifier's word about this one is of no use for another; and who sees it learns
    nothing of the session.
    """
    return sha256(_VOUCH_LABEL + session)


def vouch_peer(
    evidence: bytes,
    collateral: bytes,
    tokens: Sequence[bytes],
    rule: VouchRule,
    proof: SessionProof,
    *,
    expected_deployment: bytes | None,
    max_elapsed_seconds: float,
    at: datetime,
    memo: Memo | None = None,
) -> AttestedPeer:
    """Take the word of k of n verifiers in the place of an appraisal, and bind the evidence to a session.

    ``tokens`` are what verifiers signed for ``vouch_nonce(proof.session)``. Everything that needs no manufacturer's
    signature is checked here all the same: steps 6.1 to 6.10 of the channel, and that the claims vouched for are the
    ones in the evidence. The peer says so in ``vouched_by``. Raises as ``attest_peer`` does.
    """

    def judged(quote: OpenedQuote, _memo: Memo) -> tuple[AttestationResult, tuple[str, ...]]:
        vouched = judge_vouches(
            tokens, rule, nonce=vouch_nonce(proof.session), evidence=evidence, collateral=collateral, at=at
        )
        statement = vouched.statement
        result = read_result(
            statement.ear.details, policy_digest=statement.policy_digest, appraised_at=statement.appraised_at
        )
        if not isinstance(quote.report, SgxReport) or result.claims != SgxClaims.of(quote.report):
            message = "what the verifiers vouch for is not what the evidence says"
            raise AppraisalRefused([Finding(check=Check.VERIFIER, message=message, section="remote-verifier 5.2")])
        ends = min(result.expires_at, vouched.expires_at)
        return replace(result, collateral=replace(result.collateral, expires_at=ends)), vouched.by

    return _bound(
        evidence,
        judged,
        proof,
        expected_deployment=expected_deployment,
        max_elapsed_seconds=max_elapsed_seconds,
        at=at,
        memo=memo or Memo(capacity=64),
    )


def _bound(
    evidence: bytes,
    judge: Callable[[OpenedQuote, Memo], tuple[AttestationResult, tuple[str, ...]]],
    proof: SessionProof,
    *,
    expected_deployment: bytes | None,
    max_elapsed_seconds: float,
    at: datetime,
    memo: Memo,
) -> AttestedPeer:
    """Judge evidence, bind it to a session, and make the peer: the one place where one is made."""
    quote = open_quote(evidence)
    claims = Claims.from_bytes(proof.claims)
    read_certificate = SignedInstanceCertificate.from_bytes
    signed = memo.parsed("instance certificate", proof.instance_certificate, read=read_certificate)
    at_ms = int(at.timestamp() * 1000)

    findings = _freshness(claims, quote.report.report_data, proof, max_elapsed_seconds)
    findings += _deployment(claims, signed, proof, expected_deployment, at_ms, memo=memo)
    result: AttestationResult | None = None
    vouched_by: tuple[str, ...] = ()
    try:
        result, vouched_by = judge(quote, memo)
    except AppraisalRefused as refusal:
        findings = [*refusal.findings, *findings]
    if result is not None:
        findings += _machine(signed, result)
    if findings or result is None:
        raise AppraisalRefused(findings)

    certificate = signed.certificate
    return AttestedPeer(
        result=result,
        deployment=claims.deployment,
        deployment_pinned=expected_deployment is not None,
        instance=claims.instance,
        machine=certificate.machine,
        epoch=claims.epoch,
        head_key_hash=claims.head_key,
        release=claims.release,
        session=proof.session,
        batch_size=claims.size,
        attested_at_ms=at_ms,
        expires_at_ms=min(certificate.not_after_ms, int(result.expires_at.timestamp() * 1000)),
        vouched_by=vouched_by,
    )


def _freshness(claims: Claims, quoted: bytes, proof: SessionProof, max_elapsed_seconds: float) -> list[Finding]:
    """Steps 6.1 to 6.3: the evidence commits to these claims, the claims to this session, and none of it is old."""
    findings = []
    if not equal(quoted, report_data(proof.claims)):
        findings.append(
            Finding(
                check=Check.KEY_BINDING,
                message="the evidence does not commit to these claims",
                section="attested-channel 6.1",
                expected=report_data(proof.claims).hex(),
                actual=quoted.hex(),
            )
        )
    if not merkle.verify_inclusion(
        batch_leaf(proof.binder), index=proof.index, size=claims.size, path=proof.path, root=claims.root
    ):
        findings.append(
            Finding(
                check=Check.FRESHNESS,
                message="the evidence was not made for this session",
                section="attested-channel 6.2",
            )
        )
    if proof.elapsed_seconds > max_elapsed_seconds:
        findings.append(
            Finding(
                check=Check.FRESHNESS,
                message="the answer took too long to prove that the evidence is recent",
                section="attested-channel 6.3",
                expected=f"at most {max_elapsed_seconds:g} s",
                actual=f"{proof.elapsed_seconds:.1f} s",
            )
        )
    return findings


def _deployment(
    claims: Claims,
    signed: SignedInstanceCertificate,
    proof: SessionProof,
    expected: bytes | None,
    at_ms: int,
    *,
    memo: Memo,
) -> list[Finding]:
    """Steps 6.4 to 6.9: whose deployment this is, and that its key vouches for this instance, now."""
    certificate = signed.certificate
    named = sha256(proof.deployment_key)
    vouched = memo.holds(
        "deployment vouches",
        proof.deployment_key,
        proof.instance_certificate,
        check=lambda: signed.is_signed_by(proof.deployment_key),
    )
    signed_claims = verify(certificate.instance_key, CLAIMS_SIGNATURE_LABEL, proof.claims, proof.claims_signature)
    findings: list[Finding] = []

    def object_to(section: str, message: str, expected: str, actual: str) -> None:
        section = f"attested-channel {section}"
        findings.append(
            Finding(check=Check.DEPLOYMENT, message=message, section=section, expected=expected, actual=actual)
        )

    if expected is not None and not equal(named, expected):
        object_to("6.4", "this is another deployment than the one expected", expected.hex(), named.hex())
    if not equal(named, claims.deployment):
        object_to("6.5", "the claims name another deployment", named.hex(), claims.deployment.hex())
    if not (equal(certificate.deployment, named) and vouched):
        object_to(
            "6.6",
            "the deployment key did not sign this instance's certificate",
            f"a signature by the key of {named.hex()}",
            f"a certificate that names {certificate.deployment.hex()}",
        )
    instance = sha256(certificate.instance_key)
    if not (equal(instance, claims.instance) and signed_claims):
        object_to(
            "6.7",
            "the instance key did not sign the claims",
            f"claims by {instance.hex()}",
            f"claims that name {claims.instance.hex()}",
        )
    if certificate.epoch != claims.epoch:
        object_to("6.8", "the instance certificate is of another epoch", str(claims.epoch), str(certificate.epoch))
    lifetime = certificate.not_after_ms - certificate.not_before_ms
    if not (certificate.not_before_ms <= at_ms < certificate.not_after_ms and lifetime <= MAX_LIFETIME_MS):
        findings.append(
            Finding(
                check=Check.EXPIRY,
                message="the instance certificate is not valid now",
                section="attested-channel 6.9",
                expected=f"{certificate.not_before_ms} to {certificate.not_after_ms}, at most {MAX_LIFETIME_MS} ms",
                actual=str(at_ms),
            )
        )
    return findings


def _machine(signed: SignedInstanceCertificate, result: AttestationResult) -> list[Finding]:
    """Step 6.10: the certificate was issued for the machine that the evidence comes from."""
    quoted = machine_id(result.platform.ppid)
    if equal(quoted, signed.certificate.machine):
        return []
    return [
        Finding(
            check=Check.PLATFORM,
            message="the instance certificate is of another machine",
            section="attested-channel 6.10",
            expected=signed.certificate.machine.hex(),
            actual=quoted.hex(),
        )
    ]


def _repeatable(
    peer: AttestedPeer, policy_digest: bytes, expected: bytes | None, max_age: timedelta, at: datetime
) -> list[Finding]:
    """Steps 12.1 to 12.4: the verdict was made under today's terms, and is neither too old nor at its end."""
    findings = []
    if peer.vouched_by:
        findings.append(
            Finding(
                check=Check.VERIFIER,
                message="a verdict that others vouched for is not repeated",
                section="remote-verifier 5.4",
                actual=", ".join(peer.vouched_by),
            )
        )
    if not equal(peer.result.policy_digest, policy_digest):
        findings.append(
            Finding(
                check=Check.CONFIGURATION,
                message="the verdict was made under another policy",
                section="attested-channel 12.1",
                expected=policy_digest.hex(),
                actual=peer.result.policy_digest.hex(),
            )
        )
    if expected is not None and not equal(peer.deployment, expected):
        findings.append(
            Finding(
                check=Check.DEPLOYMENT,
                message="the verdict is about another deployment than the one expected",
                section="attested-channel 12.2",
                expected=expected.hex(),
                actual=peer.deployment.hex(),
            )
        )
    age = peer.age(at)
    if not timedelta(0) <= age <= max_age:
        findings.append(
            Finding(
                check=Check.FRESHNESS,
                message="the verdict is too old to be repeated",
                section="attested-channel 12.3",
                expected=f"at most {max_age.total_seconds():.0f} s old",
                actual=f"{age.total_seconds():.0f} s",
            )
        )
    if int(at.timestamp() * 1000) >= peer.expires_at_ms:
        findings.append(
            Finding(
                check=Check.EXPIRY,
                message="something that the verdict rests on has ended",
                section="attested-channel 12.4",
                expected=f"before {peer.expires_at_ms}",
                actual=str(int(at.timestamp() * 1000)),
            )
        )
    return findings
