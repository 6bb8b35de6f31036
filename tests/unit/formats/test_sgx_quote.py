from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import QUOTES, damaged, read
from strongroom.base.errors import MalformedQuote
from strongroom.formats.sgx_quote import INTEL_QE_VENDOR_ID, MAX_QUOTE_BYTES, SgxQuote

REAL = read("sgx/dcap-qvl/sgx_quote-f8b810.quote.bin")


@pytest.mark.parametrize("name", QUOTES)
def test_every_captured_quote_is_read_and_written_back(name: str) -> None:
    data = read(name)
    quote = SgxQuote.from_bytes(data)
    assert quote.to_bytes() == data
    assert SgxQuote.from_bytes(quote.to_bytes()) == quote
    assert quote.signed_bytes == data[:432]
    assert quote.header.qe_vendor_id == INTEL_QE_VENDOR_ID


@settings(deadline=None)
@given(st.binary(max_size=1200))
def test_any_bytes_give_a_quote_or_malformed(data: bytes) -> None:
    try:
        quote = SgxQuote.from_bytes(data)
    except MalformedQuote:
        return
    assert quote.to_bytes() == data


@settings(deadline=None, max_examples=400)
@given(damaged([read(name) for name in QUOTES]))
def test_damaged_quotes_give_a_quote_or_malformed(data: bytes) -> None:
    try:
        quote = SgxQuote.from_bytes(data)
    except MalformedQuote:
        return
    assert quote.to_bytes() == data


@pytest.mark.parametrize("offset", [432, 436 + 576, 436 + 578 + 32, 436 + 578 + 34])
def test_sizes_of_all_ones_allocate_nothing(offset: int) -> None:
    with pytest.raises(MalformedQuote):
        SgxQuote.from_bytes(REAL[:offset] + b"\xff\xff\xff\xff" + REAL[offset + 4 :])


def test_every_truncation_is_malformed() -> None:
    for length in range(0, len(REAL), 7):
        with pytest.raises(MalformedQuote):
            SgxQuote.from_bytes(REAL[:length])


@pytest.mark.parametrize("count", [1, 70, 3065])
def test_zero_bytes_after_the_signature_section_are_kept_as_padding(count: int) -> None:
    quote = SgxQuote.from_bytes(REAL + bytes(count))
    assert quote.padding == count
    assert replace(quote, padding=0) == SgxQuote.from_bytes(REAL)


def test_other_bytes_after_the_signature_section_are_malformed() -> None:
    with pytest.raises(MalformedQuote, match="not all zero"):
        SgxQuote.from_bytes(REAL + bytes(69) + b"\x01")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: b"\x04\x00"}, "version 4 where one of version 3"),
        ({0: b"\x05\x00"}, "version 5 where one of version 3"),
        ({0: b"\x02\x00"}, "version 2 is unknown"),
        ({2: b"\x03\x00"}, "key type 3"),
        ({4: b"\x81\x00\x00\x00"}, "TEE type 0x81"),
        ({0: b"\xd8\x3d"}, "CBOR Web Token .* not supported yet"),
        ({0: b"\xd2"}, "CBOR Web Token .* not supported yet"),
        ({0: b"\x84\x44"}, "CBOR Web Token .* not supported yet"),
        ({436 + 578 + 32: b"\x00\x00"}, "certification data type 0"),
        ({436 + 578 + 32: b"\x08\x00"}, "certification data type 8"),
    ],
)
def test_other_kinds_of_quote_are_named(change: dict[int, bytes], message: str) -> None:
    data = REAL
    for offset, value in change.items():
        data = data[:offset] + value + data[offset + len(value) :]
    with pytest.raises(MalformedQuote, match=message):
        SgxQuote.from_bytes(data)


@pytest.mark.parametrize("length", [0, 31, 33, 65535])
def test_qe_authentication_data_may_have_any_length(length: int) -> None:
    quote = replace(SgxQuote.from_bytes(REAL), qe_auth_data=bytes(length))
    assert SgxQuote.from_bytes(quote.to_bytes()) == quote


def test_too_much_is_not_read() -> None:
    with pytest.raises(MalformedQuote, match="at most"):
        SgxQuote.from_bytes(REAL + bytes(MAX_QUOTE_BYTES))


def test_fields_of_a_wrong_length_are_not_written() -> None:
    with pytest.raises(ValueError, match="belong"):
        replace(SgxQuote.from_bytes(REAL), signature=b"short").to_bytes()
