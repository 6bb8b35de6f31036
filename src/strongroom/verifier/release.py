"""Releases: which code may take over from the code that runs, by manifests that the vendor signed.

Pure: a state that only moves forward, manifests and an instant in; a new state or every objection out. The steps and
their numbers are those of docs/spec/release-manifest.md. A store keeps such a state and hands its root key over by
it; ``strongroom release verify`` follows a chain for people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, Malformed, Misconfigured
from strongroom.base.fields import Fields
from strongroom.base.findings import Check, Finding
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES
from strongroom.formats.release_manifest import MAX_SIGNED_BYTES, SignedReleaseManifest

__all__ = ["ReleaseState", "VendorRule", "judge_successor"]

_MAX_VENDORS: Final = 16
_MAX_REVOKED: Final = 4096
_MAX_STATE_BYTES: Final = MAX_SIGNED_BYTES + _MAX_REVOKED * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRule:
    """Whose signatures make a release: ``threshold`` of ``keys`` (Ed25519). No keys accept nothing."""

    keys: tuple[bytes, ...]
    threshold: int

    def __post_init__(self) -> None:
        if self.keys != tuple(sorted(set(self.keys))) or len(self.keys) > _MAX_VENDORS:
            raise Misconfigured(f"vendor keys are at most {_MAX_VENDORS}, each once", setting="vendor-key")
        if any(len(key) != PUBLIC_KEY_BYTES for key in self.keys):
            raise Misconfigured(f"a vendor key has {PUBLIC_KEY_BYTES} bytes", setting="vendor-key")
        if not (1 if self.keys else 0) <= self.threshold <= len(self.keys):
            raise Misconfigured("the threshold is between 1 and the number of vendor keys", setting="vendor-threshold")

    @classmethod
    def nobody(cls) -> VendorRule:
        """Give the rule that accepts no release at all."""
        return cls(keys=(), threshold=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseState:
    """The newest manifest that was accepted, when that was (Unix milliseconds), and all that was ever revoked."""

    newest: SignedReleaseManifest | None
    accepted_ms: int
    revoked: frozenset[bytes]

    @classmethod
    def beginning(cls) -> ReleaseState:
        """Give the state of whoever has not seen a manifest yet."""
        return cls(newest=None, accepted_ms=0, revoked=frozenset())

    @property
    def sequence(self) -> int:
        """The newest manifest's sequence; 0 where there was none."""
        return 0 if self.newest is None else self.newest.manifest.sequence

    def followed(self, signed: SignedReleaseManifest, vendor: VendorRule, *, at_ms: int) -> ReleaseState:
        """Move on to the next manifest, or raise ``AppraisalRefused`` with every finding (section 4).

        Whether it has expired is not asked here: a chain may lead over releases that are long over.
        """
        manifest = signed.manifest
        signers = signed.signers() & set(vendor.keys)
        before = None if self.newest is None else self.newest.manifest.digest
        relisted = sorted(code.measurement for code in manifest.codes if code.measurement in self.revoked)
        checks = [
            (
                "4.1",
                Check.SIGNATURE,
                0 < vendor.threshold <= len(signers),
                "the release is not signed by enough of the pinned vendor keys",
                f"{vendor.threshold} of {len(vendor.keys)}" if vendor.keys else "no vendor keys are pinned",
                f"{len(signers)}",
            ),
            (
                "4.2",
                Check.FRESHNESS,
                manifest.sequence > self.sequence,
                "the release is not newer than the newest that was accepted",
                f"a sequence above {self.sequence}",
                str(manifest.sequence),
            ),
            (
                "4.3",
                Check.FRESHNESS,
                before is None or manifest.previous == before,
                "the release does not follow the newest that was accepted",
                "" if before is None else before.hex(),
                "none" if manifest.previous is None else manifest.previous.hex(),
            ),
            (
                "4.4",
                Check.REVOCATION,
                not relisted,
                "the release lists a measurement that was revoked for ever",
                "",
                ", ".join(item.hex() for item in relisted),
            ),
        ]
        if findings := _findings(checks):
            raise AppraisalRefused(findings)
        return replace(self, newest=signed, accepted_ms=at_ms, revoked=self.revoked | set(manifest.revoked))

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode(
            {
                "newest": None if self.newest is None else self.newest.to_bytes(),
                "accepted": self.accepted_ms,
                "revoked": sorted(self.revoked),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ReleaseState:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="release state", error=Malformed, max_bytes=_MAX_STATE_BYTES)
        newest = fields.optional_byte_string("newest", at_most=MAX_SIGNED_BYTES)
        state = cls(
            newest=None if newest is None else SignedReleaseManifest.from_bytes(newest),
            accepted_ms=fields.number("accepted"),
            revoked=frozenset(fields.byte_strings("revoked", at_most=_MAX_REVOKED)),
        )
        fields.done()
        return state


def judge_successor(
    state: ReleaseState, vendor: VendorRule, *, kind: str, measurement: bytes, svn: int, delay_ms: int, at_ms: int
) -> list[Finding]:
    """Give every objection to handing over to this code now (section 5); none means that it may be.

    ``delay_ms`` is how long a manifest has to have been accepted, so that people can object. It does not hold for a
    release that all vendor keys signed.
    """
    if state.newest is None:
        return _findings(
            [("5.1", Check.MEASUREMENT, False, "no release is authorised that names this code", "", measurement.hex())]
        )
    manifest = state.newest.manifest
    code = manifest.names(kind, measurement)
    urgent = bool(vendor.keys) and state.newest.signers() >= set(vendor.keys)
    begins_ms = max(manifest.not_before_ms, 0 if urgent else state.accepted_ms + delay_ms)
    return _findings(
        [
            (
                "5.1",
                Check.MEASUREMENT,
                code is not None,
                f"release {manifest.sequence} does not name this code",
                ", ".join(item.measurement.hex() for item in manifest.codes),
                measurement.hex(),
            ),
            (
                "5.2",
                Check.SIGNER,
                code is None or svn >= code.minimum_svn,
                "the code's security version is below the release's minimum",
                "" if code is None else f"at least {code.minimum_svn}",
                str(svn),
            ),
            (
                "5.3",
                Check.REVOCATION,
                measurement not in state.revoked,
                "this measurement was revoked for ever",
                "",
                measurement.hex(),
            ),
            (
                "5.4",
                Check.EXPIRY,
                at_ms >= begins_ms,
                "the release's delay is not over",
                f"not before {begins_ms}",
                str(at_ms),
            ),
            (
                "5.5",
                Check.EXPIRY,
                at_ms < manifest.expires_ms,
                "the release has expired",
                f"before {manifest.expires_ms}",
                str(at_ms),
            ),
        ]
    )


def _findings(checks: list[tuple[str, Check, bool, str, str, str]]) -> list[Finding]:
    return [
        Finding(check=check, message=message, section=f"release-manifest {step}", expected=expected, actual=actual)
        for step, check, holds, message, expected, actual in checks
        if not holds
    ]
