"""Devices at the client: approval from both ends, what a lying store can do to it, the list, revoking."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from direct_store import DirectStore
from strongroom.base.errors import DevicePending, DeviceRevoked, Malformed, Misconfigured, NotAuthorised, RecordTampered
from strongroom.client.account import Credentials, joined, registered
from strongroom.client.approval import Patience, approve_device, current_chain, joined_by_approval, waiting_devices
from strongroom.client.device import unlocked_device
from strongroom.client.devices import find_device, known_devices, revoke_device
from strongroom.client.driver import sync_device
from strongroom.client.enrolment import keep_enrolled, kept_enrolment
from strongroom.client.profile import ProfileState, load_profile
from strongroom.crypto.hpke import HpkePrivateKey, seal_to
from strongroom.crypto.signatures import SigningKey, verify
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.formats import device_api
from strongroom.formats.device_certificate import (
    SHOWN_LABEL,
    UNATTESTED_LIFETIME_MS,
    SignedDeviceCertificate,
    shown_in,
)
from strongroom.formats.device_request import ApprovalRequest, read_code

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)  # the time of the store in these tests
COST = INSECURE_FOR_TESTS_ONLY


def me(name: str) -> Credentials:
    return Credentials(username="me", password=b"secret", cost=COST, device_name=name)


class Home:
    """A registered device at a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = DirectStore()
        with registered(folder / "old", self.store, me("laptop"), self.store.trust) as device:
            sync_device(device, self.store)
            self.secret = device.account_secret

    def old(self) -> Any:
        return unlocked_device(self.folder / "old", b"secret", accepted=(COST,))

    def join(self, other: DirectStore, decide: Any, questions: int = 2) -> Any:
        """Join from a new device; ``decide`` is what happens on the old one, given the code."""
        codes: list[str] = []
        return joined_by_approval(
            self.folder / "new",
            other,
            me("phone"),
            self.store.trust,
            show_code=codes.append,
            patience=Patience(pause=lambda: decide(codes[0]), questions=questions),
        )

    def approve(self, code: str) -> None:
        with self.old() as device:
            approve_device(self.store, device, code.lower().replace("-", " "))

    def join_with_kit(self) -> DirectStore:
        other = self.store.another_client()
        with joined(self.folder / "new", other, me("phone"), self.store.trust, self.secret) as device:
            sync_device(device, other)
        return other


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_new_device_joins_without_the_account_secret_once_an_old_one_approved_it(home: Home) -> None:
    other = home.store.another_client()
    with home.join(other, home.approve) as device:
        assert device.account_secret == home.secret
        assert device.keyring.first.first_vault() == device.profile.vault_id
        sync_device(device, other)
        # it is a member by the old device's signature and admitted itself by nothing
        assert current_chain(device).length == 2
    assert load_profile(home.folder / "new").state is ProfileState.READY
    with home.old() as device:
        names = {known.name: known for known in known_devices(home.store, device)}
    assert set(names) == {"laptop", "phone"}
    assert names["laptop"].current
    assert not names["phone"].current


def test_a_device_that_nobody_approves_gives_up_and_leaves_nothing(home: Home) -> None:
    other = home.store.another_client()
    with pytest.raises(DevicePending), home.join(other, lambda code: None):
        pass
    assert not (home.folder / "new").exists()


def test_a_device_that_was_refused_is_told_so(home: Home) -> None:
    def refuse(_code: str) -> None:
        with home.old() as device:
            ((request, _),) = waiting_devices(home.store, device)
            home.store.refuse_device(device_api.RefuseDevice(device_key=request.device_key))

    other = home.store.another_client()
    with pytest.raises(NotAuthorised, match="refused"), home.join(other, refuse):
        pass


def test_a_store_that_puts_another_device_in_its_place_is_found_out_by_the_code(home: Home) -> None:
    """The store shows keys of its own to the old device; what is typed there does not fit them."""

    class Swapping(DirectStore):
        def __getattr__(self, name: str) -> Any:
            call = super().__getattr__(name)
            if name != "list_devices":
                return call

            def swapped(body: Any) -> device_api.DeviceList:
                told = call(body)
                waiting = [
                    device_api.WaitingDevice(
                        device_key=SigningKey.generate().public,
                        kem_key=HpkePrivateKey.generate().public,
                        name=item.name,
                        asked_ms=item.asked_ms,
                    )
                    for item in told.waiting
                ]
                return device_api.DeviceList(devices=told.devices, waiting=waiting)

            return swapped

    lying = Swapping(home.store._storage)
    refused: list[str] = []

    def approve(code: str) -> None:
        with home.old() as device, pytest.raises(NotAuthorised, match="no waiting device has this code") as error:
            approve_device(lying, device, code)
        refused.append(error.value.code)

    with pytest.raises(DevicePending), home.join(home.store.another_client(), approve):
        pass
    assert set(refused) == {"not-authorised"}


@pytest.mark.parametrize("secret", [b"another secret..", b"short", None])
def test_a_store_that_seals_a_secret_of_its_own_opens_nothing(home: Home, secret: bytes | None) -> None:
    class Forging(DirectStore):
        kem_key = b""
        request: ApprovalRequest

        def __getattr__(self, name: str) -> Any:
            call = super().__getattr__(name)

            def forged(body: Any) -> Any:
                if name == "ask_for_approval":
                    self.request = ApprovalRequest(
                        account_id=self._session.require().account_id,
                        vault_id=self._session.require().vault_id,
                        device_key=body.device_key,
                        kem_key=body.kem_key,
                    )
                if name == "await_approval":
                    info = self.request.info
                    sealed = b"noise" if secret is None else seal_to(self.request.kem_key, secret, info)
                    return device_api.Awaited(state=device_api.ApprovalState.APPROVED, sealed=sealed)
                return call(body)

            return forged

    lying = Forging(home.store._storage)
    with pytest.raises((RecordTampered, NotAuthorised)), home.join(lying, lambda code: None):
        pass
    assert not (home.folder / "new").exists()


def test_a_revoked_device_is_told_so_and_the_others_see_it(home: Home) -> None:
    other = home.join_with_kit()
    with home.old() as device:
        phone = find_device(known_devices(home.store, device), "PHONE")
        revoke_device(home.store, device, phone.device_key)
        revoke_device(home.store, device, phone.device_key)  # once more changes nothing
        assert current_chain(device).length == 4  # the removal, and the renewal of the keys
        (gone,) = [known for known in known_devices(home.store, device) if not known.member]
        assert gone.device_key == phone.device_key
        with pytest.raises(Misconfigured, match="no device matches"):
            find_device([gone], "phone")
    with unlocked_device(home.folder / "new", b"secret", accepted=(COST,)) as device, pytest.raises(DeviceRevoked):
        sync_device(device, other)


def test_this_device_and_a_stranger_are_not_revoked(home: Home) -> None:
    with home.old() as device:
        with pytest.raises(Misconfigured, match="the device you are using"):
            revoke_device(home.store, device, device.device_key.public)
        with pytest.raises(NotAuthorised, match="no such device"):
            revoke_device(home.store, device, bytes(32))


def test_two_devices_of_one_name_are_told_apart_by_their_keys(home: Home) -> None:
    with home.old() as device:
        (known,) = known_devices(home.store, device)
        with pytest.raises(Misconfigured, match="2 devices match"):
            find_device([known, known], known.name)
        assert find_device([known], known.short_id) == known


def test_a_device_renews_its_certificate_by_itself_at_half_of_its_life(home: Home) -> None:
    with home.old() as device:
        assert kept_enrolment(device) is None
        first = keep_enrolled(device, home.store, at=NOON)
        assert kept_enrolment(device) == first
        assert first.certificate.device_key == device.device_key.public
        half = timedelta(milliseconds=UNATTESTED_LIFETIME_MS // 2)
        assert keep_enrolled(device, home.store, at=NOON + half - timedelta(seconds=1)) == first
        for at in (NOON + half, NOON - timedelta(hours=1)):
            assert keep_enrolled(device, home.store, at=at) != first
        device.store.put("enrolment", b"certificate", b"damaged")
        assert kept_enrolment(device) is None
        keep_enrolled(device, home.store, at=NOON)
        shown, signature = first.shown(device, b"h" * 32)
        assert verify(device.device_key.public, SHOWN_LABEL, shown_in(b"h" * 32, shown), signature)


def test_a_certificate_of_another_device_is_not_taken(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with home.old() as device:
        answer = home.store.service.devices.enrol

        def others(session: Any, body: Any) -> device_api.Enrolled:
            right = answer(session, body)
            certificate = SignedDeviceCertificate.from_bytes(right.certificate).certificate
            key = SigningKey.generate()
            wrong = replace(certificate, device_key=key.public).sign(key)
            return device_api.Enrolled(certificate=wrong.to_bytes(), enrolment_key=key.public, evidence_was_new=False)

        monkeypatch.setattr(home.store.service.devices, "enrol", others)
        with pytest.raises(RecordTampered, match="not this device's"):
            keep_enrolled(device, home.store, at=NOON)
        assert kept_enrolment(device) is None


@given(st.binary(min_size=32, max_size=32))
def test_a_code_is_read_as_it_is_shown(device_key: bytes) -> None:
    request = ApprovalRequest(account_id=bytes(16), vault_id=bytes(16), device_key=device_key, kem_key=b"k")
    assert read_code(request.code) == request.code == read_code(" " + request.code.lower().replace("-", ""))


@given(st.text(max_size=80))
def test_any_text_is_a_code_or_malformed(text: str) -> None:
    try:
        code = read_code(text)
    except Malformed:
        return
    assert read_code(code) == code
