"""Appraisal of evidence: the trust decision as a pure function of bytes, collateral, policy and an instant."""

from strongroom.verifier.anchors import INTEL_SGX_ROOT, Anchor
from strongroom.verifier.appraisal import appraise, assess
from strongroom.verifier.memo import Memo
from strongroom.verifier.policy import ANY, NO_SERVICE_TD, AppraisalPolicy, SignerRule, TcbRule, TdAttributes, TdRule
from strongroom.verifier.policy_compose import AllOf, AnyOf
from strongroom.verifier.result import Advisory, Assessment, AttestationResult

__all__ = [
    "ANY",
    "INTEL_SGX_ROOT",
    "NO_SERVICE_TD",
    "Advisory",
    "AllOf",
    "Anchor",
    "AnyOf",
    "AppraisalPolicy",
    "Assessment",
    "AttestationResult",
    "Memo",
    "SignerRule",
    "TcbRule",
    "TdAttributes",
    "TdRule",
    "appraise",
    "assess",
]
