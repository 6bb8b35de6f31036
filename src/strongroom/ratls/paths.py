"""Where a server keeps what lies beside its certificate, and how large it may be."""

from typing import Final

__all__ = ["COLLATERAL_PATH", "EVIDENCE_PATH", "MAX_STAPLED_COLLATERAL_BYTES"]

COLLATERAL_PATH: Final = "/.well-known/strongroom/ra-tls/collateral"
EVIDENCE_PATH: Final = "/.well-known/strongroom/ra-tls/evidence/"
"""Followed by SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal."""

MAX_STAPLED_COLLATERAL_BYTES: Final = 2 * 1024 * 1024  # a genuine set has about 30 KB
