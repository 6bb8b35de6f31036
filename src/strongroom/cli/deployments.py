"""An operator's way to a deployment that exists, for what is said about it and not served."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.cli.instance import simulated_enclave
from strongroom.storage.sqlite import SqliteRecordStore
from strongroom.store.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongroom.attesters.simulated import SimulatedAttester

__all__ = ["opened_deployment"]

_DATABASE: Final = "store.db"


@contextmanager
def opened_deployment(data: Path, platform: Path) -> Iterator[tuple[Deployment, SimulatedAttester, SimulatedPlatform]]:
    """Open the deployment in ``data`` as its own code on its own platform; a store may be serving it meanwhile."""
    opened = SimulatedPlatform.open(platform)
    attester = simulated_enclave(opened)
    storage = SqliteRecordStore.open(data / _DATABASE)
    try:
        yield Deployment.open(storage, attester), attester, opened
    finally:
        storage.close()
