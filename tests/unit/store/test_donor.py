"""The donor's side of a join, and the joiner's: who gets the root key, and every reason for which it is refused."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from attested import AT, IDENTITY, findings_of, new_platform
from store_client import FakeClock
from strongroom.base.errors import AppraisalRefused, MalformedMessage, StorageUnavailable
from strongroom.channel.peer_evidence import ClientClaim
from strongroom.crypto.hpke import HpkePrivateKey
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.client_claims import ClientRole
from strongroom.formats.instance_certificate import machine_id
from strongroom.formats.joining import JoinRequest, JoinStatement, error_body, join_info, refusal_of
from strongroom.formats.measurements import MrEnclave
from strongroom.formats.release_manifest import ReleasedCode, ReleaseManifest
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.charter import Charter
from strongroom.store.deployment import Deployment
from strongroom.store.donor import Donor
from strongroom.store.joins import JoinEvent
from strongroom.store.root import Root
from strongroom.testing.failing_storage import FailingRecordStore, Fault
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.policy import ANY
from strongroom.verifier.release import ReleaseState, VendorRule

AT_MS = int(AT.timestamp() * 1000)
DAY_MS = 24 * 60 * 60 * 1000
VENDORS = tuple(SigningKey.from_seed(bytes([number]) * 32) for number in range(3))
RULE = VendorRule(keys=tuple(sorted(key.public for key in VENDORS)), threshold=2)
OPEN = Charter(machines=ANY, simulated_roots=frozenset(), vendor=RULE, upgrade_delay_ms=DAY_MS, recovery=None)
NEXT = replace(IDENTITY, mr_enclave=MrEnclave(b"n" * 32))


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("elsewhere") / "state")


@dataclass
class World:
    """One deployment with a running donor, and one session with it."""

    platform: Any
    charter: Charter = OPEN
    storage: Any = field(default_factory=MemoryRecordStore)
    session: bytes = field(default_factory=lambda: os.urandom(32))
    binder: bytes = field(default_factory=lambda: os.urandom(32))
    private: HpkePrivateKey = field(default_factory=HpkePrivateKey.generate)

    def __post_init__(self) -> None:
        self.deployment = Deployment.create(
            self.storage, self.platform.enclave(IDENTITY), charter=self.charter, time_ms=AT_MS
        )
        anchor = Anchor.from_certificate(self.platform.root_certificate_pem, simulated=True)
        self.clock = FakeClock()
        self.donor = Donor(self.storage, self.deployment, own=IDENTITY.mr_enclave, anchor=anchor, clock=self.clock)
        self.statement = JoinStatement(instance_key=SigningKey.generate().public, kem_key=self.private.public)

    def request(self, *, code: Any = IDENTITY, platform: Any = None, **claim: Any) -> bytes:
        platform = platform or self.platform
        own = {"role": ClientRole.INSTANCE, "binder": self.binder, "context": self.statement.context}
        made = ClientClaim(**own | claim)
        shown = made.shown(platform.enclave(code).evidence(made.report_data), platform.collateral(AT).to_json())
        return JoinRequest(statement=self.statement, shown=shown).to_bytes()

    def join(self, body: bytes | None = None, **changes: Any) -> Root:
        answer = self.donor.join(body or self.request(**changes), session=self.session, client_binder=self.binder)
        return Root.from_bytes(self.private.open(answer, join_info(self.session, self.statement)))

    def refused(self, body: bytes | None = None, **changes: Any) -> list[tuple[str, str]]:
        with pytest.raises(AppraisalRefused) as refusal:
            self.join(body, **changes)
        assert [record.event for record in self.log()] == self.events, "a refused join is not logged"
        return findings_of(refusal.value)

    events: tuple[JoinEvent, ...] | list[JoinEvent] = field(default_factory=lambda: [JoinEvent.CREATED])

    def log(self) -> list[Any]:
        with self.storage.read() as transaction:
            return self.deployment.joins.read(transaction)

    def authorise(self, *manifests: Any, at_ms: int = AT_MS) -> None:
        with self.storage.write() as transaction:
            state = self.deployment.release_state(transaction)
            for manifest in manifests:
                state = state.followed(manifest, RULE, at_ms=at_ms)
            self.deployment.set_release_state(transaction, state)
        self.events = [*self.events, JoinEvent.RELEASE]


def manifest(sequence: int = 1, *, signers: int = 2, code: Any = NEXT, **changes: Any) -> Any:
    made = ReleaseManifest(
        **{
            "version": f"0.{sequence}",
            "sequence": sequence,
            "codes": (ReleasedCode(kind="sgx-dcap-3", measurement=code.mr_enclave, minimum_svn=2),),
            "revoked": (),
            "not_before_ms": AT_MS - 10 * DAY_MS,
            "expires_ms": AT_MS + 10 * DAY_MS,
            "previous": None if sequence == 1 else b"p" * 32,
        }
        | changes
    ).unsigned()
    for key in VENDORS[:signers]:
        made = made.signed(key)
    return made


def test_the_same_code_gets_the_root_key_and_the_join_is_logged_first(platform) -> None:
    world = World(platform)
    assert world.join() == world.deployment.root
    record = world.log()[-1]
    assert (record.event, record.measurement) == (JoinEvent.JOIN, IDENTITY.mr_enclave)
    assert record.machine == machine_id(platform.platform_id)


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (replace(IDENTITY, mr_enclave=MrEnclave(b"x" * 32)), ("measurement", "appraisal 8.3")),
        (replace(IDENTITY, debug=True), ("debug", "appraisal 8.2")),
    ],
    ids=["other code", "debug"],
)
def test_other_code_and_debug_enclaves_are_refused(platform, code, finding) -> None:
    assert World(platform).refused(code=code) == [finding]


def test_a_machine_that_the_charter_does_not_list_is_refused_and_an_empty_list_lists_none(platform) -> None:
    assert World(platform, Charter.closed()).refused() == [("platform", "instances 4.7")]
    other = replace(OPEN, machines=frozenset({b"m" * 32}))
    assert World(platform, other).refused() == [("platform", "instances 4.7")]
    listed = replace(OPEN, machines=frozenset({machine_id(platform.platform_id)}))
    assert World(platform, listed).join()


def test_another_manufacturer_is_refused_unless_the_charter_names_its_root(platform, elsewhere) -> None:
    assert ("chain" in {check for check, _ in World(platform).refused(platform=elsewhere)}) is True
    root = Anchor.from_certificate(elsewhere.root_certificate_pem, simulated=True).spki
    assert World(platform, replace(OPEN, simulated_roots=frozenset({root}))).join(platform=elsewhere)


def test_evidence_relayed_from_another_session_is_refused(platform) -> None:
    assert World(platform).refused(binder=os.urandom(32)) == [("freshness", "attested-channel 14.3")]


def test_evidence_of_a_device_opens_nothing(platform) -> None:
    assert ("key-binding", "attested-channel 14.2") in World(platform).refused(role=ClientRole.DEVICE)


def test_evidence_beside_somebody_elses_keys_is_refused(platform) -> None:
    world = World(platform)
    body = world.request()
    world.statement = JoinStatement(instance_key=bytes(32), kem_key=HpkePrivateKey.generate().public)
    swapped = JoinRequest(statement=world.statement, shown=JoinRequest.from_bytes(body).shown).to_bytes()
    assert world.refused(swapped) == [("key-binding", "attested-channel 14.4")]


def test_the_donors_own_key_is_refused(platform) -> None:
    world = World(platform)
    own = world.deployment.identity(AT).instance_key.public
    world.statement = JoinStatement(instance_key=own, kem_key=world.private.public)
    assert world.refused() == [("key-binding", "instances 4.6")]


def test_a_key_is_sealed_to_its_session_alone(platform) -> None:
    world = World(platform)
    answer = world.donor.join(world.request(), session=world.session, client_binder=world.binder)
    for session, private in ((os.urandom(32), world.private), (world.session, HpkePrivateKey.generate())):
        with pytest.raises(Exception):  # noqa: B017, PT011 - crypto.aead.OpenFailed, a fact and no family
            private.open(answer, join_info(session, world.statement))


@pytest.mark.parametrize("fault", list(Fault))
def test_a_join_that_is_cut_off_leaves_the_old_state_or_the_new(platform, fault) -> None:
    world = World(platform)
    failing = FailingRecordStore(world.storage)
    failing.fail_write(0, fault)
    world.donor._storage = failing
    with pytest.raises(StorageUnavailable):
        world.join()
    persisted = [JoinEvent.JOIN] if fault is Fault.AFTER_PERSIST else []
    assert [record.event for record in world.log()] == [JoinEvent.CREATED, *persisted]
    assert world.join() == world.deployment.root


# releases


def test_a_release_takes_over_once_its_delay_is_past(platform) -> None:
    world = World(platform)
    world.authorise(manifest())
    assert world.refused(code=NEXT) == [("expiry", "release-manifest 5.4")]
    world.clock.instant = AT + timedelta(days=1)
    assert world.join(code=NEXT) == world.deployment.root
    assert world.log()[-1].event is JoinEvent.UPGRADE
    world.events = [record.event for record in world.log()]
    world.clock.instant = AT + timedelta(days=10)
    assert world.refused(code=NEXT) == [("expiry", "release-manifest 5.5")]


def test_a_release_that_all_vendors_signed_does_not_wait(platform) -> None:
    world = World(platform)
    world.authorise(manifest(signers=3))
    assert world.join(code=NEXT) == world.deployment.root


def test_a_release_that_has_not_begun_waits_whoever_signed_it(platform) -> None:
    world = World(platform)
    world.authorise(manifest(signers=3, not_before_ms=AT_MS + 1))
    assert world.refused(code=NEXT) == [("expiry", "release-manifest 5.4")]


def test_a_build_below_the_least_security_version_is_refused(platform) -> None:
    world = World(platform)
    world.authorise(manifest(signers=3))
    assert world.refused(code=replace(NEXT, isv_svn=1)) == [("signer", "release-manifest 5.2")]


def test_a_revoked_measurement_is_refused_even_as_the_running_code(platform) -> None:
    world = World(platform)
    world.authorise(manifest(signers=3, revoked=(IDENTITY.mr_enclave,)))
    assert world.refused() == [("revocation", "instances 4.8")]


FIRST = manifest(2, revoked=(IDENTITY.mr_enclave,))


@pytest.mark.parametrize(
    ("made", "finding"),
    [
        (manifest(3, previous=FIRST.manifest.digest, signers=1), ("signature", "release-manifest 4.1")),
        (manifest(2, previous=FIRST.manifest.digest), ("freshness", "release-manifest 4.2")),
        (manifest(3), ("freshness", "release-manifest 4.3")),
        (manifest(3, previous=FIRST.manifest.digest, code=IDENTITY), ("revocation", "release-manifest 4.4")),
    ],
    ids=["too few signatures", "rollback", "gap", "revoked and listed again"],
)
def test_a_manifest_that_does_not_follow_is_refused(made, finding) -> None:
    state = ReleaseState.beginning().followed(FIRST, RULE, at_ms=AT_MS)
    with pytest.raises(AppraisalRefused) as refused:
        state.followed(made, RULE, at_ms=AT_MS)
    assert findings_of(refused.value) == [finding]
    assert state.newest == FIRST


def test_a_forged_signature_and_another_vendor_count_for_nothing() -> None:
    good = manifest()
    (key, _), other = good.signatures
    forged = replace(good, signatures=((key, bytes(64)), other))
    stranger = manifest(signers=1).signed(SigningKey.generate())
    for made in (forged, stranger):
        with pytest.raises(AppraisalRefused) as refused:
            ReleaseState.beginning().followed(made, RULE, at_ms=AT_MS)
        assert findings_of(refused.value) == [("signature", "release-manifest 4.1")]
    with pytest.raises(AppraisalRefused):
        ReleaseState.beginning().followed(good, VendorRule.nobody(), at_ms=AT_MS)


def test_states_and_refusals_are_read_back() -> None:
    state = ReleaseState.beginning().followed(manifest(), RULE, at_ms=AT_MS)
    assert ReleaseState.from_bytes(state.to_bytes()) == state
    signed = manifest()
    assert type(signed).from_text(signed.to_text()) == signed
    with pytest.raises(AppraisalRefused) as refused:
        state.followed(manifest(), RULE, at_ms=AT_MS)
    code, _, findings = refusal_of(error_body(refused.value))
    assert (code, findings) == ("appraisal-refused", refused.value.findings)


@pytest.mark.parametrize("body", [b"", b"\xa0", b"x" * 100])
def test_other_bytes_are_no_request(platform, body) -> None:
    with pytest.raises(MalformedMessage):
        World(platform).donor.join(body, session=bytes(32), client_binder=bytes(32))
