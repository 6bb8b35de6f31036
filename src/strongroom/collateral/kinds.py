"""What collateral is asked for by: the kind of TEE, the kind of platform, and the CA that certified the platform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from strongroom.base.errors import Malformed, MalformedCollateral, MalformedQuote
from strongroom.crypto.certificates import parse_pem_chain
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.quote import parse_quote
from strongroom.formats.quote_parts import PCK_CERTIFICATE_CHAIN

__all__ = ["FMSPC_BYTES", "PckCa", "PlatformKind", "TeeKind", "ca_of"]

FMSPC_BYTES: Final = 6


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
        quote = parse_quote(evidence)
        if quote.certification_data_type != PCK_CERTIFICATE_CHAIN:
            raise MalformedQuote("the quote does not carry its PCK certificate chain", path="quote.certification")
        try:
            leaf = parse_pem_chain(quote.certification_data, path="quote.certification")[0]
            extension = PckExtension.from_bytes(leaf.extensions.get(PCK_EXTENSION_OID, b""))
            tee = TeeKind(quote.header.tee_type.name.lower())
            return cls(tee=tee, fmspc=extension.fmspc, ca=ca_of(leaf.issuer_common_name))
        except MalformedCollateral as cause:
            raise MalformedQuote(str(cause)) from cause


def ca_of(common_name: str) -> PckCa:
    """Tell a PCK CA by its certificate's name, or raise ``MalformedCollateral``."""
    for ca in PckCa:
        if common_name.endswith(f" SGX PCK {ca.capitalize()} CA"):
            return ca
    raise MalformedCollateral(f"{ascii(common_name)[:80]} is neither of the two PCK CAs", path="PCK CA")
