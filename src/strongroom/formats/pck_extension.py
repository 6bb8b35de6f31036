"""Intel's extension of the PCK certificate: the platform, its security version numbers and its kind.

OID 1.2.840.113741.1.13.1, a SEQUENCE of (OID, value) pairs: 5 from the Processor CA, 7 from the Platform CA. Source:
Intel SGX PCK Certificate and CRL Profile Specification. Every pair once, in any order, at its own place only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedCollateral
from strongroom.crypto import der
from strongroom.crypto.der import DerReader

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COMPONENTS", "PCK_EXTENSION_OID", "Configuration", "PckExtension", "PckTcb", "SgxType"]

PCK_EXTENSION_OID: Final = "1.2.840.113741.1.13.1"
COMPONENTS: Final = 16
_MAX_BYTES: Final = 2048  # genuine ones have 440 to 560
_PATH: Final = "PCK extension"
_PREFIX: Final = der.oid(PCK_EXTENSION_OID)
_PPID, _TCB, _PCE_ID, _FMSPC, _SGX_TYPE, _INSTANCE, _CONFIGURATION = range(1, 8)


class SgxType(IntEnum):
    """How the platform protects its memory."""

    STANDARD = 0
    SCALABLE = 1
    SCALABLE_WITH_INTEGRITY = 2


_SGX_TYPES: Final = tuple(SgxType)


@dataclass(frozen=True, slots=True, kw_only=True)
class PckTcb:
    """The platform's versions: 16 ``components`` (0 to 255), ``pce_svn``, and ``cpu_svn`` (16 bytes)."""

    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Settings of a multi-package platform."""

    dynamic_platform: bool
    cached_keys: bool
    smt_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PckExtension:
    """The extension. ``platform_instance_id`` and ``configuration`` come together (7 elements) or not at all (5)."""

    ppid: bytes
    tcb: PckTcb
    pce_id: bytes
    fmspc: bytes
    sgx_type: SgxType
    platform_instance_id: bytes | None = None
    configuration: Configuration | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> PckExtension:
        """Read the extension's value, or raise ``MalformedCollateral``."""
        if len(data) > _MAX_BYTES:
            raise MalformedCollateral(f"{len(data)} bytes, at most {_MAX_BYTES} are read", path=_PATH)
        if (usual := _read_usual(data)) is not None:
            return usual
        pairs = dict(_pairs(_whole(data), _PREFIX, 7))
        if set(pairs) not in ({1, 2, 3, 4, 5}, {1, 2, 3, 4, 5, 6, 7}):
            raise MalformedCollateral(f"elements {sorted(pairs)}, not 1 to 5 or 1 to 7", path=_PATH)
        kind = pairs[_SGX_TYPE].number("SGX type", tag=der.ENUMERATED, at_most=max(SgxType))
        whole = _INSTANCE in pairs
        value = cls(
            ppid=_octets(pairs[_PPID], 16, "PPID"),
            tcb=_tcb(pairs[_TCB]),
            pce_id=_octets(pairs[_PCE_ID], 2, "PCEID"),
            fmspc=_octets(pairs[_FMSPC], 6, "FMSPC"),
            sgx_type=SgxType(kind),
            platform_instance_id=_octets(pairs[_INSTANCE], 16, "platform instance id") if whole else None,
            configuration=_configuration(pairs[_CONFIGURATION]) if whole else None,
        )
        for reader in pairs.values():
            reader.expect_end()
        return value

    def to_bytes(self) -> bytes:
        """Write the extension's value; ``ValueError`` for fields that do not fit together."""
        if (self.platform_instance_id is None) != (self.configuration is None):
            raise ValueError("a platform instance id and a configuration come together or not at all")
        if len(self.tcb.components) != COMPONENTS:
            raise ValueError(f"{len(self.tcb.components)} components where {COMPONENTS} belong")
        tcb = [der.unsigned(svn) for svn in self.tcb.components]
        tcb += [der.unsigned(self.tcb.pce_svn), der.element(der.OCTET_STRING, self.tcb.cpu_svn)]
        values = [
            der.element(der.OCTET_STRING, self.ppid),
            _sequence(_PREFIX + bytes((_TCB,)), tcb),
            der.element(der.OCTET_STRING, self.pce_id),
            der.element(der.OCTET_STRING, self.fmspc),
            der.unsigned(self.sgx_type, tag=der.ENUMERATED),
        ]
        if self.platform_instance_id is not None and (configuration := self.configuration) is not None:
            flags = (configuration.dynamic_platform, configuration.cached_keys, configuration.smt_enabled)
            booleans = [der.element(der.BOOLEAN, b"\xff" if flag else b"\x00") for flag in flags]
            values += [
                der.element(der.OCTET_STRING, self.platform_instance_id),
                _sequence(_PREFIX + bytes((_CONFIGURATION,)), booleans),
            ]
        return _sequence(_PREFIX, values)


def _sequence(prefix: bytes, values: list[bytes]) -> bytes:
    pairs = (
        der.element(der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, prefix + bytes((arc,))), value)
        for arc, value in enumerate(values, 1)
    )
    return der.element(der.SEQUENCE, *pairs)


def _whole(data: bytes) -> DerReader:
    outer = DerReader(data, path=_PATH, error=MalformedCollateral)
    inner = outer.enter(der.SEQUENCE, "sequence")
    outer.expect_end()
    return inner


def _pairs(reader: DerReader, prefix: bytes, last: int) -> Iterator[tuple[int, DerReader]]:
    """Yield (last arc, value) for each pair under ``prefix``, each arc from 1 to ``last`` at most once."""
    seen: set[int] = set()
    while reader.remaining:
        pair = reader.enter(der.SEQUENCE, "pair")
        name = pair.take(der.OBJECT_IDENTIFIER, "OID")
        arc = name[-1] if len(name) == len(prefix) + 1 and name.startswith(prefix) else 0
        if not 1 <= arc <= last:
            raise reader.fail("an OID that does not belong here")
        if arc in seen:
            raise reader.fail(f"element {arc} occurs twice")
        seen.add(arc)
        yield arc, pair


def _octets(reader: DerReader, length: int, field: str) -> bytes:
    value = reader.take(der.OCTET_STRING, field)
    if len(value) != length:
        raise reader.fail(f"{field} has {len(value)} bytes, not {length}")
    return value


def _tcb(reader: DerReader) -> PckTcb:
    pairs = dict(_pairs(reader.enter(der.SEQUENCE, "TCB"), _PREFIX + bytes((_TCB,)), COMPONENTS + 2))
    if len(pairs) != COMPONENTS + 2:
        raise reader.fail(f"TCB has {len(pairs)} elements, not {COMPONENTS + 2}")
    tcb = PckTcb(
        components=tuple(pairs[arc].number(f"component {arc}", at_most=255) for arc in range(1, COMPONENTS + 1)),
        pce_svn=pairs[COMPONENTS + 1].number("PCESVN", at_most=0xFFFF),
        cpu_svn=_octets(pairs[COMPONENTS + 2], 16, "CPUSVN"),
    )
    for pair in pairs.values():
        pair.expect_end()
    return tcb


def _configuration(reader: DerReader) -> Configuration:
    pairs = dict(_pairs(reader.enter(der.SEQUENCE, "configuration"), _PREFIX + bytes((_CONFIGURATION,)), 3))
    if len(pairs) != 3:
        raise reader.fail(f"configuration has {len(pairs)} elements, not 3")
    configuration = Configuration(
        dynamic_platform=pairs[1].boolean("dynamic platform"),
        cached_keys=pairs[2].boolean("cached keys"),
        smt_enabled=pairs[3].boolean("SMT enabled"),
    )
    for pair in pairs.values():
        pair.expect_end()
    return configuration


# The one order and the shortest lengths in which Intel's CAs write the extension, as an expression over its bytes: a
# quicker reading of nearly all there are. Whatever it does not match is read pair by pair.


def _pair(prefix: bytes, arc: int, *forms: tuple[bytes, int]) -> bytes:
    """Match a pair whose value has one of ``forms``: an expression, and the number of bytes it matches."""
    name = der.element(der.OBJECT_IDENTIFIER, prefix + bytes((arc,)))
    heads = (re.escape(bytes((der.SEQUENCE, len(name) + size)) + name) + form for form, size in forms)
    return b"(?:" + b"|".join(heads) + b")"


def _octet_pair(prefix: bytes, arc: int, length: int) -> bytes:
    return _pair(prefix, arc, (rb"\x04" + re.escape(bytes((length,))) + b"(.{%d})" % length, length + 2))


def _usual_expression() -> re.Pattern[bytes]:
    tcb_prefix, configuration_prefix = _PREFIX + bytes((_TCB,)), _PREFIX + bytes((_CONFIGURATION,))
    small = ((rb"\x02\x01(?=[\x00-\x7f])", 3), (rb"\x02\x02\x00(?=[\x80-\xff])", 4))
    pce_svn = (
        (rb"\x02\x01([\x00-\x7f])", 3),
        (rb"\x02\x02((?:\x00[\x80-\xff]|[\x01-\x7f].))", 4),
        (rb"\x02\x03(\x00[\x80-\xff].)", 5),
    )
    tcb = b"".join(_pair(tcb_prefix, arc, *small) + b"(.)" for arc in range(1, COMPONENTS + 1))
    tcb += _pair(tcb_prefix, COMPONENTS + 1, *pce_svn) + _octet_pair(tcb_prefix, COMPONENTS + 2, 16)
    flags = b"".join(_pair(configuration_prefix, arc, (rb"\x01\x01([\x00\xff])", 3)) for arc in (1, 2, 3))
    flags_size = 3 * len(der.element(der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, _PREFIX + bytes(2)), bytes(3)))
    return re.compile(
        rb"\x30\x82(?P<size>..)"
        + _octet_pair(_PREFIX, _PPID, 16)
        + rb"\x30\x82(?P<tcb_pair_size>..)"
        + re.escape(der.element(der.OBJECT_IDENTIFIER, tcb_prefix))
        + rb"\x30\x82(?P<tcb_size>..)(?P<tcb>"
        + tcb
        + b")"
        + _octet_pair(_PREFIX, _PCE_ID, 2)
        + _octet_pair(_PREFIX, _FMSPC, 6)
        + _pair(_PREFIX, _SGX_TYPE, (rb"\x0a\x01(?P<sgx_type>[\x00-\x02])", 3))
        + b"(?:"
        + _octet_pair(_PREFIX, _INSTANCE, 16)
        + _pair(_PREFIX, _CONFIGURATION, (re.escape(bytes((der.SEQUENCE, flags_size))) + flags, flags_size + 2))
        + b")?",
        re.DOTALL,
    )


_USUAL: Final = _usual_expression()


def _read_usual(data: bytes) -> PckExtension | None:
    """Read an extension of the usual form; ``None`` for any other, good or bad."""
    found = _USUAL.fullmatch(data)
    if found is None:
        return None
    size, ppid, tcb_pair_size, tcb_size, tcb, *rest = found.groups()
    components = b"".join(rest[:COMPONENTS])
    one, two, three, cpu_svn, pce_id, fmspc, sgx_type, instance, *flags = rest[COMPONENTS:]
    sizes = (len(data) - 4, len(tcb) + 4 + len(_PREFIX) + 3, len(tcb))
    if sizes != tuple(int.from_bytes(item, "big") for item in (size, tcb_pair_size, tcb_size)):
        return None
    dynamic_platform, cached_keys, smt_enabled = (flag == b"\xff" for flag in flags)
    return PckExtension(
        ppid=ppid,
        tcb=PckTcb(components=tuple(components), pce_svn=int.from_bytes(one or two or three, "big"), cpu_svn=cpu_svn),
        pce_id=pce_id,
        fmspc=fmspc,
        sgx_type=_SGX_TYPES[sgx_type[0]],
        platform_instance_id=instance,
        configuration=None
        if instance is None
        else Configuration(dynamic_platform=dynamic_platform, cached_keys=cached_keys, smt_enabled=smt_enabled),
    )
