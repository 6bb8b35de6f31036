"""TCB info: for one kind of platform (FMSPC and PCEID), which versions have which status.

Source: Intel PCS API, "Get TCB Info" versions 3 (document version 2) and 4 (document version 3). Fields of TDX are
read and kept. It does not look for a platform's level; the verifier does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from strongroom.formats.pck_extension import COMPONENTS
from strongroom.formats.signed_json import Json, is_short_text, parse_object, write_date, write_json
from strongroom.formats.tcb_levels import MAX_LEVELS, IsvSvnLevel, read_advisories, read_status
from strongroom.formats.tcb_parts import TcbComponent, TcbLevel, TdxModule, TdxModuleIdentity
from strongroom.formats.usual_tcb_info import read_usual_tcb_info

if TYPE_CHECKING:
    from strongroom.formats.signed_json import JsonFields

__all__ = ["TcbComponent", "TcbInfo", "TcbLevel", "TdxModule", "TdxModuleIdentity"]

_VERSIONS: Final = (2, 3)
_MAX_EVALUATION_NUMBER: Final = 0xFFFFFFFF
_MAX_MODULES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """One TCB info. ``fmspc`` has 6 bytes, ``pce_id`` 2; ``id`` is ``SGX`` or ``TDX`` (version 2 knows SGX only)."""

    version: int
    id: str
    issue_date: datetime
    next_update: datetime
    fmspc: bytes
    pce_id: bytes
    tcb_evaluation_data_number: int
    levels: tuple[TcbLevel, ...]
    tdx_module: TdxModule | None = None
    tdx_module_identities: tuple[TdxModuleIdentity, ...] | None = None

    @classmethod
    def from_bytes(cls, body: bytes) -> TcbInfo:
        """Read the value that is signed (the inner object, without its signature), or raise ``MalformedCollateral``."""
        if (usual := read_usual_tcb_info(body)) is not None:
            return cls(**usual)
        fields = parse_object(body, path="TCB info")
        version = fields.number("version", at_most=0xFFFF)
        if version not in _VERSIONS:
            raise fields.fail(f"version {version} is not read (2 and 3 are)")
        identity = "SGX" if version == 2 else fields.text("id")
        if identity not in ("SGX", "TDX"):
            raise fields.fail(f"id {identity!r} is neither SGX nor TDX")
        fields.number("tcbType", at_most=0)  # the one composition of CPUSVN that is defined
        tdx = identity == "TDX"
        if not tdx and ("tdxModule" in fields or "tdxModuleIdentities" in fields):
            raise fields.fail("a TCB info of SGX carries a TDX module")
        levels = tuple(
            _read_level(level, version, tdx=tdx) for level in fields.objects("tcbLevels", at_most=MAX_LEVELS)
        )
        if not levels:
            raise fields.fail("no TCB level")
        if len({level.order for level in levels}) != len(levels):
            raise fields.fail("a TCB level occurs twice")
        has_modules = tdx and "tdxModuleIdentities" in fields
        return cls(
            version=version,
            id=identity,
            issue_date=fields.date("issueDate"),
            next_update=fields.date("nextUpdate"),
            fmspc=fields.hexadecimal("fmspc", 6),
            pce_id=fields.hexadecimal("pceId", 2),
            tcb_evaluation_data_number=fields.number("tcbEvaluationDataNumber", at_most=_MAX_EVALUATION_NUMBER),
            levels=levels,
            tdx_module=_read_module(fields.object("tdxModule")) if tdx else None,
            tdx_module_identities=_read_identities(fields) if has_modules else None,
        )

    def to_bytes(self) -> bytes:
        """Write the value to be signed, fields in Intel's order."""
        out: dict[str, Json] = {} if self.version == 2 else {"id": self.id}
        out |= {"version": self.version}
        out |= {"issueDate": write_date(self.issue_date), "nextUpdate": write_date(self.next_update)}
        out |= {"fmspc": self.fmspc.hex().upper(), "pceId": self.pce_id.hex().upper(), "tcbType": 0}
        out |= {"tcbEvaluationDataNumber": self.tcb_evaluation_data_number}
        if self.tdx_module is not None:
            out["tdxModule"] = _write_module(self.tdx_module)
        if self.tdx_module_identities is not None:
            out["tdxModuleIdentities"] = [
                {"id": item.id, **_write_module(item.module), "tcbLevels": [x.to_json_object() for x in item.levels]}
                for item in self.tdx_module_identities
            ]
        out["tcbLevels"] = [_write_level(level, self.version) for level in self.levels]
        return write_json(out)


def _read_level(fields: JsonFields, version: int, *, tdx: bool) -> TcbLevel:
    tcb = fields.object("tcb")
    if version == 2:
        numbered = (f"sgxtcbcomp{number:02}svn" for number in range(1, COMPONENTS + 1))
        components = tuple(_component(tcb.number(name, at_most=255), None, None) for name in numbered)
    else:
        components = _read_components(tcb, "sgxtcbcomponents")
    return TcbLevel(
        components=components,
        pce_svn=tcb.number("pcesvn", at_most=0xFFFF),
        tdx_components=_read_components(tcb, "tdxtcbcomponents") if tdx else None,
        tcb_date=fields.date("tcbDate"),
        status=read_status(fields),
        advisory_ids=read_advisories(fields),
    )


def _read_components(tcb: JsonFields, name: str) -> tuple[TcbComponent, ...]:
    try:
        components = tuple(
            [
                _component(item["svn"], item.get("category"), item.get("type"))
                for item in tcb.plain_objects(name, at_most=COMPONENTS)
            ]
        )
    except (KeyError, TypeError, ValueError):  # a field is missing, is a list or an object, or was refused
        raise tcb.fail(f"a component in {name!r} is not an SVN from 0 to 255 with short texts") from None
    # compared pairwise later: a list of another length would silently compare fewer
    if len(components) != COMPONENTS:
        raise tcb.fail(f"{len(components)} components in {name!r}, not {COMPONENTS}")
    return components


@lru_cache(maxsize=1024, typed=True)  # a document names the same few over and over; typed, for True equals 1
def _component(svn: Any, category: Any, kind: Any) -> TcbComponent:
    if not isinstance(svn, int) or isinstance(svn, bool) or not 0 <= svn <= 255:
        raise ValueError(svn)
    for text in (category, kind):
        if text is not None and not is_short_text(text):
            raise ValueError(text)
    return TcbComponent(svn=svn, category=category, kind=kind)


def _read_module(fields: JsonFields) -> TdxModule:
    return TdxModule(
        mr_signer=fields.hexadecimal("mrsigner", 48),
        attributes=fields.hexadecimal("attributes", 8),
        attributes_mask=fields.hexadecimal("attributesMask", 8),
    )


def _read_identities(fields: JsonFields) -> tuple[TdxModuleIdentity, ...]:
    identities = tuple(
        TdxModuleIdentity(
            id=item.text("id"),
            module=_read_module(item),
            levels=tuple(IsvSvnLevel.read(level) for level in item.objects("tcbLevels", at_most=MAX_LEVELS)),
        )
        for item in fields.objects("tdxModuleIdentities", at_most=_MAX_MODULES)
    )
    if not identities:
        raise fields.fail("an empty list of TDX module identities")
    if len({item.id.upper() for item in identities}) != len(identities):
        raise fields.fail("a TDX module identity occurs twice")
    if any(len({level.isv_svn for level in item.levels}) != len(item.levels) for item in identities):
        raise fields.fail("a TCB level of a TDX module occurs twice")
    return identities


def _write_module(module: TdxModule) -> dict[str, Json]:
    return {
        "mrsigner": module.mr_signer.hex().upper(),
        "attributes": module.attributes.hex().upper(),
        "attributesMask": module.attributes_mask.hex().upper(),
    }


def _write_level(level: TcbLevel, version: int) -> dict[str, Json]:
    tcb: dict[str, Json] = {}
    if version == 2:
        tcb |= {f"sgxtcbcomp{number:02}svn": item.svn for number, item in enumerate(level.components, 1)}
    else:
        tcb["sgxtcbcomponents"] = [_write_component(item) for item in level.components]
    tcb["pcesvn"] = level.pce_svn
    if level.tdx_components is not None:
        tcb["tdxtcbcomponents"] = [_write_component(item) for item in level.tdx_components]
    out: dict[str, Json] = {"tcb": tcb, "tcbDate": write_date(level.tcb_date), "tcbStatus": level.status.value}
    if level.advisory_ids:
        out["advisoryIDs"] = list(level.advisory_ids)
    return out


def _write_component(component: TcbComponent) -> dict[str, Json]:
    out: dict[str, Json] = {"svn": component.svn}
    if component.category is not None:
        out["category"] = component.category
    if component.kind is not None:
        out["type"] = component.kind
    return out
