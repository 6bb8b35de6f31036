"""A security key in software: an authenticator by CTAP 2.1 sections 6.1, 6.2 and 6.4, without PIN and attestation."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.client import DefaultClientDataCollector, Fido2Client
from fido2.cose import ES256
from fido2.ctap import CtapDevice
from fido2.hid import CAPABILITY

__all__ = ["SoftwareKey", "client_of"]

_MAKE_CREDENTIAL, _GET_ASSERTION, _GET_INFO = 0x01, 0x02, 0x04
_USER_PRESENT, _ATTESTED = 0x01, 0x40
_NO_CREDENTIALS = 0x2E


@dataclass
class SoftwareKey(CtapDevice):
    """``count`` is the signature counter; ``None`` for a key that has none and always says 0."""

    count: int | None = 0
    touched: bool = True
    credentials: dict[bytes, tuple[str, ec.EllipticCurvePrivateKey]] = field(default_factory=dict)

    @property
    def capabilities(self) -> int:
        return CAPABILITY.CBOR

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        return iter(())

    def call(self, cmd: int, data: bytes = b"", event: Any = None, on_keepalive: Any = None) -> bytes:
        command, body = data[0], cbor.decode(data[1:]) if len(data) > 1 else {}
        answers = {_MAKE_CREDENTIAL: self._make, _GET_ASSERTION: self._assert, _GET_INFO: self._info}
        return answers[command](body)

    def _info(self, _: Any) -> bytes:
        return b"\x00" + cbor.encode({1: ["FIDO_2_1"], 3: bytes(16), 4: {"rk": False, "up": True}})

    def _make(self, asked: dict[int, Any]) -> bytes:
        key, identifier = ec.generate_private_key(ec.SECP256R1()), os.urandom(32)
        self.credentials[identifier] = (asked[2]["id"], key)
        public = cbor.encode(dict(ES256.from_cryptography_key(key.public_key())))
        attested = bytes(16) + struct.pack(">H", len(identifier)) + identifier + public
        data = self._data(asked[2]["id"], _ATTESTED) + attested
        return b"\x00" + cbor.encode({1: "none", 2: data, 3: {}})

    def _assert(self, asked: dict[int, Any]) -> bytes:
        rp_id, client_hash = asked[1], asked[2]
        for descriptor in asked.get(3, []):
            if self.credentials.get(descriptor["id"], ("", None))[0] == rp_id:
                data = self._data(rp_id, 0)
                signature = self.credentials[descriptor["id"]][1].sign(data + client_hash, ec.ECDSA(hashes.SHA256()))
                return b"\x00" + cbor.encode({1: dict(descriptor), 2: data, 3: signature})
        return bytes([_NO_CREDENTIALS])

    def _data(self, rp_id: str, flags: int) -> bytes:
        if self.count is not None:
            self.count += 1
        present = _USER_PRESENT if self.touched else 0
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags | present]) + struct.pack(">I", self.count or 0)


def client_of(key: SoftwareKey, origin: str) -> Fido2Client:
    """Give a WebAuthn client that believes to show a page of ``origin``."""
    return Fido2Client(key, DefaultClientDataCollector(origin, verify=lambda rp_id, page: True))
