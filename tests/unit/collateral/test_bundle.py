from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collateral_sets import REAL, SGX_17, TDX_18, generated, real
from evidence_vectors import damaged
from strongroom.base import canonical
from strongroom.base.errors import MalformedCollateral
from strongroom.collateral.bundle import MAX_BUNDLE_BYTES, CollateralBundle
from strongroom.formats.collateral import Collateral

WHOLE = CollateralBundle(sets=(real(SGX_17), real(TDX_18))).to_bytes()


def opened() -> dict[str, object]:
    value = canonical.decode(WHOLE, path="", max_bytes=len(WHOLE))
    assert isinstance(value, dict)
    return {str(name): item for name, item in value.items()}


def one_set(**changes: object) -> bytes:
    parts: dict[str, object] = dict(cbor2.loads(opened()["sets"][0]))  # type: ignore[index]
    for name, value in changes.items():
        if value is None:
            del parts[name]
        else:
            parts[name] = value
    return canonical.encode({**opened(), "sets": [canonical.encode(parts)]})


@given(st.lists(st.sampled_from(REAL), min_size=1, unique=True))
def test_a_bundle_comes_back_and_has_one_form(names: list[str]) -> None:
    sets = tuple(real(name) for name in names)
    data = CollateralBundle(sets=sets).to_bytes()
    read = CollateralBundle.from_bytes(data)
    assert set(read.sets) == set(sets)
    assert read.to_bytes() == data == CollateralBundle(sets=sets[::-1] + sets).to_bytes()


def test_it_is_plain_cbor() -> None:
    value = cbor2.loads(WHOLE)
    assert value["format"] == "strongroom collateral bundle"
    assert value["version"] == 1
    assert {len(cbor2.loads(item)) for item in value["sets"]} == {9}


@given(st.one_of(st.binary(max_size=200), damaged([WHOLE])))
def test_any_bytes_give_sets_or_the_precise_error(data: bytes) -> None:
    try:
        read = CollateralBundle.from_bytes(data)
    except MalformedCollateral:
        return
    assert read.to_bytes() == data
    for item in read.sets:
        Collateral.from_json(item.to_json())  # whatever a bundle gives can be stapled


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "bytes wanted"),
        (WHOLE + b"\0", "after the value"),
        (canonical.encode({**opened(), "sets": []}), "holds no set"),
        (canonical.encode({**opened(), "sets": opened()["sets"][::-1]}), "out of order or repeated"),  # type: ignore[index]
        (canonical.encode({**opened(), "sets": opened()["sets"][:1] * 2}), "out of order or repeated"),  # type: ignore[index]
        (canonical.encode({**opened(), "sets": ["text"]}), "something else than byte strings"),
        (canonical.encode({**opened(), "version": 2}), "'version' is not 1"),
        (canonical.encode({**opened(), "format": "zip"}), "'format' is not"),
        (canonical.encode({**opened(), "signature": b""}), "unknown field 'signature'"),
        (one_set(pck_crl=None), "'pck_crl' is missing"),
        (one_set(comment=b"hello"), "unknown field 'comment'"),
        (one_set(tcb_info_signature=bytes(63)), "63 bytes, not 64"),
        (one_set(tcb_info=b"\xff"), "tcb_info: not text"),
        (one_set(tcb_info_issuer_chain=bytes(70_000)), "at most 65536"),
        (one_set(tcb_info=bytes(300_000)), "at most 262144"),
        (one_set(pck_crl="text"), "is not a byte string"),
    ],
)
def test_what_is_no_bundle(data: bytes, said: str) -> None:
    with pytest.raises(MalformedCollateral, match=said):
        CollateralBundle.from_bytes(data)


def test_size_is_bounded_before_anything_is_read() -> None:
    with pytest.raises(MalformedCollateral, match="at most"):
        CollateralBundle.from_bytes(bytes(MAX_BUNDLE_BYTES + 1))


def test_an_empty_bundle_is_not_written() -> None:
    with pytest.raises(ValueError, match="1 to 512"):
        CollateralBundle(sets=()).to_bytes()


def test_generated_sets_fit_too() -> None:
    collateral = generated()
    assert CollateralBundle.from_bytes(CollateralBundle(sets=(collateral,)).to_bytes()).sets == (collateral,)
