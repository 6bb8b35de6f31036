"""An operator's way to a deployment that exists, for what is said about it and not served."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.cli.databases import open_storage
from strongroom.cli.instance import simulated_enclave
from strongroom.store.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.attesters.simulated import SimulatedAttester
    from strongroom.cli.databases import StorageSettings
    from strongroom.store.ports import RecordStore

__all__ = ["opened_deployment", "opened_for_work"]


@contextmanager
def opened_deployment(
    settings: StorageSettings, platform: Path
) -> Iterator[tuple[Deployment, SimulatedAttester, SimulatedPlatform]]:
    """Open a deployment as its own code on its own platform; a store may be serving it meanwhile."""
    opened = SimulatedPlatform.open(platform)
    with opened_for_work(settings, opened) as (_, deployment, attester):
        yield deployment, attester, opened


@contextmanager
def opened_for_work(
    settings: StorageSettings, platform: Path | SimulatedPlatform
) -> Iterator[tuple[RecordStore, Deployment, SimulatedAttester]]:
    """Open a deployment and its storage for work on its rows; a store may be serving it meanwhile."""
    opened = SimulatedPlatform.open(platform) if isinstance(platform, Path) else platform
    attester = simulated_enclave(opened)
    storage = open_storage(settings)
    try:
        yield storage, Deployment.open(storage, attester), attester
    finally:
        storage.close()
