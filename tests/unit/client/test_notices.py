"""Distrust notices in a client: whose are believed, which stand, what they refuse."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attested import AT, AT_MS, HOUR_MS, IDENTITY, Enclave, findings_of, judge, new_platform
from store_client import FakeClock, FakeSealer
from strongroom.base.errors import AppraisalRefused, Denied, Malformed
from strongroom.client.admission import Admission
from strongroom.client.floors import FloorBook
from strongroom.client.notices import NoticeBook, Notices
from strongroom.crypto.hashing import sha256
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.distrust_notice import DistrustNotice, Effect, SignedDistrustNotice, Subject
from strongroom.formats.instance_certificate import machine_id
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.verifier.binding import AttestedPeer

DEPLOYMENT_KEY = SigningKey.from_seed(b"d" * 32)
NOTICE_KEY = SigningKey.from_seed(b"n" * 32)
STRANGER = SigningKey.from_seed(b"s" * 32)
DEPLOYMENT = sha256(DEPLOYMENT_KEY.public)
MACHINE = b"m" * 32


def signed(key: SigningKey = DEPLOYMENT_KEY, **changes: object) -> SignedDistrustNotice:
    notice = DistrustNotice(
        deployment=DEPLOYMENT,
        subject=Subject.MACHINE,
        value=MACHINE,
        effect=Effect.DISTRUST,
        since_ms=AT_MS - HOUR_MS,
        issued_ms=AT_MS,
        reason="its disks were sold",
    )
    return dataclasses.replace(notice, **changes).sign(key)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> AttestedPeer:
    platform = new_platform(tmp_path_factory.mktemp("platform") / "state")
    enclave = Enclave(platform, deployment_key=DEPLOYMENT_KEY)
    peer = judge(enclave.terms(), enclave.answer).peer
    assert peer.machine == machine_id(platform.platform_id)
    assert peer.instance == sha256(enclave.instance_key.public)
    return peer


@pytest.mark.parametrize(
    ("subject", "check", "step"),
    [
        (Subject.MACHINE, "platform", "6.1"),
        (Subject.INSTANCE, "deployment", "6.2"),
        (Subject.MEASUREMENT, "measurement", "6.3"),
    ],
)
def test_what_is_distrusted_is_refused_by_a_finding_of_its_own(tmp_path, peer, subject, check, step) -> None:
    values = {
        Subject.MACHINE: peer.machine, Subject.INSTANCE: peer.instance, Subject.MEASUREMENT: IDENTITY.mr_enclave,
    }  # fmt: skip
    book = NoticeBook(tmp_path)
    assert book.apply(signed(subject=subject, value=b"x" * 32), notice_key=None, at=AT)
    admission = Admission(tmp_path, clock=FakeClock(AT))
    admission(peer)
    assert book.apply(signed(subject=subject, value=values[subject]), notice_key=None, at=AT)
    kept = FloorBook(tmp_path).load(DEPLOYMENT)
    with pytest.raises(AppraisalRefused) as refused:
        admission(dataclasses.replace(peer, epoch=peer.epoch + 1))
    assert findings_of(refused.value) == [(check, f"floors-and-notices {step}")]
    assert "its disks were sold" in refused.value.findings[0].message
    assert "2026-11-24 11:00 UTC" in refused.value.findings[0].message
    assert FloorBook(tmp_path).load(DEPLOYMENT) == kept


def test_a_notice_begins_when_it_says(tmp_path, peer) -> None:
    NoticeBook(tmp_path).apply(signed(value=peer.machine, since_ms=AT_MS + 1000), notice_key=None, at=AT)
    clock = FakeClock(AT)
    admission = Admission(tmp_path, clock=clock)
    admission(peer)
    clock.instant = AT + timedelta(seconds=1)
    with pytest.raises(AppraisalRefused):
        admission(peer)


def test_another_deployments_notice_concerns_nobody_else(tmp_path, peer) -> None:
    other = sha256(STRANGER.public)
    NoticeBook(tmp_path).apply(signed(STRANGER, deployment=other, value=peer.machine), notice_key=None, at=AT)
    Admission(tmp_path, clock=FakeClock(AT))(peer)
    assert [notices.deployment for notices in NoticeBook(tmp_path).every()] == [other]


def test_only_the_deployment_and_the_named_notice_key_are_believed(tmp_path) -> None:
    book = NoticeBook(tmp_path)
    for key, notice_key in ((STRANGER, None), (STRANGER, NOTICE_KEY.public), (NOTICE_KEY, None)):
        with pytest.raises(Denied, match="signed neither by"):
            book.apply(signed(key), notice_key=notice_key, at=AT)
    forged = dataclasses.replace(signed(STRANGER), key=DEPLOYMENT_KEY.public)
    with pytest.raises(Malformed, match="does not fit"):
        book.apply(forged, notice_key=None, at=AT)
    assert list(book.every()) == []
    assert book.apply(signed(DEPLOYMENT_KEY), notice_key=NOTICE_KEY.public, at=AT)
    assert book.apply(signed(NOTICE_KEY), notice_key=NOTICE_KEY.public, at=AT)
    assert len(book.load(DEPLOYMENT).kept) == 2


def test_a_notice_from_the_future_would_never_be_followed_by_another(tmp_path) -> None:
    book = NoticeBook(tmp_path)
    with pytest.raises(Malformed, match="dated in the future"):
        book.apply(signed(issued_ms=AT_MS + 25 * HOUR_MS), notice_key=None, at=AT)
    assert book.apply(signed(issued_ms=AT_MS + 23 * HOUR_MS), notice_key=None, at=AT)


def test_an_older_notice_takes_nothing_back_and_a_newer_one_may(tmp_path, peer) -> None:
    book = NoticeBook(tmp_path)
    again = {"effect": Effect.TRUST_AGAIN, "value": peer.machine, "reason": "it was a mistake"}
    assert book.apply(signed(value=peer.machine), notice_key=None, at=AT)
    assert not book.apply(signed(value=peer.machine), notice_key=None, at=AT)
    assert not book.apply(signed(issued_ms=AT_MS - 1, **again), notice_key=None, at=AT)
    assert not book.apply(signed(issued_ms=AT_MS, **again), notice_key=None, at=AT)
    assert book.load(DEPLOYMENT).objections(peer, at=AT)
    assert book.apply(signed(issued_ms=AT_MS + 1, **again), notice_key=None, at=AT)
    assert not book.load(DEPLOYMENT).objections(peer, at=AT)
    # and the first one, shown once more, does not turn that round either
    assert not book.apply(signed(value=peer.machine), notice_key=None, at=AT)
    assert not book.load(DEPLOYMENT).objections(peer, at=AT)


def test_nobody_takes_back_what_another_key_said(tmp_path, peer) -> None:
    book = NoticeBook(tmp_path)
    book.apply(signed(NOTICE_KEY, value=peer.machine), notice_key=NOTICE_KEY.public, at=AT)
    # whoever stole the deployment key cannot make its clients believe again
    later = signed(DEPLOYMENT_KEY, value=peer.machine, effect=Effect.TRUST_AGAIN, issued_ms=AT_MS + HOUR_MS)
    book.apply(later, notice_key=NOTICE_KEY.public, at=AT)
    findings = book.load(DEPLOYMENT).objections(peer, at=AT)
    assert ["holder of the notice key" in finding.message for finding in findings] == [True]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([DEPLOYMENT_KEY, NOTICE_KEY]),
            st.sampled_from([MACHINE, b"o" * 32]),
            st.sampled_from(Effect),
            st.integers(1, 3),
            st.integers(1, 2),
        ),
        max_size=4,
    )
)
def test_in_whatever_order_they_come_the_same_notices_stand(parts) -> None:
    every = [
        signed(key, value=value, effect=effect, issued_ms=issued, since_ms=since)
        for key, value, effect, issued, since in parts
    ]
    outcomes = set()
    for order in permutations(every):
        notices = Notices(deployment=DEPLOYMENT)
        for notice in order:
            notices = notices.with_notice(notice)
        outcomes.add(notices)
        assert Notices.from_bytes(notices.to_bytes(), deployment=DEPLOYMENT) == notices
    assert len(outcomes) == 1


@given(st.binary())
def test_any_bytes_are_notices_or_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="notices"):
        Notices.from_bytes(data, deployment=DEPLOYMENT)


@pytest.mark.parametrize("damage", ["cut", "altered", "renamed"])
def test_damage_is_said_and_never_taken_for_no_notice(tmp_path, peer, damage: str) -> None:
    book = NoticeBook(tmp_path)
    book.apply(signed(value=peer.machine), notice_key=None, at=AT)
    path = next((tmp_path / "notices").glob("*.cbor"))
    content = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    if damage == "renamed":
        path.rename(path.with_name("surprise.cbor"))
        with pytest.raises(Malformed, match=r"surprise\.cbor"):
            list(book.every())
        return
    path.write_bytes(content[:-1] if damage == "cut" else content.replace(b"sold", b"lost"))
    for attempt in (lambda: Admission(tmp_path, clock=FakeClock(AT))(peer), lambda: list(book.every())):
        with pytest.raises(Malformed, match=str(path)) as damaged:
            attempt()
        assert "restore" in damaged.value.hint
    with pytest.raises(Malformed):
        book.apply(signed(), notice_key=None, at=AT)


def test_only_the_machines_that_an_invitation_names_will_do(tmp_path, peer) -> None:
    clock = FakeClock(AT)
    Admission(tmp_path, clock=clock, machines=[peer.machine, MACHINE])(peer)
    with pytest.raises(AppraisalRefused) as refused:
        Admission(tmp_path, clock=clock, machines=[MACHINE])(peer)
    assert findings_of(refused.value) == [("platform", "floors-and-notices 7.1")]
    assert refused.value.findings[0].actual == peer.machine.hex()


def test_a_deployment_signs_notices_about_itself_alone() -> None:
    deployment = Deployment.create(MemoryRecordStore(), FakeSealer())
    about = dataclasses.replace(signed().notice, deployment=deployment.deployment_id)
    made = deployment.sign_notice(about)
    assert made.is_signed
    assert made.key == deployment.deployment_key
    with pytest.raises(ValueError, match="another deployment"):
        deployment.sign_notice(signed().notice)
