"""Binding the other way: from a client's evidence and a live session to an ``AttestedClient``.

This is the only place that makes one (docs/spec/attested-channel.md 14). A client has no deployment that vouches for
it: what is proven is code, machine and that this very session's keys are held by that code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import equal
from strongroom.formats.claims import report_data
from strongroom.formats.client_claims import ClientClaims, ClientRole, client_leaf
from strongroom.formats.instance_certificate import machine_id
from strongroom.formats.quote import parse_quote
from strongroom.verifier.appraisal import appraise

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.formats.collateral import Collateral
    from strongroom.verifier.memo import Memo
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.result import AttestationResult

__all__ = ["AttestedClient", "OwnEnclave", "attest_client"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedClient:
    """The client's end of one channel, proven. ``machine`` is its machine id, ``session`` the transcript hash.

    ``context`` is SHA-256 of what it said beside the evidence. Times are Unix milliseconds; ``expires_at_ms`` is the
    earliest end of anything the verdict rests on.
    """

    result: AttestationResult
    role: ClientRole
    machine: bytes
    context: bytes
    session: bytes
    attested_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEnclave:
    """The judging enclave itself: its machine's id and its measurement. No client is that (step 14.6)."""

    machine: bytes
    measurement: bytes


def attest_client(
    evidence: bytes,
    collateral: Collateral,
    policy: Policy,
    *,
    claims: bytes,
    role: ClientRole,
    context: bytes,
    binder: bytes,
    session: bytes,
    at: datetime,
    memo: Memo | None = None,
    own: OwnEnclave | None = None,
) -> AttestedClient:
    """Appraise a client's evidence and bind it to a session, or raise ``AppraisalRefused`` with the findings of both.

    ``binder`` and ``session`` are this end's own computation, ``role`` and ``context`` what the evidence has to be
    for. With ``own`` the judge's own evidence is refused: a mirror is no client. Malformed parts raise their
    ``Malformed`` error.
    """
    quote = parse_quote(evidence)
    said = ClientClaims.from_bytes(claims)
    checks = [
        (
            "14.1",
            Check.KEY_BINDING,
            equal(quote.report.report_data, report_data(claims)),
            "the client's evidence does not commit to these claims",
        ),
        ("14.2", Check.KEY_BINDING, said.role == role, f"the client's evidence is not for the role of {role}"),
        (
            "14.3",
            Check.FRESHNESS,
            equal(said.leaf, client_leaf(role, binder)),
            "the client's evidence was not made for this session",
        ),
        (
            "14.4",
            Check.KEY_BINDING,
            equal(said.context, context),
            "the client's evidence does not commit to what it came with",
        ),
    ]
    findings = [
        Finding(check=check, message=message, section=f"attested-channel {section}")
        for section, check, holds, message in checks
        if not holds
    ]
    result = None
    try:
        result = appraise(evidence, collateral, policy, at=at, memo=memo)
    except AppraisalRefused as refusal:
        findings = [*refusal.findings, *findings]
    if result is not None and own is not None and _is(result, own):
        findings.append(
            Finding(
                check=Check.KEY_BINDING,
                message="the evidence is this service's own",
                section="attested-channel 14.6",
            )
        )
    if findings or result is None:
        raise AppraisalRefused(findings)
    return AttestedClient(
        result=result,
        role=role,
        machine=machine_id(result.platform.ppid),
        context=context,
        session=session,
        attested_at_ms=int(at.timestamp() * 1000),
        expires_at_ms=int(result.expires_at.timestamp() * 1000),
    )


def _is(result: AttestationResult, own: OwnEnclave) -> bool:
    return machine_id(result.platform.ppid) == own.machine and result.claims.measurement == own.measurement
