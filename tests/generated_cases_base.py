"""What a generated case is: a fault, what we find, and the TCB status when nothing is found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from generated_cases_pki import Sgx, Tdx
from strongroom.base.errors import MalformedCollateral, MalformedQuote
from strongroom.testing.intel_pki import AT
from strongroom.verifier import Memo, assess

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.formats.collateral import Collateral

__all__ = ["BOTH", "CASES", "DAY", "Case", "Verdict", "add", "ours"]

DAY = timedelta(days=1)
BOTH: tuple[type[Sgx | Tdx], ...] = (Sgx, Tdx)
UP_TO_DATE = "UpToDate"
MALFORMED_QUOTE, MALFORMED_COLLATERAL = "malformed quote", "malformed collateral"
MALFORMED = "malformed"
"""For a certificate that stands in the quote and in the collateral: whichever is read first."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault in one kind of plan. ``expected`` are findings ("check step"), or that something is malformed."""

    name: str
    plan: type[Sgx | Tdx]
    change: Callable[[Any], object]
    expected: frozenset[str]
    status: str
    quote: Callable[[bytes], bytes]
    collateral: Callable[[Collateral], Collateral]
    at: datetime

    def build(self) -> tuple[Any, bytes, Collateral]:
        """Give the plan with its fault, the evidence and the collateral."""
        pki = self.plan()
        self.change(pki)
        evidence, collateral = pki.build()
        return pki, self.quote(evidence), self.collateral(collateral)


@dataclass(frozen=True)
class Verdict:
    """What we say: findings, or none and a TCB status."""

    findings: frozenset[str]
    status: str

    @property
    def short(self) -> str:
        return self.status if not self.findings else ", ".join(sorted(self.findings))

    def is_of(self, case: Case) -> bool:
        """Tell whether this is exactly what the case expects."""
        if case.expected == {MALFORMED}:
            return self.findings in ({MALFORMED_QUOTE}, {MALFORMED_COLLATERAL})
        return self.findings == case.expected and self.status == (case.status if not case.expected else "")


CASES: dict[str, Case] = {}


def add(
    name: str,
    change: Callable[[Any], object],
    *expected: str,
    plans: tuple[type[Sgx | Tdx], ...] = BOTH,
    status: str = UP_TO_DATE,
    quote: Callable[[bytes], bytes] = lambda data: data,
    collateral: Callable[[Collateral], Collateral] = lambda parts: parts,
    at: datetime = AT,
) -> None:
    """List a case for each kind of plan."""
    for plan in plans:
        full = f"{plan.__name__}: {name}"
        if full in CASES:
            raise ValueError(f"two cases are named {full!r}")
        CASES[full] = Case(
            name=full,
            plan=plan,
            change=change,
            expected=frozenset(expected),
            status=status,
            quote=quote,
            collateral=collateral,
            at=at,
        )


def ours(pki: Any, evidence: bytes, collateral: Collateral, at: datetime, memo: Memo | None = None) -> Verdict:
    """Give our verdict without any policy."""
    try:
        found = assess(evidence, collateral, [pki.anchor], at=at, memo=memo)
    except MalformedQuote:
        return Verdict(frozenset({MALFORMED_QUOTE}), "")
    except MalformedCollateral:
        return Verdict(frozenset({MALFORMED_COLLATERAL}), "")
    findings = {f"{item.check.value} {item.section.removeprefix('appraisal ')}" for item in found.findings}
    return Verdict(frozenset(findings), found.tcb.status.value if found.tcb is not None and not findings else "")


def nothing(_: Any) -> None:
    """Change nothing."""


def setting(path: str, value: object) -> Callable[[Any], None]:
    """Make a change that sets an attribute of an attribute: ``leaf.serial``."""

    def change(pki: Any) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            pki = getattr(pki, parent)
        setattr(pki, last, value)

    return change


def replacing(path: str, **fields: object) -> Callable[[Any], None]:
    """Make a change that replaces fields of a frozen attribute: ``report``, ``extension.tcb``."""

    def change(pki: Any) -> None:
        first, _, inner = path.partition(".")
        whole = getattr(pki, first)
        new = replace(getattr(whole, inner), **fields) if inner else replace(whole, **fields)
        setattr(pki, first, replace(whole, **{inner: new}) if inner else new)

    return change
