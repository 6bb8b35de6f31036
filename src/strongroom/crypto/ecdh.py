"""One-time ECDH on P-256 (NIST SP 800-56A), as a TPM wants it: coordinates in, coordinates and a secret out."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["COORDINATE_BYTES", "InvalidPoint", "one_time_agreement"]

COORDINATE_BYTES = 32


class InvalidPoint(ValueError):
    """Coordinates of no point on the curve."""


def one_time_agreement(x: bytes, y: bytes) -> tuple[bytes, bytes, bytes]:
    """Agree with the holder of a public point, by a key drawn for this once: its x and y, and the shared x."""
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
        theirs = numbers.public_key()
    except ValueError as cause:
        raise InvalidPoint("not a point on P-256") from cause
    ours = ec.generate_private_key(ec.SECP256R1())
    point = ours.public_key().public_numbers()
    return (
        point.x.to_bytes(COORDINATE_BYTES, "big"),
        point.y.to_bytes(COORDINATE_BYTES, "big"),
        ours.exchange(ec.ECDH(), theirs),
    )
