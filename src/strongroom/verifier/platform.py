"""Settings of a platform that its PCK certificate states: on, off, or undefined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.formats.pck_extension import SgxType

if TYPE_CHECKING:
    from strongroom.formats.pck_extension import PckExtension

__all__ = ["platform_flags"]


def platform_flags(platform: PckExtension) -> dict[str, bool | None]:
    """Give ``smt_enabled``, ``dynamic_platform`` and ``cached_keys``; ``None`` for what is undefined.

    A certificate of the Processor CA states none of them, and for the SGX type Standard they have no meaning.
    """
    stated = None if platform.sgx_type is SgxType.STANDARD else platform.configuration
    return {
        "smt_enabled": None if stated is None else stated.smt_enabled,
        "dynamic_platform": None if stated is None else stated.dynamic_platform,
        "cached_keys": None if stated is None else stated.cached_keys,
    }
