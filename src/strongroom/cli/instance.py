"""Wiring of a service: platform, enclave, database, deployment and application."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.base.errors import Conflict, Misconfigured
from strongroom.cli.background import flushing
from strongroom.cli.config import Config
from strongroom.cli.databases import open_storage
from strongroom.cli.measured import PRODUCT, RELEASE_SIGNER, SECURITY_VERSION, measure_store
from strongroom.cli.quorums import opened_quorum
from strongroom.cli.wanted import read_file
from strongroom.collateral.checked import check_collateral
from strongroom.formats.joining import JOIN_PATH
from strongroom.formats.quorum import QUORUM_PATH
from strongroom.storage.files import make_private_directory
from strongroom.store.administration import Administrators, AdminService
from strongroom.store.backup import restore_rows
from strongroom.store.deployment import Deployment
from strongroom.store.donor import Donor
from strongroom.store.guess_gate import bound_anchor, open_guesses
from strongroom.store.http import store_application
from strongroom.store.instance_http import InstanceRoutes
from strongroom.store.joining import join_deployment
from strongroom.store.observers import ObservedStorage
from strongroom.store.quorum_member import QuorumMember
from strongroom.store.quorum_peers import answer_quorum_call
from strongroom.store.service import StoreService
from strongroom.store.tenancy import Tenancy
from strongroom.transport.asgi import AttestedService
from strongroom.transport.client_evidence import ClientGate, ClientRule
from strongroom.transport.clock import SystemClock
from strongroom.transport.table import ChannelLimits
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.client_binding import OwnEnclave
from strongroom.verifier.policy_compose import policy_from_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from strongroom.attesters.simulated import SimulatedAttester
    from strongroom.base.clock import Clock
    from strongroom.cli.config import AdministrationSettings, ChannelSettings
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.donors import Donors
    from strongroom.formats.collateral import Collateral
    from strongroom.formats.restore_notice import RestoreNotice
    from strongroom.store.charter import Charter
    from strongroom.store.deployment import Branch
    from strongroom.store.freshness import FreshnessAnchor
    from strongroom.store.guess_gate import GuessGate
    from strongroom.store.instance_http import Application
    from strongroom.store.keys import StoreKeys
    from strongroom.store.observers import Observer
    from strongroom.store.ports import RecordStore
    from strongroom.store.quotas import Allowance
    from strongroom.store.vaults import VaultNames

__all__ = [
    "StapledCollateral",
    "create_deployment",
    "donor_of",
    "enter",
    "instance_routes",
    "join_at",
    "open_service",
    "restore_deployment",
    "simulated_enclave",
    "tenancy_of",
]


class StapledCollateral:
    """The simulated platform as a source of endorsements; a day's set is written once and is one object."""

    def __init__(self, platform: SimulatedPlatform) -> None:
        self._platform = platform
        self._written: tuple[Collateral, bytes] | None = None

    def expires(self, at: datetime) -> float:
        """Tell when the collateral of ``at`` expires, in unix seconds."""
        anchor = Anchor.from_certificate(self._platform.root_certificate_pem, simulated=True)
        return check_collateral(self._platform.collateral(at), anchors=(anchor,)).expires_at.timestamp()

    def collateral(self, at: datetime) -> bytes:
        """Give today's collateral as JSON."""
        today = self._platform.collateral(at)
        if self._written is None or self._written[0] is not today:
            self._written = (today, today.to_json())
        return self._written[1]


def simulated_enclave(platform: SimulatedPlatform, *, debug: bool = False) -> SimulatedAttester:
    """Start this installation as an enclave on a simulated platform."""
    return platform.enclave(
        EnclaveIdentity(
            mr_enclave=measure_store(),
            mr_signer=RELEASE_SIGNER,
            isv_prod_id=PRODUCT,
            isv_svn=SECURITY_VERSION,
            debug=debug,
        )
    )


def create_deployment(
    settings: StorageSettings,
    attester: SimulatedAttester,
    anchor: FreshnessAnchor | None,
    charter: Charter | None = None,
) -> Deployment:
    """Make database and deployment with its charter, its guess limits tied to ``anchor``.

    Stopped half-way, it goes on when it is called again.
    """
    make_private_directory(settings.data)
    storage = open_storage(settings, create=True)
    try:
        time_ms = int(SystemClock().now().timestamp() * 1000)
        return Deployment.create(storage, attester, anchor=anchor, charter=charter, time_ms=time_ms)
    except Conflict as cause:
        raise Misconfigured(
            f"{settings.name} already holds a deployment", hint="start it with `strongroom serve`"
        ) from cause
    finally:
        storage.close()


def tenancy_of(storage: RecordStore, deployment: Deployment, clock: Clock, guesses: GuessGate) -> Tenancy:
    """Give the tenants of a deployment, each with its service."""

    def make(branch: Branch | Deployment, allowance: Allowance, names: VaultNames) -> StoreService:
        return StoreService(storage, branch, clock, guesses, allowance=allowance, names=names)

    return Tenancy(storage, deployment, clock, make)


def donor_of(deployment: Deployment, platform: SimulatedPlatform, attester: SimulatedAttester) -> Donor:
    """Give the side of a deployment that judges other instances."""
    anchor = Anchor.from_certificate(platform.root_certificate_pem, simulated=True)
    return Donor(deployment.storage, deployment, own=attester.measurement(), anchor=anchor, clock=SystemClock())


def instance_routes(application: Application, donor: Donor, member: QuorumMember, keys: StoreKeys) -> InstanceRoutes:
    """Put the routes between instances before an application."""
    return InstanceRoutes(
        application,
        {
            JOIN_PATH: lambda body, channel: donor.join(
                body, session=channel["session"], client_binder=channel["client_binder"]
            ),
            QUORUM_PATH: lambda body, channel: answer_quorum_call(member, keys, body, channel),
        },
    )


def enter(
    storage: RecordStore, platform: SimulatedPlatform, attester: SimulatedAttester, donor: Donors | None
) -> Deployment:
    """Open the deployment; where this code has no copy of the root key here, join the running instance ``donor``."""
    try:
        return Deployment.open(storage, attester)
    except Misconfigured:
        if donor is None:
            raise
    return join_at(storage, platform, attester, donor)


def join_at(
    storage: RecordStore, platform: SimulatedPlatform, attester: SimulatedAttester, donor: Donors
) -> Deployment:
    """Join the running instance ``donor``, whether there is a copy of a root key here or not."""
    clock = SystemClock()
    collateral = platform.collateral(clock.now()).to_json()
    with donor.transport() as transport:
        return join_deployment(storage, attester, transport, collateral=collateral)


def restore_deployment(
    settings: StorageSettings, platform: Path, backup: BinaryIO, *, reason: str, epoch: int
) -> RestoreNotice:
    """Put a backup back, and let the deployment say so. Stopped between the two, it goes on with the second."""
    attester = simulated_enclave(SimulatedPlatform.open(platform))
    make_private_directory(settings.data)
    storage = open_storage(settings, create=True)
    try:
        if not Deployment.is_being_restored(storage):
            try:
                restore_rows(storage, backup)
            except Conflict as cause:
                raise Misconfigured(f"{settings.name} is not empty", hint=cause.hint) from cause
        deployment = Deployment.open(storage, attester, restoring=True)
        now_ms = int(SystemClock().now().timestamp() * 1000)
        return deployment.note_restored(time_ms=now_ms, reason=reason, at_least=epoch)
    finally:
        storage.close()


@contextmanager
def open_service(
    settings: StorageSettings,
    platform: SimulatedPlatform,
    attester: SimulatedAttester,
    counter: Callable[[bytes | None], FreshnessAnchor | None],
    *,
    config: Config | None = None,
    observer: Observer | None = None,
    join: Donors | None = None,
    quorum_slot: int | None = None,
) -> Iterator[AttestedService]:
    """Open a deployment and give its application, ready to be served; the database is closed after.

    ``counter`` opens the counter of the given name, on which the deployment's guess limits hang. ``join`` leads to a
    running instance, for code that has no copy of the root key on this platform yet. ``quorum_slot`` is this
    instance's place among the members of the deployment's quorum, from 0.
    """
    config = config or Config()
    with ExitStack() as stack:
        opened = stack.enter_context(closing(open_storage(settings)))
        storage: RecordStore = opened if observer is None else ObservedStorage(opened, observer)
        clock = SystemClock()
        deployment = enter(storage, platform, attester, join)
        donor = donor_of(deployment, platform, attester)
        member = QuorumMember(deployment.instance)
        quorum = stack.enter_context(opened_quorum(deployment, donor, member, quorum_slot, clock))
        bound = bound_anchor(storage, deployment.rows, deployment.keys)
        anchor = quorum if quorum is not None and quorum.anchor_id == bound else counter(bound)
        guesses = open_guesses(storage, deployment.rows, deployment.keys, clock, anchor)
        tenancy = tenancy_of(storage, deployment, clock, guesses)
        administration = AdminService(storage, deployment, tenancy, clock, _administrators(config.administration))
        lifespan = flushing(tenancy.usage.flush, seconds=config.usage.flush_seconds)
        application: Application = store_application(
            tenancy, administration=administration, observer=observer, lifespan=lifespan
        )
        if config.clients.policy is not None:
            # other instances come in by their own evidence, so only what persons' devices reach is behind this
            rule = ClientRule(
                policy=policy_from_toml(read_file(config.clients.policy)),
                own=OwnEnclave(machine=deployment.machine, measurement=attester.measurement()),
                required=config.clients.required,
                endorsements=StapledCollateral(platform),
            )
            application = ClientGate(application, rule, clock=clock)
        yield AttestedService(
            instance_routes(application, donor, member, deployment.keys),
            attester=attester,
            endorsements=StapledCollateral(platform),
            identities=deployment,
            clock=clock,
            limits=_limits(config.channel),
            observer=observer,
            probe=lambda: Deployment.require(storage),
        )


def _administrators(administration: AdministrationSettings) -> Administrators:
    return Administrators(keys=frozenset(administration.keys), deletion_approvals=administration.deletion_approvals)


def _limits(channel: ChannelSettings) -> ChannelLimits:
    return ChannelLimits(
        max_channels=channel.max_channels,
        unconfirmed_seconds=channel.unconfirmed_seconds,
        idle_seconds=channel.idle_seconds,
        lifetime_seconds=channel.lifetime_seconds,
        stall_seconds=channel.stall_seconds,
        max_resumptions=channel.max_resumptions,
        resumption_seconds=channel.resumption_seconds,
    )
