"""What a command line says of a deployment's charter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Misconfigured
from strongroom.cli.hexadecimal import from_hex
from strongroom.cli.wanted import read_file
from strongroom.formats.instance_certificate import machine_id
from strongroom.store.charter import Charter, RecoveryRule
from strongroom.verifier.policy import ANY
from strongroom.verifier.release import VendorRule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["charter_of", "named_machines", "vendor_rule"]

_HOUR_MS: Final = 60 * 60 * 1000


def charter_of(
    *,
    machines: frozenset[bytes],
    any_machine: bool,
    vendor_keys: Sequence[str],
    vendor_threshold: int,
    upgrade_delay_hours: int,
    recovery: str | None,
    holders: Sequence[Path],
) -> Charter:
    """Give the charter; ``Misconfigured`` for one that contradicts itself."""
    if any_machine and machines:
        raise Misconfigured("give --machine or --any-machine", setting="machine")
    return Charter(
        machines=ANY if any_machine else machines,
        simulated_roots=frozenset(),
        vendor=vendor_rule(vendor_keys, vendor_threshold),
        upgrade_delay_ms=upgrade_delay_hours * _HOUR_MS,
        recovery=_recovery(recovery, holders),
    )


def named_machines(names: Sequence[str] | None, platform_id: bytes) -> frozenset[bytes]:
    """Read machine ids; ``this`` is the one with this platform id."""
    return frozenset(
        machine_id(platform_id) if text == "this" else from_hex(text, setting="machine") for text in names or ()
    )


def vendor_rule(keys: Sequence[str], threshold: int) -> VendorRule:
    """Give the rule of who signs releases."""
    if not keys:
        return VendorRule.nobody()
    return VendorRule(keys=tuple(sorted({from_hex(text, setting="vendor-key") for text in keys})), threshold=threshold)


def _recovery(text: str | None, holders: Sequence[Path]) -> RecoveryRule | None:
    if text is None:
        if holders:
            raise Misconfigured("--recovery-holder goes with --recovery", setting="recovery")
        return None
    needed, _, made = text.partition("/")
    if not (needed.isdecimal() and made.isdecimal() and len(text) < 8):
        raise Misconfigured("--recovery takes two numbers, as in 3/5", setting="recovery")
    keys = tuple(
        from_hex(read_file(path, max_bytes=8192).decode("latin-1").strip(), setting="recovery-holder", lengths=(1216,))
        for path in holders
    )
    return RecoveryRule(threshold=int(needed), shares=int(made), holders=keys)
