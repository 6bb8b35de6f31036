"""A client's last word on an accepted peer: machines, notices, floors. It only ever takes away.

Called for every session, a resumed one too, before anything of the user is sent (``transport.keeper.AttestedOpener``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.client.floors import FloorBook
from strongroom.client.notices import NoticeBook

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from strongroom.base.clock import Clock
    from strongroom.verifier.binding import AttestedPeer

__all__ = ["Admission"]


class Admission:
    """Admits peers to one client, whose directory is ``home``.

    ``machines`` are the ids of the only machines that will do (``formats.instance_certificate.machine_id``); empty
    for any. With ``keep=False`` floors are compared and left as they are.
    """

    def __init__(self, home: Path, *, clock: Clock, machines: Collection[bytes] = (), keep: bool = True) -> None:
        self._floors = FloorBook(home)
        self._notices = NoticeBook(home)
        self._machines = frozenset(machines)
        self._clock = clock
        self._keep = keep

    def __call__(self, peer: AttestedPeer) -> None:
        """Admit a peer; ``AppraisalRefused`` with every finding, ``Malformed`` when floors or notices are damaged."""
        findings = [*self._machine(peer), *self._notices.load(peer.deployment).objections(peer, at=self._clock.now())]
        if self._keep:
            self._floors.admit(peer, others=findings)
            return
        findings += self._floors.objections(peer)
        if findings:
            raise AppraisalRefused(findings)

    def _machine(self, peer: AttestedPeer) -> list[Finding]:
        if not self._machines or peer.machine in self._machines:
            return []
        return [
            Finding(
                check=Check.PLATFORM,
                message="this is another machine than those that the invitation names",
                section="floors-and-notices 7.1",
                expected="one of " + ", ".join(sorted(machine.hex() for machine in self._machines)),
                actual=peer.machine.hex(),
            )
        ]
