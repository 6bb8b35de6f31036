"""Which running instance to join, and on what terms it is believed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from strongroom.base.errors import Misconfigured
from strongroom.cli.hexadecimal import from_hex
from strongroom.cli.wanted import Wanted
from strongroom.client.trust import standing_policy
from strongroom.formats.measurements import MrEnclave
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongroom.channel.client import ClientTerms

__all__ = ["Donors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Donors:
    """A running instance, and the terms on which this one believes it."""

    url: str
    terms: ClientTerms

    @classmethod
    def parse(
        cls,
        address: str,
        *,
        url: str | None,
        accept_simulated_platform: bool,
        policy: Path | None,
        donor_measurement: str | None,
    ) -> Donors:
        """Read an invitation to the deployment, which pins it, and what was said beside it.

        ``donor_measurement`` (hexadecimal) is of the code that runs there, where that is not the code installed here.
        """
        wanted = Wanted.parse(address, accept_simulated_platform=accept_simulated_platform, root=None, policy=policy)
        if wanted.deployment is None:
            raise Misconfigured(
                "a join needs the deployment's invitation, not only an address",
                setting="join",
                hint="`strongroom invite` prints it",
            )
        terms = wanted.terms()
        if donor_measurement is not None:
            measurement = MrEnclave(from_hex(donor_measurement, setting="donor-measurement"))
            terms = replace(terms, policy=standing_policy(measurement, simulated_root=wanted.simulated_root))
        return cls(url=url or wanted.url, terms=terms)

    @contextmanager
    def transport(self) -> Iterator[AttestedTransport]:
        """Give the way to the instance; nothing is sent yet."""
        transport = AttestedTransport(self.url, self.terms, clock=SystemClock())
        try:
            yield transport
        finally:
            transport.close()
