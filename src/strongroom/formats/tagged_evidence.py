"""Tagged evidence of interoperable RA-TLS: CBOR tag 60000 over a quote and the claims that it commits to.

Source: "Interoperable RA-TLS X.509 Cert and Evidence Formats" and "… SGX / TDX Evidence Tags and Formats" of the
Confidential Computing Consortium. The encoding is foreign: tags occur and map keys come in any order, so
``base.canonical`` refuses it. This reader takes what those documents allow (definite lengths, heads in their shortest
form, nothing after the value) within fixed bounds, and judges nothing: a claim that comes twice stays there twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base.errors import MalformedQuote

__all__ = [
    "GRAMINE_EVIDENCE_OID",
    "MAX_EVIDENCE_BYTES",
    "NONCE",
    "PUBLIC_KEY_HASH",
    "TAGGED_EVIDENCE_OID",
    "TEE_QUOTE_TAG",
    "EvidenceClaims",
    "HashEntry",
    "TaggedEvidence",
]

TAGGED_EVIDENCE_OID: Final = "2.23.133.5.4.9"
"""tcg-dice-TaggedEvidence (DICE Attestation Architecture): the certificate extension that holds tagged evidence."""

GRAMINE_EVIDENCE_OID: Final = "1.2.840.113741.1337.6"
"""The extension of older Gramine releases; it holds a bare quote."""

TEE_QUOTE_TAG: Final = 60000
PUBLIC_KEY_HASH: Final = "pubkey-hash"
NONCE: Final = "nonce"

MAX_EVIDENCE_BYTES: Final = 48 * 1024  # a certificate above 64 KiB is not read; a quote has about 5 KB
MAX_CLAIMS_BYTES: Final = 4 * 1024
MAX_CLAIMS: Final = 16
MAX_CLAIM_NAME_BYTES: Final = 64
_MAX_HASH_BYTES: Final = 64

_UNSIGNED, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = 0, 2, 3, 4, 5, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedEvidence:
    """The quote and the encoded claims, both as they came: hashes are over the bytes received."""

    quote: bytes
    claims: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> TaggedEvidence:
        """Read the extension's value, or raise ``MalformedQuote``."""
        reader = _Reader(data, "evidence", MAX_EVIDENCE_BYTES)
        reader.expect(_TAG, TEE_QUOTE_TAG, "the tag of a quote")
        reader.expect(_ARRAY, 2, "an array of quote and claims")
        quote = reader.string(_BYTES, "quote", MAX_EVIDENCE_BYTES)
        claims = reader.string(_BYTES, "claims", MAX_CLAIMS_BYTES)
        reader.end()
        return cls(quote=quote, claims=claims)

    def to_bytes(self) -> bytes:
        """Write the extension's value."""
        return (
            _head(_TAG, TEE_QUOTE_TAG) + _head(_ARRAY, 2) + _string(_BYTES, self.quote) + _string(_BYTES, self.claims)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceClaims:
    """Name and value of each claim in the order of the encoding, repeated names included."""

    entries: tuple[tuple[str, bytes], ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> EvidenceClaims:
        """Read a map from texts to byte strings, or raise ``MalformedQuote``."""
        reader = _Reader(data, "evidence.claims", MAX_CLAIMS_BYTES)
        count = reader.head(_MAP, "a map of claims")
        if count > MAX_CLAIMS:
            raise reader.fail(f"{count} claims, at most {MAX_CLAIMS} are read")
        entries = tuple((reader.name(), reader.string(_BYTES, "claim", MAX_CLAIMS_BYTES)) for _ in range(count))
        reader.end()
        return cls(entries=entries)

    def to_bytes(self) -> bytes:
        """Write the claims in their order."""
        pairs = (_string(_TEXT, name.encode()) + _string(_BYTES, value) for name, value in self.entries)
        return _head(_MAP, len(self.entries)) + b"".join(pairs)

    def named(self, name: str) -> tuple[bytes, ...]:
        """Give every value of a name."""
        return tuple(value for key, value in self.entries if key == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashEntry:
    """A hash with the number of its function in IANA's Named Information registry (CoSWID's ``hash-entry``)."""

    algorithm: int
    value: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> HashEntry:
        """Read an array of number and byte string, or raise ``MalformedQuote``."""
        reader = _Reader(data, f"evidence.claims.{PUBLIC_KEY_HASH}", 2 * _MAX_HASH_BYTES)
        reader.expect(_ARRAY, 2, "an array of algorithm and hash")
        algorithm = reader.head(_UNSIGNED, "the number of a hash function")
        value = reader.string(_BYTES, "hash", _MAX_HASH_BYTES)
        reader.end()
        return cls(algorithm=algorithm, value=value)

    def to_bytes(self) -> bytes:
        """Write the entry."""
        return _head(_ARRAY, 2) + _head(_UNSIGNED, self.algorithm) + _string(_BYTES, self.value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    width = 1 if number < 1 << 8 else 2 if number < 1 << 16 else 4 if number < 1 << 32 else 8
    return bytes((major << 5 | 23 + width.bit_length(),)) + number.to_bytes(width, "big")


def _string(major: int, value: bytes) -> bytes:
    return _head(major, len(value)) + value


class _Reader:
    """Reads forward; every length is held against what is there before anything is taken."""

    __slots__ = ("_data", "_offset", "_path")

    def __init__(self, data: bytes, path: str, max_bytes: int) -> None:
        self._data = data
        self._path = path
        self._offset = 0
        if len(data) > max_bytes:
            raise self.fail(f"{len(data)} bytes, at most {max_bytes} are read")

    def fail(self, rule: str) -> MalformedQuote:
        return MalformedQuote(rule, path=self._path, offset=self._offset)

    def head(self, major: int, what: str) -> int:
        """Take a head of a major type and give its number."""
        first = self._take(1, what)[0]
        low = first & 0x1F
        if first >> 5 != major or low > 27:  # above: reserved, or an indefinite length
            raise self.fail(f"not {what}")
        if low < 24:
            return low
        width = 1 << (low - 24)
        number = int.from_bytes(self._take(width, what), "big")
        if number < (24 if width == 1 else 1 << (4 * width)):
            raise self.fail(f"{what}: number not in its shortest form")
        return number

    def expect(self, major: int, number: int, what: str) -> None:
        if self.head(major, what) != number:
            raise self.fail(f"not {what}")

    def string(self, major: int, what: str, max_bytes: int) -> bytes:
        length = self.head(major, f"a string for {what}")
        if length > max_bytes:
            raise self.fail(f"{what} of {length} bytes, at most {max_bytes} are read")
        return self._take(length, what)

    def name(self) -> str:
        raw = self.string(_TEXT, "claim name", MAX_CLAIM_NAME_BYTES)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.fail("a claim's name is not UTF-8") from None

    def end(self) -> None:
        if self._offset != len(self._data):
            raise self.fail(f"{len(self._data) - self._offset} bytes after the value")

    def _take(self, length: int, what: str) -> bytes:
        end = self._offset + length
        if end > len(self._data):
            raise self.fail(f"{what} ends early")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken
