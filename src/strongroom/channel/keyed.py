"""The keyed exchange: a fresh secret is agreed, and a key that both ends had before takes the place of evidence.

Two modes use it, and their keys never meet: ``resumption`` (``channel.resumption``) and ``shared-key``
(``channel.shared_key``). This module knows messages and keys and decides nothing (docs/spec/attested-channel.md 11).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage
from strongroom.base.fields import Fields
from strongroom.channel.messages import CONFIRMATION_BYTES, MAX_HELLO_BYTES, NONCE_BYTES, SUITE_1, VERSION
from strongroom.channel.schedule import KEY_ID_BYTES, SECRET_BYTES, KeySchedule, mix
from strongroom.channel.secure import ServerChannel
from strongroom.crypto import hpke
from strongroom.crypto.aead import OpenFailed
from strongroom.crypto.hashing import DIGEST_BYTES, equal, sha256
from strongroom.crypto.hpke import HpkePrivateKey, InvalidPublicKey, seal_to
from strongroom.crypto.kdf import hkdf

__all__ = [
    "MAX_KEYED_ANSWER_BYTES",
    "MAX_KEYED_REQUEST_BYTES",
    "ClientKeyedExchange",
    "KeyMismatch",
    "KeyedCore",
    "KeyedMode",
    "KeyedRequest",
    "ServerKeyedExchange",
    "hpke_info_of",
    "keyed_schedule",
    "proof_of",
]

MAX_KEYED_REQUEST_BYTES: Final = MAX_HELLO_BYTES
MAX_KEYED_ANSWER_BYTES: Final = MAX_HELLO_BYTES
_PROOF_BYTES: Final = 32


class KeyedMode(StrEnum):
    """What the key is that both ends had before."""

    RESUMPTION = "resumption"
    SHARED_KEY = "shared-key"


class KeyMismatch(Exception):  # a fact for the mode to turn into its own refusal, never shown to people
    """The other end has shown no knowledge of the key in this exchange."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A client's request: which key it has, and the proof that it has it.

    ``key_id`` (16 bytes) names the key and tells nothing of it; ``proof`` covers every other field, so that nobody
    can spend somebody else's key by naming it.
    """

    mode: KeyedMode
    suites: tuple[int, ...]
    key_id: bytes
    nonce: bytes
    kem_key: bytes
    hello: bytes = field(repr=False)
    proof: bytes = field(repr=False)
    encoded: bytes = field(repr=False)

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyedRequest:
        """Decode, or raise ``MalformedMessage``."""
        outer = Fields.decode(data, path="keyed request", error=MalformedMessage, max_bytes=MAX_KEYED_REQUEST_BYTES)
        hello = outer.byte_string("hello", at_most=MAX_HELLO_BYTES)
        proof = outer.byte_string("proof", length=_PROOF_BYTES)
        outer.done()
        fields = Fields.decode(hello, path="keyed hello", error=MalformedMessage, max_bytes=MAX_HELLO_BYTES)
        fields.exactly("version", VERSION)
        request = cls(
            mode=_mode(fields),
            suites=fields.numbers("suites", at_most=8),
            key_id=fields.byte_string("key_id", length=KEY_ID_BYTES),
            nonce=fields.byte_string("nonce", length=NONCE_BYTES),
            kem_key=fields.byte_string("kem_key", length=hpke.PUBLIC_KEY_BYTES),
            hello=hello,
            proof=proof,
            encoded=data,
        )
        fields.done()
        return request

    def is_proven_by(self, key: bytes) -> bool:
        """Tell whether whoever made the request had ``key``."""
        return equal(proof_of(self.mode, key, self.hello), self.proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedCore:
    """What a server says in the exchange. Its bytes complete the transcript.

    ``collateral_digest`` is SHA-256 of the collateral that the server would show today; a shared key has none.
    """

    mode: KeyedMode
    suite: int
    sealed_secret: bytes
    deployment: bytes
    epoch: int
    collateral_digest: bytes | None

    def to_bytes(self) -> bytes:
        """Encode; these exact bytes enter the transcript."""
        return canonical.encode(
            {
                "version": VERSION,
                "mode": str(self.mode),
                "suite": self.suite,
                "sealed_secret": self.sealed_secret,
                "deployment": self.deployment,
                "epoch": self.epoch,
                "collateral_digest": self.collateral_digest,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyedCore:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="keyed core", error=MalformedMessage, max_bytes=MAX_HELLO_BYTES)
        fields.exactly("version", VERSION)
        core = cls(
            mode=_mode(fields),
            suite=fields.number("suite"),
            sealed_secret=fields.byte_string("sealed_secret", length=hpke.SEALED_SECRET_BYTES),
            deployment=fields.byte_string("deployment", length=DIGEST_BYTES),
            epoch=fields.number("epoch"),
            collateral_digest=fields.optional_byte_string("collateral_digest", length=DIGEST_BYTES),
        )
        fields.done()
        return core


class ClientKeyedExchange:
    """The client's side. Send ``request``, give the answer to ``finish``. Good for one answer only."""

    def __init__(self, mode: KeyedMode, *, key_id: bytes, key: bytes) -> None:
        self._mode = mode
        self._key = key
        self._private: HpkePrivateKey | None = HpkePrivateKey.generate()
        hello = canonical.encode(
            {
                "version": VERSION,
                "mode": str(mode),
                "suites": (SUITE_1,),
                "key_id": key_id,
                "nonce": os.urandom(NONCE_BYTES),
                "kem_key": self._private.public,
            }
        )
        self.request = canonical.encode({"hello": hello, "proof": proof_of(mode, key, hello)})

    def finish(self, answer: bytes) -> tuple[KeyedCore, KeySchedule]:
        """Give what the server said and the session's keys; ``KeyMismatch`` unless the server had the key too.

        Bytes that are no answer are ``MalformedMessage``.
        """
        private, self._private = self._private, None
        if private is None:
            raise ValueError("this exchange has had its answer")
        outer = Fields.decode(answer, path="keyed answer", error=MalformedMessage, max_bytes=MAX_KEYED_ANSWER_BYTES)
        encoded = outer.byte_string("core", at_most=MAX_HELLO_BYTES)
        confirmation = outer.byte_string("confirmation", length=CONFIRMATION_BYTES)
        outer.done()
        core = KeyedCore.from_bytes(encoded)
        if core.suite != SUITE_1 or core.mode != self._mode:
            raise MalformedMessage("the answer chose something that was not offered", path="keyed answer")
        try:
            secret = private.open(core.sealed_secret, hpke_info_of(self.request))
        except OpenFailed:
            raise KeyMismatch from None
        if len(secret) != SECRET_BYTES:
            raise MalformedMessage("the sealed secret has a wrong length", path="keyed answer")
        keys = keyed_schedule(self._key, secret, self.request, encoded)
        if not equal(keys.server_confirmation, confirmation):
            raise KeyMismatch
        return core, keys


class ServerKeyedExchange:
    """The server's side, for a request whose proof it has checked: gives the answer and the channel."""

    def __init__(
        self, request: KeyedRequest, key: bytes, *, deployment: bytes, epoch: int, collateral_digest: bytes | None
    ) -> None:
        if SUITE_1 not in request.suites:
            raise MalformedMessage("no suite in common", path="keyed hello")
        secret = os.urandom(SECRET_BYTES)
        try:
            sealed = seal_to(request.kem_key, secret, hpke_info_of(request.encoded))
        except InvalidPublicKey:
            raise MalformedMessage("not a key of MLKEM768-X25519", path="keyed hello") from None
        core = KeyedCore(
            mode=request.mode,
            suite=SUITE_1,
            sealed_secret=sealed,
            deployment=deployment,
            epoch=epoch,
            collateral_digest=collateral_digest,
        ).to_bytes()
        self._keys = keyed_schedule(key, secret, request.encoded, core)
        self.answer = canonical.encode({"core": core, "confirmation": self._keys.server_confirmation})

    def channel(self) -> ServerChannel:
        """Give the server's end of the channel."""
        return ServerChannel(self._keys)


def _mode(fields: Fields) -> KeyedMode:
    text = fields.text("mode", at_most=16)
    try:
        return KeyedMode(text)
    except ValueError:
        raise fields.fail("field 'mode' is not a mode of the keyed exchange") from None


def proof_of(mode: KeyedMode, key: bytes, hello: bytes) -> bytes:
    """Prove to have ``key``, for this hello and this mode (section 11)."""
    return hkdf(key, f"strongroom v1 {mode} asks".encode() + sha256(hello))


def hpke_info_of(request: bytes) -> bytes:
    """Bind the sealed secret to the request that asked for it."""
    return b"strongroom v1 keyed hello" + sha256(request)


def keyed_schedule(key: bytes, secret: bytes, request: bytes, core: bytes) -> KeySchedule:
    """Derive the session's keys from the key that was there, the fresh secret, and both messages."""
    transcript = sha256(canonical.encode(["strongroom v1 keyed transcript", request, core]))
    return KeySchedule.derive(mix(key, secret, transcript), transcript)
