"""The quick readings of Intel's own forms: what they read, the strict reading reads too, and as the same."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from evidence_vectors import VECTORS, read
from strongroom.base.errors import MalformedCollateral
from strongroom.crypto.certificates import parse_pem_chain
from strongroom.formats import pck_extension, qe_identity, tcb_info
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.quote import parse_quote
from strongroom.formats.signed_json import SignedJson
from strongroom.formats.tcb_info import TcbInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK: dict[type, tuple[Any, str]] = {
    TcbInfo: (tcb_info, "read_usual_tcb_info"),
    QeIdentity: (qe_identity, "_read_usual"),
    PckExtension: (pck_extension, "_read_usual"),
}


def quick(kind: Any, data: bytes) -> Any:
    """What the quick reading says, a value of the kind or nothing."""
    module, name = QUICK[kind]
    found = getattr(module, name)(data)
    return kind(**found) if isinstance(found, dict) else found


@contextmanager
def without(kind: Any) -> Iterator[None]:
    module, name = QUICK[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, lambda _: None)
        yield


def strict(kind: Any, data: bytes) -> Any:
    """What the strict reading says, a value or nothing."""
    with without(kind):
        try:
            return kind.from_bytes(data)
        except MalformedCollateral:
            return None


def bodies(pattern: str, name: str) -> list[bytes]:
    return [SignedJson.from_bytes(path.read_bytes(), name=name).body for path in sorted(VECTORS.glob(pattern))]


def extensions() -> list[bytes]:
    quotes = ["sgx/dcap-qvl/sgx_quote-f8b810.quote.bin", "tdx/dcap-qvl/tdx_quote-f1c850.quote.bin"]
    leaves = (parse_pem_chain(parse_quote(read(path)).certification_data, path="")[0] for path in quotes)
    return [leaf.extensions[PCK_EXTENSION_OID] for leaf in leaves]


GENUINE: dict[type, list[bytes]] = {
    TcbInfo: bodies("*/_pcs/tcbinfo-*-v3-*.json", "tcbInfo"),
    QeIdentity: bodies("*/_pcs/*identity*.json", "enclaveIdentity"),
    PckExtension: extensions(),
}


@pytest.mark.parametrize("kind", QUICK)
def test_genuine_ones_are_read_quickly_and_as_the_strict_reading_reads_them(kind: Any) -> None:
    assert len(GENUINE[kind]) >= 2
    for data in GENUINE[kind]:
        value = quick(kind, data)
        assert value is not None
        assert value == strict(kind, data) == kind.from_bytes(data)


PIECES = [
    *(bytes((byte,)) for byte in b'0123456789{}[],:"\\ eEnull+-.'),
    *(b'"svn":', b"00", b"256", b'"svn":1,', b"true", b'"advisoryIDs":[],', b'"category":"",', b"\xc3\xa9", b"null"),
]


def damaged(random: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(out) + 1)
        until = min(len(out), at + random.choice((0, 1, 1, 2, 8, random.randrange(200))))
        piece = random.choice(PIECES)
        copied = random.randrange(len(out) + 1)
        out[at:until] = random.choice(
            (b"", piece, piece, out[copied : copied + random.randrange(60)], out[at:until] * 2)
        )
        if random.random() < 0.3 and out:
            out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


@pytest.mark.parametrize("kind", QUICK)
def test_what_is_read_quickly_is_never_something_else(kind: Any) -> None:
    random = Random(7)  # noqa: S311 - the damage is to be the same each time
    met = 0
    for _ in range(6000):
        data = damaged(random, random.choice(GENUINE[kind]))
        value = quick(kind, data)
        if value is not None:
            met += 1
            assert value == strict(kind, data), data
    assert met >= 50


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":3', b'"version":03'),
        (b'"version":3', b'"version": 3'),
        (b'"version":3', b'"version":3,"version":3'),
        (b'"tcbType":0', b'"tcbType":1'),
        (b'{"svn":', b'{"svn":0'),
        (b'{"svn":', b'{"svn":9'),
        (b'{"svn":', b'{"svn":-'),
        (b'"pcesvn":1', b'"pcesvn":6553'),
        (b'"tcbStatus":"UpToDate"', b'"tcbStatus":"TDRelaunchAdvised"'),
        (b'"tcbStatus":"UpToDate"', b'"tcbStatus":"Fine"'),
        (b'"tcbLevels":[{"tcb"', b'"tcbLevels":[,{"tcb"'),
        (b"}]}", b"},]}"),
    ],
)
def test_what_is_not_the_usual_form_is_left_to_the_strict_reading(old: bytes, new: bytes) -> None:
    body = next(body for body in GENUINE[TcbInfo] if b'"UpToDate"' in body and b'"pcesvn":13' in body)
    data = body.replace(old, new, 1)
    assert data != body
    assert quick(TcbInfo, data) is None or quick(TcbInfo, data) == strict(TcbInfo, data)


@pytest.mark.parametrize("pce_svn", [0, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF])
def test_numbers_of_every_length_in_the_pck_extension(pce_svn: int) -> None:
    for data in GENUINE[PckExtension]:
        value = PckExtension.from_bytes(data)
        value = replace(value, tcb=replace(value.tcb, pce_svn=pce_svn))
        assert quick(PckExtension, value.to_bytes()) == value == strict(PckExtension, value.to_bytes())
