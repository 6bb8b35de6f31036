"""A simulated machine with SGX: opened from its directory, it starts enclaves and issues collateral."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from strongroom.attesters.simulated.attester import SimulatedAttester
from strongroom.attesters.simulated.endorsements import issue_collateral, issue_date
from strongroom.attesters.simulated.pki import issue_pck
from strongroom.attesters.simulated.quote import certify
from strongroom.attesters.simulated.settings import PlatformSettings
from strongroom.attesters.simulated.state import PlatformState
from strongroom.base.errors import Misconfigured
from strongroom.crypto.certificates import pem

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from strongroom.attesters.simulated.settings import EnclaveIdentity
    from strongroom.formats.collateral import Collateral

__all__ = ["SimulatedPlatform"]


class SimulatedPlatform:
    """One platform together with the manufacturer that certified it."""

    def __init__(self, state: PlatformState) -> None:
        self.settings = state.settings
        self._revision = state.revision
        self._certificates = state.certificates
        self._keys = state.keys
        self._quoting_enclave = certify(self._keys, state.certificates, state.settings)
        self._issued: tuple[datetime, Collateral] | None = None

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        create: bool = False,
        settings: PlatformSettings | None = None,
        beside: Path | None = None,
    ) -> SimulatedPlatform:
        """Open the platform in a directory; with ``create``, make one where there is none.

        A new one is of the manufacturer that made the platform in the directory ``beside``, or of one of its own.

        ``settings`` that differ from the kept ones change the platform for good, as an update or a downgrade of its
        firmware would: same platform, same keys, a PCK certificate for the new versions. Raises ``Misconfigured``
        when there is none, when it is damaged, or when others may read it; ``AttesterUnavailable`` for a disk error.
        """
        state = PlatformState.load(directory)
        if state is None:
            if not create:
                raise Misconfigured(
                    f"there is no simulated platform in {directory}", setting="platform", hint="create one first"
                )
            other = None if beside is None else PlatformState.load(beside)
            if beside is not None and other is None:
                raise Misconfigured(f"there is no simulated platform in {beside}", setting="beside")
            PlatformState.new(settings or PlatformSettings(), beside=other).create(directory)
            state = PlatformState.load(directory)  # what another process may have put there first counts
            if state is None:
                raise Misconfigured(f"the simulated platform in {directory} vanished", setting="platform")
        if settings is not None and settings != state.settings:
            certificates = replace(state.certificates, pck=issue_pck(state.keys, settings))
            state = replace(state, settings=settings, revision=state.revision + 1, certificates=certificates)
            state.replace(directory)
        return cls(state)

    @property
    def root_certificate_pem(self) -> bytes:
        """The certificate of the simulated root, which a client takes as a simulated anchor."""
        return pem((self._certificates.root,))

    @property
    def platform_id(self) -> bytes:
        """The PPID, 16 bytes."""
        return self._keys.ppid

    def enclave(self, identity: EnclaveIdentity) -> SimulatedAttester:
        """Start an enclave. The caller says what it is: there is no CPU here that would measure it."""
        return SimulatedAttester(
            identity, self._quoting_enclave, sealing_root=self._keys.sealing, platform_id=self.platform_id
        )

    def collateral(self, at: datetime) -> Collateral:
        """Issue collateral that is valid at ``at`` and for 29 days more; one set a day, the same all day long."""
        issued = issue_date(at)
        if self._issued is None or self._issued[0] != issued:
            collateral = issue_collateral(
                self._keys, self._certificates, self.settings, issued=issued, revision=self._revision
            )
            self._issued = (issued, collateral)
        return self._issued[1]
