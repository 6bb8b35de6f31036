from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evidence_vectors import VERDICTS, case
from strongroom.base.errors import MalformedCollateral
from strongroom.crypto import certificates
from strongroom.crypto.certificates import Certificate, RevocationList, split_pem
from strongroom.crypto.usual_extensions import usual_extensions, usual_list_extensions
from strongroom.formats.quote import parse_quote

if TYPE_CHECKING:
    from collections.abc import Callable

VERDICT = next(item for item in VERDICTS if item["quote"].startswith("sgx/dcap-qvl/") and "status" in item)
EVIDENCE, PARTS, _ = case(VERDICT)
CHAIN = split_pem(parse_quote(EVIDENCE).certification_data, path="")
CERTIFICATES = {
    "leaf": CHAIN[0],
    "intermediate": CHAIN[1],
    "TCB signing": split_pem(PARTS.tcb_info_issuer_chain, path="")[0],
}
LISTS = {"root": PARTS.root_ca_crl, "PCK": PARTS.pck_crl}


def unread(*_: object) -> None:
    """Take no form for the usual one."""


def outcome(read: Callable[[bytes], object], data: bytes) -> object:
    try:
        return read(data)
    except MalformedCollateral as error:
        return str(error)


def changed(data: bytes, start: int, end: int) -> list[bytes]:
    """Give the data with each byte of a range changed, in four ways, and with each one gone or there twice."""
    out = [data]
    for at in range(start, end):
        for byte in {data[at] ^ 1, data[at] ^ 0x80, (data[at] + 1) % 256, 0xFF}:
            out.append(data[:at] + bytes((byte,)) + data[at + 1 :])
        out += [data[:at] + data[at + 1 :], data[:at] + data[at : at + 1] + data[at:]]
    return out


def compare(monkeypatch: pytest.MonkeyPatch, name: str, read: Callable[[bytes], object], variants: list[bytes]) -> None:
    quick = [outcome(read, item) for item in variants]
    monkeypatch.setattr(certificates, name, unread)
    assert quick == [outcome(read, item) for item in variants]


@pytest.mark.parametrize("which", CERTIFICATES)
def test_every_change_of_extensions_is_read_as_without_the_expression(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = CERTIFICATES[which]
    start = data.index(bytes.fromhex("301f0603551d23")) - 8
    end = len(data) - 70 if which != "leaf" else start + 260
    compare(monkeypatch, "usual_extensions", Certificate.from_der, changed(data, start, end))


@pytest.mark.parametrize("which", LISTS)
def test_every_change_of_a_lists_extensions_is_read_as_without_the_expression(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = LISTS[which]
    start = data.index(bytes.fromhex("300a0603551d14")) - 6
    compare(monkeypatch, "usual_list_extensions", RevocationList.from_der, changed(data, start, start + 55))


@pytest.mark.parametrize("which", CERTIFICATES)
def test_genuine_certificates_have_the_usual_form(which: str) -> None:
    data = CERTIFICATES[which]
    _, fields, _, _ = certificates._signed_parts(data)
    found = usual_extensions(data, fields[-1][1], fields[-1][3])
    certificate = Certificate.from_der(data)
    assert found is not None
    assert found.key_usages == certificate.key_usages
    assert found.others == certificate.extensions


@pytest.mark.parametrize("which", LISTS)
def test_genuine_lists_have_the_usual_form(which: str) -> None:
    data = LISTS[which]
    _, fields, _, _ = certificates._signed_parts(data)
    found = usual_list_extensions(data, fields[-1][1], fields[-1][3])
    assert found is not None
    assert found == (1, RevocationList.from_der(data).authority_key_id)


def test_a_pck_extension_of_another_stated_length_is_not_the_usual_form() -> None:
    leaf = CERTIFICATES["leaf"]
    _, fields, _, _ = certificates._signed_parts(leaf)
    _, start, _, end = fields[-1]
    mark = leaf.index(bytes.fromhex("06092a864886f84d010d01"), start)
    for at in (mark - 1, mark + 14):  # the pair's length and the value's
        longer = leaf[:at] + bytes((leaf[at] + 1,)) + leaf[at + 1 :]
        assert usual_extensions(longer, start, end) is None
