from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import VECTORS, damaged, read
from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import MAX_CHAIN_BYTES
from strongroom.formats.collateral import MAX_COLLATERAL_BYTES, Collateral

PATHS = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("sgx/_collateral/*.json"))
REAL = read(PATHS[0])


@pytest.mark.parametrize("path", PATHS)
def test_captured_sets_are_read_and_written_back(path: str) -> None:
    collateral = Collateral.from_json(read(path))
    assert Collateral.from_json(collateral.to_json()) == collateral
    assert json.loads(collateral.to_json()) == json.loads(read(path))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | damaged([read(path) for path in PATHS]))
def test_any_bytes_give_a_set_or_malformed(data: bytes) -> None:
    try:
        collateral = Collateral.from_json(data)
    except MalformedCollateral:
        return
    assert Collateral.from_json(collateral.to_json()) == collateral


def changed(**parts: object) -> bytes:
    values = json.loads(REAL) | parts
    return json.dumps({name: value for name, value in values.items() if value is not ...}).encode()


@pytest.mark.parametrize("name", json.loads(REAL))
def test_each_part_is_needed_and_is_a_text(name: str) -> None:
    for value in (..., None, 5, ["x"]):
        with pytest.raises(MalformedCollateral):
            Collateral.from_json(changed(**{name: value}))


@pytest.mark.parametrize(
    "parts",
    [
        {"more": "x"},
        {"tcb_info_signature": "ab" * 63},
        {"tcb_info_signature": "zz" * 64},
        {"qe_identity_signature": ""},
        {"tcb_info_issuer_chain": "x" * (MAX_CHAIN_BYTES + 1)},
        {"tcb_info": "\ud800"},
    ],
)
def test_surplus_long_and_ill_formed_parts_are_malformed(parts: dict[str, object]) -> None:
    with pytest.raises(MalformedCollateral):
        Collateral.from_json(changed(**parts))


def test_lists_may_come_as_pem() -> None:
    collateral = Collateral.from_json(REAL)
    pem = f"-----BEGIN X509 CRL-----\n{base64.encodebytes(collateral.pck_crl).decode()}-----END X509 CRL-----\n"
    assert Collateral.from_json(changed(pck_crl=pem)) == collateral


def test_a_key_twice_is_malformed() -> None:
    with pytest.raises(MalformedCollateral, match="twice"):
        Collateral.from_json(REAL.rstrip()[:-1] + b',"tcb_info":"{}"}')


def test_too_much_is_not_read() -> None:
    with pytest.raises(MalformedCollateral, match="at most"):
        Collateral.from_json(b" " * (MAX_COLLATERAL_BYTES + 1))


def test_the_chain_that_dcap_qvl_may_add_is_not_looked_at() -> None:
    assert Collateral.from_json(changed(pck_certificate_chain="x")) == Collateral.from_json(REAL)
