"""A store in a thread of the test's own process, over any record store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from running import Deployment, Person
from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.attesters.simulated.counter import SimulatedCounter
from strongroom.cli.instance import StapledCollateral, simulated_enclave
from strongroom.client.api import StoreApi
from strongroom.client.invitation import Invitation
from strongroom.store.deployment import Deployment as StoreDeployment
from strongroom.store.guess_gate import open_guesses
from strongroom.store.http import store_application
from strongroom.store.ports import RecordStore
from strongroom.store.service import StoreService
from strongroom.testing.loopback import Loopback
from strongroom.transport.asgi import AttestedService
from strongroom.transport.clock import SystemClock
from strongroom.verifier.anchors import Anchor

__all__ = ["in_process_store"]


@contextmanager
def in_process_store(
    storage: RecordStore, folder: Path
) -> Iterator[tuple[Person, Callable[[], AbstractContextManager[StoreApi]]]]:
    """Serve a new deployment in an empty record store; gives a person and a way to connect."""
    platform = SimulatedPlatform.open(folder, create=True)
    attester, clock = simulated_enclave(platform), SystemClock()
    anchor = SimulatedCounter.create(folder)
    opened = StoreDeployment.create(storage, attester, anchor=anchor)
    guesses = open_guesses(storage, opened.rows, opened.keys, clock, anchor)
    service = AttestedService(
        store_application(StoreService(storage, opened, clock, guesses)),
        attester=attester,
        endorsements=StapledCollateral(platform),
        identities=opened,
        clock=clock,
    )
    with Loopback(service) as url:
        root = Anchor.from_certificate(platform.root_certificate_pem, simulated=True).spki
        invitation = Invitation(url=url, deployment=opened.deployment_id, simulated_root=root).to_text()
        deployment = Deployment(data=folder, platform=folder, port=0, invitation=invitation)
        yield Person(deployment), deployment.connected
