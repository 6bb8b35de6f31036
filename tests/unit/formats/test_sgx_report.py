from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import MalformedQuote
from strongroom.formats.sgx_report import REPORT_BYTES, SgxReport

BODY = bytes(range(256)) + bytes(range(128))


@given(st.binary(min_size=REPORT_BYTES, max_size=REPORT_BYTES))
def test_any_384_bytes_are_a_report_and_are_written_back(data: bytes) -> None:
    report = SgxReport.from_bytes(data)
    assert report.to_bytes() == data
    assert SgxReport.from_bytes(report.to_bytes()) == report


@given(st.binary(max_size=500).filter(lambda data: len(data) != REPORT_BYTES))
def test_any_other_length_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedQuote):
        SgxReport.from_bytes(data)


def test_fields_stand_where_intel_puts_them() -> None:
    report = SgxReport.from_bytes(BODY)
    assert report.cpu_svn == BODY[:16]
    assert report.misc_select == int.from_bytes(BODY[16:20], "little")
    assert report.isv_ext_prod_id == BODY[32:48]
    assert report.attributes.flags == int.from_bytes(BODY[48:56], "little")
    assert report.attributes.xfrm == int.from_bytes(BODY[56:64], "little")
    assert report.mr_enclave == BODY[64:96]
    assert report.mr_signer == BODY[128:160]
    assert report.config_id == BODY[192:256]
    assert report.isv_prod_id == int.from_bytes(BODY[256:258], "little")
    assert report.isv_svn == int.from_bytes(BODY[258:260], "little")
    assert report.config_svn == int.from_bytes(BODY[260:262], "little")
    assert report.isv_family_id == BODY[304:320]
    assert report.report_data == BODY[320:]


@pytest.mark.parametrize(("flags", "debug"), [(0x02, True), (0x07, True), (0x05, False), (0, False), (1 << 9, False)])
def test_debug_is_bit_one_of_the_flags(flags: int, debug: bool) -> None:
    body = BODY[:48] + flags.to_bytes(8, "little") + BODY[56:]
    assert SgxReport.from_bytes(body).attributes.debug is debug


def test_fields_of_a_wrong_length_are_not_written() -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="add up"):
        replace(SgxReport.from_bytes(BODY), report_data=b"short").to_bytes()
