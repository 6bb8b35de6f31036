"""Mutual attestation: evidence of a session's client, made inside the channel, after the client's own verdict.

For any enclave that is a client: a person's device or a store instance (``ClientRole``).

    claim = ClientClaim(role, binder=transport.client_binder(), context=sha256(request))     at the client
    shown = claim.shown(attester.evidence(claim.report_data), collateral)                    bytes to send
    client = judge_client(shown, policy, role=…, context=…, binder=…, session=…, at=…)       at the server

The client's end has ``binder`` from ``ClientChannel.client_binder`` (``AttestedTransport.client_binder``), the
server's application from ``scope["extensions"]["strongroom"]["client_binder"]`` (docs/spec/attested-channel.md 14).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.channel.messages import MAX_COLLATERAL_BYTES, MAX_EVIDENCE_BYTES
from strongroom.formats.claims import report_data
from strongroom.formats.client_claims import MAX_CLIENT_CLAIMS_BYTES, ClientClaims, ClientRole, client_leaf
from strongroom.formats.collateral import Collateral
from strongroom.verifier.client_binding import AttestedClient, attest_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from strongroom.verifier.client_binding import OwnEnclave
    from strongroom.verifier.memo import Memo
    from strongroom.verifier.policy_compose import Policy

__all__ = ["MAX_SHOWN_BYTES", "ClientClaim", "judge_client"]

MAX_SHOWN_BYTES: Final = MAX_EVIDENCE_BYTES + MAX_COLLATERAL_BYTES + 2 * MAX_CLIENT_CLAIMS_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientClaim:
    """What a client is about to have quoted: its role, its session's binder, and SHA-256 of what it says beside."""

    role: ClientRole
    binder: bytes = field(repr=False)
    context: bytes

    @property
    def claims(self) -> bytes:
        """The encoded claims."""
        return ClientClaims(role=self.role, leaf=client_leaf(self.role, self.binder), context=self.context).to_bytes()

    @property
    def report_data(self) -> bytes:
        """The 64 bytes to put into the evidence."""
        return report_data(self.claims)

    def shown(self, evidence: bytes, collateral: bytes) -> bytes:
        """Encode evidence over ``report_data`` with collateral as JSON: the bytes to send."""
        return canonical.encode({"claims": self.claims, "evidence": evidence, "collateral": collateral})


def judge_client(
    shown: bytes,
    policy: Policy,
    *,
    role: ClientRole,
    context: bytes,
    binder: bytes,
    session: bytes,
    at: datetime,
    memo: Memo | None = None,
    own: OwnEnclave | None = None,
    collateral_source: Callable[[], bytes] | None = None,
) -> AttestedClient:
    """Judge what a client has shown; raises ``Malformed``, or ``AppraisalRefused`` with every finding.

    A client that shows no collateral is judged with what ``collateral_source`` gives (JSON), where there is one.
    """
    fields = Fields.decode(shown, path="client evidence", error=MalformedMessage, max_bytes=MAX_SHOWN_BYTES)
    claims = fields.byte_string("claims", at_most=MAX_CLIENT_CLAIMS_BYTES)
    evidence = fields.byte_string("evidence", at_most=MAX_EVIDENCE_BYTES)
    collateral = fields.byte_string("collateral", at_most=MAX_COLLATERAL_BYTES)
    fields.done()
    if not collateral and collateral_source is not None:
        collateral = collateral_source()
    return attest_client(
        evidence,
        Collateral.from_json(collateral),
        policy,
        claims=claims,
        role=role,
        context=context,
        binder=binder,
        session=session,
        at=at,
        memo=memo,
        own=own,
    )
