"""Any devices, any order, anything lost or interrupted: in the end all are equal and no edit is gone."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from strongroom.records.item import CustomField, Item
from vault_devices import Crashed, Device, login, memory_store

DEVICES = 3
device_numbers = st.integers(0, DEVICES - 1)
choices = st.integers(0, 1_000)
field_names = st.sampled_from(["title", "username", "password", "notes"])


class ManyDevices(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.devices = [Device(f"device {number}") for number in range(DEVICES)]
        self.written: dict[bytes, set[str]] = defaultdict(set)
        self.count = 0
        self.now = 1_000_000

    @initialize(page_size=st.sampled_from([1, 2, 5, 500]))
    def start(self, page_size: int) -> None:
        self.store = memory_store(page_size)

    def value(self) -> str:
        self.count += 1
        return f"value {self.count}"

    def time(self, skew: int) -> int:
        self.now += 1
        return self.now + skew

    def pick(self, device: int, choice: int) -> bytes | None:
        records = sorted(self.devices[device].items)
        return records[choice % len(records)] if records else None

    @rule(device=device_numbers, skew=st.integers(-50, 50))
    def create(self, device: int, skew: int) -> None:
        value = self.value()
        record = self.count.to_bytes(16, "big")
        self.devices[device].create(record, login(value, at=self.time(skew)))
        self.written[record].add(value)

    @rule(device=device_numbers, choice=choices, name=field_names, skew=st.integers(-50, 50))
    def edit_field(self, device: int, choice: int, name: str, skew: int) -> None:
        if (record := self.pick(device, choice)) is None:
            return
        value = self.value()
        at = self.time(skew)
        self.devices[device].edit(record, lambda item: item.edited(at=at, fields={name: value}))
        self.written[record].add(value)

    @rule(device=device_numbers, choice=choices, skew=st.integers(-50, 50))
    def add_custom_field(self, device: int, choice: int, skew: int) -> None:
        if (record := self.pick(device, choice)) is None:
            return
        value, at = self.value(), self.time(skew)
        field = CustomField(name="question", value=value)
        self.devices[device].edit(record, lambda item: item.edited(at=at, custom=(*item.custom, field)))
        self.written[record].add(value)

    @rule(device=device_numbers, choice=choices, tags=st.sets(st.sampled_from("abc")))
    def set_tags(self, device: int, choice: int, tags: set[str]) -> None:
        if (record := self.pick(device, choice)) is not None:
            at = self.time(0)
            self.devices[device].edit(record, lambda item: item.edited(at=at, tags=tuple(tags)))

    @rule(device=device_numbers, choice=choices, trash=st.booleans())
    def trash_or_restore(self, device: int, choice: int, trash: bool) -> None:
        if (record := self.pick(device, choice)) is not None:
            at = self.time(0)
            self.devices[device].edit(record, lambda item: item.trashed(at=at) if trash else item.restored(at=at))

    @rule(device=device_numbers)
    def sync(self, device: int) -> None:
        self.devices[device].sync(self.store)

    @rule(device=device_numbers, effect=st.integers(0, 6))
    def crash_between_effects(self, device: int, effect: int) -> None:
        with contextlib.suppress(Crashed):
            self.devices[device].sync(self.store, crash_after=effect)

    @rule(device=device_numbers)
    def lose_an_acknowledgement(self, device: int) -> None:
        with contextlib.suppress(Crashed):
            self.devices[device].sync(self.store, lose_acknowledgement=True)

    @rule(device=device_numbers, choice=choices, name=field_names)
    def edit_during_an_append(self, device: int, choice: int, name: str) -> None:
        self.devices[device].sync(self.store, while_appending=lambda: self.edit_field(device, choice, name, 0))

    @rule(device=device_numbers, other=device_numbers)
    def be_overtaken(self, device: int, other: int) -> None:
        if device != other:
            overtake = self.devices[other]
            self.devices[device].sync(self.store, while_appending=lambda: overtake.sync(self.store))

    @invariant()
    def the_log_has_each_version_once(self) -> None:
        if hasattr(self, "store"):
            changes = [step.entry.entry.change for step in self.store.log]
            assert len(changes) == len(set(changes))

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        for _ in range(2):
            for device in self.devices:
                device.sync(self.store)
        first, *others = self.devices
        for device in others:
            assert device.items == first.items
            assert device.state.view.chain == first.state.view.chain
        for record, values in self.written.items():
            item = first.items[record]
            assert values <= everything(item), f"lost {values - everything(item)}"


def everything(item: Item) -> set[str]:
    return set(item.fields.values()) | {field.value for field in item.custom} | {past.value for past in item.history}


ManyDevices.TestCase.settings = settings(
    max_examples=int(os.environ.get("SYNC_EXAMPLES", "100")),  # of up to 30 steps; docs/spec/sync.md records a long run
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestManyDevices = ManyDevices.TestCase
