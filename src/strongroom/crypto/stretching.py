"""Argon2id (RFC 9106): named parameter profiles, so that an old one stays readable and a new one can be chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

__all__ = ["INSECURE_FOR_TESTS_ONLY", "RFC_9106_LOW_MEMORY", "StretchProfile", "profile", "stretch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchProfile:
    """Cost of one guess. ``memory_kib`` is in KiB, ``passes`` and ``lanes`` are counts."""

    name: str
    memory_kib: int
    passes: int
    lanes: int


RFC_9106_LOW_MEMORY: Final = StretchProfile(name="rfc9106-low-memory", memory_kib=64 * 1024, passes=3, lanes=4)
"""The second recommended option of RFC 9106 section 4: 64 MiB, 3 passes, 4 lanes."""

INSECURE_FOR_TESTS_ONLY: Final = StretchProfile(name="insecure-for-tests-only", memory_kib=32, passes=1, lanes=1)
"""Costs nothing to guess. Clients refuse it unless their own configuration names it."""

_PROFILES: Final = {known.name: known for known in (RFC_9106_LOW_MEMORY, INSECURE_FOR_TESTS_ONLY)}


def profile(name: str) -> StretchProfile | None:
    """Find a profile by its name; the server cannot invent a cheaper one."""
    return _PROFILES.get(name)


def stretch(secret: bytes, salt: bytes, cost: StretchProfile, *, length: int = 32) -> bytes:
    """Stretch a low-entropy secret with a salt of at least 8 bytes."""
    return Argon2id(
        salt=salt, length=length, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib
    ).derive(secret)
