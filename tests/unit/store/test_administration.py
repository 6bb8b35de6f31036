"""Administrators: known by a signature over the session, able to close and delete, and to read nothing of anybody."""

import os
from typing import get_type_hints

import msgspec
import pytest

from store_client import FakeClock, FakeSealer, Person, guesses_of, new_deployment, new_session
from strongroom.base.errors import (
    Conflict,
    MalformedMessage,
    NotAuthorised,
    StorageUnavailable,
    TenantSuspended,
    TenantUnknown,
)
from strongroom.cli.instance import tenancy_of
from strongroom.crypto.signatures import SigningKey
from strongroom.formats import admin_api as api
from strongroom.formats.store_api import FetchPage
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.admin_routes import ADMIN_ROUTES
from strongroom.store.administration import Administrators, AdminService
from strongroom.store.deployment import Deployment
from strongroom.store.keys import DEFAULT_TENANT
from strongroom.store.sessions import Grade
from strongroom.testing.failing_storage import FailingRecordStore, Fault

ADMINISTRATORS = [SigningKey.generate() for _ in range(3)]


class World:
    def __init__(self, *, approvals=1):
        self.memory = MemoryRecordStore()
        self.storage = FailingRecordStore(self.memory)
        self.clock = FakeClock()
        new_deployment(self.storage)
        self.administrators = Administrators(
            keys=frozenset(key.public for key in ADMINISTRATORS), deletion_approvals=approvals
        )
        self.restart()

    def restart(self):
        deployment = Deployment.open(self.storage, FakeSealer())
        self.tenancy = tenancy_of(
            self.storage, deployment, self.clock, guesses_of(self.storage, deployment, self.clock)
        )
        self.admin = AdminService(self.storage, deployment, self.tenancy, self.clock, self.administrators)

    def proven(self, key=ADMINISTRATORS[0]):
        session = new_session()
        signature = key.sign(api.ADMINISTRATOR_PROOF_LABEL, session.transcript)
        self.admin.prove(session, api.AdministratorSession(key=key.public, signature=signature))
        return session

    def create(self, name="acme", **quotas):
        return self.admin.create(self.proven(), api.CreateTenant(name=name, quotas=api.Quotas(**quotas)))

    def register(self, tenant, name):
        person = Person(name)
        person.register(self.tenancy.admit(tenant))
        return person

    def rows(self):
        return dict(self.memory._rows)


@pytest.fixture
def world():
    return World()


def which(view):
    return api.WhichTenant(tenant=view.tenant)


def test_a_stranger_a_wrong_signature_and_another_session_are_refused_alike(world):
    session, other, stranger = new_session(), new_session(), SigningKey.generate()
    label = api.ADMINISTRATOR_PROOF_LABEL
    attempts = [
        (stranger.public, stranger.sign(label, session.transcript)),
        (ADMINISTRATORS[0].public, stranger.sign(label, session.transcript)),
        (ADMINISTRATORS[0].public, ADMINISTRATORS[0].sign(label, other.transcript)),
        (ADMINISTRATORS[0].public, ADMINISTRATORS[0].sign("strongroom device session v1", session.transcript)),
    ]
    for key, signature in attempts:
        with pytest.raises(NotAuthorised, match="unknown administrator"):
            world.admin.prove(session, api.AdministratorSession(key=key, signature=signature))
    assert session.administrator is None


def test_every_route_but_the_proof_wants_a_proven_administrator(world):
    view = world.create()
    person = world.register(view.tenant, "somebody")
    session = new_session()
    person.prove(world.tenancy.admit(view.tenant), session)  # a person's proof is none of an administrator
    bodies = {
        api.WhichTenant: which(view),
        api.CreateTenant: api.CreateTenant(name="x"),
        api.ListTenants: api.ListTenants(),
        api.SetQuotas: api.SetQuotas(tenant=view.tenant, quotas=api.Quotas()),
        api.SetPolicy: api.SetPolicy(tenant=view.tenant, policy=api.TenantPolicyBody()),
        api.UsageRequest: api.UsageRequest(month="2026-11"),
        api.LogRequest: api.LogRequest(),
    }
    before = world.rows()
    for route in ADMIN_ROUTES[1:]:
        assert route.grade is Grade.ADMINISTRATOR
        with pytest.raises(NotAuthorised):
            session.check(route.grade)
        with pytest.raises(NotAuthorised):  # the operations do not lean on the router
            route.operation(world.admin, session, bodies[route.request])
    assert world.rows() == before


def test_no_route_can_answer_with_content():
    """Every type that an answer can hold is a number, a short word, an id or a public key of an administrator."""
    allowed = {
        "administrators", "deletion_approvals", "tenant", "name", "state", "created_ms", "quotas", "policy", "accounts",
        "vaults", "bytes", "requests", "registration", "second_factor_required", "tenants", "month", "opened", "added",
        "usage", "log", "time_ms", "administrator", "action", "length", "entries", "approvals", "needed",
        "accounts_left", "done",
    }  # fmt: skip
    seen: set[type] = set()

    def walk(kind):
        for inner in getattr(kind, "__args__", ()):
            walk(inner)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
            seen.add(kind)
            for name, hint in get_type_hints(kind, include_extras=False).items():
                assert name in allowed, f"{kind.__name__}.{name}"
                walk(hint)

    for route in ADMIN_ROUTES:
        walk(route.response)
    assert len(seen) == 12


def test_nothing_of_a_person_is_in_any_answer(world):
    view = world.create()
    person = world.register(view.tenant, "somebody-in-particular@example.com")
    session = new_session()
    service = world.tenancy.admit(view.tenant)
    person.prove(service, session)
    before = person.chain
    sealed = os.urandom(300)
    person.append(service, session, [person.write(os.urandom(16), sealed)], before)
    proven = world.proven()
    answers = [
        world.admin.list_tenants(proven, api.ListTenants()),
        world.admin.show(proven, which(view)),
        world.admin.suspend(proven, which(view)),
        world.admin.resume(proven, which(view)),
        world.admin.export(proven, which(view)),
        world.admin.usage(proven, api.UsageRequest(month="2026-11")),
        world.admin.recount(proven, which(view)),
        world.admin.log(proven, api.LogRequest()),
    ]
    told = b"".join(msgspec.msgpack.encode(answer) for answer in answers)
    for secret in (b"somebody", b"wrapped", sealed, person.account_id, person.vault_id, person.device.public):
        assert secret not in told


def test_suspending_closes_at_once_and_resuming_opens(world):
    view = world.create()
    person = world.register(view.tenant, "somebody")
    assert world.admin.suspend(world.proven(), which(view)).state == "suspended"
    with pytest.raises(TenantSuspended):
        world.tenancy.admit(view.tenant)
    assert world.admin.resume(world.proven(), which(view)).state == "active"
    assert person.login(world.tenancy.admit(view.tenant), new_session()).account_id == person.account_id


def test_quotas_and_policy_are_set_as_a_whole(world):
    view = world.create(accounts=5, requests=7)
    changed = world.admin.set_quotas(world.proven(), api.SetQuotas(tenant=view.tenant, quotas=api.Quotas(bytes=9)))
    assert changed.quotas == api.Quotas(bytes=9)
    policy = api.TenantPolicyBody(registration="closed", second_factor_required=True)
    changed = world.admin.set_policy(world.proven(), api.SetPolicy(tenant=view.tenant, policy=policy))
    assert changed.policy == policy
    wrong = api.TenantPolicyBody(registration="maybe")
    with pytest.raises(MalformedMessage):
        world.admin.set_policy(world.proven(), api.SetPolicy(tenant=view.tenant, policy=wrong))


def test_the_default_tenant_can_be_limited_and_closed_but_not_deleted(world):
    default = api.WhichTenant(tenant=DEFAULT_TENANT)
    assert world.admin.suspend(world.proven(), default).name == "default"
    with pytest.raises(TenantSuspended):
        world.tenancy.admit(DEFAULT_TENANT)
    assert world.admin.resume(world.proven(), default).state == "active"
    with pytest.raises(Conflict):
        world.admin.delete(world.proven(), default)


def test_usage_is_what_was_used(world):
    view = world.create()
    person = world.register(view.tenant, "somebody")
    service, session = world.tenancy.admit(view.tenant), new_session()
    person.prove(service, session)
    before = person.chain
    person.append(service, session, [person.write(os.urandom(16), bytes(1000))], before)
    for _ in range(3):
        service.count_request(session)
    (_, used) = world.admin.usage(world.proven(), api.UsageRequest(month="2026-11")).tenants
    page = service.fetch(session, FetchPage(after=0, limit=9))
    size = sum(len(entry.entry) + len(entry.sealed) for entry in page.entries)
    assert (used.requests, used.opened, used.added) == (3, 1, size)
    assert (used.accounts, used.vaults, used.bytes) == (1, 1, size)
    (_, quiet) = world.admin.usage(world.proven(), api.UsageRequest(month="2026-10")).tenants
    assert (quiet.requests, quiet.added, quiet.bytes) == (0, 0, size)
    # a crash loses what was not flushed; the entries still know
    before = person.chain
    person.append(service, session, [person.write(os.urandom(16), bytes(500))], before)
    world.restart()
    lost = world.admin.usage(world.proven(), api.UsageRequest(month="2026-11")).tenants[1]
    found = world.admin.recount(world.proven(), which(view))
    assert lost.bytes == size
    assert found.bytes > size + 500
    assert world.admin.export(world.proven(), which(view)).usage[0].requests == 3


def test_a_deletion_leaves_nothing_of_the_tenant_and_everything_of_others(world):
    other = world.create("other")
    neighbour = world.register(other.tenant, "neighbour")
    world.tenancy.usage.flush()
    before = world.rows()
    view = world.create("acme")
    for number in range(3):
        world.register(view.tenant, f"person {number}")
    assert world.admin.delete(world.proven(), which(view)) == api.Deletion(
        approvals=1, needed=1, accounts_left=0, done=True
    )
    with pytest.raises(TenantUnknown):
        world.tenancy.admit(view.tenant)
    assert neighbour.login(world.tenancy.admit(other.tenant), new_session()).vault_id == neighbour.vault_id
    left = set(world.rows()) - set(before)
    acts = {key for key in left if key[0] == "deployment"}
    assert len(acts) == 3, "the log keeps: create, delete, deleted"
    assert not left - acts, "and nothing else"


def test_a_deletion_needs_as_many_administrators_as_the_settings_say():
    world = World(approvals=2)
    view = world.create()
    world.register(view.tenant, "somebody")
    first, second = world.proven(ADMINISTRATORS[0]), world.proven(ADMINISTRATORS[1])
    assert world.admin.delete(first, which(view)).done is False
    assert world.admin.delete(first, which(view)).approvals == 1, "one person counts once"
    with pytest.raises(TenantSuspended):
        world.tenancy.admit(view.tenant)
    assert world.admin.resume(second, which(view)).deletion_approvals == 0, "whoever resumes it takes approvals back"
    world.admin.delete(first, which(view))
    assert world.admin.delete(second, which(view)).done is True


def test_an_approval_of_somebody_who_administers_no_more_does_not_count():
    world = World(approvals=2)
    view = world.create()
    world.admin.delete(world.proven(ADMINISTRATORS[0]), which(view))
    world.administrators = Administrators(
        keys=frozenset(key.public for key in ADMINISTRATORS[1:]), deletion_approvals=2
    )
    world.restart()
    assert world.admin.delete(world.proven(ADMINISTRATORS[1]), which(view)).done is False


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("number", range(8))
def test_a_deletion_that_was_broken_off_goes_on(world, number, fault):
    view = world.create()
    for name in ("one", "two"):
        world.register(view.tenant, name)
    world.storage.fail_write(number, fault)
    session = world.proven()
    done = False
    for _ in range(4):
        try:
            done = world.admin.delete(session, which(view)).done
        except TenantUnknown:
            done = True  # its end was durable before it failed
        except StorageUnavailable:
            world.restart()
            session = world.proven()
        if done:
            break
    assert done
    with pytest.raises(TenantUnknown):
        world.tenancy.admit(view.tenant)


def test_from_a_deletion_there_is_no_way_back(world):
    view = world.create()
    for number in range(2):
        world.register(view.tenant, f"person {number}")
    world.storage.fail_write(1, Fault.BEFORE_PERSIST)
    with pytest.raises(StorageUnavailable):
        world.admin.delete(world.proven(), which(view))
    for change in (world.admin.resume, world.admin.suspend):
        with pytest.raises(TenantSuspended, match="being deleted"):
            change(world.proven(), which(view))


def test_every_act_is_logged_with_who_did_it(world):
    view = world.create()
    world.admin.suspend(world.proven(ADMINISTRATORS[1]), which(view))
    world.admin.resume(world.proven(ADMINISTRATORS[2]), which(view))
    page = world.admin.log(world.proven(), api.LogRequest(after=1, limit=1))
    assert page.length == 3
    assert [(entry.action, entry.administrator) for entry in page.entries] == [("suspend", ADMINISTRATORS[1].public)]
    everything = world.admin.log(world.proven(), api.LogRequest())
    assert [entry.action for entry in everything.entries] == ["create", "suspend", "resume"]
    assert {entry.tenant for entry in everything.entries} == {view.tenant}


def test_an_act_that_failed_is_not_logged_and_one_that_is_logged_was_done(world):
    view = world.create()
    world.storage.fail_write(0, Fault.BEFORE_PERSIST)
    with pytest.raises(StorageUnavailable):
        world.admin.suspend(world.proven(), which(view))
    assert world.admin.show(world.proven(), which(view)).state == "active"
    assert world.admin.log(world.proven(), api.LogRequest()).length == 1
