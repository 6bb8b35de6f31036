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
from strongroom.formats.measurements import (
    MEASUREMENT_BYTES,
    TD_MEASUREMENT_BYTES,
    MrConfigId,
    MrEnclave,
    MrOwner,
    MrOwnerConfig,
    MrSeam,
    MrServiceTd,
    MrSigner,
    MrTd,
    Rtmr,
)
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import NO_SERVICE_TD, TdAttributes
from strongroom.verifier.anchors import INTEL_SGX_ROOT, Anchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.base.canonical import Value

__all__ = [
    "ANY",
    "INTEL_SGX_ROOT",
    "NO_SERVICE_TD",
    "PLATFORM_FLAGS",
    "TD_MEASUREMENTS",
    "Anchor",
    "AnyValue",
    "AppraisalPolicy",
    "SignerRule",
    "TcbRule",
    "TdAttributes",
    "TdRule",
    "policy_digest",
]

PPID_BYTES: Final = 16
TD_MEASUREMENTS: Final = (
    "mr_td",
    "rtmr_0",
    "rtmr_1",
    "rtmr_2",
    "rtmr_3",
    "mr_config_id",
    "mr_owner",
    "mr_owner_config",
    "mr_service_td",
)
"""The fields of a ``TdRule`` that are a value of 48 bytes or ``ANY``."""

PLATFORM_FLAGS: Final = ("smt_enabled", "dynamic_platform", "cached_keys")
"""The fields of a policy that want a setting of the platform on, off, or do not look at it (``ANY``)."""

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
class TdRule:
    """Accepts trust domains whose measurements are exactly these (48 bytes each), where they are not ``ANY``.

    ``mr_seam``: the TDX modules accepted (``ANY``: whichever the TCB info vouches for). ``mr_service_td``: the service
    domains bound; ``NO_SERVICE_TD`` for none, which is also what a report of TD 1.0 counts as.
    ``accepted_attributes``: the attributes that may be set beside ``SEPT_VE_DISABLE``; ``DEBUG`` among them gives the
    domain's memory to its host, ``MIGRATABLE`` its future to a service domain.
    ``require_sept_ve_disable``: without that attribute the host may confuse a guest that is not prepared.
    ``accept_seam_attributes``: take a TDX module whose attributes are not zero, if the TCB info does.
    """

    mr_td: MrTd | AnyValue
    rtmr_0: Rtmr | AnyValue
    rtmr_1: Rtmr | AnyValue
    rtmr_2: Rtmr | AnyValue
    rtmr_3: Rtmr | AnyValue
    mr_config_id: MrConfigId | AnyValue
    mr_owner: MrOwner | AnyValue
    mr_owner_config: MrOwnerConfig | AnyValue
    mr_service_td: MrServiceTd | AnyValue
    mr_seam: frozenset[MrSeam] | AnyValue
    accepted_attributes: TdAttributes
    require_sept_ve_disable: bool
    accept_seam_attributes: bool

    def __post_init__(self) -> None:
        for name in TD_MEASUREMENTS:
            value: bytes | AnyValue = getattr(self, name)
            if value is not ANY and len(value) != TD_MEASUREMENT_BYTES:
                raise Misconfigured(f"{name} has {TD_MEASUREMENT_BYTES} bytes", setting="trust_domains")
        if self.mr_seam is not ANY and any(len(item) != TD_MEASUREMENT_BYTES for item in self.mr_seam):
            raise Misconfigured(f"mr_seam has {TD_MEASUREMENT_BYTES} bytes", setting="trust_domains")
        if self.accepted_attributes.reserved:
            raise Misconfigured("a reserved attribute cannot be accepted", setting="trust_domains")

    def to_canonical(self) -> dict[int | str | bytes, Value]:
        """Give the rule as a map for ``base.canonical``."""
        values: dict[int | str | bytes, Value] = {name: _or_any(getattr(self, name)) for name in TD_MEASUREMENTS}
        return values | {
            "mr_seam": "any" if self.mr_seam is ANY else _ascending(self.mr_seam),
            "accepted_attributes": self.accepted_attributes.value.to_bytes(8, "little"),
            "require_sept_ve_disable": self.require_sept_ve_disable,
            "accept_seam_attributes": self.accept_seam_attributes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbRule:
    """Accepts a TCB status, for one measurement or any, when every advisory is among ``advisories``.

    ``measurement`` is an MRENCLAVE (32 bytes) or an MRTD (48). ``maximum_tcb_age`` counts from the TCB date of
    the levels that give the status: a period of grace in which a platform may be updated.
    """

    status: TcbStatus
    measurement: MrEnclave | MrTd | AnyValue
    advisories: frozenset[str] | AnyValue
    maximum_tcb_age: timedelta | AnyValue

    def to_canonical(self) -> dict[int | str | bytes, Value]:
        """Give the rule as a map for ``base.canonical``."""
        age = self.maximum_tcb_age
        return {
            "status": self.status.value,
            "measurement": _or_any(self.measurement),
            "advisories": "any" if self.advisories is ANY else _ascending(self.advisories),
            "maximum_tcb_age_seconds": "any" if age is ANY else int(age.total_seconds()),
        }


class _Digested:
    """Room for the digest, which is not a setting."""

    __slots__ = ("_digest",)
    _digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AppraisalPolicy(_Digested):
    """One policy.

    ``mr_enclaves`` and ``signers``: an enclave is accepted when its measurement is listed or one signer rule fits.
    ``trust_domains``: a trust domain is accepted when one rule fits. Without a rule of its kind nothing is.
    ``tcb``: the status is accepted when one rule fits; ``Revoked`` never is.
    ``maximum_collateral_age``: how old TCB info, QE identity and PCK CRL may be (``ANY``: until they expire).
    ``expired_collateral_grace``: how long after their end CRLs and documents are still taken (zero: not at all).
    ``platforms``: PPIDs (16 bytes each) of the machines accepted. One extracted attestation key forges evidence of
    any code, and only such a list limits that.
    ``smt_enabled``, ``dynamic_platform``, ``cached_keys``: settings of the platform that must be on or off; one that
    the platform's certificate leaves undefined is neither. They are what the status ``ConfigurationNeeded`` is about.
    """

    anchors: tuple[Anchor, ...]
    accept_simulated_platform: bool
    accept_debug_enclaves: bool
    mr_enclaves: frozenset[MrEnclave]
    signers: tuple[SignerRule, ...]
    trust_domains: tuple[TdRule, ...]
    tcb: tuple[TcbRule, ...]
    minimum_tcb_evaluation_data_number: int
    maximum_collateral_age: timedelta | AnyValue
    expired_collateral_grace: timedelta
    platforms: frozenset[bytes] | AnyValue
    smt_enabled: bool | AnyValue
    dynamic_platform: bool | AnyValue
    cached_keys: bool | AnyValue

    def __post_init__(self) -> None:
        if any(rule.status is TcbStatus.REVOKED for rule in self.tcb):
            raise Misconfigured("a policy cannot accept the TCB status Revoked", setting="tcb")
        digests = [*self.mr_enclaves, *(rule.mr_signer for rule in self.signers)]
        if any(len(digest) != MEASUREMENT_BYTES for digest in digests):
            raise Misconfigured(f"a measurement of SGX has {MEASUREMENT_BYTES} bytes", setting="mr_enclaves")
        lengths = (MEASUREMENT_BYTES, TD_MEASUREMENT_BYTES)
        if any(rule.measurement is not ANY and len(rule.measurement) not in lengths for rule in self.tcb):
            raise Misconfigured("a measurement has 32 bytes (MRENCLAVE) or 48 (MRTD)", setting="tcb")
        if self.platforms is not ANY and any(len(ppid) != PPID_BYTES for ppid in self.platforms):
            raise Misconfigured(f"a PPID has {PPID_BYTES} bytes", setting="platforms")
        ages = [rule.maximum_tcb_age for rule in self.tcb if rule.maximum_tcb_age is not ANY]
        if min([self.expired_collateral_grace, *ages]).total_seconds() < 0:
            raise Misconfigured("a period of time is not negative", setting="expired_collateral_grace")

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
            "trust_domains": [rule.to_canonical() for rule in self.trust_domains],
            "tcb": [rule.to_canonical() for rule in self.tcb],
            "minimum_tcb_evaluation_data_number": self.minimum_tcb_evaluation_data_number,
            "maximum_collateral_age_seconds": "any" if age is ANY else int(age.total_seconds()),
            "expired_collateral_grace_seconds": int(self.expired_collateral_grace.total_seconds()),
            "platforms": "any" if self.platforms is ANY else _ascending(self.platforms),
            "smt_enabled": _or_any(self.smt_enabled),
            "dynamic_platform": _or_any(self.dynamic_platform),
            "cached_keys": _or_any(self.cached_keys),
        }

    @property
    def digest(self) -> bytes:
        """SHA-256 over the canonical encoding, 32 bytes; computed once."""
        try:
            return self._digest
        except AttributeError:
            digest = policy_digest(self.to_canonical())
            object.__setattr__(self, "_digest", digest)  # follows from the settings, which nothing changes
            return digest


def policy_digest(encoded: Value) -> bytes:
    """Give the digest of a policy, single or composed, by its map for ``base.canonical``; 32 bytes."""
    return labelled_hash("strongroom appraisal policy v1", canonical.encode(encoded))


def _or_any(value: bytes | bool | AnyValue) -> Value:
    return "any" if isinstance(value, AnyValue) else value


def _ascending(items: Iterable[TextOrBytes]) -> list[Value]:
    values: list[Value] = []
    values.extend(sorted(items))
    return values
