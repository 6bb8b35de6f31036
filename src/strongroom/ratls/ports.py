"""What RA-TLS needs of the machine it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Attester", "EndorsementSource"]


class Attester(Protocol):
    """Makes evidence about this process."""

    def evidence(self, report_data: bytes) -> bytes:
        """Make a quote over 64 bytes; raises ``AttesterUnavailable``."""
        ...


class EndorsementSource(Protocol):
    """Knows the collateral for this platform."""

    def collateral(self, at: datetime) -> bytes:
        """Give collateral as JSON, valid at ``at``; raises ``CollateralUnavailable``."""
        ...
