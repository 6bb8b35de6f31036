"""The charter: who may join a deployment, who may release code for it, who holds its recovery shares.

Sealed in the database. Vendor keys and the recovery rule are fixed when the deployment is made; machines and further
simulated roots are the operator's to change. Every change is in the log of joins (docs/spec/instances.md 3, 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import Malformed, Misconfigured
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.crypto.hpke import PUBLIC_KEY_BYTES
from strongroom.verifier.policy import ANY, AnyValue
from strongroom.verifier.release import VendorRule

__all__ = ["Charter", "RecoveryRule"]

_MAX_BYTES: Final = 64 * 1024
_MAX_MACHINES: Final = 1024
_MAX_ROOTS: Final = 16
MAX_SHARES: Final = 16  # SLIP-0039: an index has four bits


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRule:
    """How the root key comes back when every instance is gone: ``threshold`` of ``shares`` shares.

    ``holders`` are HPKE public keys (1,216 bytes), one for each share, or none: then the shares are handed out in
    clear, once, to whoever runs the command.
    """

    threshold: int
    shares: int
    holders: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.shares <= MAX_SHARES:
            raise Misconfigured(f"a rule is 2 to {MAX_SHARES} shares, at least 2 of them needed", setting="recovery")
        if self.holders and (len(self.holders) != self.shares or len(set(self.holders)) != self.shares):
            raise Misconfigured("there is one holder for each share", setting="recovery-holder")
        if any(len(key) != PUBLIC_KEY_BYTES for key in self.holders):
            raise Misconfigured(f"a holder's key has {PUBLIC_KEY_BYTES} bytes", setting="recovery-holder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """The rules of one deployment.

    ``machines``: ids of the machines from which instances may join; empty for none, ``ANY`` for all.
    ``simulated_roots``: SubjectPublicKeyInfo of the roots of other simulated platforms; a deployment on hardware has
    none. ``upgrade_delay_ms``: how long a release is known before anything is handed over to it.
    """

    machines: frozenset[bytes] | AnyValue
    simulated_roots: frozenset[bytes]
    vendor: VendorRule
    upgrade_delay_ms: int
    recovery: RecoveryRule | None

    @classmethod
    def closed(cls) -> Charter:
        """Give the charter that lets nobody join, release or recover anything."""
        return cls(
            machines=frozenset(),
            simulated_roots=frozenset(),
            vendor=VendorRule.nobody(),
            upgrade_delay_ms=0,
            recovery=None,
        )

    def __post_init__(self) -> None:
        if self.machines is not ANY and len(self.machines) > _MAX_MACHINES:
            raise Misconfigured(f"a charter lists at most {_MAX_MACHINES} machines", setting="machine")
        if len(self.simulated_roots) > _MAX_ROOTS:
            raise Misconfigured(f"a charter lists at most {_MAX_ROOTS} simulated roots", setting="root")

    def to_bytes(self) -> bytes:
        """Encode."""
        recovery = self.recovery
        return canonical.encode(
            {
                "machines": None if self.machines is ANY else sorted(self.machines),
                "simulated_roots": sorted(self.simulated_roots),
                "vendor_keys": list(self.vendor.keys),
                "vendor_threshold": self.vendor.threshold,
                "upgrade_delay": self.upgrade_delay_ms,
                "recovery_threshold": recovery.threshold if recovery else 0,
                "recovery_shares": recovery.shares if recovery else 0,
                "recovery_holders": list(recovery.holders) if recovery else [],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Charter:
        """Decode, or raise ``Malformed``."""
        fields = Fields.decode(data, path="charter", error=Malformed, max_bytes=_MAX_BYTES)
        machines = fields.optional_byte_strings("machines", length=DIGEST_BYTES, at_most=_MAX_MACHINES)
        threshold = fields.number("recovery_threshold", at_most=MAX_SHARES)
        shares = fields.number("recovery_shares", at_most=MAX_SHARES)
        holders = fields.byte_strings("recovery_holders", length=PUBLIC_KEY_BYTES, at_most=MAX_SHARES)
        charter = cls(
            machines=ANY if machines is None else frozenset(machines),
            simulated_roots=frozenset(fields.byte_strings("simulated_roots", at_most=_MAX_ROOTS)),
            vendor=VendorRule(
                keys=fields.byte_strings("vendor_keys", at_most=16), threshold=fields.number("vendor_threshold")
            ),
            upgrade_delay_ms=fields.number("upgrade_delay"),
            recovery=RecoveryRule(threshold=threshold, shares=shares, holders=holders) if shares else None,
        )
        fields.done()
        return charter
