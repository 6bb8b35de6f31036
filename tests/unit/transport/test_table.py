"""The channels a server remembers: how many, how long, and what keeps one alive."""

from __future__ import annotations

import os

import pytest

from store_client import FakeClock
from strongroom.base.errors import ChannelRefused, Unavailable
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.secure import ClientChannel, ServerChannel
from strongroom.transport.table import ChannelLimits, ChannelTable

LIMITS = ChannelLimits(max_channels=4, unconfirmed_seconds=120.0, idle_seconds=900.0, lifetime_seconds=3600.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table(clock) -> ChannelTable:
    return ChannelTable(LIMITS, clock)


def add(table: ChannelTable) -> tuple[ClientChannel, bytes]:
    """Add a channel; gives the client's end and the channel's id."""
    keys = KeySchedule.derive(os.urandom(32), os.urandom(32))
    table.add(ServerChannel(keys))
    return ClientChannel(keys), keys.channel_id


def use(table: ChannelTable, client: ClientChannel, channel_id: bytes) -> None:
    """Do what the service does with a request."""
    entry = table.find(channel_id)
    entry.channel.open_request(client.seal_request(b"")[1])
    table.touch(entry)


def knows(table: ChannelTable, channel_id: bytes) -> bool:
    try:
        table.find(channel_id)
    except ChannelRefused:
        return False
    return True


def test_an_unknown_channel_is_refused(table) -> None:
    with pytest.raises(ChannelRefused):
        table.find(bytes(16))


def test_a_channel_without_a_request_is_kept_for_two_minutes(table, clock) -> None:
    _, channel_id = add(table)
    clock.seconds = 120.0
    assert knows(table, channel_id)
    clock.seconds = 120.1
    assert not knows(table, channel_id)
    clock.seconds = 0.0
    assert not knows(table, channel_id), "it is gone for good"


def test_to_be_named_without_a_request_that_opens_keeps_no_channel_alive(table, clock) -> None:
    _, channel_id = add(table)
    for clock.seconds in (60.0, 119.0):
        assert knows(table, channel_id)
    clock.seconds = 121.0
    assert not knows(table, channel_id)


def test_a_confirmed_channel_may_idle_for_a_quarter_of_an_hour(table, clock) -> None:
    client, channel_id = add(table)
    clock.seconds = 100.0
    use(table, client, channel_id)
    clock.seconds = 1000.0
    assert knows(table, channel_id)
    clock.seconds = 1000.1
    assert not knows(table, channel_id)


def test_no_channel_lives_longer_than_an_hour(table, clock) -> None:
    client, channel_id = add(table)
    for minute in range(61):
        clock.seconds = minute * 60.0
        use(table, client, channel_id)
    clock.seconds = 3600.1
    assert not knows(table, channel_id)


def test_a_full_table_says_when_to_come_back(table) -> None:
    for _ in range(4):
        add(table)
    with pytest.raises(Unavailable) as refused:
        add(table)
    assert refused.value.retry_after_seconds == 120.0
    assert len(table) == 4


def test_hellos_without_a_sequel_make_room_after_two_minutes_though_others_idle(table, clock) -> None:
    client, idle = add(table)
    use(table, client, idle)
    for _ in range(3):
        add(table)
    clock.seconds = 121.0
    _, late = add(table)
    assert len(table) == 2
    assert knows(table, idle)
    assert knows(table, late)


def test_state_lives_as_long_as_the_channel(table) -> None:
    client, channel_id = add(table)
    table.find(channel_id).state["account"] = 1
    use(table, client, channel_id)
    assert table.find(channel_id).state == {"account": 1}
