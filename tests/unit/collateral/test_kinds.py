from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collateral_sets import KIND, REAL_KIND
from evidence_vectors import QUOTES, TDX_QUOTES, TDX_VERDICTS, VERDICTS, case, damaged, read
from strongroom.base.errors import Malformed, MalformedCollateral, MalformedQuote
from strongroom.collateral.checked import check_collateral
from strongroom.collateral.kinds import PckCa, PlatformKind, TeeKind, ca_of
from strongroom.testing.intel_pki import IntelPki


def test_what_a_person_writes() -> None:
    assert PlatformKind.parse(tee="SGX", fmspc="00906ed50000", ca="Processor") == REAL_KIND
    assert str(REAL_KIND) == "sgx-00906ED50000-processor"


@pytest.mark.parametrize(
    ("tee", "fmspc", "ca"),
    [
        ("sev", "00906ED50000", "processor"),
        ("sgx", "00906ED5000", "processor"),
        ("sgx", "00906ED5000g", "processor"),
        ("sgx", "00906ED50000", "root"),
        ("sgx", "\N{FULLWIDTH DIGIT ZERO}0906ED50000", "processor"),
    ],
)
def test_what_is_no_kind(tee: str, fmspc: str, ca: str) -> None:
    with pytest.raises(Malformed):
        PlatformKind.parse(tee=tee, fmspc=fmspc, ca=ca)


def test_an_fmspc_has_six_bytes() -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        PlatformKind(tee=TeeKind.SGX, fmspc=bytes(5), ca=PckCa.PLATFORM)


def test_a_generated_quote_says_what_to_ask_for() -> None:
    assert PlatformKind.of_evidence(IntelPki().quote().to_bytes()) == KIND


@pytest.mark.parametrize("verdict", [*VERDICTS[::5], *TDX_VERDICTS[::5]], ids=lambda verdict: verdict["quote"])
def test_a_real_quote_asks_for_the_set_it_was_judged_by(verdict: object) -> None:
    evidence, collateral, _ = case(verdict)  # type: ignore[arg-type]
    assert PlatformKind.of_evidence(evidence) == check_collateral(collateral).kind


@given(st.one_of(st.binary(max_size=300), damaged([read(QUOTES[0]), read(TDX_QUOTES[0])])))
def test_any_bytes_give_a_kind_or_malformed_quote(data: bytes) -> None:
    try:
        PlatformKind.of_evidence(data)
    except MalformedQuote:
        return


def test_a_quote_without_its_chain_says_nothing() -> None:
    quote = replace(IntelPki().quote(), certification_data_type=2)
    with pytest.raises(MalformedQuote, match="does not carry its PCK certificate chain"):
        PlatformKind.of_evidence(quote.to_bytes())


def test_a_chain_without_the_extension_says_nothing() -> None:
    pki = IntelPki()
    pki.extension_bytes = b""
    with pytest.raises(MalformedQuote):
        PlatformKind.of_evidence(pki.quote().to_bytes())


def test_the_two_cas_by_name() -> None:
    assert ca_of("Intel SGX PCK Processor CA") is PckCa.PROCESSOR
    assert ca_of("Example SGX PCK Platform CA") is PckCa.PLATFORM
    for name in ("Intel SGX Root CA", "Processor CA", "Intel SGX PCK platform CA"):
        with pytest.raises(MalformedCollateral):
            ca_of(name)
