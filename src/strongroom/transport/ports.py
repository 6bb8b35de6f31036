"""What carrying the channel needs of the machine it runs on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.channel.server import InstanceIdentity

__all__ = ["Attester", "ChannelObserver", "EndorsementSource", "IdentitySource", "Unobserved"]


class Attester(Protocol):
    """Makes evidence about this process."""

    @property
    def kind(self) -> str:
        """Name the kind of evidence, as in a hello (``"sgx-dcap-3"``)."""
        ...

    def evidence(self, report_data: bytes) -> bytes:
        """Make evidence over 64 bytes; raises ``AttesterUnavailable``. Called from one thread at a time."""
        ...


class EndorsementSource(Protocol):
    """Knows the collateral for this platform."""

    def collateral(self, at: datetime) -> bytes:
        """Give collateral as JSON, valid at ``at``; raises ``CollateralUnavailable``."""
        ...


class IdentitySource(Protocol):
    """Knows who this instance is."""

    def identity(self, at: datetime) -> InstanceIdentity:
        """Give the instance's identity with a certificate that is valid at ``at`` and for some hours more."""
        ...


class ChannelObserver(Protocol):
    """Watches channels being made. Each method surrounds the work; an exception that passes is its outcome."""

    def exchange(self, kind: str) -> AbstractContextManager[None]:
        """Surround one exchange: ``"attested"`` or ``"keyed"``."""
        ...

    def quote(self, leaves: int) -> AbstractContextManager[None]:
        """Surround the making of one quote, which ``leaves`` clients share."""
        ...


class Unobserved:
    """Nobody watches."""

    def exchange(self, kind: str) -> AbstractContextManager[None]:
        """Look away."""
        return nullcontext()

    def quote(self, leaves: int) -> AbstractContextManager[None]:
        """Look away."""
        return nullcontext()
