"""What an appraisal can object to: one name for each check, and the finding that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Check", "Finding"]


class Check(StrEnum):
    """The checks by name. A refusal is a list of these, each with what was expected and what was found."""

    SIGNATURE = "signature"
    CHAIN = "chain"
    REVOCATION = "revocation"
    EXPIRY = "expiry"
    FRESHNESS = "freshness"
    KEY_BINDING = "key-binding"
    QE_IDENTITY = "qe-identity"
    TCB_STATUS = "tcb-status"
    ADVISORY = "advisory"
    MEASUREMENT = "measurement"
    SIGNER = "signer"
    DEBUG = "debug"
    PLATFORM = "platform"
    CONFIGURATION = "configuration"
    TDX_MODULE = "tdx-module"
    DEPLOYMENT = "deployment"
    SIMULATED = "simulated"
    SECOND_OPINION = "second-opinion"
    VERIFIER = "verifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One objection.

    ``section`` cites the numbered step of docs/spec (for instance ``"appraisal 4.2"``); ``expected`` and
    ``actual`` are short texts for people: digests, dates, status names, never secrets.
    """

    check: Check
    message: str
    section: str
    expected: str = ""
    actual: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"
