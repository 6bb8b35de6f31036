from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import QUOTES, TDX_QUOTES, damaged, read
from strongroom.base.errors import MalformedQuote
from strongroom.formats.quote import Quote, parse_quote
from strongroom.formats.quote_parts import INTEL_QE_VENDOR_ID, QuoteHeader, TeeType
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.sgx_report import SgxReport
from strongroom.formats.td_report import TdAttributes, TdReport, TdReport15, TdReport15Ex
from strongroom.formats.tee_quote import TeeQuote

V4 = read("tdx/dcap-qvl/tdx_quote-f1c850.quote.bin")
V5 = read("tdx/go-tdx-guest/quote_v5_sample-cf77a6.quote.bin")
ENCLAVE = SgxQuote.from_bytes(read("sgx/dcap-qvl/sgx_quote-f8b810.quote.bin"))


def td_quote(data: bytes = V4) -> TeeQuote:
    quote = parse_quote(data)
    assert isinstance(quote, TeeQuote)
    return quote


def widened(kind: type[TdReport]) -> TeeQuote:
    """A quote of version 5 with a body of this kind, every field of it different."""
    body = kind.from_bytes(bytes(number % 251 for number in range(kind.size())))
    quote = td_quote(V5)
    return replace(quote, report=body, header=replace(quote.header, version=5))


def enclave_in_newer_frame(version: int) -> TeeQuote:
    old = ENCLAVE
    return TeeQuote(
        header=replace(old.header, version=version),
        report=old.report,
        signature=old.signature,
        attestation_key=old.attestation_key,
        qe_report=old.qe_report,
        qe_report_signature=old.qe_report_signature,
        qe_auth_data=old.qe_auth_data,
        certification_data_type=old.certification_data_type,
        certification_data=old.certification_data,
    )


MADE = [widened(kind) for kind in (TdReport, TdReport15, TdReport15Ex)] + [enclave_in_newer_frame(v) for v in (4, 5)]


@pytest.mark.parametrize("name", QUOTES + TDX_QUOTES)
def test_every_captured_quote_is_read_and_written_back(name: str) -> None:
    data = read(name)
    quote = parse_quote(data)
    assert quote.to_bytes() == data
    assert parse_quote(quote.to_bytes()) == quote
    assert data.startswith(quote.signed_bytes)
    assert quote.header.qe_vendor_id == INTEL_QE_VENDOR_ID
    tee = TeeType.TDX if name.startswith("tdx/") else TeeType.SGX
    assert quote.header.tee_type is tee
    assert isinstance(quote.report, TdReport if tee is TeeType.TDX else SgxReport)


def test_both_versions_and_report_sizes_are_among_them() -> None:
    quotes = [td_quote(read(name)) for name in TDX_QUOTES]
    assert {(quote.header.version, type(quote.report)) for quote in quotes} == {(4, TdReport), (5, TdReport15)}
    assert {quote.padding for quote in quotes} == {0, 70, 3065}


@pytest.mark.parametrize("quote", MADE, ids=range(5))
def test_bodies_that_no_captured_quote_has_are_written_and_read(quote: TeeQuote) -> None:
    assert parse_quote(quote.to_bytes()) == quote


def test_sizes_are_those_of_the_specification() -> None:
    assert (TdReport.size(), TdReport15.size(), TdReport15Ex.size()) == (584, 648, 885)
    assert len(td_quote(V4).signed_bytes) == 632
    assert len(td_quote(V5).signed_bytes) == 48 + 6 + 648


@settings(deadline=None)
@given(st.binary(max_size=1200), st.sampled_from([b"", V4[:48], V5[:48], V5[:54]]))
def test_any_bytes_give_a_quote_or_malformed(data: bytes, start: bytes) -> None:
    check(start + data)


@settings(deadline=None, max_examples=400)
@given(damaged([read(name) for name in TDX_QUOTES] + [quote.to_bytes() for quote in MADE]))
def test_damaged_quotes_give_a_quote_or_malformed(data: bytes) -> None:
    check(data)


def check(data: bytes) -> Quote | None:
    try:
        quote = parse_quote(data)
    except MalformedQuote:
        return None
    assert quote.to_bytes() == data
    return quote


def patched(data: bytes, *patches: tuple[int, bytes]) -> bytes:
    for offset, value in patches:
        data = data[:offset] + value + data[offset + len(value) :]
    return data


AFTER_V4 = 48 + 584 + 4 + 128


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (patched(V4, (0, b"\x06\x00")), "version 6 is unknown"),
        (patched(V4, (0, b"\x03\x00")), "TEE type 0x81 in a quote of version 3"),
        (patched(V4, (2, b"\x03\x00")), "key type 3 is not 2"),
        (patched(V4, (4, b"\x82\x00\x00\x00")), "TEE type 0x82 is neither"),
        (patched(V5, (48, b"\x05\x00")), "body type 5 is unknown"),
        (patched(V5, (48, b"\x00\x00")), "body type 0 is unknown"),
        (patched(V5, (48, b"\x01\x00")), "body type 1 in a quote of TDX"),
        (patched(V5, (4, b"\x00\x00\x00\x00")), "body type 3 in a quote of SGX"),
        (patched(V5, (48, b"\x02\x00")), "a body of type 2 has 584 bytes, not 648"),
        (patched(V5, (48, b"\x04\x00")), "a body of type 4 has 885 bytes, not 648"),
        (patched(V5, (50, b"\xff\xff\xff\xff")), "has 648 bytes, not 4294967295"),
        (patched(V4, (AFTER_V4, b"\x05\x00")), "certification data type 5 is not 6"),
        (patched(V4, (AFTER_V4 + 6 + 448 + 2 + 32, b"\x06\x00")), "type 6 inside of type 6"),
        (patched(V4, (AFTER_V4 + 6 + 448 + 2 + 32, b"\x08\x00")), "certification data type 8 is unknown"),
        (V4 + b"\x01", "71 bytes after the signature section are not all zero"),
        (b"\xd8\x3d" + V4[2:], "CBOR Web Token .* not supported yet"),
        (b"", "header needs 48 bytes"),
        (bytes(300_000), "at most"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    with pytest.raises(MalformedQuote, match=message):
        parse_quote(data)


@pytest.mark.parametrize("version", [4, 5])
def test_versions_are_not_read_as_each_other(version: int) -> None:
    with pytest.raises(MalformedQuote, match=f"version {version} where one of version 3"):
        SgxQuote.from_bytes(enclave_in_newer_frame(version).to_bytes())
    with pytest.raises(MalformedQuote, match="version 3 where one of version 4 or 5"):
        TeeQuote.from_bytes(ENCLAVE.to_bytes())


@pytest.mark.parametrize("offset", [AFTER_V4 - 132, AFTER_V4 + 2, AFTER_V4 + 6 + 448, AFTER_V4 + 6 + 448 + 34])
def test_sizes_of_all_ones_allocate_nothing(offset: int) -> None:
    for data, further in ((V4, 0), (V5, 6 + 64)):
        with pytest.raises(MalformedQuote):
            parse_quote(patched(data, (offset + further, b"\xff\xff\xff\xff")))


def test_every_truncation_is_malformed() -> None:
    end = len(V4) - td_quote(V4).padding
    for length in range(0, end, 7):
        with pytest.raises(MalformedQuote):
            parse_quote(V4[:length])


@pytest.mark.parametrize(("outer", "inner"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_sizes_that_do_not_add_up_are_malformed(outer: int, inner: int) -> None:
    quote = td_quote(V4)
    nested = AFTER_V4 + 6
    size = int.from_bytes(V4[AFTER_V4 + 2 : nested], "little")
    place = nested + 448 + 2 + 32 + 2
    data_size = len(quote.certification_data)
    changed = patched(
        V4, (AFTER_V4 + 2, (size + outer).to_bytes(4, "little")), (place, (data_size + inner).to_bytes(4, "little"))
    )
    with pytest.raises(MalformedQuote):
        parse_quote(changed)


def test_what_does_not_fit_together_is_not_written() -> None:
    quote = td_quote(V4)
    for wrong in (
        replace(quote, header=replace(quote.header, tee_type=TeeType.SGX)),
        replace(quote, header=replace(quote.header, version=3)),
        replace(quote, report=ENCLAVE.report),
        replace(widened(TdReport15), header=quote.header),
        replace(quote, report=replace(quote.report, mr_td=b"short")),
        replace(quote, signature=b"short"),
    ):
        with pytest.raises(ValueError, match=r"belong|header|version 4"):
            wrong.to_bytes()


def test_fields_stand_where_the_specification_puts_them() -> None:
    report = td_quote(V4).report
    assert isinstance(report, TdReport)
    body = V4[48:632]
    assert report.tee_tcb_svn == body[:16]
    assert report.mr_seam == body[16:64]
    assert report.mr_signer_seam == body[64:112] == bytes(48)
    assert report.td_attributes == int.from_bytes(body[120:128], "little") == TdAttributes.SEPT_VE_DISABLE
    assert report.mr_td == body[136:184]
    assert report.rtmr_3 == body[328 + 144 : 520]
    assert report.report_data == body[520:]
    newer = td_quote(V5).report
    assert isinstance(newer, TdReport15)
    assert newer.tee_tcb_svn_2 == V5[54 + 584 : 54 + 600]
    assert newer.mr_service_td == bytes(48)


def test_attributes_have_names_and_reserved_bits_have_numbers() -> None:
    attributes = TdAttributes(1 | 1 << 28 | 1 << 39 | 1 << 63)
    assert attributes.names == ("DEBUG", "SEPT_VE_DISABLE", "bit 39", "PERFMON")
    assert attributes.reserved == 1 << 39
    assert TdAttributes(0).names == ()


def test_a_header_round_trips() -> None:
    header = td_quote(V5).header
    assert header.to_bytes() == V5[:48]
    assert isinstance(header, QuoteHeader)
