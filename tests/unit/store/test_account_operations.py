"""An account's owner at work: second factors, another password, the log, and the end. And everybody else, refused."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from software_key import SoftwareKey, client_of
from store_client import FakeClock, Person, new_service, new_session, reopened
from strongroom.base.errors import (
    Conflict,
    Malformed,
    MalformedMessage,
    NotAuthorised,
    SecondFactorNeeded,
    StorageUnavailable,
    TooManyGuesses,
)
from strongroom.crypto import opaque
from strongroom.crypto.opaque import WrongPassword, identity_for_test_vectors_only
from strongroom.formats import account_api as api
from strongroom.formats import store_api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.audit import AccountEvent
from strongroom.store.ports import Table
from strongroom.store.service import StoreService
from strongroom.store.sessions import ChannelSession
from strongroom.testing.failing_storage import FailingRecordStore, Fault

RP = "vault.example"
PAGE = "https://vault.example"


@dataclass
class World:
    """A store, a person with an account and a device, and the clock of both."""

    storage: MemoryRecordStore = field(default_factory=MemoryRecordStore)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.service = new_service(self.storage, self.clock)
        self.person = Person("me@example.com")
        self.person.register(self.service)

    @property
    def owner(self) -> Any:
        return self.service.owner

    def proven(self) -> ChannelSession:
        """A session that the device has proven."""
        session = new_session()
        self.person.prove(self.service, session)
        return session

    def logged_in(self, password: bytes | None = None) -> ChannelSession:
        """A session that the password has proven."""
        session = new_session()
        self.person.login(self.service, session, password)
        return session

    def half(self) -> ChannelSession:
        """A session whose password was right, and whose second factor is to come."""
        session = new_session()
        with pytest.raises(SecondFactorNeeded):
            self.person.login(self.service, session)
        return session

    def code(self, secret: bytes, *, steps: int = 0) -> str:
        seconds = int(self.clock.instant.timestamp()) + 30 * steps
        return pyotp.TOTP(base64.b32encode(secret).decode()).at(seconds)

    def add_totp(self, session: ChannelSession) -> tuple[bytes, list[str]]:
        secret = self.owner.add_totp(session, api.AddTotp(name="phone")).secret
        added = self.owner.add_totp_finish(session, api.AddTotpFinish(code=self.code(secret)))
        self.clock.instant += timedelta(seconds=60)
        return secret, added.recovery_codes

    def add_key(self, session: ChannelSession, key: SoftwareKey, *, rp_id: str = RP, page: str = PAGE) -> list[str]:
        options = self.owner.add_key(session, api.AddKey(name="key", rp_id=rp_id)).options
        response = client_of(key, page).make_credential(json.loads(options)["publicKey"])
        return self.owner.add_key_finish(session, api.AddKeyFinish(response=json.dumps(dict(response)))).recovery_codes

    def assertion(self, session: ChannelSession, key: SoftwareKey, *, page: str = PAGE) -> str:
        options = self.owner.ask_factor(session, api.AskFactor()).options
        selection = client_of(key, page).get_assertion(json.loads(options)["publicKey"])
        return json.dumps(dict(selection.get_response(0)))

    def change(self, session: ChannelSession, password: bytes, wrapped: bytes = b"rewrapped") -> None:
        state, request = opaque.client.start_registration(password)
        started = self.owner.password_start(session, api.PasswordStart(request=request))
        record, _ = opaque.client.finish_registration(
            state, started.response, stretching=identity_for_test_vectors_only
        )
        self.owner.password_finish(session, api.PasswordFinish(record=record, wrapped_root_key=wrapped, generation=1))

    def events(self) -> list[str]:
        return [line.event for line in self.owner.read_log(self.proven(), api.ReadLog()).lines]


@pytest.fixture
def world() -> World:
    return World()


def test_without_a_second_factor_the_password_is_enough(world: World) -> None:
    assert world.logged_in().identity is not None
    assert world.owner.list_factors(world.proven(), api.ListFactors()).factors == []


def test_with_one_the_password_alone_opens_nothing(world: World) -> None:
    world.add_totp(world.proven())
    session = world.half()
    assert session.identity is None
    with pytest.raises(NotAuthorised):
        session.require()


def test_a_code_completes_the_login(world: World) -> None:
    secret, _ = world.add_totp(world.proven())
    session = world.half()
    assert world.owner.ask_factor(session, api.AskFactor()).kinds == ["totp", "recovery"]
    view = world.owner.prove_factor(session, api.ProveFactor(totp=world.code(secret)))
    assert view.wrapped_root_key == b"wrapped"
    assert session.identity is not None


def test_a_device_needs_no_second_factor(world: World) -> None:
    world.add_totp(world.proven())
    assert world.proven().identity is not None


def test_a_code_works_once(world: World) -> None:
    secret, _ = world.add_totp(world.proven())
    code = world.code(secret)
    world.owner.prove_factor(world.half(), api.ProveFactor(totp=code))
    with pytest.raises(NotAuthorised, match="second factor"):
        world.owner.prove_factor(world.half(), api.ProveFactor(totp=code))


def test_the_code_that_adds_an_application_does_not_log_in(world: World) -> None:
    session = world.proven()
    secret = world.owner.add_totp(session, api.AddTotp(name="phone")).secret
    code = world.code(secret)
    world.owner.add_totp_finish(session, api.AddTotpFinish(code=code))
    with pytest.raises(NotAuthorised):
        world.owner.prove_factor(world.half(), api.ProveFactor(totp=code))


def test_an_application_that_shows_no_code_is_not_added(world: World) -> None:
    session = world.proven()
    world.owner.add_totp(session, api.AddTotp(name="phone"))
    with pytest.raises(NotAuthorised, match="not the application's"):
        world.owner.add_totp_finish(session, api.AddTotpFinish(code="000000"))
    with pytest.raises(NotAuthorised, match="was begun"):
        world.owner.add_totp_finish(session, api.AddTotpFinish(code="000000"))
    assert world.logged_in().identity is not None


def test_wrong_codes_are_limited_and_logged(world: World) -> None:
    world.add_totp(world.proven())
    session = world.half()
    for _ in range(10):
        with pytest.raises(NotAuthorised, match="second factor"):
            world.owner.prove_factor(session, api.ProveFactor(totp="000000"))
    with pytest.raises(TooManyGuesses):
        world.owner.prove_factor(session, api.ProveFactor(totp="000000"))
    assert world.events().count(AccountEvent.FACTOR_WRONG) == 10
    assert world.proven().identity is not None  # devices are not held back


def test_a_factor_without_a_password_is_refused(world: World) -> None:
    secret, _ = world.add_totp(world.proven())
    for session in (new_session(), world.proven()):
        with pytest.raises(NotAuthorised, match="no password was proven"):
            world.owner.prove_factor(session, api.ProveFactor(totp=world.code(secret)))
        with pytest.raises(NotAuthorised, match="no password was proven"):
            world.owner.ask_factor(session, api.AskFactor())


def test_one_factor_at_a_time(world: World) -> None:
    secret, codes = world.add_totp(world.proven())
    session = world.half()
    for body in (api.ProveFactor(), api.ProveFactor(totp=world.code(secret), recovery=codes[0])):
        with pytest.raises(Malformed, match="one second factor"):
            world.owner.prove_factor(session, body)


def test_a_recovery_code_works_once_and_is_logged(world: World) -> None:
    _, codes = world.add_totp(world.proven())
    world.owner.prove_factor(world.half(), api.ProveFactor(recovery=codes[0]))
    with pytest.raises(NotAuthorised):
        world.owner.prove_factor(world.half(), api.ProveFactor(recovery=codes[0]))
    log = world.owner.read_log(world.proven(), api.ReadLog())
    assert [line.detail for line in log.lines if line.event == AccountEvent.RECOVERY_CODE_USED] == ["9 left"]
    assert world.owner.list_factors(world.proven(), api.ListFactors()).recovery_codes == 9


@pytest.mark.parametrize("count", [0, None])
def test_a_security_key_completes_the_login(world: World, count: int | None) -> None:
    key = SoftwareKey(count=count)
    assert len(world.add_key(world.proven(), key)) == 10
    for _ in range(2):
        session = world.half()
        world.owner.prove_factor(session, api.ProveFactor(assertion=world.assertion(session, key)))
        assert session.identity is not None


def test_an_assertion_is_for_one_challenge(world: World) -> None:
    key = SoftwareKey()
    world.add_key(world.proven(), key)
    first, second = world.half(), world.half()
    answer = world.assertion(first, key)
    world.owner.ask_factor(second, api.AskFactor())
    with pytest.raises(NotAuthorised):  # another session's challenge
        world.owner.prove_factor(second, api.ProveFactor(assertion=answer))
    world.owner.prove_factor(first, api.ProveFactor(assertion=answer))
    third = world.half()
    with pytest.raises(NotAuthorised):  # no challenge at all
        world.owner.prove_factor(third, api.ProveFactor(assertion=answer))


def test_an_assertion_for_another_page_is_refused(world: World) -> None:
    key = SoftwareKey()
    world.add_key(world.proven(), key)
    session = world.half()
    answer = world.assertion(session, key, page="https://vault.example.evil.test")
    with pytest.raises(NotAuthorised):
        world.owner.prove_factor(session, api.ProveFactor(assertion=answer))


def test_an_assertion_of_another_key_is_refused(world: World) -> None:
    key, other = SoftwareKey(), SoftwareKey()
    world.add_key(world.proven(), key)
    identifier = next(iter(key.credentials))
    thief = SoftwareKey(count=1000)
    thief._make({2: {"id": RP}})
    thief.credentials[identifier] = next(iter(thief.credentials.values()))
    session = world.half()
    with pytest.raises(NotAuthorised):
        world.owner.prove_factor(session, api.ProveFactor(assertion=world.assertion(session, thief)))
    assert not other.credentials


def test_a_copied_key_is_noticed_by_its_counter(world: World) -> None:
    key = SoftwareKey()
    world.add_key(world.proven(), key)
    copy = SoftwareKey(count=key.count, credentials=dict(key.credentials))
    session = world.half()
    world.owner.prove_factor(session, api.ProveFactor(assertion=world.assertion(session, key)))
    session = world.half()
    with pytest.raises(NotAuthorised):
        world.owner.prove_factor(session, api.ProveFactor(assertion=world.assertion(session, copy)))


def test_a_key_that_nobody_touched_is_refused(world: World) -> None:
    key = SoftwareKey()
    world.add_key(world.proven(), key)
    key.touched = False
    session = world.half()
    with pytest.raises(NotAuthorised):
        world.owner.prove_factor(session, api.ProveFactor(assertion=world.assertion(session, key)))


def test_a_registration_for_another_page_or_challenge_is_refused(world: World) -> None:
    with pytest.raises(NotAuthorised, match="does not hold"):
        world.add_key(world.proven(), SoftwareKey(), page="https://evil.test")
    session = world.proven()
    options = world.owner.add_key(session, api.AddKey(name="key", rp_id=RP)).options
    response = client_of(SoftwareKey(), PAGE).make_credential(json.loads(options)["publicKey"])
    world.owner.add_key(session, api.AddKey(name="key", rp_id=RP))
    with pytest.raises(NotAuthorised, match="does not hold"):
        world.owner.add_key_finish(session, api.AddKeyFinish(response=json.dumps(dict(response))))
    assert world.logged_in().identity is not None


@pytest.mark.parametrize("response", ["", "[]", "{", "null", "1", "[" * 5000])
def test_what_is_no_webauthn_response_is_malformed(world: World, response: str) -> None:
    session = world.proven()
    world.owner.add_key(session, api.AddKey(name="key", rp_id=RP))
    with pytest.raises(MalformedMessage, match="not a WebAuthn response"):
        world.owner.add_key_finish(session, api.AddKeyFinish(response=response))


@pytest.mark.parametrize(
    "response", ["{}", '{"id": 1}', '{"id": "AA", "rawId": "AA", "response": {}, "type": "public-key"}']
)
def test_a_webauthn_response_that_says_nothing_is_refused(world: World, response: str) -> None:
    session = world.proven()
    world.owner.add_key(session, api.AddKey(name="key", rp_id=RP))
    with pytest.raises(NotAuthorised, match="does not hold"):
        world.owner.add_key_finish(session, api.AddKeyFinish(response=response))


def test_all_keys_of_an_account_are_for_one_rp_id(world: World) -> None:
    world.add_key(world.proven(), SoftwareKey())
    with pytest.raises(Conflict, match="another RP id"):
        world.owner.add_key(world.proven(), api.AddKey(name="key", rp_id="other.example"))


def test_a_factor_can_be_removed(world: World) -> None:
    world.add_totp(world.proven())
    session = world.proven()
    [line] = world.owner.list_factors(session, api.ListFactors()).factors
    assert (line.kind, line.name) == ("totp", "phone")
    with pytest.raises(Conflict, match="no second factor of this id"):
        world.owner.remove_factor(session, api.RemoveFactor(id=b"12345678"))
    world.owner.remove_factor(session, api.RemoveFactor(id=line.id))
    assert world.logged_in().identity is not None


def test_there_is_an_end_to_second_factors(world: World) -> None:
    for _ in range(8):
        world.add_totp(world.proven())
    with pytest.raises(Conflict, match="as many"):
        world.add_totp(world.proven())


OPERATIONS = {
    "list_factors": api.ListFactors(),
    "add_totp": api.AddTotp(name="x"),
    "add_key": api.AddKey(name="x", rp_id=RP),
    "remove_factor": api.RemoveFactor(id=bytes(8)),
    "password_start": api.PasswordStart(request=bytes(32)),
    "password_finish": api.PasswordFinish(record=bytes(192), wrapped_root_key=b"", generation=1),
    "read_log": api.ReadLog(),
    "delete": api.DeleteAccount(account_id=bytes(16)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whoever_has_proven_too_little_may_do_nothing(world: World, operation: str) -> None:
    world.add_totp(world.proven())
    for session in (new_session(), world.half()):
        with pytest.raises(NotAuthorised):
            getattr(world.owner, operation)(session, OPERATIONS[operation])


@pytest.mark.parametrize("by", ["proven", "logged_in"])
def test_the_old_password_is_dead_at_once(world: World, by: str) -> None:
    world.change(getattr(world, by)(), b"another")
    with pytest.raises(WrongPassword):
        world.logged_in()
    session = new_session()
    assert world.person.login(world.service, session, b"another").wrapped_root_key == b"rewrapped"
    assert world.proven().identity is not None  # other devices go on


def test_a_login_under_way_with_the_old_password_fails(world: World) -> None:
    session = new_session()
    state, ke1 = opaque.client.start_login(world.person.password)
    body = store_api.LoginStart(username=world.person.username, ke1=ke1)
    started = world.service.login_start(session, body)
    world.change(world.proven(), b"another")
    ke3, _, _ = opaque.client.finish_login(state, started.ke2, stretching=identity_for_test_vectors_only)
    with pytest.raises(NotAuthorised, match="unknown account or wrong password"):
        world.service.login_finish(session, store_api.LoginFinish(ke3=ke3))


def test_a_second_factor_does_not_save_the_old_password(world: World) -> None:
    secret, _ = world.add_totp(world.proven())
    half = world.half()
    world.change(world.proven(), b"another")
    with pytest.raises(NotAuthorised, match="unknown account or wrong password"):
        world.owner.prove_factor(half, api.ProveFactor(totp=world.code(secret)))


def test_sessions_of_the_old_password_end_and_the_one_that_changed_it_goes_on(world: World) -> None:
    old, changing, device = world.logged_in(), world.logged_in(), world.proven()
    world.change(changing, b"another")
    with pytest.raises(NotAuthorised, match="no longer"):
        world.service.check(old)
    assert old.identity is None
    for session in (changing, device):
        world.service.check(session)
    with pytest.raises(NotAuthorised):
        world.change(old, b"third")


def test_a_change_is_finished_where_it_was_started_and_once(world: World) -> None:
    session = world.proven()
    with pytest.raises(NotAuthorised, match="was started"):
        world.owner.password_finish(session, api.PasswordFinish(record=bytes(192), wrapped_root_key=b"", generation=1))
    world.owner.password_start(session, api.PasswordStart(request=opaque.client.start_registration(b"x")[1]))
    with pytest.raises(MalformedMessage):
        world.owner.password_finish(session, api.PasswordFinish(record=b"short", wrapped_root_key=b"", generation=1))
    assert world.logged_in().identity is not None


def test_a_change_that_would_lose_newer_keys_is_refused(world: World) -> None:
    session = world.proven()
    state, request = opaque.client.start_registration(b"x")
    started = world.owner.password_start(session, api.PasswordStart(request=request))
    record, _ = opaque.client.finish_registration(state, started.response, stretching=identity_for_test_vectors_only)
    with pytest.raises(Conflict, match="generation 1"):
        world.owner.password_finish(session, api.PasswordFinish(record=record, wrapped_root_key=b"", generation=2))
    assert world.logged_in().identity is not None


def test_each_change_has_an_oprf_key_of_its_own(world: World) -> None:
    session = world.proven()
    _, request = opaque.client.start_registration(b"x")
    body = api.PasswordStart(request=request)
    assert len({world.owner.password_start(session, body).response[:32] for _ in range(3)}) == 3


@pytest.mark.parametrize("fault", Fault)
def test_a_change_is_whole_or_nothing(fault: Fault) -> None:
    inner = MemoryRecordStore()
    disk = FailingRecordStore(inner)
    world = World(storage=disk)  # type: ignore[arg-type]
    session = world.proven()
    disk.fail_write(0, fault)
    with pytest.raises(StorageUnavailable):
        world.change(session, b"another")
    password = world.person.password if fault is Fault.BEFORE_PERSIST else b"another"
    world.service = reopened(disk, world.clock)
    assert world.logged_in(password).identity is not None


def test_the_log_tells_the_owner(world: World) -> None:
    for _ in range(3):
        with pytest.raises(WrongPassword):
            world.logged_in(b"guess")
    world.clock.instant += timedelta(hours=2)
    with pytest.raises(WrongPassword):
        world.logged_in(b"guess")
    world.logged_in()
    world.change(world.proven(), b"another")
    log = world.owner.read_log(world.proven(), api.ReadLog())
    assert [line.event for line in log.lines] == [
        AccountEvent.REGISTERED,
        AccountEvent.LOGGED_IN,
        AccountEvent.PASSWORD_CHANGED,
    ]
    assert [window.count for window in log.attempts] == [3, 1]


def test_the_log_is_bounded(world: World) -> None:
    for _ in range(300):
        world.logged_in()
    events = world.events()
    assert len(events) == 256
    assert AccountEvent.REGISTERED not in events


def rows_of(storage: MemoryRecordStore) -> set[tuple[str, bytes]]:
    return set(storage._rows)


@pytest.mark.parametrize("entries", [0, 3, 600])
def test_deletion_leaves_no_row(entries: int) -> None:
    world = World()
    stranger = Person("nobody@example.com")
    with pytest.raises(WrongPassword):
        stranger.login(world.service, new_session())  # makes the row of nobody's attempts, and moves the counter
    other = Person("other@example.com")
    other.register(world.service)
    before = rows_of(world.storage)
    # in the other's part of the index, whose row is the tenant's and stays
    third = Person("third@example.com", account_id=other.account_id[:1] + os.urandom(15))
    third.register(world.service)
    session = new_session()
    third.prove(world.service, session)
    for start in range(0, entries, 200):
        chain = third.chain
        pairs = [third.write(os.urandom(16), b"sealed") for _ in range(min(200, entries - start))]
        third.append(world.service, session, pairs, chain)
    world.owner.add_totp(session, api.AddTotp(name="x"))
    secret = session.enrolment.secret  # type: ignore[union-attr]
    world.owner.add_totp_finish(session, api.AddTotpFinish(code=world.code(secret)))
    with pytest.raises(WrongPassword):
        third.login(world.service, new_session(), b"guess")
    elsewhere = new_session()
    third.prove(world.service, elsewhere)

    world.owner.delete(session, api.DeleteAccount(account_id=third.account_id))
    assert session.identity is None
    assert rows_of(world.storage) == before
    with pytest.raises(NotAuthorised):
        world.service.check(elsewhere)
    with pytest.raises(NotAuthorised):
        third.prove(world.service, new_session())
    with pytest.raises(WrongPassword):
        third.login(world.service, new_session())
    other.prove(world.service, new_session())
    Person("third@example.com").register(world.service)  # the name is free


def test_another_account_s_id_deletes_nothing(world: World) -> None:
    session = world.proven()
    with pytest.raises(NotAuthorised, match="another account's"):
        world.owner.delete(session, api.DeleteAccount(account_id=bytes(16)))
    assert world.events()[-1] == AccountEvent.DELETION_REFUSED
    assert world.logged_in().identity is not None


@pytest.mark.parametrize("fault", Fault)
def test_a_deletion_is_whole_or_nothing(fault: Fault) -> None:
    inner = MemoryRecordStore()
    disk = FailingRecordStore(inner)
    world = World(storage=disk)  # type: ignore[arg-type]
    session, before = world.proven(), rows_of(inner)
    disk.fail_write(0, fault)
    with pytest.raises(StorageUnavailable):
        world.owner.delete(session, api.DeleteAccount(account_id=world.person.account_id))
    if fault is Fault.BEFORE_PERSIST:
        assert rows_of(inner) == before
        assert world.proven().identity is not None
    else:
        assert not [row for row in rows_of(inner) if row[0] in {Table.VAULTS, Table.ENTRIES, Table.AUDIT}]


def damaged(world: World, table: Table, key: bytes) -> None:
    row = world.storage._rows[table, key]
    world.storage._rows[table, key] = type(row)(row.version, row.value[:-1] + bytes([row.value[-1] ^ 1]))


def test_damaged_rows_are_named_and_harm_nobody_else(world: World) -> None:
    world.add_totp(world.proven())
    keys = [key for key in world.storage._rows if key[0] in {Table.FACTORS, Table.AUDIT}]
    for table, key in keys:
        damaged(world, Table(table), key)
    with pytest.raises(StorageUnavailable, match="altered"):
        world.logged_in()
    other = Person("other@example.com")
    other.register(world.service)
    assert other.login(world.service, new_session()).vault_id == other.vault_id


def test_an_account_and_its_service_do_not_show_secrets(world: World) -> None:
    secret, codes = world.add_totp(world.proven())
    session = world.half()
    shown = repr(session.half_proven) + repr(session) + repr(world.owner)
    assert secret.hex() not in shown
    assert codes[0] not in shown


def test_a_service_is_what_the_routes_say() -> None:
    assert isinstance(World().service, StoreService)
