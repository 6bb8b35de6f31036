"""Release manifest: which code a release is, in the words of whoever makes releases (docs/spec/release-manifest.md).

The statement is signed by several vendor keys; who is a vendor, and how many of them have to sign, is not said here
but by whoever judges (``verifier.release``). The text form is ``strongroom-release1:`` and the base64url
(RFC 4648 section 5, unpadded) of the signed manifest.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, labelled_hash
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey

__all__ = ["MAX_SIGNED_BYTES", "ReleaseManifest", "ReleasedCode", "SignedReleaseManifest"]

_LABEL: Final = "strongroom release manifest v1"
_PREFIX: Final = "strongroom-release1:"
_MAX_BYTES: Final = 16 * 1024
_MAX_CODES: Final = 16
_MAX_REVOKED: Final = 128
_MAX_SIGNATURES: Final = 16
_MAX_TEXT: Final = 64
_MAX_SVN: Final = 0xFFFF
_MEASUREMENT_BYTES: Final = frozenset({32, 48})

MAX_SIGNED_BYTES: Final = _MAX_BYTES + _MAX_SIGNATURES * 128 + 64


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ReleasedCode:
    """One build of a release: the kind of evidence that shows it, its measurement, and the least security version.

    ``kind`` is a kind of evidence (``sgx-dcap-3``); ``measurement`` has 32 bytes (MRENCLAVE) or 48 (MRTD).
    """

    kind: str
    measurement: bytes
    minimum_svn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseManifest:
    """The statement. Times are Unix milliseconds.

    ``sequence`` orders releases, ``version`` is for people. ``previous`` is the digest of the manifest before, or
    ``None`` for the first. ``revoked`` are measurements that must never be accepted again. Nothing is handed over to
    this release before ``not_before_ms``, nor after ``expires_ms``.
    """

    version: str
    sequence: int
    codes: tuple[ReleasedCode, ...]
    revoked: tuple[bytes, ...]
    not_before_ms: int
    expires_ms: int
    previous: bytes | None

    def __post_init__(self) -> None:
        if not 0 < len(self.version) <= _MAX_TEXT or not self.version.isprintable():
            raise _malformed(f"the version is not a line of 1 to {_MAX_TEXT} characters")
        if not 0 < len(self.codes) <= _MAX_CODES or len(self.revoked) > _MAX_REVOKED:
            raise _malformed(f"a release has 1 to {_MAX_CODES} builds and revokes at most {_MAX_REVOKED}")
        if self.codes != tuple(sorted(set(self.codes))) or self.revoked != tuple(sorted(set(self.revoked))):
            raise _malformed("builds and revoked measurements stand in ascending order, each once")
        measurements = [code.measurement for code in self.codes]
        if any(len(item) not in _MEASUREMENT_BYTES for item in (*measurements, *self.revoked)):
            raise _malformed("a measurement has 32 or 48 bytes")
        if set(measurements) & set(self.revoked):
            raise _malformed("a release does not revoke itself")
        if self.not_before_ms >= self.expires_ms:
            raise _malformed("a release expires after it begins")
        if (self.previous is None) != (self.sequence == 1):
            raise _malformed("the first release, and no other, has sequence 1 and no previous one")

    @property
    def digest(self) -> bytes:
        """Name the manifest: a labelled SHA-256 of its encoding, without signatures; 32 bytes."""
        return labelled_hash(_LABEL, self.to_bytes())

    def names(self, kind: str, measurement: bytes) -> ReleasedCode | None:
        """Find the build that evidence of this kind and measurement shows."""
        return next((code for code in self.codes if (code.kind, code.measurement) == (kind, measurement)), None)

    def to_bytes(self) -> bytes:
        """Encode what is signed."""
        return canonical.encode(
            {
                "label": _LABEL,
                "version": self.version,
                "sequence": self.sequence,
                "codes": [[code.kind, code.measurement, code.minimum_svn] for code in self.codes],
                "revoked": list(self.revoked),
                "not_before": self.not_before_ms,
                "expires": self.expires_ms,
                "previous": self.previous,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ReleaseManifest:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="release manifest", error=Malformed, max_bytes=_MAX_BYTES)
        fields.exactly("label", _LABEL)
        manifest = cls(
            version=fields.text("version", at_most=_MAX_TEXT),
            sequence=fields.number("sequence"),
            codes=_codes(fields),
            revoked=fields.byte_strings("revoked", at_most=_MAX_REVOKED),
            not_before_ms=fields.number("not_before"),
            expires_ms=fields.number("expires"),
            previous=fields.optional_byte_string("previous", length=DIGEST_BYTES),
        )
        fields.done()
        return manifest

    def unsigned(self) -> SignedReleaseManifest:
        """Give the manifest as nobody has signed it yet."""
        return SignedReleaseManifest(manifest=self, signatures=())


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReleaseManifest:
    """The statement with (public key, signature) pairs, in the order of the keys. Parsing does not check them."""

    manifest: ReleaseManifest
    signatures: tuple[tuple[bytes, bytes], ...]

    def signed(self, key: SigningKey) -> SignedReleaseManifest:
        """Add a signature; one that this key made before is replaced."""
        others = [pair for pair in self.signatures if pair[0] != key.public]
        own = (key.public, key.sign(_LABEL, self.manifest.to_bytes()))
        return replace(self, signatures=tuple(sorted([*others, own])))

    def signers(self) -> frozenset[bytes]:
        """Give the public keys whose signature holds."""
        body = self.manifest.to_bytes()
        return frozenset(key for key, signature in self.signatures if verify(key, _LABEL, body, signature))

    def to_bytes(self) -> bytes:
        """Encode both."""
        pairs = [[key, signature] for key, signature in self.signatures]
        return canonical.encode({"manifest": self.manifest.to_bytes(), "signatures": pairs})

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedReleaseManifest:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="release manifest", error=Malformed, max_bytes=MAX_SIGNED_BYTES)
        body = fields.byte_string("manifest", at_most=_MAX_BYTES)
        pairs = fields.items("signatures", at_most=_MAX_SIGNATURES)
        fields.done()
        signatures = []
        for pair in pairs:
            match pair:
                case [bytes(key), bytes(signature)] if (len(key), len(signature)) == (
                    PUBLIC_KEY_BYTES,
                    SIGNATURE_BYTES,
                ):
                    signatures.append((key, signature))
                case _:
                    raise _malformed("a signature is a key of 32 bytes and a signature of 64")
        keys = [key for key, _ in signatures]
        if keys != sorted(set(keys)):
            raise _malformed("signatures stand in the order of their keys, one of each")
        return cls(manifest=ReleaseManifest.from_bytes(body), signatures=tuple(signatures))

    def to_text(self) -> str:
        """Write it so that it can be mailed."""
        return _PREFIX + base64.urlsafe_b64encode(self.to_bytes()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> SignedReleaseManifest:
        """Read the text form, or raise ``Malformed``. Space around it is forgiven."""
        text = text.strip()
        if not text.startswith(_PREFIX) or len(text) > 2 * MAX_SIGNED_BYTES:
            raise _malformed(f"a manifest begins with {_PREFIX!r}")
        encoded = text.removeprefix(_PREFIX)
        try:
            body = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _malformed("not base64url") from None
        return cls.from_bytes(body)


def _codes(fields: Fields) -> tuple[ReleasedCode, ...]:
    codes = []
    for item in fields.items("codes", at_most=_MAX_CODES):
        match item:
            case [str(kind), bytes(measurement), int(svn)] if (
                0 < len(kind) <= _MAX_TEXT and not isinstance(svn, bool) and 0 <= svn <= _MAX_SVN
            ):
                codes.append(ReleasedCode(kind=kind, measurement=measurement, minimum_svn=svn))
            case _:
                raise fields.fail("a build is a kind, a measurement and a security version")
    return tuple(codes)


def _malformed(rule: str) -> Malformed:
    return Malformed(rule, path="release manifest")
