"""Appraisal policy for evidence: which code on which platforms in which state is accepted.

Every field is set by whoever writes a policy; none has a default that accepts. An empty list accepts nothing. What is
deliberately left open is spelled ``ANY``. A policy has one canonical encoding and so one digest, which every result
carries. Reading and writing TOML is in ``policy_file``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar

from strongroom.base import canonical
from strongroom.base.errors import Misconfigured
from strongroom.crypto.hashing import labelled_hash
from strongroom.formats.measurements import MEASUREMENT_BYTES, MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.anchors import INTEL_SGX_ROOT, Anchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.base.canonical import Value

__all__ = ["ANY", "INTEL_SGX_ROOT", "Anchor", "AnyValue", "AppraisalPolicy", "SignerRule", "TcbRule"]

PPID_BYTES: Final = 16
TextOrBytes = TypeVar("TextOrBytes", str, bytes)


class AnyValue(Enum):
    """The type of ``ANY``."""

    ANY = "any"


ANY: Final = AnyValue.ANY
"""Not looked at, on purpose. It cannot come about by leaving something out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerRule:
    """Accepts any code that this signer's key signed as product ``isv_prod_id``, from ``minimum_isv_svn`` on."""

    mr_signer: MrSigner
    isv_prod_id: int
    minimum_isv_svn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbRule:
    """Accepts a TCB status, for one measurement or any, when every advisory is among ``advisories``."""

    status: TcbStatus
    mr_enclave: MrEnclave | AnyValue
    advisories: frozenset[str] | AnyValue


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisalPolicy:
    """One policy.

    ``mr_enclaves`` and ``signers``: code is accepted when its measurement is listed or one signer rule fits.
    ``tcb``: the status is accepted when one rule fits; ``Revoked`` never is.
    ``maximum_collateral_age``: how old TCB info, QE identity and PCK CRL may be (``ANY``: until they expire).
    ``expired_collateral_grace``: how long after their end CRLs and documents are still taken (zero: not at all).
    ``platforms``: PPIDs (16 bytes each) of the machines accepted. One extracted attestation key forges evidence of
    any code, and only such a list limits that.
    """

    anchors: tuple[Anchor, ...]
    accept_simulated_platform: bool
    accept_debug_enclaves: bool
    mr_enclaves: frozenset[MrEnclave]
    signers: tuple[SignerRule, ...]
    tcb: tuple[TcbRule, ...]
    minimum_tcb_evaluation_data_number: int
    maximum_collateral_age: timedelta | AnyValue
    expired_collateral_grace: timedelta
    platforms: frozenset[bytes] | AnyValue

    def __post_init__(self) -> None:
        if any(rule.status is TcbStatus.REVOKED for rule in self.tcb):
            raise Misconfigured("a policy cannot accept the TCB status Revoked", setting="tcb")
        digests = [*self.mr_enclaves, *(rule.mr_signer for rule in self.signers)]
        digests += [rule.mr_enclave for rule in self.tcb if rule.mr_enclave is not ANY]
        if any(len(digest) != MEASUREMENT_BYTES for digest in digests):
            raise Misconfigured(f"a measurement has {MEASUREMENT_BYTES} bytes", setting="mr_enclaves")
        if self.platforms is not ANY and any(len(ppid) != PPID_BYTES for ppid in self.platforms):
            raise Misconfigured(f"a PPID has {PPID_BYTES} bytes", setting="platforms")
        if self.expired_collateral_grace.total_seconds() < 0:
            raise Misconfigured("a grace period is not negative", setting="expired_collateral_grace")

    def to_canonical(self) -> dict[int | str | bytes, Value]:
        """Give the policy as a map for ``base.canonical``; sets in ascending order, ``ANY`` as the text ``any``."""
        age = self.maximum_collateral_age
        return {
            "version": 1,
            "anchors": [
                {"name": item.name, "public_key": item.spki, "simulated": item.simulated, "vendor": item.vendor}
                for item in self.anchors
            ],
            "accept_simulated_platform": self.accept_simulated_platform,
            "accept_debug_enclaves": self.accept_debug_enclaves,
            "mr_enclaves": _ascending(self.mr_enclaves),
            "signers": [
                {
                    "mr_signer": rule.mr_signer,
                    "isv_prod_id": rule.isv_prod_id,
                    "minimum_isv_svn": rule.minimum_isv_svn,
                }
                for rule in self.signers
            ],
            "tcb": [
                {
                    "status": rule.status.value,
                    "mr_enclave": "any" if rule.mr_enclave is ANY else rule.mr_enclave,
                    "advisories": "any" if rule.advisories is ANY else _ascending(rule.advisories),
                }
                for rule in self.tcb
            ],
            "minimum_tcb_evaluation_data_number": self.minimum_tcb_evaluation_data_number,
            "maximum_collateral_age_seconds": "any" if age is ANY else int(age.total_seconds()),
            "expired_collateral_grace_seconds": int(self.expired_collateral_grace.total_seconds()),
            "platforms": "any" if self.platforms is ANY else _ascending(self.platforms),
        }

    @property
    def digest(self) -> bytes:
        """SHA-256 over the canonical encoding, 32 bytes."""
        return labelled_hash("strongroom appraisal policy v1", canonical.encode(self.to_canonical()))


def _ascending(items: Iterable[TextOrBytes]) -> list[Value]:
    values: list[Value] = []
    values.extend(sorted(items))
    return values
