"""Sessions between two sides that hold one provisioned secret: the keyed exchange, and no evidence.

What comes out is a ``SharedKeyPeer``, which says that the other side holds the secret and nothing of the code it runs;
it is no ``AttestedPeer`` and unlocks nothing that wants one (docs/spec/attested-channel.md 13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage, NotAuthorised
from strongroom.channel.keyed import ClientKeyedExchange, KeyedMode, KeyedRequest, KeyMismatch, ServerKeyedExchange
from strongroom.channel.schedule import KEY_ID_BYTES, SECRET_BYTES
from strongroom.channel.secure import ClientChannel
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.crypto.kdf import hkdf

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = ["ClientSharedKeyExchange", "SharedKey", "SharedKeyChannel", "SharedKeyPeer", "SharedKeyring"]

_MAX_LABEL: Final = 64
_MAX_KEYS: Final = 64


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class SharedKey:
    """One provisioned secret for one purpose. No representation, so that nothing prints it.

    ``label`` names the purpose (1 to 64 printable ASCII characters), ``deployment`` is SHA-256 of the deployment key,
    ``secret`` has 32 bytes. Another label, deployment or epoch makes another key of the same secret.
    """

    label: str
    deployment: bytes
    epoch: int
    secret: bytes

    def __post_init__(self) -> None:
        if not 0 < len(self.label) <= _MAX_LABEL or not self.label.isascii() or not self.label.isprintable():
            raise ValueError(f"a label has 1 to {_MAX_LABEL} printable ASCII characters")
        if len(self.deployment) != DIGEST_BYTES or len(self.secret) != SECRET_BYTES or self.epoch < 0:
            raise ValueError("a shared key has a deployment of 32 bytes, a secret of 32 bytes and an epoch from 0")

    def derive(self) -> tuple[bytes, bytes]:
        """Derive identifier (16 bytes) and key (32) for this purpose and no other."""
        context = canonical.encode([self.label, self.deployment, self.epoch])
        both = hkdf(self.secret, b"strongroom v1 shared key" + context, length=KEY_ID_BYTES + SECRET_BYTES)
        return both[:KEY_ID_BYTES], both[KEY_ID_BYTES:]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKeyPeer:
    """The other end of one channel: somebody who holds the secret of ``label``. Says nothing about code."""

    label: str
    deployment: bytes
    epoch: int
    session: bytes
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedKeyChannel:
    """A peer that holds the secret, and the channel to it."""

    peer: SharedKeyPeer
    channel: ClientChannel


class ClientSharedKeyExchange:
    """The client's side. Send ``request``, give the answer to ``finish``. Good for one answer only."""

    def __init__(self, key: SharedKey) -> None:
        self._shared = key
        key_id, derived = key.derive()
        self._exchange = ClientKeyedExchange(KeyedMode.SHARED_KEY, key_id=key_id, key=derived)

    @property
    def request(self) -> bytes:
        """The bytes to send."""
        return self._exchange.request

    def finish(self, answer: bytes, *, at: datetime) -> SharedKeyChannel:
        """Give the channel; ``NotAuthorised`` unless the other end holds the same secret for the same purpose."""
        try:
            core, keys = self._exchange.finish(answer)
        except KeyMismatch:
            raise NotAuthorised("the other end does not hold the shared key") from None
        key = self._shared
        if (core.deployment, core.epoch, core.collateral_digest) != (key.deployment, key.epoch, None):
            raise MalformedMessage("the answer names another deployment or epoch than the key", path="keyed answer")
        peer = SharedKeyPeer(
            label=key.label,
            deployment=key.deployment,
            epoch=key.epoch,
            session=keys.transcript,
            since_ms=int(at.timestamp() * 1000),
        )
        return SharedKeyChannel(peer=peer, channel=ClientChannel(keys))


class SharedKeyring:
    """The shared keys that a service accepts: one for each label, two while a secret is being changed."""

    def __init__(self, keys: Iterable[SharedKey]) -> None:
        self._keys: dict[bytes, tuple[SharedKey, bytes]] = {}
        for key in keys:
            key_id, derived = key.derive()
            self._keys[key_id] = (key, derived)
        if len(self._keys) > _MAX_KEYS:
            raise ValueError(f"at most {_MAX_KEYS} shared keys")
        for key, _ in self._keys.values():
            if sum(other.label == key.label for other, _ in self._keys.values()) > 2:
                raise ValueError("a label has at most two secrets, and two only during a change")

    def exchange(self, request: KeyedRequest) -> tuple[SharedKey, ServerKeyedExchange]:
        """Answer a request; ``NotAuthorised``, always the same, unless its maker holds one of these keys."""
        known = self._keys.get(request.key_id)
        if known is None or request.mode is not KeyedMode.SHARED_KEY or not request.is_proven_by(known[1]):
            raise NotAuthorised("no shared key that this service accepts")
        key, derived = known
        exchange = ServerKeyedExchange(
            request, derived, deployment=key.deployment, epoch=key.epoch, collateral_digest=None
        )
        return key, exchange
