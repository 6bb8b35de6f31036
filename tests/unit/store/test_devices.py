"""Devices at the store: who is told what, approval of a new device, and revocation that holds at once, everywhere."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from attested import Enclave, client_of, new_platform
from store_client import FakeClock, FakeSealer, Person, new_service, new_session, reopened
from strongroom.base.errors import (
    ClientNotAttested,
    Conflict,
    DevicePending,
    DeviceRevoked,
    HeadMoved,
    Malformed,
    MalformedEntry,
    NotAuthorised,
)
from strongroom.crypto.hashing import sha256
from strongroom.crypto.hpke import PUBLIC_KEY_BYTES
from strongroom.crypto.signatures import SigningKey
from strongroom.formats import device_api
from strongroom.formats import store_api as api
from strongroom.formats.client_claims import ClientRole
from strongroom.formats.device_certificate import (
    ATTESTED_LIFETIME_MS,
    UNATTESTED_LIFETIME_MS,
    AttestedGrade,
    DeviceCertificate,
    SignedDeviceCertificate,
)
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.devices import WAITING_MS, DeviceNote, Devices, Waiting
from strongroom.store.http import store_application
from strongroom.store.sessions import ChannelSession
from strongroom.testing.failing_storage import FailingRecordStore, Fault
from strongroom.testing.loopback import Loopback
from strongroom.vaultlog.chain import authorise_device, remove_device
from strongroom.vaultlog.entry import Entry, RecordWritten
from strongroom.verifier.client_binding import AttestedClient

KEM_KEY = bytes(PUBLIC_KEY_BYTES)
HOUR_MS = 3_600_000


class World:
    """One store, one person with a registered device, and the time."""

    def __init__(self) -> None:
        self.storage = MemoryRecordStore()
        self.clock = FakeClock()
        self.service = new_service(self.storage, self.clock)
        self.person = Person("a@example.com")
        self.person.register(self.service)
        self.session = self.proven()

    @property
    def now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    def set_time(self, at_ms: int) -> None:
        self.clock.instant = datetime.fromtimestamp(at_ms / 1000, UTC)

    def proven(self, name: str = "") -> ChannelSession:
        session = new_session()
        self.prove(session, self.person.device, name)
        return session

    def prove(self, session: ChannelSession, device: SigningKey, name: str = "") -> None:
        account = self.person.account_id
        signature = device.sign(api.DEVICE_PROOF_LABEL, api.device_proof(session.transcript, account))
        self.service.prove_device(
            session, api.DeviceSession(account_id=account, device_key=device.public, signature=signature, name=name)
        )

    def logged_in(self) -> ChannelSession:
        session = new_session()
        self.person.login(self.service, session)
        return session

    def ask(self, device: SigningKey, name: str = "new") -> ChannelSession:
        session = self.logged_in()
        self.service.devices.ask(
            session, device_api.AskForApproval(device_key=device.public, kem_key=KEM_KEY, name=name)
        )
        return session

    def approve(self, device: SigningKey, *, author: SigningKey | None = None, with_entry: bool = True) -> None:
        chain = self.person.chain
        entry = authorise_device(author or self.person.device, device.public, chain, epoch=1)
        pairs = [api.EntryPair(entry=entry.to_bytes(), sealed=b"")] if with_entry else []
        self.service.devices.approve(
            self.session,
            device_api.Approve(
                device_key=device.public,
                sealed=b"sealed to it",
                expected_length=chain.length,
                expected_chain=chain.chain_hash,
                entries=pairs,
            ),
        )
        self.person.follow(pairs)

    def append(self, session: ChannelSession, *pairs: api.EntryPair) -> None:
        before = self.person.chain
        self.person.append(self.service, session, list(pairs), before)
        self.person.follow(list(pairs))

    def admit(self, device: SigningKey) -> None:
        entry = authorise_device(self.person.account_key, device.public, self.person.chain, epoch=1)
        self.append(self.session, api.EntryPair(entry=entry.to_bytes(), sealed=b""))

    def removal(self, device: SigningKey, author: SigningKey | None = None) -> api.EntryPair:
        entry = remove_device(author or self.person.device, device.public, self.person.chain, epoch=1)
        return api.EntryPair(entry=entry.to_bytes(), sealed=b"")

    def revoke(self, device: SigningKey) -> None:
        self.append(self.session, self.removal(device))

    def listed(self) -> device_api.DeviceList:
        return self.service.devices.listed(self.session, device_api.ListDevices())

    def awaited(self, session: ChannelSession, device: SigningKey) -> device_api.Awaited:
        return self.service.devices.awaited(session, device_api.AwaitApproval(device_key=device.public))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def device() -> SigningKey:
    return SigningKey.generate()


def test_a_revoked_device_is_refused_by_name_on_every_session_it_has_and_every_new_one(world, device) -> None:
    world.admit(device)
    sessions = [new_session(), new_session()]
    for session in sessions:
        world.prove(session, device)
        world.service.devices.check(session)
    another_instance = reopened(world.storage)
    world.revoke(device)
    for service, session in zip((world.service, another_instance), sessions, strict=True):
        with pytest.raises(DeviceRevoked):
            service.devices.check(session)
        assert session.identity is None
        with pytest.raises(NotAuthorised):
            session.require()
    with pytest.raises(DeviceRevoked):
        world.prove(new_session(), device)


def test_a_revoked_device_writes_nothing_even_between_the_look_up_and_the_append(world, device) -> None:
    world.admit(device)
    session = new_session()
    world.prove(session, device)
    world.revoke(device)
    with pytest.raises(DeviceRevoked):
        world.append(session, world.removal(world.person.device, device))


def test_a_device_that_was_revoked_cannot_be_admitted_again(world, device) -> None:
    world.admit(device)
    world.revoke(device)
    with pytest.raises(MalformedEntry, match="was removed"):
        world.admit(device)
    with pytest.raises(Conflict):
        world.ask(device)


def test_the_routes_look_a_device_up_at_each_request(world, device) -> None:
    world.admit(device)
    state: dict[str, object] = {}
    transcript = b"h" * 32

    async def inside(scope, receive, send):
        if scope["type"] == "http":
            scope = {**scope, "extensions": {"strongroom": {"session": transcript, "state": state}}}
        await store_application(world.service)(scope, receive, send)

    world.prove(ChannelSession.of(transcript, state), device)
    body = api.encode(api.FetchPage(after=0, limit=1))
    with TestClient(inside) as http:
        assert http.post("/v1/vault/fetch", content=body).status_code == 200
        world.revoke(device)
        for path, content in (("/v1/vault/fetch", body), ("/v1/devices/list", b"{}")):
            answer = http.post(path, content=content)
            assert (answer.status_code, answer.json()["error"]) in {(403, "device-revoked"), (401, "not-authorised")}
            if path == "/v1/vault/fetch":
                assert answer.json()["error"] == "device-revoked"


def test_a_revoked_device_loses_its_channel_and_what_it_could_resume(tmp_path: Path, device) -> None:
    """Over a real channel: the refusal is the last thing that is said in it, and its ticket opens nothing more."""
    world, enclave = World(), Enclave(new_platform(tmp_path / "platform"))
    world.admit(device)
    service = enclave.service(store_application(world.service))
    body = api.encode(api.FetchPage(after=0, limit=1))
    with Loopback(service) as url, client_of(url, enclave.terms(max_resumed_age=timedelta(hours=1))) as (http, to):

        def prove() -> Any:
            proof = api.device_proof(to.peer().session, world.person.account_id)
            shown = api.DeviceSession(
                account_id=world.person.account_id,
                device_key=device.public,
                signature=device.sign(api.DEVICE_PROOF_LABEL, proof),
            )
            return http.post("/v1/sessions/device", content=api.encode(shown))

        assert prove().status_code == 200
        assert http.post("/v1/vault/fetch", content=body).status_code == 200
        first = to.peer()
        world.revoke(device)
        assert http.post("/v1/vault/fetch", content=body).json()["error"] == "device-revoked"
        # the channel is gone and so is the key to resume it: the client makes a whole exchange, and is nobody
        assert http.post("/v1/vault/fetch", content=body).json()["error"] == "not-authorised"
        assert to.peer().session != first.session
        assert not to.peer().resumed
        assert prove().json()["error"] == "device-revoked"


def test_a_password_alone_removes_no_device(world, device) -> None:
    world.admit(device)
    for author in (world.person.account_key, world.person.device):
        with pytest.raises(DevicePending):
            world.append(world.logged_in(), world.removal(device, author))


def test_a_device_appends_no_other_device_s_approval_or_removal(world, device) -> None:
    world.admit(device)
    third = SigningKey.generate()
    admission = authorise_device(device, third.public, world.person.chain, epoch=1)
    for pair in (api.EntryPair(entry=admission.to_bytes(), sealed=b""), world.removal(world.person.device, device)):
        with pytest.raises(NotAuthorised, match="only the device that wrote"):
            world.append(world.session, pair)


def test_a_device_waits_until_another_one_admits_it(world, device) -> None:
    session = world.ask(device, "phone")
    assert world.awaited(session, device).state is device_api.ApprovalState.WAITING
    with pytest.raises(DevicePending):
        world.prove(session, device)
    (waiting,) = world.listed().waiting
    assert (waiting.device_key, waiting.kem_key, waiting.name) == (device.public, KEM_KEY, "phone")
    world.approve(device)
    answer = world.awaited(session, device)
    assert (answer.state, answer.sealed) == (device_api.ApprovalState.APPROVED, b"sealed to it")
    assert world.listed().waiting == []
    world.prove(session, device)
    # it has what it waited for
    assert world.awaited(session, device).state is device_api.ApprovalState.GONE
    names = {view.device_key: view.name for view in world.listed().devices}
    assert names == {device.public: "phone", world.person.device.public: ""}


def test_an_unapproved_device_writes_nothing(world, device) -> None:
    session = world.ask(device)
    chain = world.person.chain
    change = RecordWritten(record=os.urandom(16), version=1, sealed_digest=sha256(b"x"))
    written = Entry(
        vault=chain.vault, epoch=1, index=chain.length, previous=chain.chain_hash, author=device.public, change=change
    ).signed_by(device)
    with pytest.raises(DevicePending, match="no device was approved"):
        world.append(session, api.EntryPair(entry=written.to_bytes(), sealed=b"x"))
    # nor does it admit itself by its own signature
    entry = authorise_device(device, device.public, chain, epoch=1)
    with pytest.raises(MalformedEntry, match="without the account's signature"):
        world.append(session, api.EntryPair(entry=entry.to_bytes(), sealed=b""))


def test_the_recovery_kit_admits_a_device_that_waits(world, device) -> None:
    session = world.ask(device)
    entry = authorise_device(world.person.account_key, device.public, world.person.chain, epoch=1)
    world.append(session, api.EntryPair(entry=entry.to_bytes(), sealed=b""))
    world.prove(session, device)
    assert world.listed().waiting == []


def test_a_refused_request_is_gone(world, device) -> None:
    session = world.ask(device)
    world.service.devices.refuse(world.session, device_api.RefuseDevice(device_key=device.public))
    assert world.awaited(session, device).state is device_api.ApprovalState.GONE
    with pytest.raises(Conflict, match="no such device waits"):
        world.approve(device)
    assert world.person.chain.length == 1


def test_a_request_is_forgotten_after_a_day_and_few_wait_at_a_time(world, device) -> None:
    session = world.ask(device)
    others = [SigningKey.generate() for _ in range(device_api.MAX_WAITING)]
    for other in others:
        world.ask(other)
    assert {item.device_key for item in world.listed().waiting} == {other.public for other in others}
    assert world.awaited(session, device).state is device_api.ApprovalState.GONE
    world.set_time(world.now_ms + WAITING_MS)
    assert world.listed().waiting == []


def test_an_approval_is_the_entry_of_that_device_at_the_head_or_nothing(world, device) -> None:
    world.ask(device)
    chain = world.person.chain
    body = device_api.Approve(
        device_key=device.public, sealed=b"s", expected_length=chain.length, expected_chain=chain.chain_hash, entries=[]
    )
    with pytest.raises(NotAuthorised, match="unknown or revoked"):
        world.service.devices.approve(world.session, body)
    other = authorise_device(world.person.device, SigningKey.generate().public, chain, epoch=1)
    for pair in (api.EntryPair(entry=other.to_bytes(), sealed=b""), world.removal(world.person.device)):
        with pytest.raises(MalformedEntry):
            world.service.devices.approve(world.session, _with(body, entries=[pair]))
    with pytest.raises(MalformedEntry):
        world.service.devices.approve(world.session, _with(body, sealed=b""))
    with pytest.raises(HeadMoved):
        world.service.devices.approve(world.session, _with(body, expected_length=7))
    assert world.listed().waiting[0].device_key == device.public
    world.approve(device)
    world.approve(device, with_entry=False)  # the answer to the first was lost


def test_the_list_has_names_and_times_and_those_that_were_removed(world, device) -> None:
    world.prove(new_session(), world.person.device, "laptop")
    world.admit(device)
    world.prove(new_session(), device, "phone")
    world.revoke(device)
    views = {view.name: view for view in world.listed().devices}
    assert views["laptop"].seen_ms == views["laptop"].added_ms == world.now_ms
    assert (views["laptop"].removed, views["phone"].removed) == (False, True)
    assert views["phone"].grade == "none"


def test_the_last_use_is_noted_once_an_hour_and_a_name_at_once(world) -> None:
    first = world.now_ms
    world.set_time(first + HOUR_MS - 1)
    world.proven()
    assert world.listed().devices[0].seen_ms == first
    world.proven("laptop")
    assert (world.listed().devices[0].name, world.listed().devices[0].seen_ms) == ("laptop", world.now_ms)
    world.set_time(first + 3 * HOUR_MS)
    world.proven()
    assert (world.listed().devices[0].name, world.listed().devices[0].seen_ms) == ("laptop", world.now_ms)


def test_a_device_is_served_when_its_last_use_cannot_be_noted() -> None:
    storage = FailingRecordStore(MemoryRecordStore())
    service = new_service(storage)
    person = Person("a@example.com")
    person.register(service)
    storage.fail_write(0, Fault.BEFORE_PERSIST)
    session = new_session()
    person.prove(service, session)
    assert session.require().device_key == person.device.public


def test_all_that_is_noted_of_an_account_can_be_forgotten(world, device) -> None:
    world.proven("laptop")
    world.ask(device)
    branch = Deployment.open(world.storage, FakeSealer())
    devices = Devices(branch.rows, branch.keys)
    with world.storage.write() as transaction:
        devices.forget(transaction, world.person.account_id, [world.person.device.public, device.public])
        assert not devices.notes(transaction, world.person.account_id, [world.person.device.public])
        assert devices.waiting(transaction, world.person.account_id, at_ms=world.now_ms) == ()


def evidence_of(world: World, device: SigningKey, *, ends_in_ms: int = 7 * 24 * HOUR_MS, **changes: Any) -> Any:
    """What a session has proven of its code, as the gate in front of the store leaves it."""
    result = SimpleNamespace(simulated=True, kind="sgx-dcap-3", claims=SimpleNamespace(measurement=b"m" * 32))
    return AttestedClient(
        **{
            "result": result,
            "role": ClientRole.DEVICE,
            "machine": b"M" * 32,
            "context": sha256(device.public),
            "session": b"h" * 32,
            "attested_at_ms": world.now_ms,
            "expires_at_ms": world.now_ms + ends_in_ms,
        }
        | changes
    )


def enrolled(world: World, session: ChannelSession) -> tuple[DeviceCertificate, bool]:
    answer = world.service.devices.enrol(session, device_api.Enrol())
    signed = SignedDeviceCertificate.from_bytes(answer.certificate)
    assert signed.is_signed_by(answer.enrolment_key)
    return signed.certificate, answer.evidence_was_new


def test_a_certificate_says_what_the_session_has_proven(world) -> None:
    person, session = world.person, world.session
    certificate, new = enrolled(world, session)
    assert (certificate.device_key, certificate.attested, new) == (person.device.public, None, False)
    assert certificate.not_after_ms - certificate.not_before_ms == UNATTESTED_LIFETIME_MS
    assert person.account_id not in certificate.to_bytes()
    session.client = evidence_of(world, person.device)
    attested, new = enrolled(world, session)
    assert new
    assert attested.attested == AttestedGrade(measurement=b"m" * 32, platform="simulated", attested_at_ms=world.now_ms)
    assert attested.not_after_ms == world.now_ms + ATTESTED_LIFETIME_MS
    assert attested.serial != certificate.serial
    assert attested.account == certificate.account
    (view,) = world.listed().devices
    assert (view.grade, view.measurement) == ("attested", b"m" * 32)


def test_renewing_without_new_evidence_gives_no_time(world) -> None:
    world.session.client = evidence_of(world, world.person.device)
    first, _ = enrolled(world, world.session)
    world.set_time(world.now_ms + HOUR_MS)
    second, new = enrolled(world, world.session)
    assert not new
    assert (second.not_before_ms, second.not_after_ms) == (first.not_before_ms + HOUR_MS, first.not_after_ms)


def test_a_certificate_never_outlives_the_verdict(world) -> None:
    world.session.client = evidence_of(world, world.person.device, ends_in_ms=HOUR_MS)
    certificate, _ = enrolled(world, world.session)
    assert certificate.not_after_ms == world.now_ms + HOUR_MS
    world.set_time(world.now_ms + HOUR_MS)
    assert enrolled(world, world.session)[0].attested is None


def test_evidence_that_is_not_for_this_device_s_key_earns_no_grade(world, device) -> None:
    world.session.client = evidence_of(world, device)
    assert enrolled(world, world.session)[0].attested is None


def test_only_a_proven_device_is_enrolled(world) -> None:
    with pytest.raises(NotAuthorised, match="no device"):
        world.service.devices.enrol(world.logged_in(), device_api.Enrol())


def test_an_account_can_admit_attested_devices_only(world) -> None:
    demand = device_api.DemandEvidence(attested=True)
    with pytest.raises(ClientNotAttested, match="only an attested device can"):
        world.service.devices.demand_evidence(world.session, demand)
    attested = world.proven()
    attested.client = evidence_of(world, world.person.device)
    world.service.devices.demand_evidence(attested, demand)
    world.service.devices.check(attested)
    for session in (world.session, world.logged_in()):
        with pytest.raises(ClientNotAttested, match="attested devices only"):
            world.service.devices.check(session)
    other = world.proven()
    other.client = evidence_of(world, SigningKey.generate())
    with pytest.raises(ClientNotAttested):
        world.service.devices.check(other)
    world.set_time(attested.client.expires_at_ms)
    with pytest.raises(ClientNotAttested):
        world.service.devices.check(attested)
    attested.client = evidence_of(world, world.person.device)
    world.service.devices.demand_evidence(attested, device_api.DemandEvidence(attested=False))
    world.service.devices.check(world.session)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=64)
numbers = st.integers(0, (1 << 63) - 1)


@given(
    st.builds(DeviceNote, name=texts, added_ms=numbers, seen_ms=numbers, measurement=st.binary(max_size=64))
    | st.builds(
        Waiting,
        device_key=st.binary(min_size=32, max_size=32),
        kem_key=st.just(KEM_KEY),
        name=texts,
        asked_ms=numbers,
        sealed=st.binary(max_size=64),
    )
)
def test_notes_survive_being_written(note: DeviceNote | Waiting) -> None:
    assert type(note).from_bytes(note.to_bytes()) == note


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_malformed(data: bytes) -> None:
    for kind in (DeviceNote, Waiting):
        with pytest.raises(Malformed):
            kind.from_bytes(data)


def _with(body: device_api.Approve, **changes: object) -> device_api.Approve:
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return device_api.Approve(**{**fields, **changes})
