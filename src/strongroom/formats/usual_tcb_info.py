"""TCB info of version 3 in the one form in which Intel writes it (``usual_json``)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from strongroom.formats.pck_extension import COMPONENTS
from strongroom.formats.signed_json import MAX_BODY_BYTES
from strongroom.formats.tcb_levels import MAX_LEVELS, read_usual_levels, usual_status
from strongroom.formats.tcb_parts import TcbComponent, TcbLevel, TdxModule, TdxModuleIdentity
from strongroom.formats.usual_json import (
    ADVISORIES,
    DATE,
    STATUS,
    TEXT,
    hexadecimal,
    items,
    number,
    usual_advisories,
    usual_instant,
)

__all__ = ["read_usual_tcb_info"]

_MAX_EVALUATION_NUMBER: Final = 0xFFFFFFFF
_MAX_MODULES: Final = 64
_LEVELS: Final = b',"tcbLevels":['
_UNNAMED: Final = {b"%d" % svn: TcbComponent(svn=svn) for svn in range(256)}  # by the SVN as JSON writes it

_NAMES: Final = rb'(?:,"category":(' + TEXT + rb'))?(?:,"type":(' + TEXT + rb"))?\}"
_USUAL_COMPONENT: Final = re.compile(rb'\{"svn":([0-9]{1,3})' + _NAMES)  # which of them are SVNs, _UNNAMED knows
_ONE: Final = _USUAL_COMPONENT.pattern.replace(b"(", b"(?:").replace(b"(?:?:", b"(?:")
_PLAIN: Final = rb'\{"svn":[0-9]{1,3}\}'
_COMPONENTS: Final = rb"\[(" + b"|".join(b",".join([one] * COMPONENTS) for one in (_PLAIN, _ONE)) + rb")\]"
_USUAL_LEVEL: Final = re.compile(
    rb'\{"tcb":\{"sgxtcbcomponents":'
    + _COMPONENTS
    + rb',"pcesvn":'
    + number(5)
    + rb'(?:,"tdxtcbcomponents":'
    + _COMPONENTS
    + rb')?\},"tcbDate":'
    + DATE
    + rb',"tcbStatus":'
    + STATUS
    + ADVISORIES
    + rb"\}"
)
_MODULE: Final = (
    rb'"mrsigner":' + hexadecimal(48) + rb',"attributes":' + hexadecimal(8) + rb',"attributesMask":' + hexadecimal(8)
)
_USUAL_HEAD: Final = re.compile(
    rb'\{"id":"(SGX|TDX)","version":3,"issueDate":'
    + DATE
    + rb',"nextUpdate":'
    + DATE
    + rb',"fmspc":'
    + hexadecimal(6)
    + rb',"pceId":'
    + hexadecimal(2)
    + rb',"tcbType":0,"tcbEvaluationDataNumber":'
    + number(10)
    + rb'(?:,"tdxModule":\{'
    + _MODULE
    + rb'\})?(,"tdxModuleIdentities":\[)?'
)
_USUAL_IDENTITY: Final = re.compile(rb'\{"id":"([A-Za-z0-9_]{1,16})",' + _MODULE + rb',"tcbLevels":\[')


def read_usual_tcb_info(body: bytes) -> dict[str, Any] | None:
    """Read the fields of a ``TcbInfo`` in Intel's own form; ``None`` for any other, good or bad."""
    head = _USUAL_HEAD.match(body)
    if head is None or len(body) > MAX_BODY_BYTES:
        return None
    name, issued, until, fmspc, pce_id, evaluation, *module, has_identities = head.groups()
    tdx, end = name == b"TDX", head.end()
    issue_date, next_update = usual_instant(issued), usual_instant(until)
    if tdx != (module[0] is not None) or issue_date is None or next_update is None:
        return None
    identities: tuple[TdxModuleIdentity, ...] | None = None
    if has_identities:
        found = _read_usual_identities(body, end) if tdx else None
        if found is None:
            return None
        identities, end = found
    if not body.startswith(_LEVELS, end) or int(evaluation) > _MAX_EVALUATION_NUMBER:
        return None
    levels, end = _read_usual_platform_levels(body, end + len(_LEVELS), tdx=tdx)
    if body[end:] != b"]}" or not 0 < len(levels) <= MAX_LEVELS:
        return None
    if len({level.order for level in levels}) != len(levels):
        return None
    return {
        "version": 3,
        "id": name.decode(),
        "issue_date": issue_date,
        "next_update": next_update,
        "fmspc": bytes.fromhex(fmspc.decode()),
        "pce_id": bytes.fromhex(pce_id.decode()),
        "tcb_evaluation_data_number": int(evaluation),
        "levels": levels,
        "tdx_module": _usual_module(*module) if tdx else None,
        "tdx_module_identities": identities,
    }


def _read_usual_platform_levels(body: bytes, at: int, *, tdx: bool) -> tuple[tuple[TcbLevel, ...], int]:
    """Read platform levels from a place on and tell where the last one ends; none at all when one is of no use."""
    found, end = items(_USUAL_LEVEL, body, at)
    levels = []
    for sgx_components, pce_svn, tdx_components, date, name, advisories in found:
        svn, tcb_date, status = int(pce_svn), usual_instant(date), usual_status(name)
        if svn > 0xFFFF or tcb_date is None or status is None or tdx != (tdx_components is not None):
            return (), at
        try:
            levels.append(
                TcbLevel(
                    components=_usual_components(sgx_components),
                    pce_svn=svn,
                    tdx_components=_usual_components(tdx_components) if tdx else None,
                    tcb_date=tcb_date,
                    status=status,
                    advisory_ids=usual_advisories(advisories),
                )
            )
        except KeyError:  # an SVN above 255, or with zeros before it
            return (), at
    return tuple(levels), end


def _usual_components(text: bytes) -> tuple[TcbComponent, ...]:
    if b"e" not in text:  # neither a category nor a type in any of them
        return tuple(map(_UNNAMED.__getitem__, text.translate(None, delete=b'{"svn:}').split(b",")))
    return tuple(map(_usual_component, _USUAL_COMPONENT.findall(text)))


@lru_cache(maxsize=1024)  # a document names the same few over and over
def _usual_component(groups: tuple[bytes, bytes, bytes]) -> TcbComponent:
    svn, *texts = groups
    category, kind = (text.decode()[1:-1] if text else None for text in texts)
    return TcbComponent(svn=_UNNAMED[svn].svn, category=category, kind=kind)


def _read_usual_identities(body: bytes, at: int) -> tuple[tuple[TdxModuleIdentity, ...], int] | None:
    identities: list[TdxModuleIdentity] = []
    while (head := _USUAL_IDENTITY.match(body, at)) is not None:
        found = read_usual_levels(body, head.end())
        if found is None or len(identities) == _MAX_MODULES:
            return None
        levels, end = found
        name, *module = head.groups()
        identities.append(TdxModuleIdentity(id=name.decode(), module=_usual_module(*module), levels=levels))
        if body[end : end + 2] != b"]}":
            return None
        at = end + 3
        if body[end + 2 : at] != b",":
            break
    names = {item.id.upper() for item in identities}
    twice = any(len({level.isv_svn for level in item.levels}) != len(item.levels) for item in identities)
    if not identities or len(names) != len(identities) or twice:
        return None
    return (tuple(identities), at) if body[at - 1 : at] == b"]" else None


def _usual_module(mr_signer: bytes, attributes: bytes, mask: bytes) -> TdxModule:
    return TdxModule(
        mr_signer=bytes.fromhex(mr_signer.decode()),
        attributes=bytes.fromhex(attributes.decode()),
        attributes_mask=bytes.fromhex(mask.decode()),
    )
