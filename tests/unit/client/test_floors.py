"""Floors: only forward, only after a verdict, whole or not at all; what falls behind is refused by the right step."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attested import AT, Enclave, client_of, findings_of, judge, new_platform
from store_client import FakeClock
from strongroom.base.errors import AppraisalRefused, Malformed, Misconfigured, StorageUnavailable
from strongroom.base.findings import Check, Finding
from strongroom.client.admission import Admission
from strongroom.client.floors import ISSUE_TOLERANCE, FloorBook, Floors
from strongroom.storage.file_lock import file_lock
from strongroom.testing.loopback import Loopback
from strongroom.transport.client import AttestedTransport
from strongroom.verifier.binding import AttestedPeer

DAY = timedelta(days=1)
DEPLOYMENT = b"d" * 32

names = st.sampled_from(["epoch", "evaluation intel", "root-crl simulated", "pck-crl 00906ed50000", "issued aabb"])
floors = st.builds(
    Floors,
    deployment=st.just(DEPLOYMENT),
    numbers=st.dictionaries(names, st.integers(0, 2**160 - 1)),
)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> AttestedPeer:
    """Give a peer, accepted in an exchange."""
    enclave = Enclave(new_platform(tmp_path_factory.mktemp("platform") / "state"))
    return judge(enclave.terms(), enclave.answer).peer


def changed(peer: AttestedPeer, *, epoch: int = 0, version: int = 0, **collateral: object) -> AttestedPeer:
    """Give a peer whose epoch and security version are moved, and whose collateral is another."""
    result = peer.result
    claims = dataclasses.replace(result.claims, isv_svn=result.claims.isv_svn + version)
    facts = dataclasses.replace(result.collateral, **collateral)
    return dataclasses.replace(
        peer, epoch=peer.epoch + epoch, result=dataclasses.replace(result, claims=claims, collateral=facts)
    )


@given(floors)
def test_what_is_written_is_read(value: Floors) -> None:
    assert Floors.from_bytes(value.to_bytes(), deployment=DEPLOYMENT) == value


@given(st.binary() | floors.map(Floors.to_bytes).flatmap(lambda raw: st.integers(0, len(raw)).map(lambda n: raw[:n])))
def test_any_bytes_are_floors_or_malformed(data: bytes) -> None:
    try:
        assert Floors.from_bytes(data, deployment=DEPLOYMENT).to_bytes() == data
    except Malformed as error:
        assert error.path == "floors"  # noqa: PT017 - either outcome is right


@given(floors, floors)
def test_floors_never_go_down_and_hold_what_was_accepted(before: Floors, offered: Floors) -> None:
    after = before.raised(offered)
    assert all(after.numbers[name] >= number for name, number in (*before.numbers.items(), *offered.numbers.items()))
    assert set(after.numbers) == set(before.numbers) | set(offered.numbers)
    assert after.objections(Floors(deployment=DEPLOYMENT, numbers={})) == []
    assert after.objections(after) == []


@pytest.mark.parametrize(
    ("behind", "step", "check"),
    [
        (lambda peer: changed(peer, epoch=-1), "2.1", Check.FRESHNESS),
        (lambda peer: changed(peer, version=-1), "2.2", Check.FRESHNESS),
        (lambda peer: changed(peer, tcb_evaluation_data_number=number(peer) - 1), "2.3", Check.EXPIRY),
        (lambda peer: changed(peer, root_crl_number=0), "2.4", Check.EXPIRY),
        (lambda peer: changed(peer, root_crl_number=None), "2.4", Check.EXPIRY),
        (lambda peer: changed(peer, pck_crl_number=0), "2.5", Check.EXPIRY),
        (lambda peer: changed(peer, pck_crl_number=None), "2.5", Check.EXPIRY),
        (lambda peer: changed(peer, earliest_issue=issue(peer) - ISSUE_TOLERANCE - DAY), "2.6", Check.EXPIRY),
    ],
)
def test_each_number_that_falls_behind_is_a_finding_of_its_own(tmp_path, peer, behind, step, check) -> None:
    book = FloorBook(tmp_path)
    book.admit(peer)
    kept = book.load(peer.deployment)
    with pytest.raises(AppraisalRefused) as refused:
        book.admit(behind(peer))
    assert findings_of(refused.value) == [(str(check), f"floors-and-notices {step}")]
    assert refused.value.findings[0].expected.startswith("at least ")
    assert "older than before" in refused.value.hint
    assert book.load(peer.deployment) == kept


def number(peer: AttestedPeer) -> int:
    return peer.result.collateral.tcb_evaluation_data_number


def issue(peer: AttestedPeer):
    return peer.result.collateral.earliest_issue


def test_everything_that_falls_behind_is_named_at_once(tmp_path, peer) -> None:
    book = FloorBook(tmp_path)
    book.admit(peer)
    other = Finding(check=Check.PLATFORM, message="another", section="x 1")
    with pytest.raises(AppraisalRefused) as refused:
        book.admit(changed(peer, epoch=-1, version=-1, pck_crl_number=0, root_crl_number=0), others=[other])
    sections = [section for _, section in findings_of(refused.value)]
    assert sections == ["x 1", *(f"floors-and-notices 2.{step}" for step in (1, 2, 4, 5))]


def test_what_moves_forward_is_kept_and_a_copy_a_few_days_older_will_do(tmp_path, peer) -> None:
    book = FloorBook(tmp_path)
    book.admit(peer)
    ahead = changed(peer, epoch=3, version=1, tcb_evaluation_data_number=number(peer) + 2, pck_crl_number=2**150)
    book.admit(ahead)
    kept = FloorBook(tmp_path).load(peer.deployment)
    assert kept.numbers["epoch"] == peer.epoch + 3
    assert kept.numbers["evaluation simulated"] == number(peer) + 2
    assert 2**150 in kept.numbers.values()
    book.admit(changed(ahead, earliest_issue=issue(peer) - ISSUE_TOLERANCE))
    assert book.load(peer.deployment) == kept
    shown = dict(kept.described())
    assert shown["epoch"] == str(peer.epoch + 3)
    assert any(value.endswith(" UTC") for name, value in shown.items() if name.startswith("issued"))


def test_floors_are_of_one_deployment_one_kind_of_platform_and_one_product(tmp_path, peer) -> None:
    book = FloorBook(tmp_path)
    book.admit(changed(peer, epoch=5))
    book.admit(dataclasses.replace(peer, deployment=b"o" * 32))
    platform = dataclasses.replace(peer.result.platform, fmspc=b"\x01" * 6)
    claims = dataclasses.replace(peer.result.claims, isv_svn=0, isv_prod_id=77)
    elsewhere = changed(peer, epoch=5, pck_crl_number=0, earliest_issue=issue(peer) - 300 * DAY)
    result = dataclasses.replace(elsewhere.result, platform=platform, claims=claims)
    book.admit(dataclasses.replace(elsewhere, result=result))


def test_nothing_is_kept_of_a_peer_that_something_was_found_against(tmp_path, peer) -> None:
    finding = Finding(check=Check.PLATFORM, message="another", section="x 1")
    with pytest.raises(AppraisalRefused):
        FloorBook(tmp_path).admit(peer, others=[finding])
    assert FloorBook(tmp_path).load(peer.deployment).numbers == {}


@pytest.mark.parametrize("content", [b"", b"\xa0", b"rubbish" * 20, bytes(100_000)])
def test_damage_is_said_and_never_taken_for_a_first_time(tmp_path, peer, content) -> None:
    book = FloorBook(tmp_path)
    book.admit(peer)
    path = next((tmp_path / "floors").glob("*.cbor"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(content)
    for attempt in (book.admit, book.objections, lambda peer: book.load(peer.deployment)):
        with pytest.raises(Malformed, match=str(path)):
            attempt(peer)
    assert path.read_bytes() == content


def test_floors_of_another_deployment_are_damage_too(tmp_path, peer) -> None:
    book = FloorBook(tmp_path)
    book.admit(peer)
    path = next((tmp_path / "floors").glob("*.cbor"))
    path.rename(path.with_name(f"{bytes(32).hex()}.cbor"))
    with pytest.raises(Malformed, match="another deployment") as damaged:
        book.load(bytes(32))
    assert "restore" in damaged.value.hint


@pytest.mark.parametrize("name", ["unknown", "epochs 1"])
def test_floors_of_an_unknown_kind_are_damage(name) -> None:
    raw = Floors(deployment=DEPLOYMENT, numbers={name: 1}).to_bytes()
    with pytest.raises(Malformed, match="unknown kind"):
        Floors.from_bytes(raw, deployment=DEPLOYMENT)


def test_a_number_in_two_encodings_has_only_one_that_is_read() -> None:
    raw = Floors(deployment=DEPLOYMENT, numbers={"epoch": 0x01FF}).to_bytes()
    with pytest.raises(Malformed, match="not a number"):
        Floors.from_bytes(raw.replace(b"\x42\x01\xff", b"\x42\x00\xff"), deployment=DEPLOYMENT)


def test_a_file_that_others_may_write_is_refused(tmp_path, peer) -> None:
    book = FloorBook(tmp_path)
    book.admit(peer)
    next((tmp_path / "floors").glob("*.cbor")).chmod(0o666)
    with pytest.raises(Misconfigured, match="other users"):
        book.admit(peer)


def test_many_at_once_lose_nothing(tmp_path, peer) -> None:
    def raise_to(epoch: int) -> None:
        for step in range(20):
            # behind is what the others have made of it meanwhile
            try:
                FloorBook(tmp_path).admit(changed(peer, epoch=epoch * 20 + step))
            except AppraisalRefused:
                continue

    threads = [threading.Thread(target=raise_to, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert FloorBook(tmp_path).load(peer.deployment).numbers["epoch"] == peer.epoch + 79


def test_a_lock_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable), file_lock(tmp_path / "missing" / "lock"):
        raise AssertionError


# --- in the transport ---


def test_a_client_refuses_before_it_says_anything_and_goes_on_when_all_is_well_again(tmp_path) -> None:
    enclave = Enclave(new_platform(tmp_path / "platform"), epoch=2)
    clock = FakeClock()
    admission = Admission(tmp_path / "home", clock=clock)
    with (
        Loopback(enclave.service(clock=clock)) as url,
        AttestedTransport(url, enclave.terms(), admit=admission, clock=clock) as transport,
    ):
        assert transport.peer().epoch == 2
    enclave.epoch = 1
    with Loopback(enclave.service(clock=clock)) as url:
        for _ in range(2):
            with AttestedTransport(url, enclave.terms(), admit=admission, clock=clock) as transport:
                with pytest.raises(AppraisalRefused) as refused:
                    transport.peer()
                assert findings_of(refused.value) == [("freshness", "floors-and-notices 2.1")]
        with client_of(url, enclave.terms()) as (client, _):  # a client that remembers nothing cannot tell
            assert client.get("/").status_code == 200
        enclave.epoch = 2
        with AttestedTransport(url, enclave.terms(), admit=admission, clock=clock) as transport:
            assert transport.peer().epoch == 2


def test_a_session_is_not_resumed_below_a_floor_that_rose_meanwhile(tmp_path) -> None:
    enclave = Enclave(new_platform(tmp_path / "platform"))
    clock = FakeClock()
    home = tmp_path / "home"
    with (
        Loopback(enclave.service(clock=clock)) as url,
        AttestedTransport(url, enclave.terms(), admit=Admission(home, clock=clock), clock=clock) as transport,
    ):
        first = transport.peer()
        transport.handle_request(httpx2.Request("GET", "https://store/"))  # only then the service keeps the session
        clock.seconds += 26 * 60.0  # time to renew
        resumed = transport.peer()
        assert resumed.resumed
        transport.handle_request(httpx2.Request("GET", "https://store/"))
        FloorBook(home).admit(changed(first, pck_crl_number=first.result.collateral.pck_crl_number + 1))
        clock.seconds += 26 * 60.0
        quotes = enclave.quotes
        with pytest.raises(AppraisalRefused) as refused:
            transport.peer()
        assert findings_of(refused.value) == [("expiry", "floors-and-notices 2.5")]
        assert enclave.quotes == quotes + 1  # it was given the chance to show newer collateral


def test_looking_leaves_no_trace(tmp_path, peer) -> None:
    Admission(tmp_path, clock=FakeClock(AT), keep=False)(peer)
    assert list(tmp_path.iterdir()) == []
    FloorBook(tmp_path).admit(changed(peer, epoch=1))
    with pytest.raises(AppraisalRefused):
        Admission(tmp_path, clock=FakeClock(AT), keep=False)(peer)
