"""Syncing from the command line: one store, one sync, and a proof kept where the store misbehaved."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Misbehaviour, Misconfigured, RollbackDetected, StrongroomError
from strongroom.cli.output import note
from strongroom.cli.unlock import unlocked
from strongroom.cli.wanted import open_store
from strongroom.client.driver import sync_device
from strongroom.client.enrolment import keep_enrolled
from strongroom.client.profile import ProfileState
from strongroom.client.repair import hand_back
from strongroom.client.restores import announced_restore
from strongroom.storage.files import make_private_directory, write_private_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device
    from strongroom.client.repair import Repaired
    from strongroom.sync.effects import Summary

__all__ = ["connected", "repair_and_keep_proof", "store_of", "sync_and_keep_proof"]


def sync_and_keep_proof(device: Device) -> Summary:
    """Sync, and renew the device's certificate when half of its life is over.

    A ``Misbehaviour`` is written to ``proofs/`` before it is raised on.
    """
    with store_of(device) as store:
        summary = sync_device(device, store)
        keep_enrolled(device, store, at=datetime.now(UTC))
        return summary


def repair_and_keep_proof(device: Device) -> Repaired:
    """Hand back what the store has lost; a ``Misbehaviour`` is written to ``proofs/`` before it is raised on."""
    with store_of(device) as store:
        return hand_back(device, store)


@contextmanager
def connected(home: Path | None, password_file: Path | None) -> Iterator[tuple[StoreApi, Device]]:
    """Unlock this device and give a way to its store."""
    with unlocked(home, password_file) as device, store_of(device) as store:
        yield store, device


@contextmanager
def store_of(device: Device) -> Iterator[StoreApi]:
    """Give a device's way to its store; the proof of a ``Misbehaviour`` is kept before it is raised on."""
    if device.profile.state is ProfileState.JOINING:
        raise Misconfigured("this device's login was not finished", hint="run `strongroom login` again")
    store = open_store(device.profile.trust, device.home, device_key=device.device_key.public)
    try:
        yield store
    except Misbehaviour as error:
        if error.proof:
            folder = device.home / "proofs"
            make_private_directory(folder)
            path = folder / f"{error.code}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.cbor"
            write_private_file(path, error.proof)
            note(f"the proof is kept in {path}; `strongroom proof verify` shows it")
        error.hint = error.hint or _announced(device, store) or _HINTS.get(type(error), _STOP)
        raise
    finally:
        store.close()


def _announced(device: Device, store: StoreApi) -> str:
    """Say what the deployment has signed about a restore that can be behind this, if anything."""
    try:
        notice = announced_restore(device, store)
    except StrongroomError:  # what is being reported is worse than a question that stays open
        return ""
    if notice is None:
        return ""
    restored, taken = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (notice.restored_ms, notice.taken_ms))
    said = f" ({notice.reason})" if notice.reason else ""
    return (
        f"the deployment signed that a backup of {taken:%Y-%m-%d %H:%M} UTC was put back on {restored:%Y-%m-%d %H:%M}"
        f" UTC{said}; if its operator confirms that, `strongroom sync --repair` hands back what it lost"
    )


_STOP: Final = "do not go on with this store; ask its operator, and show the proof"
_HINTS: Final[dict[type[Misbehaviour], str]] = {
    RollbackDetected: "ask the operator; if an older database was put back, `strongroom sync --repair` makes it good",
}
