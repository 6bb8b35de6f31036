from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import QUOTES, damaged, read
from strongroom.base.errors import MalformedCollateral
from strongroom.crypto import der
from strongroom.crypto.certificates import parse_pem_chain
from strongroom.formats.pck_extension import (
    PCK_EXTENSION_OID,
    Configuration,
    PckExtension,
    PckTcb,
    SgxType,
)
from strongroom.formats.sgx_quote import SgxQuote


def real_extensions() -> list[bytes]:
    found = set()
    for name in QUOTES:
        quote = SgxQuote.from_bytes(read(name))
        if quote.certification_data_type == 5:
            try:
                chain = parse_pem_chain(quote.certification_data, path="")
            except MalformedCollateral:
                continue
            found |= {item.extensions[PCK_EXTENSION_OID] for item in chain if PCK_EXTENSION_OID in item.extensions}
    return sorted(found)


REAL = real_extensions()

tcbs = st.builds(
    PckTcb,
    components=st.tuples(*[st.integers(0, 255)] * 16),
    pce_svn=st.integers(0, 0xFFFF),
    cpu_svn=st.binary(min_size=16, max_size=16),
)
processor = st.builds(
    PckExtension,
    ppid=st.binary(min_size=16, max_size=16),
    tcb=tcbs,
    pce_id=st.binary(min_size=2, max_size=2),
    fmspc=st.binary(min_size=6, max_size=6),
    sgx_type=st.sampled_from(SgxType),
)
multi_package = st.builds(
    lambda base, instance, configuration: replace(base, platform_instance_id=instance, configuration=configuration),
    processor,
    st.binary(min_size=16, max_size=16),
    st.builds(Configuration, dynamic_platform=st.booleans(), cached_keys=st.booleans(), smt_enabled=st.booleans()),
)
EXAMPLE = PckExtension(
    ppid=bytes(16),
    tcb=PckTcb(components=tuple(range(16)), pce_svn=300, cpu_svn=bytes(range(16))),
    pce_id=bytes(2),
    fmspc=bytes(6),
    sgx_type=SgxType.STANDARD,
)


def elements(data: bytes) -> list[bytes]:
    reader = der.DerReader(data, path="", error=MalformedCollateral).enter(der.SEQUENCE, "")
    out = []
    while reader.remaining:
        out.append(reader.take_whole(der.SEQUENCE, ""))
    return out


def joined(parts: list[bytes]) -> bytes:
    return der.element(der.SEQUENCE, *parts)


def test_there_are_real_ones_of_both_kinds() -> None:
    kinds = {PckExtension.from_bytes(data).configuration is None for data in REAL}
    assert kinds == {True, False}


@pytest.mark.parametrize("data", REAL, ids=range(len(REAL)))
def test_real_extensions_are_read_and_written_back(data: bytes) -> None:
    value = PckExtension.from_bytes(data)
    assert value.to_bytes() == data
    assert bytes(value.tcb.components) == value.tcb.cpu_svn


@given(processor | multi_package)
def test_what_is_written_is_read_back(value: PckExtension) -> None:
    assert PckExtension.from_bytes(value.to_bytes()) == value


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=300) | damaged(REAL))
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    try:
        PckExtension.from_bytes(data)
    except MalformedCollateral:
        return


def test_elements_may_come_in_any_order() -> None:
    parts = elements(EXAMPLE.to_bytes())
    assert PckExtension.from_bytes(joined(parts[::-1])) == EXAMPLE


def test_each_element_must_occur_exactly_once() -> None:
    parts = elements(EXAMPLE.to_bytes())
    for index in range(len(parts)):
        with pytest.raises(MalformedCollateral):
            PckExtension.from_bytes(joined(parts[:index] + parts[index + 1 :]))
        with pytest.raises(MalformedCollateral, match="twice"):
            PckExtension.from_bytes(joined([*parts, parts[index]]))


def test_six_elements_are_refused() -> None:
    seven = replace(
        EXAMPLE,
        platform_instance_id=bytes(16),
        configuration=Configuration(dynamic_platform=True, cached_keys=True, smt_enabled=True),
    )
    parts = elements(seven.to_bytes())
    assert len(parts) == 7
    for missing in (5, 6):
        with pytest.raises(MalformedCollateral):
            PckExtension.from_bytes(joined(parts[:missing] + parts[missing + 1 :]))


@pytest.mark.parametrize("arc", [0, 8, 127])
def test_an_unknown_element_is_refused(arc: int) -> None:
    name = der.element(der.OBJECT_IDENTIFIER, der.oid(PCK_EXTENSION_OID) + bytes((arc,)))
    extra = der.element(der.SEQUENCE, name, der.element(der.OCTET_STRING, b""))
    with pytest.raises(MalformedCollateral):
        PckExtension.from_bytes(joined([*elements(EXAMPLE.to_bytes()), extra]))


def test_a_value_hidden_deeper_is_not_taken_for_the_one_meant() -> None:
    parts = elements(EXAMPLE.to_bytes())
    with pytest.raises(MalformedCollateral):
        PckExtension.from_bytes(joined([*parts[1:], der.element(der.SEQUENCE, parts[0])]))


def test_deep_nesting_costs_no_stack() -> None:
    data = b""
    for _ in range(450):
        data = der.element(der.SEQUENCE, data)
    with pytest.raises(MalformedCollateral):
        PckExtension.from_bytes(data)
    with pytest.raises(MalformedCollateral, match="at most"):
        PckExtension.from_bytes(b"\x30\x80" * 100_000)


@pytest.mark.parametrize(
    "change",
    [
        {"tcb": replace(EXAMPLE.tcb, components=(*range(15), 256))},
        {"tcb": replace(EXAMPLE.tcb, pce_svn=0x10000)},
        {"ppid": bytes(15)},
        {"fmspc": bytes(7)},
        {"pce_id": b""},
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(MalformedCollateral):
        PckExtension.from_bytes(replace(EXAMPLE, **change).to_bytes())  # type: ignore[arg-type]


def test_an_unknown_sgx_type_is_refused() -> None:
    data = EXAMPLE.to_bytes()
    assert data.endswith(b"\x0a\x01\x00")
    with pytest.raises(MalformedCollateral):
        PckExtension.from_bytes(data[:-1] + b"\x03")


def test_halves_of_the_longer_form_are_not_written() -> None:
    with pytest.raises(ValueError, match="together"):
        replace(EXAMPLE, platform_instance_id=bytes(16)).to_bytes()
    with pytest.raises(ValueError, match="components"):
        replace(EXAMPLE, tcb=replace(EXAMPLE.tcb, components=(1,))).to_bytes()
