"""Whether a store that shows an older history has said so: the deployment's signed word on a restore.

It makes a rollback no less of one, and the proof is kept all the same. It tells people an announced restore from a
silent one, which is the question that they have to put to the operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.errors import Malformed
from strongroom.client.vault import LocalVault
from strongroom.formats import store_api as api
from strongroom.formats.restore_notice import SignedRestoreNotice

if TYPE_CHECKING:
    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device
    from strongroom.formats.restore_notice import RestoreNotice

__all__ = ["announced_restore"]


def announced_restore(device: Device, store: StoreApi) -> RestoreNotice | None:
    """Give the newest notice that the pinned deployment signed and that can speak of this device's rollback.

    That is one of a later epoch than the device's last head: an announcement that the device had met before explains
    no rollback after it.
    """
    state = LocalVault(device.store).sync_state()
    head = None if state is None else state.view.last_head
    found = [
        signed.notice
        for signed in map(_parsed, store.restores(api.AskRestores()).notices)
        if signed is not None and signed.is_from(device.profile.trust.deployment)
    ]
    later = [notice for notice in found if head is not None and notice.epoch > head.epoch]
    return max(later, key=lambda notice: notice.epoch, default=None)


def _parsed(data: bytes) -> SignedRestoreNotice | None:
    try:
        return SignedRestoreNotice.from_bytes(data)
    except Malformed:
        return None
