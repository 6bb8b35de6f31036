"""Where a server keeps what lies beside its certificate."""

from typing import Final

__all__ = ["COLLATERAL_PATH", "EVIDENCE_PATH"]

COLLATERAL_PATH: Final = "/.well-known/strongroom/ra-tls/collateral"
EVIDENCE_PATH: Final = "/.well-known/strongroom/ra-tls/evidence/"
"""Followed by SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal."""
