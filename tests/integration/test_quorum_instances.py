"""A quorum of three store processes: one down, two down, and one that is started again knowing nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from running import PATIENCE_SECONDS, Deployment, Store, strongroom
from several_instances import beside
from strongroom.base.errors import AnchorMoved, AnchorUnavailable
from strongroom.cli.databases import StorageSettings
from strongroom.cli.deployments import opened_deployment
from strongroom.cli.instance import donor_of
from strongroom.cli.quorums import opened_quorum
from strongroom.store.quorum import QuorumAnchor
from strongroom.store.quorum_member import QuorumMember
from strongroom.transport.clock import SystemClock


@contextmanager
def quorum_of(deployment: Deployment) -> Iterator[QuorumAnchor]:
    """Give the quorum as another instance of the deployment sees it."""
    with opened_deployment(StorageSettings(data=deployment.data), deployment.platform) as (opened, attester, platform):
        donor, bystander = donor_of(opened, platform, attester), QuorumMember(opened.instance)
        with opened_quorum(opened, donor, bystander, None, SystemClock()) as quorum:
            assert quorum is not None
            yield quorum


def test_three_processes_keep_a_counter_that_no_disk_sets_back(tmp_path: Path) -> None:
    first = Deployment.create(tmp_path, "--counter", "none")
    instances = [first, beside(first, first.platform), beside(first, first.platform)]
    stores: dict[int, Store] = {}

    def start(number: int, *options: str) -> None:
        stores[number] = Store([*instances[number].serve_arguments(), *options], tmp_path / f"{number}.log")
        stores[number].wait_until_listening()

    try:
        for number in range(3):
            start(number)
        members = [item for instance in instances for item in ("--member", instance.url)]
        where = ("--data", first.data, "--simulated-platform", first.platform)
        ran = strongroom("quorum", "found", *members, *where)
        assert ran.code == 0, ran.err

        with quorum_of(first) as quorum:
            assert (quorum.read().value, quorum.voting()) == (0, 3)
            # one down
            stores[2].kill()
            assert quorum.advance(0).value == 1
            with pytest.raises(AnchorMoved):
                quorum.advance(0)
            # it comes back with nothing but its disk, which anybody may have put back, and is told by the others
            start(2, "--quorum-slot", "3")
            until_voting(quorum, 3)
            stores[1].kill()
            assert quorum.read().value == 1
            assert quorum.advance(1).value == 2
            # two down: nothing is answered
            stores[0].kill()
            with pytest.raises(AnchorUnavailable, match="1 of 3"):
                quorum.read()
            # those two come back; neither may vote on the word of a minority, and the older values stay dead
            start(0, "--quorum-slot", "1")
            start(1, "--quorum-slot", "2")
            time.sleep(2)
            with pytest.raises(AnchorUnavailable, match="1 of 3"):
                quorum.advance(2)
        ran = strongroom("quorum", "show", *where)
        assert (ran.code, "members of the quorum answer" in ran.err) == (7, True), ran.err
    finally:
        for store in stores.values():
            store.stop()


def until_voting(quorum: QuorumAnchor, members: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while quorum.voting() < members:
        assert time.monotonic() < deadline
        time.sleep(0.2)
