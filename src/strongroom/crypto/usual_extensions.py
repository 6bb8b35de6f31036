"""Extensions of certificates and CRLs, and the one form in which Intel's CAs write them, as an expression.

The expression is a quicker reading of nearly all there are: order, lengths and identifiers are fixed, so that what it
matches has each extension once and is read alike by every reader. Whatever it does not match, good or bad, is read
extension by extension (``certificates``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from strongroom.crypto import der

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Extensions", "usual_extensions", "usual_list_extensions"]

_PCK: Final = "1.2.840.113741.1.13.1"
_CRITICAL: Final = frozenset({"2.5.29.15", "2.5.29.19"})
_PCK_HEAD: Final = len(der.element(der.OBJECT_IDENTIFIER, der.oid(_PCK))) + 4  # OID, tag and length of the value
_URI: Final = 0x86
_OF_CA: Final = bytes.fromhex("03020106"), frozenset({"keyCertSign", "cRLSign"})
_OF_END: Final = bytes.fromhex("030206c0"), frozenset({"digitalSignature", "nonRepudiation"})


class Extensions(NamedTuple):
    """What a certificate's extensions say; the fields are those of ``Certificate``."""

    subject_key_id: bytes | None
    ca: bool | None
    path_length: int | None
    key_usages: frozenset[str] | None
    others: Mapping[str, bytes]
    critical: frozenset[str]


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = der.element(der.BOOLEAN, b"\xff") if critical else b""
    name = der.element(der.OBJECT_IDENTIFIER, der.oid(oid))
    return der.element(der.SEQUENCE, name, flag, der.element(der.OCTET_STRING, value))


def _list_at(uri: bytes) -> bytes:
    """The CRL distribution points extension with one place by its URI, and no more."""
    value = der.element(_URI, uri)
    for tag in (0xA0, 0xA0, der.SEQUENCE, der.SEQUENCE):
        value = der.element(tag, value)
    return _extension("2.5.29.31", value)


def _expression() -> re.Pattern[bytes]:
    twenty = bytes(20)
    issuer_key = _extension("2.5.29.35", der.element(der.SEQUENCE, der.element(0x80, twenty)))[:-20]
    subject_key = _extension("2.5.29.14", der.element(der.OCTET_STRING, twenty))[:-20]
    places = (re.escape(_list_at(bytes(size))[:-size]) + rb"[!-~]{%d}" % size for size in range(60, 100))
    end_usage = _extension("2.5.29.15", _OF_END[0], critical=True)
    ca_usage = _extension("2.5.29.15", _OF_CA[0], critical=True)
    end = _extension("2.5.29.19", der.element(der.SEQUENCE), critical=True)
    true = der.element(der.BOOLEAN, b"\xff")
    ca = _extension("2.5.29.19", der.element(der.SEQUENCE, true, der.unsigned(0)), critical=True)[:-1]
    return re.compile(
        rb"\xa3(?:\x81.|\x82..)\x30(?:\x81.|\x82..)"
        + re.escape(issuer_key)
        + b".{20}(?:"
        + b"|".join(places)
        + b")?"
        + re.escape(subject_key)
        + b"(.{20})(?:"
        + re.escape(ca_usage + ca)
        + b"([\x00-\x7f])|"
        + re.escape(end_usage + end)
        + rb"(?:\x30\x82(?P<pair>..)"
        + re.escape(der.element(der.OBJECT_IDENTIFIER, der.oid(_PCK)))
        + rb"\x04\x82(?P<size>..)(?P<pck>.{256,2048}))?)",
        re.DOTALL,
    )


_USUAL: Final = _expression()


def usual_extensions(data: bytes, start: int, end: int) -> Extensions | None:
    """Read the extensions field of a certificate, which the library has found to be DER down to each extension's value.

    It goes from ``start`` to ``end``. ``None`` for any other form.
    """
    found = _USUAL.fullmatch(data, start, end)
    if found is None:
        return None
    key_id, path_length, pair, size, pck = found.groups()
    if path_length is not None:
        return Extensions(key_id, True, path_length[0], _OF_CA[1], {}, _CRITICAL)
    if pck is None:
        return Extensions(key_id, False, None, _OF_END[1], {}, _CRITICAL)
    if int.from_bytes(size, "big") != len(pck) or int.from_bytes(pair, "big") != len(pck) + _PCK_HEAD:
        return None
    return Extensions(key_id, False, None, _OF_END[1], {_PCK: pck}, _CRITICAL)


def _list_expression() -> re.Pattern[bytes]:
    number = _extension("2.5.29.20", der.unsigned(0))[:-1]
    issuer_key = _extension("2.5.29.35", der.element(der.SEQUENCE, der.element(0x80, bytes(20))))[:-20]
    both = len(number) + 1 + len(issuer_key) + 20
    head = bytes((0xA0, both + 2, der.SEQUENCE, both))
    return re.compile(re.escape(head + number) + rb"([\x00-\x7f])" + re.escape(issuer_key) + b"(.{20})", re.DOTALL)


_USUAL_OF_LIST: Final = _list_expression()


def usual_list_extensions(data: bytes, start: int, end: int) -> tuple[int, bytes] | None:
    """Read the extensions field of a CRL, its number and its issuer's key identifier; ``None`` for any other form."""
    found = _USUAL_OF_LIST.fullmatch(data, start, end)
    return None if found is None else (found[1][0], found[2])
