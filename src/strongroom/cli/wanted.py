"""What a command line says about whom to talk to, turned into terms, and into a device's lasting trust."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Misconfigured
from strongroom.channel.client import ClientTerms
from strongroom.cli.measured import measure_store
from strongroom.cli.output import note
from strongroom.client.admission import Admission
from strongroom.client.api import StoreApi
from strongroom.client.profile import Trust
from strongroom.client.trust import standing_policy, terms_of
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.policy_compose import policy_from_toml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.cli.verifiers_file import Verifiers
    from strongroom.transport.client_evidence import ClientAttestation
    from strongroom.verifier.binding import AttestedPeer
    from strongroom.verifier.policy_compose import Policy

__all__ = ["Wanted", "connect", "met", "open_store", "read_file"]

_MAX_FILE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom to talk to. ``deployment`` is ``None`` where none is expected: the first one met is taken, and said so.

    ``policy_digest``, ``machines``, ``notice_key`` and ``tenant`` are what an invitation says beside.
    """

    url: str
    deployment: bytes | None
    simulated_root: bytes | None
    policy: str | None
    policy_digest: bytes | None = None
    machines: tuple[bytes, ...] = ()
    notice_key: bytes | None = None
    tenant: bytes | None = None
    attest_with: Path | None = None

    @classmethod
    def parse(
        cls,
        address: str,
        *,
        accept_simulated_platform: bool,
        root: Path | None,
        policy: Path | None,
        attest_with: Path | None = None,
    ) -> Wanted:
        """Read an address or an invitation and what was said beside it."""
        invitation = None
        if not address.startswith(("http://", "https://")):
            from strongroom.cli.invitations import read_invitation

            invitation = read_invitation(address)
        simulated_root = invitation.simulated_root if invitation else None
        if root is not None:
            simulated_root = Anchor.from_certificate(read_file(root), simulated=True).spki
        if accept_simulated_platform and simulated_root is None:
            raise Misconfigured(
                "accepting a simulated platform needs its root",
                setting="root",
                hint="use an invitation that names it, or --root with what `strongroom platform` prints",
            )
        return cls(
            url=invitation.url if invitation else address,
            deployment=invitation.deployment if invitation else None,
            simulated_root=simulated_root if accept_simulated_platform else None,
            policy=None if policy is None else read_file(policy).decode(errors="replace"),
            policy_digest=invitation.policy_digest if invitation else None,
            machines=invitation.machines if invitation else (),
            notice_key=invitation.notice_key if invitation else None,
            tenant=invitation.tenant if invitation else None,
            attest_with=attest_with,
        )

    def appraisal_policy(self) -> Policy:
        """Give the policy: the one that was named, else exactly the code installed here.

        ``Misconfigured`` when the invitation goes with another one (docs/spec/floors-and-notices.md 7.2).
        """
        if self.policy is not None:
            policy = policy_from_toml(self.policy.encode())
        else:
            policy = standing_policy(measure_store(), simulated_root=self.simulated_root)
        if self.policy_digest is not None and policy.digest != self.policy_digest:
            raise Misconfigured(
                f"the invitation goes with the policy of digest {self.policy_digest.hex()}, not {policy.digest.hex()}",
                setting="policy",
                hint="ask whoever sent the invitation for its policy file, and give that with --policy",
            )
        return policy

    def terms(self) -> ClientTerms:
        """Give the terms of an exchange."""
        return ClientTerms(policy=self.appraisal_policy(), deployment=self.deployment)

    def trust(self, peer: AttestedPeer) -> Trust:
        """Pin what was met."""
        return Trust(
            url=self.url,
            deployment=peer.deployment,
            policy=self.policy,
            simulated_root=self.simulated_root,
            machines=self.machines,
            notice_key=self.notice_key,
            tenant=self.tenant,
            attest_with=None if self.attest_with is None else str(self.attest_with.absolute()),
        )


def connect(wanted: Wanted, home: Path, *, keep: bool, verifiers: Verifiers | None = None) -> StoreApi:
    """Give a way to the store on these terms. Nothing is sent yet.

    ``home`` is this device's directory: its floors and notices hold, and with ``keep`` the floors are raised.
    ``verifiers`` are those whose word is taken in the place of an appraisal.
    """
    clock = SystemClock()
    admission = Admission(home, clock=clock, machines=wanted.machines, keep=keep)
    terms = wanted.terms()
    addresses: tuple[str, ...] = ()
    if verifiers is not None:
        terms, addresses = replace(terms, vouching=verifiers.rule), tuple(verifiers.addresses.values())
    attestation = None if wanted.attest_with is None else _attestation(wanted.attest_with)
    transport = AttestedTransport(
        wanted.url, terms, admit=admission, attestation=attestation, verifiers=addresses, clock=clock
    )
    return StoreApi(transport, tenant=wanted.tenant)


@contextmanager
def met(wanted: Wanted, home: Path) -> Iterator[tuple[StoreApi, Trust]]:
    """Meet a store: attest it, say what a person should know of it, and give the way to it with what to pin.

    The verdict comes before a password is even asked for.
    """
    store = connect(wanted, home, keep=True)
    try:
        peer = store.peer()
        if peer.result.simulated:
            note("simulated platform: this store proves no hardware")
        if not peer.deployment_pinned:
            note("this deployment is seen for the first time; from now on it is expected")
        yield store, wanted.trust(peer)
    finally:
        store.close()


def open_store(trust: Trust, home: Path, *, device_key: bytes = b"") -> StoreApi:
    """Give a device's way to its store; ``home`` is its directory. Nothing is sent yet.

    ``device_key`` is what evidence of this device commits to, where it shows any.
    """
    clock = SystemClock()
    admission = Admission(home, clock=clock, machines=trust.machines)
    attestation = None if trust.attest_with is None else _attestation(Path(trust.attest_with), device_key)
    transport = AttestedTransport(
        trust.url, terms_of(trust, measure_store()), admit=admission, attestation=attestation, clock=clock
    )
    return StoreApi(transport, tenant=trust.tenant)


def _attestation(directory: Path, device_key: bytes = b"") -> ClientAttestation:
    from strongroom.cli.client_enclave import simulated_attestation

    return simulated_attestation(directory, device_key)


def read_file(path: Path, *, max_bytes: int = _MAX_FILE_BYTES) -> bytes:
    """Read a file that a command line names, within bounds."""
    try:
        with path.open("rb") as source:
            data = source.read(max_bytes + 1)
    except OSError as cause:
        raise Misconfigured(f"cannot read {path}: {cause.strerror}", setting=str(path)) from cause
    if len(data) > max_bytes:
        raise Misconfigured(f"{path} has more than {max_bytes} bytes", setting=str(path))
    return data
