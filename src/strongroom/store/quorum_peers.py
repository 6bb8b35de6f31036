"""The quorum over attested channels: how one instance asks another, and how it knows that an instance asks.

The member is proven by the channel, as any store is. The caller proves that it holds the deployment's root key: a
keyed hash of its question and of the session, which is worth nothing in any other session.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx2

from strongroom.base import canonical
from strongroom.base.errors import AnchorUnavailable, MalformedMessage, NotAuthorised
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, equal, sha256
from strongroom.formats.joining import CBOR_TYPE
from strongroom.formats.quorum import QUORUM_PATH, QuorumCall, Vote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strongroom.store.keys import StoreKeys
    from strongroom.store.quorum_member import QuorumMember
    from strongroom.transport.client import AttestedTransport

__all__ = ["LocalPeer", "RemotePeer", "answer_quorum_call"]

_HOST = "https://instance.strongroom.invalid"
_MAX_BYTES = 4096


class LocalPeer:
    """The member that this process is."""

    def __init__(self, member: QuorumMember) -> None:
        self._member = member

    def call(self, call: QuorumCall) -> Vote:
        """Ask it."""
        return self._member.answer(call)


class RemotePeer:
    """A member at the other end of an attested channel."""

    def __init__(self, transport: AttestedTransport, keys: StoreKeys) -> None:
        self._transport = transport
        self._keys = keys
        self._lock = threading.Lock()
        self._http = httpx2.Client(transport=transport, base_url=_HOST, trust_env=False)

    @property
    def instance(self) -> bytes:
        """SHA-256 of the member's instance key, proven by its evidence."""
        return self._transport.peer().instance

    def call(self, call: QuorumCall) -> Vote:
        """Ask it; ``AnchorUnavailable`` or ``StoreUnreachable`` when it does not answer as a member."""
        with self._lock:  # question and session have to go together
            session = self._transport.peer().session
            body = call.to_bytes()
            content = canonical.encode({"call": body, "proof": _proof(self._keys, session, body)})
            response = self._http.post(QUORUM_PATH, content=content, headers={"content-type": CBOR_TYPE})
        if response.status_code != httpx2.codes.OK:
            raise AnchorUnavailable(f"a member of the quorum answered with status {response.status_code}")
        return Vote.from_bytes(response.content)


def answer_quorum_call(member: QuorumMember, keys: StoreKeys, body: bytes, channel: Mapping[str, Any]) -> bytes:
    """Answer another instance's question; ``NotAuthorised`` for whoever does not hold the root key."""
    fields = Fields.decode(body, path="quorum call", error=MalformedMessage, max_bytes=_MAX_BYTES)
    call, proof = fields.byte_string("call", at_most=_MAX_BYTES), fields.byte_string("proof", length=DIGEST_BYTES)
    fields.done()
    if not equal(proof, _proof(keys, channel["session"], call)):
        raise NotAuthorised("not an instance of this deployment")
    return member.answer(QuorumCall.from_bytes(call)).to_bytes()


def _proof(keys: StoreKeys, session: bytes, call: bytes) -> bytes:
    return keys.identifier("quorum caller", session, sha256(call))
