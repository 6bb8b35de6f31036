from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.formats.pck_extension import PckTcb
from strongroom.formats.tcb_levels import IsvSvnLevel, TcbStatus
from strongroom.testing.intel_pki import AT, levels
from strongroom.verifier.tcb import converge, isv_svn_level, platform_level, shortfalls

U, S, C, CS = (
    TcbStatus.UP_TO_DATE,
    TcbStatus.SW_HARDENING_NEEDED,
    TcbStatus.CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
)
O, OC, R = TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, TcbStatus.REVOKED  # noqa: E741
PLATFORMS = (U, S, C, CS, O, OC, R)
TABLE = {
    U: PLATFORMS,
    S: PLATFORMS,
    C: PLATFORMS,
    CS: PLATFORMS,
    O: (O, O, OC, OC, O, OC, R),
    OC: (O, O, OC, OC, O, OC, R),
    R: (R,) * 7,
}


@pytest.mark.parametrize("quoting_enclave", TABLE)
@pytest.mark.parametrize("index", range(7))
def test_every_cell_of_intels_table(quoting_enclave: TcbStatus, index: int) -> None:
    assert converge(PLATFORMS[index], quoting_enclave) is TABLE[quoting_enclave][index]


svns = st.lists(st.integers(0, 3), min_size=16, max_size=16).map(tuple)


@given(svns, st.permutations([(3, U, ()), (2, S, ()), (1, O, ())]))
def test_the_level_does_not_depend_on_the_documents_order(components: tuple[int, ...], order: list[object]) -> None:
    tcb = PckTcb(components=(components[0], *([255] * 15)), pce_svn=13, cpu_svn=bytes(16))
    level = platform_level(levels(*order), tcb)  # type: ignore[arg-type]
    expected = {3: U, 2: S, 1: O, 0: None}[components[0]]
    assert (level.status if level else None) is expected


def test_shortfalls_name_what_is_below_the_newest_level() -> None:
    top = levels((12, U, ()), (5, O, ()))
    tcb = PckTcb(components=(11, 12, 3, 3, 255, 255, 0, *([0] * 9)), pce_svn=12, cpu_svn=bytes(16))
    assert shortfalls(top, tcb) == (
        "component 1 is 11, the newest level has 12",
        "component 7 is 0, the newest level has 1",
        "PCESVN is 12, the newest level has 13",
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True), st.integers(0, 9))
def test_an_enclaves_level_is_the_highest_it_reaches(have: list[int], isv_svn: int) -> None:
    of = [IsvSvnLevel(isv_svn=item, tcb_date=AT, status=U) for item in have]
    level = isv_svn_level(of, isv_svn)
    reached = [item for item in have if item <= isv_svn]
    assert (level.isv_svn if level else None) == (max(reached) if reached else None)
