"""From a device's trust settings to the terms of an exchange."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from strongroom.channel.client import ClientTerms
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.anchors import INTEL_SGX_ROOT, simulated_anchor
from strongroom.verifier.policy import ANY, AppraisalPolicy, TcbRule
from strongroom.verifier.policy_compose import policy_from_toml

if TYPE_CHECKING:
    from strongroom.client.profile import Trust
    from strongroom.formats.measurements import MrEnclave
    from strongroom.verifier.policy_compose import Policy

__all__ = ["standing_policy", "terms_of"]


def standing_policy(expected: MrEnclave, *, simulated_root: bytes | None) -> AppraisalPolicy:
    """Give the policy of a client that was given none: exactly this code, on an up-to-date platform, never debug.

    With ``simulated_root`` the evidence has to come from that simulated platform, and every result says so.
    """
    simulated = simulated_root is not None
    return AppraisalPolicy(
        anchors=(simulated_anchor(simulated_root),) if simulated_root is not None else (INTEL_SGX_ROOT,),
        accept_simulated_platform=simulated,
        accept_debug_enclaves=False,
        mr_enclaves=frozenset({expected}),
        signers=(),
        trust_domains=(),
        tcb=(TcbRule(status=TcbStatus.UP_TO_DATE, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY),),
        minimum_tcb_evaluation_data_number=0,
        maximum_collateral_age=ANY,
        expired_collateral_grace=timedelta(0),
        platforms=ANY,
        smt_enabled=ANY,
        dynamic_platform=ANY,
        cached_keys=ANY,
    )


def terms_of(trust: Trust, expected: MrEnclave) -> ClientTerms:
    """Give the terms on which this device talks to its store."""
    if trust.policy is not None:
        policy: Policy = policy_from_toml(trust.policy.encode())
    else:
        policy = standing_policy(expected, simulated_root=trust.simulated_root)
    return ClientTerms(policy=policy, deployment=trust.deployment)
