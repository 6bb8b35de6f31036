"""Sets of collateral for tests: Intel's own, and generated ones that differ in what a test wants."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from strongroom.base.errors import CollateralUnavailable
from strongroom.collateral.checked import CheckedCollateral, check_collateral
from strongroom.collateral.kinds import PckCa, PlatformKind, TeeKind
from strongroom.formats.collateral import Collateral
from strongroom.testing.intel_pki import AT, IntelPki

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS = Path(__file__).parent / "vectors"
SGX_17 = "pcs/SGX-00906ED50000-processor-v3-ev17-20250527.json"
SGX_19 = "sgx/_collateral/SGX-00906ED50000-processor-v3-ev19-20250527.json"
SGX_17_OLDER = "sgx/_collateral/SGX-00906ED50000-processor-v3-ev17-20250328.json"
SGX_PLATFORM = "sgx/_collateral/SGX-00606A000000-platform-v3-ev17-20250815.json"
TDX_18 = "tdx/_collateral/TDX-90C06F000000-platform-v3-ev18-20260218.json"
REAL = (SGX_17, SGX_19, SGX_PLATFORM, TDX_18)
REAL_KIND = PlatformKind(tee=TeeKind.SGX, fmspc=bytes.fromhex("00906ED50000"), ca=PckCa.PROCESSOR)
REAL_AT = datetime(2025, 6, 10, tzinfo=UTC)
TDX_KIND = PlatformKind(tee=TeeKind.TDX, fmspc=bytes.fromhex("90C06F000000"), ca=PckCa.PLATFORM)
TDX_AT = datetime(2026, 3, 1, tzinfo=UTC)

ANCHORS = (IntelPki().anchor,)
KIND = PlatformKind(tee=TeeKind.SGX, fmspc=bytes.fromhex("30606a000000"), ca=PckCa.PLATFORM)
OTHER_KIND = PlatformKind(tee=TeeKind.SGX, fmspc=bytes.fromhex("00906ED50000"), ca=PckCa.PLATFORM)


def real(name: str) -> Collateral:
    return Collateral.from_json((VECTORS / name).read_bytes())


def generated(
    *,
    number: int = 18,
    days: int = 0,
    pck_crl: int = 1,
    root_crl: int = 1,
    crl_days: int | None = None,
    change: Callable[[IntelPki], None] | None = None,
) -> Collateral:
    """A set valid at ``AT`` that was issued some days later or earlier than others."""
    pki = IntelPki()
    shift = timedelta(days=days)
    crl_shift = shift if crl_days is None else timedelta(days=crl_days)
    dates = {"issue_date": pki.tcb_info.issue_date + shift, "next_update": pki.tcb_info.next_update + shift}
    pki.tcb_info = replace(pki.tcb_info, tcb_evaluation_data_number=number, **dates)
    pki.qe_identity = replace(pki.qe_identity, tcb_evaluation_data_number=number, **dates)
    for plan, value in ((pki.pck_crl, pck_crl), (pki.root_crl, root_crl)):
        plan.number = value
        plan.this_update += crl_shift
        plan.next_update += crl_shift
    if change is not None:
        change(pki)
    return pki.collateral()


def checked(collateral: Collateral) -> CheckedCollateral:
    return check_collateral(collateral, anchors=ANCHORS)


class ScriptedSource:
    """Gives what the script says, in turn, and the last of it for ever; an exception is raised."""

    def __init__(self, *script: CheckedCollateral | Exception) -> None:
        self.script = list(script)
        self.asked = 0
        self.name = "the scripted source"

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        self.asked += 1
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer.require(kind, at, resource=self.name)


def unavailable(retry_after: float | None = None) -> CollateralUnavailable:
    return CollateralUnavailable("the service is away", retry_after_seconds=retry_after)


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, span: timedelta) -> None:
        self.at += span
        self.seconds += span.total_seconds()
