from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.base.errors import HeadMoved, Misconfigured, NotAuthorised, StoreUnreachable
from strongroom.records.keyring import Keyring
from strongroom.sync import engine as engine_module
from strongroom.sync.effects import Append, Appended, Apply, Conflicted, Failed, Fetch, Finished, Page, Started
from strongroom.sync.engine import MAX_ATTEMPTS, Phase, SyncEngine
from strongroom.sync.model import RecordState, SyncState
from vault_devices import DEPLOYMENT, Crashed, Device, login, memory_store, peer, settle

R1, R2 = b"record-000000001", b"record-000000002"


def an_engine(device: Device, store, **changes) -> SyncEngine:
    settings = {
        "peer": peer(store),
        "state": device.state,
        "dirty": [record for record in device.records.values() if record.dirty],
        "device_key": device.key,
        "keyring": device.keyring,
        "version_of": device.version_of,
        "at_ms": 1_790_000_000_000,
    }
    return SyncEngine(**{**settings, **changes})


def test_a_record_made_on_one_device_arrives_on_the_other():
    store, a, b = memory_store(), Device("a"), Device("b")
    a.create(R1, login("mail", password="secret"))
    assert a.sync(store).pushed == 1
    assert b.sync(store).pulled == 1
    assert b.items == a.items == {R1: login("mail", password="secret")}
    assert not a.records[R1].dirty
    assert a.records[R1].base_version == b.records[R1].base_version == 1


def test_edits_of_different_fields_merge():
    store, a, b = memory_store(), Device("a"), Device("b")
    a.create(R1, login("mail", username="me", password="old"))
    settle(store, a, b)
    a.edit(R1, lambda item: item.edited(at=2_000, fields={"password": "new"}))
    b.edit(R1, lambda item: item.edited(at=3_000, fields={"username": "you"}))
    a.sync(store)
    summary = b.sync(store)
    assert (summary.merged, summary.conflicts) == (1, 0)
    settle(store, a, b)
    assert a.items == b.items
    assert dict(a.items[R1].fields) == {"title": "mail", "username": "you", "password": "new"}


def test_the_later_edit_of_one_field_wins_and_the_other_goes_into_the_history():
    store, a, b = memory_store(), Device("a"), Device("b")
    a.create(R1, login("mail", password="old"))
    settle(store, a, b)
    a.edit(R1, lambda item: item.edited(at=3_000, fields={"password": "later"}))
    b.edit(R1, lambda item: item.edited(at=2_000, fields={"password": "earlier"}))
    a.sync(store)
    assert b.sync(store).conflicts == 1
    settle(store, a, b)
    assert a.items == b.items
    assert a.items[R1].get("password") == "later"
    assert {past.value for past in a.items[R1].history} == {"old", "earlier"}


def test_nothing_to_do_needs_one_fetch_and_no_append():
    store, a = memory_store(), Device("a")
    a.sync(store)
    length = len(store.log)
    engine = an_engine(a, store)
    [fetch] = engine.handle(Started())
    assert isinstance(fetch, Fetch)
    assert fetch.statement is not None
    head, steps, _ = store.fetch(fetch.after_length)
    apply, finished = engine.handle(Page(head=head, steps=steps))
    assert isinstance(apply, Apply)
    assert isinstance(finished, Finished)
    assert engine.phase is Phase.DONE
    assert len(store.log) == length


def test_a_new_device_reads_a_long_log_page_by_page_and_continues_after_a_crash():
    store, a, b = memory_store(page_size=7), Device("a"), Device("b")
    for number in range(40):
        a.create(number.to_bytes(16, "big"), login(f"item {number}"))
    a.sync(store)
    with pytest.raises(Crashed):
        b.sync(store, crash_after=5)  # Fetch, Apply, Fetch, Apply, Fetch
    read = b.state.view.chain.length
    assert read == 14
    assert not b.state.view.complete
    assert b.state.view.head is None
    assert b.sync(store).pulled == 40 - 13  # the first entry admits a device
    assert b.items == a.items
    assert b.state.view.complete


def test_a_lost_acknowledgement_neither_duplicates_nor_conflicts():
    store, a, b = memory_store(), Device("a"), Device("b")
    a.create(R1, login("mail"))
    with pytest.raises(Crashed):
        a.sync(store, lose_acknowledgement=True)
    assert len(store.log) == 2
    summary = a.sync(store)
    assert (summary.pushed, summary.pulled, summary.merged) == (1, 0, 0)
    assert len(store.log) == 2
    settle(store, a, b)
    assert a.items == b.items


def test_edits_after_a_lost_acknowledgement_come_after_what_was_sent():
    store, a = memory_store(), Device("a")
    a.create(R1, login("mail"))
    with pytest.raises(Crashed):
        a.sync(store, lose_acknowledgement=True)
    a.edit(R1, lambda item: item.edited(at=5_000, tags=("work",)))
    a.sync(store)
    assert a.records[R1].base_version == 2
    a.edit(R1, lambda item: item.edited(at=6_000, tags=("home",)))
    with pytest.raises(Crashed):
        a.sync(store, lose_acknowledgement=True)
    a.edit(R1, lambda item: item.edited(at=7_000, tags=()))
    a.sync(store)
    assert a.items[R1].tags == ()  # a merge would have brought "home" back


def test_an_edit_during_an_append_is_sent_with_the_next_one():
    store, a, b = memory_store(), Device("a"), Device("b")
    a.create(R1, login("mail", password="one"))

    def edit() -> None:
        a.edit(R1, lambda item: item.edited(at=2_000, fields={"password": "two"}))

    assert a.sync(store, while_appending=edit).pushed == 2
    b.sync(store)
    assert b.items[R1].get("password") == "two"


def test_an_edit_taken_back_after_a_lost_acknowledgement_is_taken_back_everywhere():
    store, a, b = memory_store(), Device("a"), Device("b")
    a.create(R1, login("mail", password="one"))
    settle(store, a, b)
    before = a.items[R1]
    a.edit(R1, lambda item: item.edited(at=2_000, fields={"password": "two"}))
    with pytest.raises(Crashed):
        a.sync(store, lose_acknowledgement=True)
    a.edit(R1, lambda _: before)
    settle(store, a, b)
    assert b.items[R1] == before


def test_a_lost_race_is_fetched_merged_and_sent_again():
    store, a, b = memory_store(), Device("a"), Device("b")
    settle(store, a, b)
    a.create(R1, login("mine"))
    b.create(R2, login("yours"))
    a.sync(store, while_appending=lambda: b.sync(store))
    settle(store, a, b)
    assert a.items == b.items == {R1: login("mine"), R2: login("yours")}


def test_a_device_gives_up_after_losing_every_race():
    store, a = memory_store(), Device("a")
    a.create(R1, login("mail"))
    engine = an_engine(a, store)
    engine.handle(Started())
    for _ in range(MAX_ATTEMPTS - 1):
        head, steps, _ = store.fetch(0)
        engine.handle(Page(head=head, steps=steps))
        engine.handle(Conflicted())
    head, steps, _ = store.fetch(0)
    engine.handle(Page(head=head, steps=steps))
    with pytest.raises(HeadMoved):
        engine.handle(Conflicted())
    assert engine.phase is Phase.STOPPED


def test_many_records_go_in_batches_that_the_store_accepts():
    store, a = memory_store(), Device("a")
    for number in range(450):
        a.create(number.to_bytes(16, "big"), login(f"item {number}"))
    assert a.sync(store).pushed == 450
    assert len(store.log) == 451


def test_large_records_end_a_batch_early():
    store, a = memory_store(), Device("a")
    for number in range(12):
        a.create(number.to_bytes(16, "big"), login("long", notes="x" * 90_000))
    engine = an_engine(a, store)
    engine.handle(Started())
    head, steps, _ = store.fetch(0)
    effects = engine.handle(Page(head=head, steps=steps))
    [append] = [effect for effect in effects if isinstance(effect, Append)]
    assert len(append.steps) == 1 + 6
    a.sync(store)
    assert len(store.log) == 13


def test_what_is_sent_is_written_down_before_it_is_sent():
    store, a = memory_store(), Device("a")
    a.create(R1, login("mail"))
    engine = an_engine(a, store)
    engine.handle(Started())
    head, steps, _ = store.fetch(0)
    apply, append = engine.handle(Page(head=head, steps=steps))
    assert isinstance(apply, Apply)
    assert isinstance(append, Append)
    assert [record.sent for record in apply.records] == [login("mail")]


def test_an_acknowledgement_that_signs_something_else_leads_to_reading_again():
    store, a = memory_store(), Device("a")
    a.create(R1, login("mail"))
    engine = an_engine(a, store)
    engine.handle(Started())
    head, steps, _ = store.fetch(0)
    engine.handle(Page(head=head, steps=steps))
    [fetch] = engine.handle(Appended(head=store.head()))
    assert isinstance(fetch, Fetch)
    assert engine.phase is Phase.FETCHING


def test_a_head_without_the_entries_that_lead_to_it_is_no_answer():
    store, a, b = memory_store(), Device("a"), Device("b")
    a.sync(store)
    engine = an_engine(b, store)
    engine.handle(Started())
    with pytest.raises(StoreUnreachable, match="shows 0 entries"):
        engine.handle(Page(head=store.head(), steps=()))


def test_a_device_that_nobody_admitted_reads_and_does_not_write():
    store, a, b = memory_store(), Device("a"), Device("b", may_admit=False)
    a.create(R1, login("mail"))
    a.sync(store)
    b.sync(store)
    assert b.items == a.items
    b.edit(R1, lambda item: item.edited(at=2_000, fields={"title": "x"}))
    with pytest.raises(NotAuthorised, match="no member"):
        b.sync(store)


def test_the_store_of_another_deployment_is_not_synced_with():
    store, a = memory_store(), Device("a")
    with pytest.raises(Misconfigured, match="another deployment"):
        an_engine(a, store, peer=peer(store, deployment=b"E" * 32))


def test_an_account_key_of_another_account_is_a_mistake():
    store, a = memory_store(), Device("a")
    with pytest.raises(ValueError, match="not the keys of the account"):
        an_engine(a, store, keyring=Keyring.generate())


def test_an_event_out_of_place_is_a_mistake():
    store, a = memory_store(), Device("a")
    engine = an_engine(a, store)
    with pytest.raises(ValueError, match="no place while idle"):
        engine.handle(Conflicted())


@pytest.mark.parametrize("events", [[], [Started()]])
def test_a_failure_stops_the_engine(events):
    store, a = memory_store(), Device("a")
    engine = an_engine(a, store)
    for event in [*events, Failed()]:
        engine.handle(event)
    assert engine.phase is Phase.STOPPED
    with pytest.raises(ValueError, match="no place while stopped"):
        engine.handle(Started())


def test_every_phase_is_reached_and_left_as_the_table_says():
    table = engine_module._TRANSITIONS
    reached = {Phase.IDLE} | {phase for _, phases in table.values() for phase in phases}
    assert reached == set(Phase)
    assert {phase for phase, _ in table} == set(Phase) - {Phase.DONE, Phase.STOPPED}


def test_states_survive_being_written():
    store, a = memory_store(), Device("a")
    a.create(R1, login("mail"))
    a.sync(store)
    a.edit(R1, lambda item: item.edited(at=2_000, fields={"title": "x"}))
    record = a.records[R1]
    for state in (
        record,
        replace(record, sent=record.current),
        replace(record, sent=login("other")),
        RecordState.created(R2, login("new")),
    ):
        assert RecordState.from_bytes(state.to_bytes()) == state
    assert SyncState.from_bytes(a.state.to_bytes()) == a.state
    assert a.state.deployment == DEPLOYMENT


def test_an_item_with_every_kind_of_value_arrives_as_it_left():
    store, a, b = memory_store(), Device("a"), Device("b")
    item = replace(login("a"), favourite=True, folder="f", tags=("x",), deleted=True)
    a.create(R1, item)
    settle(store, a, b)
    assert b.items[R1] == item
