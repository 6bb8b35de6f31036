"""What dcap-qvl (the pinned version) takes and we refuse: the column of docs/spec/appraisal.md section 10, run.

Everything else that we object to before any policy, dcap-qvl refuses too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import dcap_qvl
import pytest

from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import assess

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES: dict[str, Callable[[IntelPki], None]] = {
    "leaf with another name": lambda pki: setattr(pki.leaf, "common_name", "Intel SGX PCK Certificat"),
    "intermediate with another name": lambda pki: setattr(pki.intermediate, "common_name", "Intel SGX Cloud CA"),
    "TCB signer with another name": lambda pki: setattr(pki.tcb_signer, "common_name", "Intel SGX Signing"),
}


def pck_leaf_signs_tcb_info(pki: IntelPki) -> None:
    pki.tcb_chain = [replace(pki.leaf, issuer=pki.root, serial=55), pki.root]


def tcb_info_of_another_pce(pki: IntelPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, pce_id=b"\x01\x00")


def root_crl_of_the_future(pki: IntelPki) -> None:
    pki.root_crl.this_update = AT.replace(day=2)


def pck_crl_of_the_future(pki: IntelPki) -> None:
    pki.pck_crl.this_update = AT.replace(day=2)


def leaf_that_may_certify(pki: IntelPki) -> None:
    pki.leaf.key_usages = frozenset({"digitalSignature", "keyCertSign"})


def intermediate_that_may_not_certify(pki: IntelPki) -> None:
    pki.intermediate.key_usages = frozenset({"cRLSign"})


def root_that_allows_no_intermediate(pki: IntelPki) -> None:
    pki.root.path_length = 0


def upper_half_of_the_report_data(pki: IntelPki) -> None:
    pki.qe_report_data = pki.quote().qe_report.report_data[:32] + b"\x01" * 32


ONLY_WE_REFUSE: dict[str, Callable[[IntelPki], None]] = {
    function.__name__: function
    for function in (
        pck_leaf_signs_tcb_info,
        tcb_info_of_another_pce,
        root_crl_of_the_future,
        pck_crl_of_the_future,
        leaf_that_may_certify,
        intermediate_that_may_not_certify,
        root_that_allows_no_intermediate,
        upper_half_of_the_report_data,
    )
} | NAMES


def theirs(pki: IntelPki, evidence: bytes | None = None) -> str:
    report = dcap_qvl.verify_with_root_ca(
        pki.quote().to_bytes() if evidence is None else evidence,
        dcap_qvl.QuoteCollateralV3.from_json(pki.collateral().to_json().decode()),
        pki.root.der(),
        int(AT.timestamp()),
    )
    return str(report.status)


def test_both_accept_the_unchanged_plan() -> None:
    pki = IntelPki("Intel")
    assert theirs(pki) == "UpToDate"
    assert assess(*pki.build(), [pki.anchor], at=AT).genuine


@pytest.mark.parametrize("name", ONLY_WE_REFUSE)
def test_only_we_refuse(name: str) -> None:
    pki = IntelPki("Intel")
    ONLY_WE_REFUSE[name](pki)
    assert theirs(pki) == "UpToDate"
    assert not assess(*pki.build(), [pki.anchor], at=AT).genuine


@pytest.mark.parametrize("length", [0, 33])
def test_only_we_accept_authentication_data_of_another_length(length: int) -> None:
    pki = IntelPki("Intel")
    pki.qe_auth_data = bytes(length)
    with pytest.raises(ValueError, match="auth data length"):
        theirs(pki)
    assert assess(*pki.build(), [pki.anchor], at=AT).genuine


def test_only_we_read_tcb_info_of_version_two() -> None:
    pki = IntelPki("Intel")
    pki.tcb_info = replace(pki.tcb_info, version=2)
    with pytest.raises(ValueError, match="sgxtcbcomponents"):
        theirs(pki)
    assert assess(*pki.build(), [pki.anchor], at=AT).genuine


def test_only_we_refuse_bytes_after_the_quote() -> None:
    from strongroom.base.errors import MalformedQuote

    pki = IntelPki("Intel")
    evidence = pki.quote().to_bytes() + b"appended"
    assert theirs(pki, evidence) == "UpToDate"
    with pytest.raises(MalformedQuote):
        assess(evidence, pki.collateral(), [pki.anchor], at=AT)
