from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_vectors import QUOTES, read
from strongroom.base.errors import MalformedQuote
from strongroom.formats import certification
from strongroom.formats.certification import Opaque, PckChain, PlatformName
from strongroom.formats.sgx_quote import SgxQuote


@pytest.mark.parametrize("name", QUOTES)
def test_every_captured_quote_has_certification_data_that_is_read(name: str) -> None:
    quote = SgxQuote.from_bytes(read(name))
    data = certification.parse(quote.certification_data_type, quote.certification_data)
    assert isinstance(data, PckChain) is (quote.certification_data_type == 5)


@given(st.integers(0, 9), st.binary(max_size=500))
def test_any_bytes_of_any_type_give_a_value_or_malformed(kind: int, data: bytes) -> None:
    try:
        certification.parse(kind, data)
    except MalformedQuote:
        return


@pytest.mark.parametrize(("kind", "ppid", "encrypted"), [(1, 16, False), (2, 256, True), (3, 384, True)])
def test_a_platform_is_named_by_its_ppid_and_versions(kind: int, ppid: int, encrypted: bool) -> None:
    data = bytes([7]) * ppid + bytes(range(16)) + b"\x0d\x00" + b"\x01\x00"
    assert certification.parse(kind, data) == PlatformName(
        ppid=bytes([7]) * ppid, encrypted=encrypted, cpu_svn=bytes(range(16)), pce_svn=13, pce_id=b"\x01\x00"
    )
    for wrong in (data[:-1], data + b"\0"):
        with pytest.raises(MalformedQuote):
            certification.parse(kind, wrong)


def test_the_old_form_without_a_pce_id_is_read_for_type_one_only() -> None:
    name = certification.parse(1, bytes(34))
    assert isinstance(name, PlatformName)
    assert name.pce_id is None
    with pytest.raises(MalformedQuote):
        certification.parse(3, bytes(402))


def test_nested_data_and_manifests_are_kept_as_bytes() -> None:
    assert certification.parse(6, b"x") == Opaque(data=b"x")
    assert certification.parse(7, b"y") == Opaque(data=b"y")
    with pytest.raises(MalformedQuote):
        certification.parse(8, b"")
