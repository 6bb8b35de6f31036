"""What collateral is asked for by: the kind of TEE, the kind of platform, and the CA that certified the platform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from strongroom.base.errors import Malformed, MalformedCollateral, MalformedQuote
from strongroom.crypto.certificates import parse_pem_chain
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension

__all__ = ["FMSPC_BYTES", "PckCa", "PlatformKind", "TeeKind", "ca_of"]

FMSPC_BYTES: Final = 6
_MAX_EVIDENCE_BYTES: Final = 64 * 1024  # genuine quotes have 4 to 8 KB
_TEE_TYPES: Final = {0: "sgx", 0x81: "tdx"}  # header bytes 4 to 7; reserved and zero in version 3, which is SGX only
_CHAIN: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*-----END CERTIFICATE-----", re.DOTALL)


class TeeKind(StrEnum):
    """The kind of TEE, as it stands in the addresses of Intel's service."""

    SGX = "sgx"
    TDX = "tdx"


class PckCa(StrEnum):
    """Which of Intel's two CAs issued the PCK certificate: client and E3 processors, or scalable platforms."""

    PROCESSOR = "processor"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformKind:
    """All platforms that one set of collateral serves. ``fmspc`` has 6 bytes."""

    tee: TeeKind
    fmspc: bytes
    ca: PckCa

    def __post_init__(self) -> None:
        if len(self.fmspc) != FMSPC_BYTES:
            raise ValueError(f"an FMSPC has {FMSPC_BYTES} bytes")

    def __str__(self) -> str:
        return f"{self.tee}-{self.fmspc.hex().upper()}-{self.ca}"

    @classmethod
    def parse(cls, *, tee: str, fmspc: str, ca: str) -> PlatformKind:
        """Read what a person wrote, or raise ``Malformed``."""
        if not re.fullmatch(r"[0-9a-fA-F]{12}", fmspc, re.ASCII):
            raise Malformed("not 12 hexadecimal digits", path="FMSPC")
        try:
            return cls(tee=TeeKind(tee.lower()), fmspc=bytes.fromhex(fmspc), ca=PckCa(ca.lower()))
        except ValueError as cause:
            raise Malformed(str(cause), path="kind of platform") from cause

    @classmethod
    def of_evidence(cls, evidence: bytes) -> PlatformKind:
        """Find out what to ask for from a quote that carries its PCK chain, or raise ``MalformedQuote``.

        Nothing is verified: a quote that lies gets collateral of another platform, and the appraisal refuses it.
        """
        if len(evidence) > _MAX_EVIDENCE_BYTES:
            raise MalformedQuote(f"{len(evidence)} bytes, at most {_MAX_EVIDENCE_BYTES} are read", path="quote")
        tee = _TEE_TYPES.get(int.from_bytes(evidence[4:8], "little"))
        chain = _CHAIN.search(evidence)
        if tee is None or chain is None:
            raise MalformedQuote("no quote of SGX or TDX that carries its PCK certificate chain", path="quote")
        try:
            leaf = parse_pem_chain(chain[0], path="quote.certification")[0]
            extension = PckExtension.from_bytes(leaf.extensions.get(PCK_EXTENSION_OID, b""))
            return cls(tee=TeeKind(tee), fmspc=extension.fmspc, ca=ca_of(leaf.issuer_common_name))
        except MalformedCollateral as cause:
            raise MalformedQuote(str(cause)) from cause


def ca_of(common_name: str) -> PckCa:
    """Tell a PCK CA by its certificate's name, or raise ``MalformedCollateral``."""
    for ca in PckCa:
        if common_name.endswith(f" SGX PCK {ca.capitalize()} CA"):
            return ca
    raise MalformedCollateral(f"{ascii(common_name)[:80]} is neither of the two PCK CAs", path="PCK CA")
