"""Syncing from the command line: one store, one sync, and a proof kept where the store misbehaved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from strongroom.base.errors import Misbehaviour, Misconfigured
from strongroom.cli.output import note
from strongroom.cli.wanted import open_store
from strongroom.client.driver import sync_device
from strongroom.client.profile import ProfileState
from strongroom.storage.files import make_private_directory, write_private_file

if TYPE_CHECKING:
    from strongroom.client.device import Device
    from strongroom.sync.effects import Summary

__all__ = ["sync_and_keep_proof"]


def sync_and_keep_proof(device: Device) -> Summary:
    """Sync; a ``Misbehaviour`` is written to ``proofs/`` before it is raised on."""
    if device.profile.state is ProfileState.JOINING:
        raise Misconfigured("this device's login was not finished", hint="run `strongroom login` again")
    store = open_store(device.profile.trust, device.home)
    try:
        return sync_device(device, store)
    except Misbehaviour as error:
        if error.proof:
            folder = device.home / "proofs"
            make_private_directory(folder)
            path = folder / f"{error.code}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.cbor"
            write_private_file(path, error.proof)
            note(f"the proof is kept in {path}")
        error.hint = error.hint or "do not go on with this store; ask its operator, and show the proof"
        raise
    finally:
        store.close()
