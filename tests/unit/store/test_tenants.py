"""Tenants: apart in everything, closed and held to quotas when an administrator says so, and gone when deleted."""

import base64
import os
from dataclasses import replace

import pyotp
import pytest

from store_client import FakeClock, FakeSealer, Person, guesses_of, new_deployment, new_session
from strongroom.base.errors import (
    Conflict,
    MalformedMessage,
    NotAuthorised,
    QuotaExceeded,
    SecondFactorMissing,
    StorageUnavailable,
    TenantSuspended,
    TenantUnknown,
)
from strongroom.cli.instance import tenancy_of
from strongroom.crypto.opaque import WrongPassword
from strongroom.formats import account_api
from strongroom.formats import store_api as api
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.store.keys import DEFAULT_TENANT
from strongroom.store.ports import Table
from strongroom.store.tenancy import STALE_SECONDS
from strongroom.store.tenants import MAX_NAME, Quota, Registration, TenantPolicy, TenantState

AT_MS = 1_764_000_000_000


class World:
    def __init__(self):
        self.storage = MemoryRecordStore()
        self.clock = FakeClock()
        new_deployment(self.storage)
        self.tenancy = self.another_instance()

    def another_instance(self):
        deployment = Deployment.open(self.storage, FakeSealer())
        return tenancy_of(self.storage, deployment, self.clock, guesses_of(self.storage, deployment, self.clock))

    def create(self, name="acme", *, quota=None, policy=None):
        with self.storage.write() as transaction:
            return self.tenancy.tenants.create(
                transaction, name=name, quota=quota or Quota(), policy=policy or TenantPolicy(), at_ms=AT_MS
            )

    def change(self, tenant, **changes):
        with self.storage.write() as transaction:
            current = self.tenancy.tenants.get(transaction, tenant.tenant_id)
            changed = self.tenancy.tenants.replace(transaction, replace(current, **changes))
        self.tenancy.forget(tenant.tenant_id)
        return changed

    def service(self, tenant):
        return self.tenancy.admit(tenant.tenant_id)


@pytest.fixture
def world():
    return World()


def test_one_name_in_two_tenants_is_two_accounts(world):
    first, second = world.create("first"), world.create("second")
    people = [Person("somebody", password=name) for name in (b"one", b"two")]
    for person, tenant in zip(people, (first, second), strict=True):
        person.register(world.service(tenant))
    view = people[0].login(world.service(first), new_session())
    assert view.account_id == people[0].account_id
    with pytest.raises(WrongPassword):
        people[0].login(world.service(second), new_session(), password=b"one")


def test_a_device_of_one_tenant_is_unknown_in_another(world):
    first, second = world.create("first"), world.create("second")
    person = Person("somebody")
    person.register(world.service(first))
    person.prove(world.service(first), new_session())
    with pytest.raises(NotAuthorised):
        person.prove(world.service(second), new_session())


@pytest.mark.parametrize("other_is_default", [True, False])
def test_a_row_of_another_tenant_does_not_open(world, other_is_default):
    first = world.create("first")
    second = world.create("second")
    person, stranger = Person("somebody"), Person("somebody")
    person.register(world.service(first))
    default = world.tenancy.current()
    stranger.register(world.service(default if other_is_default else second))
    deployment = Deployment.open(world.storage, FakeSealer())
    mine = deployment.branch(first.branch_secret).keys
    theirs = deployment.keys if other_is_default else deployment.branch(second.branch_secret).keys
    key, other = (keys.identifier("vault", who.vault_id) for keys, who in ((mine, person), (theirs, stranger)))
    with world.storage.write() as transaction:
        row = transaction.get(Table.VAULTS, other)
        transaction.delete(Table.VAULTS, key, expected_version=1)
        transaction.insert(Table.VAULTS, key, row.value)  # with the version that it had in its place
    session = new_session()
    with pytest.raises(StorageUnavailable, match="altered and does not open"):
        person.prove(world.service(first), session)
    stranger.prove(world.service(default if other_is_default else second), new_session())  # nobody else is affected


def test_a_vault_identifier_is_one_tenants(world):
    first, second = world.create("first"), world.create("second")
    person = Person("somebody")
    person.register(world.service(first))
    for tenant in (second, world.tenancy.current()):
        twin = Person("somebody else", vault_id=person.vault_id)
        with pytest.raises(Conflict, match="a vault of this identifier exists"):
            twin.register(world.service(tenant))
    original = Person("of the default tenant")
    original.register(world.service(world.tenancy.current()))
    with pytest.raises(Conflict, match="a vault of this identifier exists"):
        Person("twin", vault_id=original.vault_id).register(world.service(first))


def test_a_tenant_that_is_not_there_is_unknown(world):
    with pytest.raises(TenantUnknown):
        world.tenancy.admit(os.urandom(16))


def test_a_suspended_tenant_is_refused_by_name_and_keeps_everything(world):
    tenant = world.create()
    person = Person("somebody")
    person.register(world.service(tenant))
    world.change(tenant, state=TenantState.SUSPENDED)
    with pytest.raises(TenantSuspended):
        world.service(tenant)
    world.change(tenant, state=TenantState.ACTIVE)
    assert person.login(world.service(tenant), new_session()).vault_id == person.vault_id


def test_another_instance_hears_of_a_suspension_within_a_second(world):
    tenant = world.create()
    other = world.another_instance()
    other.admit(tenant.tenant_id)
    world.change(tenant, state=TenantState.SUSPENDED)
    other.admit(tenant.tenant_id)  # it does not know yet
    world.clock.seconds += STALE_SECONDS
    with pytest.raises(TenantSuspended):
        other.admit(tenant.tenant_id)


def test_a_clock_that_went_back_does_not_keep_a_tenant_known(world):
    tenant = world.create()
    world.clock.seconds = 1000.0
    world.service(tenant)
    other = world.another_instance()
    with world.storage.write() as transaction:
        current = other.tenants.get(transaction, tenant.tenant_id)
        other.tenants.replace(transaction, replace(current, state=TenantState.SUSPENDED))
    world.clock.seconds = 0.0
    with pytest.raises(TenantSuspended):
        world.service(tenant)


@pytest.mark.parametrize("quota", [Quota(accounts=2), Quota(vaults=2)])
def test_accounts_and_vaults_are_counted_exactly(world, quota):
    tenant = world.create(quota=quota)
    for name in ("one", "two"):
        Person(name).register(world.service(tenant))
    third = Person("three")
    with pytest.raises(QuotaExceeded):
        third.register(world.service(tenant))
    with pytest.raises(WrongPassword):  # nothing of it is left
        third.login(world.service(tenant), new_session())
    world.change(tenant, quota=Quota(accounts=3))
    third.register(world.service(tenant))


def test_bytes_beyond_the_quota_are_refused_and_nothing_is_kept(world):
    tenant = world.create(quota=Quota(bytes=2000))
    person = Person("somebody")
    person.register(world.service(tenant))
    session = new_session()
    person.prove(world.service(tenant), session)
    before = person.chain
    pair = person.write(os.urandom(16), bytes(1900))
    with pytest.raises(QuotaExceeded):
        person.append(world.service(tenant), session, [pair], before)
    page = world.service(tenant).fetch(session, api.FetchPage(after=0, limit=10))
    assert len(page.entries) == 1


def test_requests_beyond_the_quota_are_refused_until_the_next_month(world):
    tenant = world.create(quota=Quota(requests=2))
    person = Person("somebody")
    session = new_session()
    person.register(world.service(tenant), session)
    service = world.service(tenant)
    for _ in range(2):
        service.count_request(session)
    with pytest.raises(QuotaExceeded):
        service.count_request(session)
    service.count_request(new_session())  # a stranger's requests are not the tenant's
    world.clock.instant = world.clock.instant.replace(year=2027, month=1)
    service.count_request(session)


def test_a_tenant_can_be_closed_to_registrations(world):
    tenant = world.create(policy=TenantPolicy(registration=Registration.CLOSED))
    with pytest.raises(NotAuthorised, match="takes no registrations"):
        Person("somebody").register(world.service(tenant))


@pytest.mark.parametrize("name", ["", " ", "x" * (MAX_NAME + 1), "two\nlines", "bell\a"])
def test_a_name_that_is_none_is_malformed(world, name):
    with pytest.raises(MalformedMessage):
        world.create(name)


def test_a_name_is_taken_once(world):
    world.create("acme")
    with pytest.raises(Conflict):
        world.create("acme")


def test_a_tenant_reads_back_as_it_was_written(world):
    quota = Quota(accounts=1, bytes=2, requests=3)
    policy = TenantPolicy(registration=Registration.CLOSED, second_factor_required=True)
    tenant = world.create("Größe GmbH", quota=quota, policy=policy)
    with world.storage.read() as transaction:
        read = world.another_instance().tenants.get(transaction, tenant.tenant_id)
        listed = world.tenancy.tenants.walk(transaction)
    assert read == tenant
    assert [item.tenant_id for item in listed] == [DEFAULT_TENANT, tenant.tenant_id]


def test_what_is_left_of_a_removed_tenant_opens_for_nobody(world):
    tenant = world.create()
    Person("somebody").register(world.service(tenant))
    with world.storage.write() as transaction:
        world.tenancy.tenants.remove(transaction, tenant)
    world.tenancy.forget(tenant.tenant_id, wholly=True)
    with pytest.raises(TenantUnknown):
        world.service(tenant)
    again = world.create(tenant.name)
    assert again.tenant_id != tenant.tenant_id
    assert again.secret != tenant.secret


def test_a_session_is_one_tenants():
    session = new_session()
    session.bind_tenant(DEFAULT_TENANT)
    session.bind_tenant(DEFAULT_TENANT)
    with pytest.raises(NotAuthorised, match="another tenant's"):
        session.bind_tenant(b"t" * 16)


def test_a_tenant_shows_no_secret():
    tenant = World().create()
    assert tenant.secret.hex() not in repr(tenant)
    assert repr(tenant.secret) not in repr(tenant) + repr(tenant.branch_secret)


def test_where_a_second_factor_is_demanded_nobody_reads_or_writes_without_one(world):
    tenant = world.create(policy=TenantPolicy(second_factor_required=True))
    person = Person("somebody")
    person.register(world.service(tenant))
    service, session = world.service(tenant), new_session()
    person.prove(service, session)
    with pytest.raises(SecondFactorMissing):
        service.fetch(session, api.FetchPage(after=0, limit=1))
    before = person.chain
    pair = person.write(os.urandom(16), b"sealed")
    with pytest.raises(SecondFactorMissing):
        person.append(service, session, [pair], before)
    secret = service.owner.add_totp(session, account_api.AddTotp(name="phone")).secret
    code = pyotp.TOTP(base64.b32encode(secret).decode()).at(world.clock.instant)
    service.owner.add_totp_finish(session, account_api.AddTotpFinish(code=code))
    person.append(service, session, [pair], before)
    assert len(service.fetch(session, api.FetchPage(after=0, limit=9)).entries) == 2
