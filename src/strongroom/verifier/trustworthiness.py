"""The trustworthiness vector of an attestation result: AR4SI's eight claims (draft-ietf-rats-ar4si-10 section 2.3).

One table, docs/spec/attestation-results.md section 2, says which claim follows from what. A claim is made only about
what was appraised; the worst that applies is what is claimed. A simulated platform or a debug enclave never gets an
affirming vector, whatever a policy accepts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Check
from strongroom.verifier.policy import ANY, AnyValue
from strongroom.verifier.policy_compose import every_part
from strongroom.verifier.result import SgxClaims

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from strongroom.base.findings import Finding
    from strongroom.verifier.policy import AppraisalPolicy
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.result import AttestationResult

__all__ = ["CLAIM_LABELS", "Tier", "TrustworthinessVector", "tier_of", "vector_of_findings", "vector_of_result"]


class Tier(IntEnum):
    """The four tiers by the number that stands for each; the greater, the worse."""

    NONE = 0
    AFFIRMING = 2
    WARNING = 32
    CONTRAINDICATED = 96

    @property
    def label(self) -> str:
        """The tier's name in JSON."""
        return self.name.lower()


CLAIM_LABELS: Final = {
    "instance-identity": 0,
    "configuration": 1,
    "executables": 2,
    "file-system": 3,
    "hardware": 4,
    "runtime-opaque": 5,
    "storage-opaque": 6,
    "sourced-data": 7,
}
"""The claims by their names in JSON and numbers in CBOR (draft-ietf-rats-ar4si-10 section 3.1)."""


def tier_of(value: int) -> Tier:
    """Give the tier of a claim's value from -128 to 127 (section 2.3.2); ``ValueError`` for any other."""
    if not -128 <= value <= 127:
        raise ValueError("a trustworthiness claim is from -128 to 127")
    if -1 <= value <= 1:
        return Tier.NONE
    if -32 <= value <= 31:
        return Tier.AFFIRMING
    return Tier.WARNING if -96 <= value <= 95 else Tier.CONTRAINDICATED


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustworthinessVector:
    """The eight claims; zero makes none. Values are from -128 to 127."""

    instance_identity: int = 0
    configuration: int = 0
    executables: int = 0
    file_system: int = 0
    hardware: int = 0
    runtime_opaque: int = 0
    storage_opaque: int = 0
    sourced_data: int = 0

    def __post_init__(self) -> None:
        for value in self.claims().values():
            tier_of(value)

    def claims(self) -> dict[str, int]:
        """Give the claims that are made, by their names in JSON."""
        values = ((item.name.replace("_", "-"), getattr(self, item.name)) for item in fields(self))
        return {name: value for name, value in values if value}

    @classmethod
    def from_claims(cls, claims: Mapping[str, int]) -> TrustworthinessVector:
        """Make a vector of claims by their names in JSON; unknown names are left out, as the draft has it."""
        return cls(**{name.replace("-", "_"): value for name, value in claims.items() if name in CLAIM_LABELS})

    @property
    def tier(self) -> Tier:
        """The worst tier of any claim; ``NONE`` when there is none."""
        return max((tier_of(value) for value in self.claims().values()), default=Tier.NONE)


# Values of draft-ietf-rats-ar4si-10 section 2.3.4, named.
_RECOGNISED_INSTANCE: Final = 2
_UNTRUSTWORTHY_INSTANCE: Final = 96
_UNRECOGNISED_INSTANCE: Final = 97
_NO_KNOWN_VULNERABILITIES: Final = 3
_VULNERABLE_CONFIGURATION: Final = 32
_CONFIGURATION_UNAVAILABLE: Final = 36
_APPROVED_AT_START: Final = 3
_UNRECOGNISED_CODE: Final = 33
_GENUINE_HARDWARE: Final = 2
_VULNERABLE_HARDWARE: Final = 32
_CONTRAINDICATED_HARDWARE: Final = 96
_UNRECOGNISED_HARDWARE: Final = 97
_OPAQUE: Final = 2
_VISIBLE: Final = 96
_NOT_AUTHENTIC: Final = 99

_BY_STATUS: Final[Mapping[str, tuple[int, int]]] = {
    "UpToDate": (_GENUINE_HARDWARE, _NO_KNOWN_VULNERABILITIES),
    "SWHardeningNeeded": (_VULNERABLE_HARDWARE, _NO_KNOWN_VULNERABILITIES),
    "ConfigurationNeeded": (_GENUINE_HARDWARE, _VULNERABLE_CONFIGURATION),
    "ConfigurationAndSWHardeningNeeded": (_VULNERABLE_HARDWARE, _VULNERABLE_CONFIGURATION),
    "TDRelaunchAdvised": (_VULNERABLE_HARDWARE, _NO_KNOWN_VULNERABILITIES),
    "TDRelaunchAdvisedConfigurationNeeded": (_VULNERABLE_HARDWARE, _VULNERABLE_CONFIGURATION),
    "OutOfDate": (_VULNERABLE_HARDWARE, _CONFIGURATION_UNAVAILABLE),
    "OutOfDateConfigurationNeeded": (_VULNERABLE_HARDWARE, _VULNERABLE_CONFIGURATION),
    "Revoked": (_CONTRAINDICATED_HARDWARE, _CONFIGURATION_UNAVAILABLE),
}
"""What each TCB status says of hardware and of configuration."""

_APPRAISED: Final = ("instance-identity", "configuration", "executables", "hardware", "runtime-opaque")
_BY_CHECK: Final[Mapping[Check, Mapping[str, int]]] = {
    Check.SIGNATURE: dict.fromkeys(_APPRAISED, _NOT_AUTHENTIC),
    Check.CHAIN: dict.fromkeys(_APPRAISED, _NOT_AUTHENTIC),
    Check.KEY_BINDING: dict.fromkeys(_APPRAISED, _NOT_AUTHENTIC),
    Check.REVOCATION: {"instance-identity": _UNTRUSTWORTHY_INSTANCE, "hardware": _CONTRAINDICATED_HARDWARE},
    Check.EXPIRY: {"configuration": _CONFIGURATION_UNAVAILABLE},
    Check.FRESHNESS: {"configuration": _CONFIGURATION_UNAVAILABLE},
    Check.QE_IDENTITY: {"hardware": _UNRECOGNISED_HARDWARE},
    Check.TCB_STATUS: {"hardware": _CONTRAINDICATED_HARDWARE},
    Check.ADVISORY: {"hardware": _CONTRAINDICATED_HARDWARE},
    Check.MEASUREMENT: {"executables": _UNRECOGNISED_CODE},
    Check.SIGNER: {"executables": _UNRECOGNISED_CODE},
    Check.DEBUG: {"runtime-opaque": _VISIBLE},
    Check.PLATFORM: {"instance-identity": _UNRECOGNISED_INSTANCE},
    Check.CONFIGURATION: {"configuration": _VULNERABLE_CONFIGURATION},
    Check.TDX_MODULE: {"hardware": _UNRECOGNISED_HARDWARE},
    Check.DEPLOYMENT: {"instance-identity": _UNRECOGNISED_INSTANCE},
    Check.SIMULATED: {"hardware": _UNRECOGNISED_HARDWARE, "runtime-opaque": _VISIBLE},
    Check.SECOND_OPINION: {"hardware": _UNRECOGNISED_HARDWARE},
    Check.VERIFIER: {"configuration": _CONFIGURATION_UNAVAILABLE},
}
"""What a finding says. Nothing is affirmed where something was found."""


def vector_of_result(result: AttestationResult, policy: Policy) -> TrustworthinessVector:
    """Give the vector of what a policy accepted; ``ValueError`` when it was another policy.

    The instance is recognised where the policy accepts listed platforms only. A trust domain's code is approved where
    the policy names all that it starts with, registers 0 to 2 included.
    """
    if policy.digest != result.policy_digest:
        raise ValueError("the result was made under another policy")
    if result.simulated:  # a simulator signs what it likes, so nothing about code or instance was learnt
        return TrustworthinessVector(hardware=_UNRECOGNISED_HARDWARE, runtime_opaque=_VISIBLE)
    hardware, configuration = _BY_STATUS[result.tcb.status.value]
    if result.tcb.advisories:
        hardware = max(hardware, _VULNERABLE_HARDWARE)
    if len(result.confessions) > result.claims.debug:  # another leniency than debug, such as expired collateral
        configuration = max(configuration, _CONFIGURATION_UNAVAILABLE)
    named = isinstance(result.claims, SgxClaims) or every_part(policy, _names_registers)
    code = _APPROVED_AT_START if named else _UNRECOGNISED_CODE
    return TrustworthinessVector(
        instance_identity=_RECOGNISED_INSTANCE if every_part(policy, _lists_platforms) else 0,
        configuration=configuration,
        executables=0 if result.claims.debug else code,  # the host of a debug enclave changes its code
        hardware=hardware,
        runtime_opaque=_VISIBLE if result.claims.debug else _OPAQUE,
    )


def vector_of_findings(findings: Sequence[Finding]) -> TrustworthinessVector:
    """Give the vector of refused evidence: of each claim the worst that any finding says."""
    return TrustworthinessVector.from_claims(_worst(_BY_CHECK[finding.check] for finding in findings))


def _lists_platforms(policy: AppraisalPolicy) -> bool:
    return not isinstance(policy.platforms, AnyValue)


def _names_registers(policy: AppraisalPolicy) -> bool:
    registers = ("mr_td", "rtmr_0", "rtmr_1", "rtmr_2")
    return all(getattr(rule, name) is not ANY for rule in policy.trust_domains for name in registers)


def _worst(maps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    worst: dict[str, int] = {}
    for claims in maps:
        for name, value in claims.items():
            worst[name] = max(value, worst.get(name, 0))
    return worst
