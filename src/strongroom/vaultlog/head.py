"""Heads: the store's signed word on where a vault's chain ends (docs/spec/vault-log.md section 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, MalformedEntry, RecordTampered
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, equal, labelled_hash, sha256
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify
from strongroom.vaultlog.entry import ID_BYTES

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey
    from strongroom.vaultlog.chain import ChainState

__all__ = [
    "MAX_HEAD_BYTES",
    "Head",
    "SignedHead",
    "VerifiedHead",
    "code_at",
    "head_code",
    "read_head_code",
    "sign_head",
    "verify_head",
]

MAX_HEAD_BYTES: Final = 512
_FORMAT: Final = "strongroom head"
_VERSION: Final = 1
_PATH: Final = "head"
_SIGNATURE_LABEL: Final = "strongroom vault head v1"
_CODE_LABEL: Final = "strongroom head code v1"
_CODE_DIGITS: Final = (
    32  # in groups of four: about 106 bits, out of reach of a store that searches for a second history
)
_MAX_CODE_TEXT: Final = 128  # characters; more is not a code with spaces in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a chain ends: its length and hash, and the root of the tree over all its hashes (32 bytes).

    ``epoch`` is the store's, as its evidence claims it; ``time_ms`` is when the store signed this, in unix
    milliseconds; ``head_key`` is the key that signs.
    """

    vault: bytes
    length: int
    chain_hash: bytes
    root: bytes
    epoch: int
    time_ms: int
    head_key: bytes

    def to_bytes(self) -> bytes:
        """Encode the body: what is signed."""
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "vault": self.vault,
                "length": self.length,
                "chain": self.chain_hash,
                "root": self.root,
                "epoch": self.epoch,
                "time": self.time_ms,
                "head_key": self.head_key,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Decode a body, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=MAX_HEAD_BYTES)
        fields.exactly("format", _FORMAT)
        fields.exactly("version", _VERSION)
        head = cls(
            vault=fields.byte_string("vault", length=ID_BYTES),
            length=fields.number("length"),
            chain_hash=fields.byte_string("chain", length=DIGEST_BYTES),
            root=fields.byte_string("root", length=DIGEST_BYTES),
            epoch=fields.number("epoch"),
            time_ms=fields.number("time"),
            head_key=fields.byte_string("head_key", length=PUBLIC_KEY_BYTES),
        )
        fields.done()
        return head


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A head with its signature. Parsing it checks nothing: ``is_authentic`` and ``verify_head`` do."""

    head: Head
    body: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedHead:
        """Decode, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=MAX_HEAD_BYTES)
        body = fields.byte_string("body", at_most=MAX_HEAD_BYTES)
        signature = fields.byte_string("signature", length=SIGNATURE_BYTES)
        fields.done()
        return cls(head=Head.from_bytes(body), body=body, signature=signature)

    def to_bytes(self) -> bytes:
        """Encode for storage and transport."""
        return canonical.encode({"body": self.body, "signature": self.signature})

    def is_authentic(self) -> bool:
        """Tell whether the key that the head names signed it. Whose key that is, evidence says."""
        return verify(self.head.head_key, _SIGNATURE_LABEL, self.body, self.signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedHead:
    """A head that the attested head key signed for the expected vault. Only ``verify_head`` makes one."""

    head: Head
    signed: bytes


def sign_head(state: ChainState, *, epoch: int, time_ms: int, key: SigningKey) -> bytes:
    """Sign where ``state`` ends; the store does this for every answer, with the time of the answer."""
    body = Head(
        vault=state.vault,
        length=state.length,
        chain_hash=state.chain_hash,
        root=state.root,
        epoch=epoch,
        time_ms=time_ms,
        head_key=key.public,
    ).to_bytes()
    return canonical.encode({"body": body, "signature": key.sign(_SIGNATURE_LABEL, body)})


def verify_head(data: bytes, *, head_key_hash: bytes, vault: bytes) -> VerifiedHead:
    """Verify a head against the hash of the head key that the attested claims name.

    ``MalformedEntry`` when the bytes are none; ``RecordTampered`` when another key signed it, the signature is
    wrong or it speaks of another vault.
    """
    signed = SignedHead.from_bytes(data)
    if not equal(sha256(signed.head.head_key), head_key_hash):
        raise RecordTampered("the head is signed by another key than the attested one")
    if not signed.is_authentic():
        raise RecordTampered("the head's signature is wrong")
    if signed.head.vault != vault:
        raise RecordTampered("the head belongs to another vault")
    return VerifiedHead(head=signed.head, signed=data)


def head_code(head: Head) -> str:
    """Give 32 digits in eight groups that stand for a vault, a length and a chain hash, for comparing by eye."""
    return code_at(head.vault, head.length, head.chain_hash)


def code_at(vault: bytes, length: int, chain_hash: bytes) -> str:
    """Give the code of a head by what it stands for."""
    digest = labelled_hash(_CODE_LABEL, vault, length.to_bytes(8, "big"), chain_hash)
    return _grouped(str(int.from_bytes(digest, "big") % 10**_CODE_DIGITS).zfill(_CODE_DIGITS))


def read_head_code(text: str) -> str:
    """Read a code that was typed or scanned, spaces or hyphens anywhere, or raise ``Malformed``."""
    digits = re.sub(r"[\s-]", "", text[:_MAX_CODE_TEXT])
    if len(text) > _MAX_CODE_TEXT or not re.fullmatch(rf"[0-9]{{{_CODE_DIGITS}}}", digits):
        raise Malformed(f"a head code has {_CODE_DIGITS} digits", path="head code")
    return _grouped(digits)


def _grouped(digits: str) -> str:
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))
