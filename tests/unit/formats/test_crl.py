from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import VECTORS, damaged, read
from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import MAX_CRL_BYTES, parse_pem_chain
from strongroom.formats.crl import crl_der, parse_crl

PATHS = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("sgx/_pcs/crl-*.der"))
PLATFORM = read("sgx/_pcs/crl-pck-platform-20260612.der")
ISSUERS = {
    name: parse_pem_chain(read(f"sgx/_anchors/{file}"), path="")[0]
    for name, file in {
        "rootca": "intel-sgx-root-ca.pem",
        "pck-platform": "intel-sgx-pck-platform-ca.pem",
        "pck-processor": "intel-sgx-pck-processor-ca.pem",
    }.items()
}


@pytest.mark.parametrize("path", PATHS)
def test_intels_lists_are_read_and_carry_their_issuers_signature(path: str) -> None:
    revocations = parse_crl(read(path))
    issuer = next(value for name, value in ISSUERS.items() if f"crl-{name}" in path)
    assert issuer.signed(revocations)
    assert revocations.issuer == issuer.subject
    assert revocations.number is not None
    assert revocations.authority_key_id is not None
    assert not revocations.critical_extensions
    assert revocations.next_update is not None


def test_revoked_serials_are_numbers() -> None:
    revocations = parse_crl(PLATFORM)
    assert len(revocations.revoked) == 57
    assert all(serial.bit_length() > 100 for serial in revocations.revoked)


def as_pem(data: bytes) -> bytes:
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(data) + b"-----END X509 CRL-----\n"


@pytest.mark.parametrize(
    "form",
    [lambda x: x, lambda x: x.hex().encode(), lambda x: x.hex().upper().encode() + b"\n", as_pem, lambda x: x + b"\0"],
)
def test_der_hexadecimal_and_pem_give_the_same_list(form: object) -> None:
    assert callable(form)
    assert parse_crl(form(PLATFORM)) == parse_crl(PLATFORM)


@pytest.mark.parametrize("tail", [b"\0\0", b"x", b"\x30\x00"])
def test_bytes_after_a_list_are_malformed(tail: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        parse_crl(PLATFORM + tail)


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=300) | damaged([read(path) for path in PATHS]))
def test_any_bytes_give_a_list_or_malformed(data: bytes) -> None:
    try:
        parse_crl(data)
    except MalformedCollateral:
        return


@pytest.mark.parametrize(
    "data", [b"-----BEGIN X509 CRL-----\nAAA\n-----END X509 CRL-----\n", b"zz", b"", b"3", PLATFORM.hex().encode()[:-1]]
)
def test_broken_forms_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedCollateral):
        parse_crl(data)


def test_too_much_is_not_read() -> None:
    with pytest.raises(MalformedCollateral, match="at most"):
        crl_der(b"0" * (2 * MAX_CRL_BYTES + 1))
    with pytest.raises(MalformedCollateral, match="at most"):
        parse_crl(b"\x01" * (MAX_CRL_BYTES + 2))


@pytest.mark.parametrize("filler", [b" ", b"A", b"0", b"-----BEGIN X509 CRL-----\n"])
def test_the_time_for_a_text_without_an_end_is_linear(filler: bytes) -> None:
    for begin in (b"", b"-----BEGIN X509 CRL-----\n"):
        start = time.process_time()
        with pytest.raises(MalformedCollateral):
            parse_crl(begin + filler * (200_000 // len(filler)))
        assert time.process_time() - start < 1
