"""The store's operations over an in-memory database: who may do what, and what each refusal is."""

import os

import pytest

from store_client import FakeSealer, Person, new_service, new_session, reopened
from strongroom.base.errors import (
    Conflict,
    DevicePending,
    HeadMoved,
    Malformed,
    MalformedEntry,
    Misconfigured,
    NotAuthorised,
)
from strongroom.crypto import opaque
from strongroom.crypto.opaque import WrongPassword
from strongroom.crypto.signatures import SigningKey
from strongroom.formats import store_api as api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.accounts import AccountExists
from strongroom.store.deployment import Deployment
from strongroom.vaultlog.head import SignedHead


def test_register_log_in_prove_write_and_read_back() -> None:
    storage = MemoryRecordStore()
    service = new_service(storage)
    person = Person("a@example.com")
    person.register(service)

    session = new_session()
    assert person.login(service, session).wrapped_root_key == b"wrapped"
    assert person.prove(service, session).vault_id == person.vault_id
    before = person.chain
    pairs = [person.write(os.urandom(16), b"sealed %d" % i) for i in range(3)]
    appended = person.append(service, session, pairs, before)
    assert SignedHead.from_bytes(appended.head).head.length == 4

    page = service.fetch(session, api.FetchPage(after=1, limit=2))
    assert [pair.sealed for pair in page.entries] == [b"sealed 0", b"sealed 1"]
    assert SignedHead.from_bytes(page.head).head.chain_hash == person.chain.chain_hash


def test_a_restart_loses_nothing_and_forgets_sessions() -> None:
    storage = MemoryRecordStore()
    person = Person("a@example.com")
    person.register(new_service(storage))
    service, session = reopened(storage), new_session()
    with pytest.raises(NotAuthorised):
        service.fetch(session, api.FetchPage(after=0, limit=10))
    person.prove(service, session)
    assert len(service.fetch(session, api.FetchPage(after=0, limit=10)).entries) == 1


def test_a_name_is_taken_however_it_is_spelled() -> None:
    service = new_service(MemoryRecordStore())
    Person("Ａlice@Example.com").register(service)  # noqa: RUF001 - a full-width letter, on purpose
    with pytest.raises(AccountExists):
        Person(" alice@example.COM ").register(service)


@pytest.mark.parametrize("name", ["\n", " ", "a\x00b", "a\u202eb"])
def test_a_name_of_nothing_or_with_control_characters_is_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        Person(name).register(new_service(MemoryRecordStore()))


def test_a_taken_name_leaves_the_database_as_it_was() -> None:
    storage = MemoryRecordStore()
    service = new_service(storage)
    Person("a@example.com").register(service)
    other = Person("a@example.com")
    with pytest.raises(AccountExists):
        other.register(service)
    session = new_session()
    with pytest.raises(NotAuthorised):
        other.prove(service, session)


def test_a_wrong_password_and_an_unknown_name_look_alike_to_the_client() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    with pytest.raises(WrongPassword):
        person.login(service, new_session(), b"wrong")
    with pytest.raises(WrongPassword):
        Person("nobody@example.com").login(service, new_session())


def test_a_registration_answers_no_guess_of_an_existing_account_s_password() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    _, request = opaque.client.start_registration(person.password)
    body = api.RegisterStart(username=person.username, request=request)
    answers = {service.register_start(new_session(), body).response[:32] for _ in range(3)}
    _, ke1 = opaque.client.start_login(person.password)
    login = api.LoginStart(username=person.username, ke1=request + ke1[32:])
    evaluated = {service.login_start(new_session(), login).ke2[:32] for _ in range(3)}
    assert len(answers) == 3  # a key of its own for each registration
    assert len(evaluated) == 1  # and always the same one for the account's logins
    assert not answers & evaluated


def test_a_registration_is_finished_where_it_was_started_and_for_its_name() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    first = person.first()
    session = new_session()
    _, request = opaque.client.start_registration(person.password)
    body = api.RegisterFinish(
        username="b@example.com",
        record=bytes(192),
        account_id=person.account_id,
        account_key=person.account_key.public,
        wrapped_root_key=b"",
        vault_id=person.vault_id,
        first=first,
    )
    with pytest.raises(NotAuthorised, match="no registration was started"):
        service.register_finish(session, body)
    service.register_start(session, api.RegisterStart(username=person.username, request=request))
    with pytest.raises(NotAuthorised, match="for another name"):
        service.register_finish(session, body)


def test_the_server_refuses_a_login_that_was_not_finished_by_the_password() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    for username in ("a@example.com", "nobody@example.com"):
        session = new_session()
        _, ke1 = opaque.client.start_login(b"guess")
        assert len(service.login_start(session, api.LoginStart(username=username, ke1=ke1)).ke2) == 320
        with pytest.raises(NotAuthorised, match="unknown account or wrong password"):
            service.login_finish(session, api.LoginFinish(ke3=bytes(64)))
        with pytest.raises(NotAuthorised, match="no login was started"):
            service.login_finish(session, api.LoginFinish(ke3=bytes(64)))


def test_a_device_proof_of_another_session_is_refused() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    here, elsewhere = new_session(), new_session()
    signature = person.device.sign(api.DEVICE_PROOF_LABEL, api.device_proof(elsewhere.transcript, person.account_id))
    body = api.DeviceSession(account_id=person.account_id, device_key=person.device.public, signature=signature)
    with pytest.raises(NotAuthorised, match="unknown or revoked device"):
        service.prove_device(here, body)
    assert here.identity is None


def test_a_device_that_is_no_member_is_refused() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    person.device = SigningKey.generate()
    with pytest.raises(NotAuthorised, match="unknown or revoked device"):
        person.prove(service, new_session())


def test_a_password_alone_writes_no_record() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    session = new_session()
    person.login(service, session)
    before = person.chain
    with pytest.raises(DevicePending, match="a password alone writes nothing"):
        person.append(service, session, [person.write(os.urandom(16), b"x")], before)


def test_one_account_reaches_no_other_account_s_vault() -> None:
    service = new_service(MemoryRecordStore())
    alice, bob = Person("a@example.com"), Person("b@example.com")
    alice.register(service)
    bob.register(service)
    session = new_session()
    bob.prove(service, session)
    before = alice.chain
    alices = alice.write(os.urandom(16), b"x")
    with pytest.raises(HeadMoved):
        alice.append(service, session, [alices], before)
    with pytest.raises((MalformedEntry, NotAuthorised)):
        alice.append(service, session, [alices], bob.chain)
    page = service.fetch(session, api.FetchPage(after=0, limit=10))
    assert SignedHead.from_bytes(page.head).head.vault == bob.vault_id


def test_a_head_that_moved_is_a_conflict_and_changes_nothing() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    session = new_session()
    person.prove(service, session)
    before = person.chain
    first = person.write(os.urandom(16), b"x")
    person.append(service, session, [first], before)
    with pytest.raises(HeadMoved):
        person.append(service, session, [first], before)
    assert len(service.fetch(session, api.FetchPage(after=0, limit=10)).entries) == 2


def test_entries_that_do_not_follow_are_malformed_and_nothing_is_half_applied() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    session = new_session()
    person.prove(service, session)
    before = person.chain
    good, bad = person.write(os.urandom(16), b"x"), person.write(os.urandom(16), b"y")
    tampered = api.EntryPair(entry=bad.entry, sealed=b"another sealed record")
    with pytest.raises(MalformedEntry, match="another sealed record"):
        person.append(service, session, [good, tampered], before)
    assert len(service.fetch(session, api.FetchPage(after=0, limit=10)).entries) == 1


def test_a_client_that_is_ahead_gets_the_head_and_no_entries() -> None:
    service = new_service(MemoryRecordStore())
    person = Person("a@example.com")
    person.register(service)
    session = new_session()
    person.prove(service, session)
    page = service.fetch(session, api.FetchPage(after=100, limit=10))
    assert page.entries == []
    assert SignedHead.from_bytes(page.head).head.length == 1


def test_a_deployment_is_made_once_and_opens_on_its_platform_only() -> None:
    storage = MemoryRecordStore()
    with pytest.raises(Misconfigured, match="holds no deployment"):
        Deployment.open(storage, FakeSealer())
    made = Deployment.create(storage, FakeSealer())
    with pytest.raises(Conflict):
        Deployment.create(storage, FakeSealer())
    assert Deployment.open(storage, FakeSealer()).deployment_id == made.deployment_id
    with pytest.raises(Misconfigured, match="does not unseal"):
        Deployment.open(storage, FakeSealer(secret=b"other platform"))
