"""An operator's way to a deployment that exists, for what is said about it and not served."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.cli.databases import open_storage
from strongroom.cli.instance import simulated_enclave
from strongroom.store.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongroom.attesters.simulated import SimulatedAttester
    from strongroom.cli.databases import StorageSettings

__all__ = ["opened_deployment"]


@contextmanager
def opened_deployment(
    settings: StorageSettings, platform: Path
) -> Iterator[tuple[Deployment, SimulatedAttester, SimulatedPlatform]]:
    """Open a deployment as its own code on its own platform; a store may be serving it meanwhile."""
    opened = SimulatedPlatform.open(platform)
    attester = simulated_enclave(opened)
    storage = open_storage(settings)
    try:
        yield Deployment.open(storage, attester), attester, opened
    finally:
        storage.close()
