"""Policies that differ from a sound one in one setting each, by the setting's name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from strongroom.formats.measurements import MrEnclave, MrSeam, MrServiceTd, MrSigner, MrTd, Rtmr
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import NO_SERVICE_TD, TdAttributes
from strongroom.verifier import ANY, INTEL_SGX_ROOT, Anchor, AppraisalPolicy, SignerRule, TcbRule
from strongroom.verifier.policy import PLATFORM_FLAGS, TD_MEASUREMENTS, TdRule

CODE = MrEnclave(b"\x01" * 32)
OTHER_CODE = MrEnclave(b"\x02" * 32)
SIMULATED = Anchor(
    name="Strongroom Simulated SGX Root CA", spki=b"\x03" * 91, simulated=True, vendor="Strongroom Simulated"
)
SIGNER = SignerRule(mr_signer=MrSigner(b"\x04" * 32), isv_prod_id=1, minimum_isv_svn=3)
TCB = TcbRule(status=TcbStatus.UP_TO_DATE, measurement=ANY, advisories=frozenset(), maximum_tcb_age=ANY)
DOMAIN = TdRule(
    **{name: (Rtmr if name.startswith("rtmr") else MrTd)(name.encode().ljust(48, b".")) for name in TD_MEASUREMENTS}
    | {"mr_service_td": NO_SERVICE_TD},
    mr_seam=ANY,
    accepted_attributes=TdAttributes(0),
    require_sept_ve_disable=True,
    accept_seam_attributes=False,
)
SOUND = AppraisalPolicy(
    anchors=(INTEL_SGX_ROOT,),
    accept_simulated_platform=False,
    accept_debug_enclaves=False,
    mr_enclaves=frozenset({CODE}),
    signers=(),
    trust_domains=(),
    tcb=(TCB,),
    minimum_tcb_evaluation_data_number=18,
    maximum_collateral_age=timedelta(days=31),
    expired_collateral_grace=timedelta(0),
    platforms=frozenset({bytes(16)}),
    smt_enabled=False,
    dynamic_platform=ANY,
    cached_keys=ANY,
)


def tcb(**changes: Any) -> tuple[TcbRule, ...]:
    return (replace(TCB, **changes),)


def domain(**changes: Any) -> tuple[TdRule, ...]:
    return (replace(DOMAIN, **changes),)


_CHANGES: list[dict[str, Any]] = [
    {"anchors": ()},
    {"anchors": (SIMULATED,)},
    {"anchors": (INTEL_SGX_ROOT, SIMULATED)},
    {"anchors": (replace(INTEL_SGX_ROOT, simulated=True),)},
    {"anchors": (replace(INTEL_SGX_ROOT, name="X"),)},
    {"anchors": (replace(INTEL_SGX_ROOT, vendor="X"),)},
    {"anchors": (replace(INTEL_SGX_ROOT, spki=b"\x05" * 91),)},
    {"accept_simulated_platform": True},
    {"accept_debug_enclaves": True},
    {"mr_enclaves": frozenset()},
    {"mr_enclaves": frozenset({OTHER_CODE})},
    {"mr_enclaves": frozenset({CODE, OTHER_CODE})},
    {"signers": (SIGNER,)},
    {"signers": (replace(SIGNER, isv_prod_id=2),)},
    {"signers": (replace(SIGNER, minimum_isv_svn=2),)},
    {"signers": (replace(SIGNER, mr_signer=MrSigner(b"\x06" * 32)),)},
    {"trust_domains": (DOMAIN,)},
    *({"trust_domains": domain(**{name: ANY})} for name in TD_MEASUREMENTS),
    *({"trust_domains": domain(**{name: bytes(47) + b"!"})} for name in TD_MEASUREMENTS),
    {"trust_domains": domain(mr_service_td=MrServiceTd(b"\x07" * 48))},
    {"trust_domains": domain(mr_seam=frozenset())},
    {"trust_domains": domain(mr_seam=frozenset({MrSeam(b"\x08" * 48)}))},
    *({"trust_domains": domain(accepted_attributes=flag)} for flag in TdAttributes),
    {"trust_domains": domain(require_sept_ve_disable=False)},
    {"trust_domains": domain(accept_seam_attributes=True)},
    {"tcb": ()},
    {"tcb": tcb(status=TcbStatus.OUT_OF_DATE)},
    {"tcb": tcb(measurement=CODE)},
    {"tcb": tcb(measurement=MrTd(b"\x09" * 48))},
    {"tcb": tcb(advisories=ANY)},
    {"tcb": tcb(advisories=frozenset({"INTEL-SA-00001"}))},
    {"tcb": tcb(advisories=frozenset({"INTEL-SA-00001, INTEL-SA-00002"}))},
    {"tcb": tcb(advisories=frozenset({"INTEL-SA-00001", "INTEL-SA-00002"}))},
    {"tcb": tcb(maximum_tcb_age=timedelta(days=1))},
    {"tcb": tcb(maximum_tcb_age=timedelta(hours=1))},
    {"minimum_tcb_evaluation_data_number": 0},
    {"minimum_tcb_evaluation_data_number": 19},
    {"maximum_collateral_age": ANY},
    {"maximum_collateral_age": timedelta(days=31, seconds=1)},
    {"maximum_collateral_age": timedelta(0)},
    {"expired_collateral_grace": timedelta(minutes=61)},
    {"platforms": ANY},
    {"platforms": frozenset()},
    {"platforms": frozenset({bytes(15) + b"\x01"})},
    *({flag: value} for flag in PLATFORM_FLAGS for value in (ANY, True, False) if getattr(SOUND, flag) is not value),
]
VARIANTS = [replace(SOUND, **changes) for changes in _CHANGES]
CHANGED = {name for changes in _CHANGES for name in changes}
