"""Collateral: everything signed by the manufacturer that is needed to judge a quote, as one set of nine parts.

The JSON form has the nine keys that dcap-qvl writes. Whoever hands a set over cannot gain more by it than a refusal:
each part is signed, and the verifier checks each signature.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import MAX_CHAIN_BYTES, MAX_CRL_BYTES
from strongroom.formats.crl import crl_der
from strongroom.formats.signed_json import MAX_BODY_BYTES, Json, parse_texts, write_json

__all__ = ["MAX_COLLATERAL_BYTES", "Collateral"]

MAX_COLLATERAL_BYTES: Final = 16 * 1024 * 1024
_SIGNATURE_BYTES: Final = 64
_HEX_PARTS: Final = ("tcb_info_signature", "qe_identity_signature")
_CRL_PARTS: Final = ("root_ca_crl", "pck_crl")
_IGNORED: Final = "pck_certificate_chain"  # dcap-qvl may add it; the chain that is judged is the quote's own
_LIMITS: Final = {
    "pck_crl_issuer_chain": MAX_CHAIN_BYTES,
    "root_ca_crl": MAX_CRL_BYTES,
    "pck_crl": MAX_CRL_BYTES,
    "tcb_info_issuer_chain": MAX_CHAIN_BYTES,
    "tcb_info": MAX_BODY_BYTES,
    "tcb_info_signature": _SIGNATURE_BYTES,
    "qe_identity_issuer_chain": MAX_CHAIN_BYTES,
    "qe_identity": MAX_BODY_BYTES,
    "qe_identity_signature": _SIGNATURE_BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """One set. Chains are PEM text, CRLs DER, the two JSON bodies the bytes that are signed, signatures 64 bytes."""

    pck_crl_issuer_chain: bytes
    root_ca_crl: bytes
    pck_crl: bytes
    tcb_info_issuer_chain: bytes
    tcb_info: bytes
    tcb_info_signature: bytes
    qe_identity_issuer_chain: bytes
    qe_identity: bytes
    qe_identity_signature: bytes

    @classmethod
    def from_json(cls, data: bytes) -> Collateral:
        """Read a set, or raise ``MalformedCollateral``: nine texts, no other key, no part too long."""
        texts = parse_texts(data, path="collateral", max_bytes=MAX_COLLATERAL_BYTES)
        names = [part.name for part in fields(cls)]
        if surplus := sorted(set(texts) - {*names, _IGNORED}):
            raise MalformedCollateral(f"unknown key {surplus[0]!r}", path="collateral")
        return cls(**{name: _read_part(texts, name) for name in names})

    def to_json(self) -> bytes:
        """Write the set, CRLs and signatures in hexadecimal."""
        parts: dict[str, Json] = {}
        for name in _LIMITS:
            value: bytes = getattr(self, name)
            parts[name] = value.hex() if name in (*_HEX_PARTS, *_CRL_PARTS) else value.decode()
        return write_json(parts)


def _read_part(texts: dict[str, str], name: str) -> bytes:
    path = f"collateral.{name}"
    if name not in texts:
        raise MalformedCollateral("missing", path=path)
    try:
        value = texts[name].encode()
    except UnicodeEncodeError:
        raise MalformedCollateral("not text", path=path) from None
    if name in _HEX_PARTS:
        if len(value) != 2 * _SIGNATURE_BYTES or value.strip(b"0123456789abcdefABCDEF"):
            raise MalformedCollateral(f"not {_SIGNATURE_BYTES} bytes in hexadecimal", path=path)
        return bytes.fromhex(value.decode())
    if name in _CRL_PARTS:
        value = crl_der(value, path=path)
    if len(value) > _LIMITS[name]:
        raise MalformedCollateral(f"{len(value)} bytes, at most {_LIMITS[name]} are read", path=path)
    return value
