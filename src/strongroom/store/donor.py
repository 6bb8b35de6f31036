"""The running instance's side of a join: judge the joiner, log the join, hand the root key to that session.

The steps are those of docs/spec/instances.md 4. What is demanded is decided by ``judge_joiner``; nothing leaves before
the log entry is durable.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused, MalformedMessage
from strongroom.base.findings import Check, Finding
from strongroom.channel.client import ClientTerms
from strongroom.channel.peer_evidence import judge_client
from strongroom.crypto.hashing import equal, sha256
from strongroom.crypto.hpke import InvalidPublicKey, seal_to
from strongroom.formats.client_claims import ClientRole
from strongroom.formats.joining import JoinRequest, join_info
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.store.joins import JoinEvent, JoinRecord
from strongroom.store.transactions import transact
from strongroom.verifier.anchors import simulated_anchor
from strongroom.verifier.policy import ANY, AppraisalPolicy, TcbRule
from strongroom.verifier.release import judge_successor
from strongroom.verifier.result import SgxClaims

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.base.clock import Clock
    from strongroom.formats.measurements import MrEnclave
    from strongroom.store.charter import Charter
    from strongroom.store.deployment import Deployment
    from strongroom.store.ports import RecordStore
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.client_binding import AttestedClient
    from strongroom.verifier.release import ReleaseState

__all__ = ["Donor", "judge_joiner", "peer_policy"]


class Donor:
    """Hands the root key of one deployment to instances that prove themselves.

    ``own`` is the measurement that runs here, ``anchor`` the root that this platform's own evidence chains to.
    """

    def __init__(
        self, storage: RecordStore, deployment: Deployment, *, own: MrEnclave, anchor: Anchor, clock: Clock
    ) -> None:
        self._storage = storage
        self._deployment = deployment
        self._own = own
        self._anchor = anchor
        self._clock = clock

    def join(self, body: bytes, *, session: bytes, client_binder: bytes) -> bytes:
        """Answer a join request with the sealed root key.

        Raises ``MalformedMessage`` (or another ``Malformed``), or ``AppraisalRefused`` with every finding.
        """
        request = JoinRequest.from_bytes(body)
        statement = request.statement
        at = self._clock.now()
        charter, releases = self._rules()
        joiner = judge_client(
            request.shown,
            peer_policy(self._own, self._anchor, charter, releases),
            role=ClientRole.INSTANCE,
            context=statement.context,
            binder=client_binder,
            session=session,
            at=at,
        )
        findings = judge_joiner(joiner, charter, releases, own=self._own, at=at)
        if equal(sha256(statement.instance_key), self._deployment.instance):
            findings.append(_finding("4.6", Check.KEY_BINDING, "the joiner shows this instance's own key"))
        if findings:
            raise AppraisalRefused(findings)
        try:
            sealed = seal_to(statement.kem_key, self._deployment.root.to_bytes(), join_info(session, statement))
        except InvalidPublicKey:
            raise MalformedMessage("not a key of MLKEM768-X25519", path="join") from None
        measurement = joiner.result.claims.measurement
        record = JoinRecord(
            event=JoinEvent.JOIN if measurement == self._own else JoinEvent.UPGRADE,
            time_ms=joiner.attested_at_ms,
            machine=joiner.machine,
            measurement=measurement,
            instance=sha256(statement.instance_key),
            detail=bytes(32) if releases.newest is None else releases.newest.manifest.digest,
        )
        # Commit point. A crash before it leaves no trace and the joiner without a key; a crash between it and the
        # answer an entry for a join that did not take place, and the joiner asks again. A key without an entry never.
        transact(self._storage, lambda transaction: self._deployment.joins.append(transaction, record))
        return sealed

    def terms(self) -> ClientTerms:
        """Give the terms on which this instance, as a client, believes another one of its deployment."""
        policy = peer_policy(self._own, self._anchor, *self._rules())
        return ClientTerms(policy=policy, deployment=self._deployment.deployment_id)

    def _rules(self) -> tuple[Charter, ReleaseState]:
        with self._storage.read() as transaction:
            return self._deployment.charter(transaction), self._deployment.release_state(transaction)


def peer_policy(own: MrEnclave, anchor: Anchor, charter: Charter, releases: ReleaseState) -> AppraisalPolicy:
    """Give the appraisal policy for other instances: this code or the authorised release's, up to date, never debug.

    On hardware only the manufacturer's root counts, whatever the charter says; on a simulated platform its own and
    those that the charter names.
    """
    anchors: tuple[Anchor, ...] = (anchor,)
    if anchor.simulated:
        others = charter.simulated_roots - {anchor.spki}
        anchors += tuple(simulated_anchor(spki) for spki in sorted(others))
    released = () if releases.newest is None else releases.newest.manifest.codes
    measurements = {own, *(type(own)(code.measurement) for code in released if len(code.measurement) == len(own))}
    return AppraisalPolicy(
        anchors=anchors,
        accept_simulated_platform=anchor.simulated,
        accept_debug_enclaves=False,
        mr_enclaves=frozenset(measurements),
        signers=(),
        trust_domains=(),
        tcb=(TcbRule(status=TcbStatus.UP_TO_DATE, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY),),
        minimum_tcb_evaluation_data_number=0,
        maximum_collateral_age=ANY,
        expired_collateral_grace=timedelta(0),
        platforms=ANY,  # by machine id, in judge_joiner
        smt_enabled=ANY,
        dynamic_platform=ANY,
        cached_keys=ANY,
    )


def judge_joiner(
    joiner: AttestedClient, charter: Charter, releases: ReleaseState, *, own: MrEnclave, at: datetime
) -> list[Finding]:
    """Give every objection of the deployment's rules to a joiner whose evidence was accepted (steps 4.7 to 4.9)."""
    findings = []
    machines = charter.machines
    if machines is not ANY and joiner.machine not in machines:
        findings.append(
            _finding(
                "4.7",
                Check.PLATFORM,
                "the charter does not list the joiner's machine",
                expected=", ".join(sorted(item.hex() for item in machines)) or "no machine is listed",
                actual=joiner.machine.hex(),
            )
        )
    claims = joiner.result.claims
    if claims.measurement == own:
        if claims.measurement in releases.revoked:
            findings.append(_finding("4.8", Check.REVOCATION, "this measurement was revoked for ever"))
        return findings
    return findings + judge_successor(
        releases,
        charter.vendor,
        kind=joiner.result.kind,
        measurement=claims.measurement,
        svn=claims.isv_svn if isinstance(claims, SgxClaims) else 0,
        delay_ms=charter.upgrade_delay_ms,
        at_ms=int(at.timestamp() * 1000),
    )


def _finding(step: str, check: Check, message: str, *, expected: str = "", actual: str = "") -> Finding:
    return Finding(check=check, message=message, section=f"instances {step}", expected=expected, actual=actual)
