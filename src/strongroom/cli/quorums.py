"""The quorum of counters as this process sees it: itself, its peers, and how it gets its vote back after a start."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AnchorUnavailable, Misconfigured
from strongroom.store.quorum import QuorumAnchor, enrol
from strongroom.store.quorum_peers import LocalPeer, RemotePeer
from strongroom.transport.client import AttestedTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from strongroom.base.clock import Clock
    from strongroom.store.deployment import Deployment
    from strongroom.store.donor import Donor
    from strongroom.store.quorum import Peer
    from strongroom.store.quorum_member import QuorumMember

__all__ = ["opened_quorum", "remote_peers"]

_TIMEOUT_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


@contextmanager
def opened_quorum(
    deployment: Deployment, donor: Donor, member: QuorumMember, slot: int | None, clock: Clock
) -> Iterator[QuorumAnchor | None]:
    """Give the deployment's quorum, if one was founded; a member in ``slot`` asks for its vote until it has it."""
    with deployment.storage.read() as transaction:
        record = deployment.quorum(transaction)
    if record is None:
        yield None
        return
    if slot is not None and slot >= len(record.urls):
        raise Misconfigured(f"the quorum has {len(record.urls)} members", setting="quorum-slot")
    with ExitStack() as stack:
        peers: list[Peer] = []
        for number, url in enumerate(record.urls):
            if number == slot:
                peers.append(LocalPeer(member))
            else:
                peers.extend(stack.enter_context(remote_peers(deployment, donor, (url,), clock)))
        if slot is not None:
            stopped = threading.Event()
            stack.callback(stopped.set)
            arguments = (member, record.anchor, slot, peers, stopped)
            threading.Thread(target=_enrol, args=arguments, name="enrol", daemon=True).start()
        yield QuorumAnchor(record.anchor, peers)


@contextmanager
def remote_peers(deployment: Deployment, donor: Donor, urls: Sequence[str], clock: Clock) -> Iterator[list[RemotePeer]]:
    """Give the ways to members; nothing is sent yet."""
    with ExitStack() as stack:
        peers = []
        for url in urls:
            transport = AttestedTransport(url, donor.terms(), clock=clock, timeout_seconds=_TIMEOUT_SECONDS)
            stack.callback(transport.close)
            peers.append(RemotePeer(transport, deployment.keys))
        yield peers


def _enrol(member: QuorumMember, anchor: bytes, slot: int, peers: Sequence[Peer], stopped: threading.Event) -> None:
    told = False
    while member.votes_for is None:
        try:
            enrol(member, anchor, slot, peers)
        except AnchorUnavailable as unavailable:
            if not told:
                _log.warning("this member of the quorum does not vote yet: %s", unavailable.message)
            told = True
        if stopped.wait(_AGAIN_SECONDS):
            return
