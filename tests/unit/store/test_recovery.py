"""Recovery from shares: a new platform, a new epoch, and every way in which shares do not fit."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from store_client import FakeSealer
from strongroom.base.errors import Conflict, Malformed, Misconfigured
from strongroom.crypto.hpke import HpkePrivateKey
from strongroom.crypto.shares import SharesDoNotFit
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.charter import Charter, RecoveryRule
from strongroom.store.deployment import Deployment
from strongroom.store.joins import JoinEvent
from strongroom.store.recovery import issue_shares, open_share, recover_deployment

HERE, THERE = FakeSealer(), FakeSealer(secret=b"another platform", platform_id=b"q" * 16)
RULE = RecoveryRule(threshold=2, shares=3, holders=())


def made(rule: RecoveryRule | None = RULE) -> tuple[MemoryRecordStore, Deployment]:
    storage = MemoryRecordStore()
    return storage, Deployment.create(storage, HERE, charter=replace(Charter.closed(), recovery=rule))


def test_enough_shares_bring_a_deployment_back_in_a_new_epoch() -> None:
    storage, deployment = made()
    lines = [share.decode() for share in issue_shares(deployment, time_ms=1)]
    recovered = recover_deployment(storage, THERE, lines[1:], time_ms=2)
    assert recovered.deployment_id == deployment.deployment_id
    assert recovered.epoch == deployment.epoch + 1
    again = Deployment.open(storage, THERE)
    assert (again.epoch, again.keys.identifiers) == (recovered.epoch, deployment.keys.identifiers)
    with storage.read() as transaction:
        events = [record.event for record in again.joins.read(transaction)]
    assert events == [JoinEvent.CREATED, JoinEvent.SHARES, JoinEvent.RECOVERY]


def test_shares_that_do_not_fit_are_named_and_change_nothing() -> None:
    storage, deployment = made()
    lines = [share.decode() for share in issue_shares(deployment, time_ms=1)]
    strangers = [share.decode() for share in issue_shares(made()[1], time_ms=1)]
    for given, reason in (
        (lines[:1], "exactly 2"),
        (lines, "exactly 2"),
        ([lines[0], lines[0]], "twice"),
        ([lines[0], strangers[1]], "different secrets|belong together"),
        ([lines[0], lines[1] + "x"], "not of the list"),
        ([], "no share"),
    ):
        with pytest.raises(SharesDoNotFit, match=reason):
            recover_deployment(storage, THERE, given, time_ms=2)
    with pytest.raises(Misconfigured, match="another deployment"):
        recover_deployment(storage, THERE, strangers[:2], time_ms=2)
    with pytest.raises(Misconfigured, match="does not unseal"):
        Deployment.open(storage, THERE)


def test_shares_in_clear_are_handed_out_once() -> None:
    _, deployment = made()
    issue_shares(deployment, time_ms=1)
    with pytest.raises(Conflict, match="already"):
        issue_shares(deployment, time_ms=2)


def test_a_deployment_without_a_rule_hands_out_no_shares() -> None:
    with pytest.raises(Misconfigured, match="without recovery"):
        issue_shares(made(None)[1], time_ms=1)


def test_a_share_is_its_holders_alone() -> None:
    holders = [HpkePrivateKey.generate() for _ in range(3)]
    storage, deployment = made(replace(RULE, holders=tuple(holder.public for holder in holders)))
    sealed = issue_shares(deployment, time_ms=1)
    assert issue_shares(deployment, time_ms=1)  # sealed ones may be made again
    lines = [open_share(share, holder) for share, holder in zip(sealed, holders, strict=True)]
    with pytest.raises(Malformed, match="another holder"):
        open_share(sealed[0], holders[1])
    with pytest.raises(Malformed, match="another holder"):
        open_share(os.urandom(100), holders[1])
    assert recover_deployment(storage, THERE, lines[:2], time_ms=2).deployment_id == deployment.deployment_id


@pytest.mark.parametrize(("threshold", "shares"), [(1, 1), (1, 3), (4, 3), (2, 17)])
def test_a_rule_by_which_one_share_is_the_key_is_refused(threshold: int, shares: int) -> None:
    with pytest.raises(Misconfigured):
        RecoveryRule(threshold=threshold, shares=shares, holders=())
