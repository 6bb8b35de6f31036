"""Steps 7.6 to 7.9: the TDX module under a trust domain (docs/spec/appraisal.md section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.base.findings import Check
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.tcb import isv_svn_level, of_later_module

if TYPE_CHECKING:
    from strongroom.formats.tcb_info import TcbInfo, TdxModuleIdentity
    from strongroom.formats.tcb_levels import IsvSvnLevel
    from strongroom.formats.td_report import TdReport
    from strongroom.verifier.inquiry import Objections

__all__ = ["judge_module", "module_level", "module_name"]


def module_name(tdx_svn: bytes) -> str:
    """Name the generation of a TDX module as TCB info does: ``TDX_`` and its major version, two hexadecimal digits."""
    return f"TDX_{tdx_svn[1]:02X}"


def judge_module(inquiry: Objections, info: TcbInfo, report: TdReport) -> None:
    """Steps 7.7 and 7.8: signer and attributes of the TDX module are those of its identity.

    A module of the first generation has none of its own; the TCB info's common one holds for it.
    """
    if of_later_module(report.tee_tcb_svn):
        identity = _identity(info, report.tee_tcb_svn)
        module = identity.module if identity is not None else None
    else:
        module = info.tdx_module
    if module is None:
        return  # step 7.6 or 4.3 has objected
    if report.mr_signer_seam != module.mr_signer:
        inquiry.object(
            Check.TDX_MODULE,
            "7.7",
            "the TDX module is signed by somebody else",
            expected=module.mr_signer.hex(),
            actual=report.mr_signer_seam.hex(),
        )
    mask = int.from_bytes(module.attributes_mask, "big")
    attributes = int.from_bytes(report.seam_attributes, "big")
    if attributes & mask != int.from_bytes(module.attributes, "big") & mask or attributes & ~mask:
        inquiry.object(
            Check.TDX_MODULE,
            "7.8",
            "the TDX module has other attributes than its identity",
            expected=f"{module.attributes.hex()} under {module.attributes_mask.hex()}, and nothing outside",
            actual=report.seam_attributes.hex(),
        )


def module_level(inquiry: Objections, info: TcbInfo, tdx_svn: bytes, *, step: str | None = None) -> IsvSvnLevel | None:
    """Steps 7.6 and 7.9: the level of a TDX module by its version; ``None`` when it was objected to.

    To be asked for modules with an identity only. ``step`` names the findings where it is not those two.
    """
    name = module_name(tdx_svn)
    identity = _identity(info, tdx_svn)
    if identity is None:
        known = ", ".join(item.id for item in info.tdx_module_identities or ()) or "no TDX module"
        inquiry.require(
            False,
            Check.TDX_MODULE,
            step or "7.6",
            "the TCB info does not know the TDX module",
            expected=known,
            actual=name,
        )
        return None
    level = isv_svn_level(identity.levels, tdx_svn[0])
    if level is None:
        inquiry.require(
            False,
            Check.TCB_STATUS,
            step or "7.9",
            f"the TDX module {name} lies below every level",
            expected=f"at least {min((item.isv_svn for item in identity.levels), default='a level')}",
            actual=str(tdx_svn[0]),
        )
        return None
    inquiry.require(
        level.status is not TcbStatus.REVOKED,
        Check.TCB_STATUS,
        step or "7.9",
        f"this version of the TDX module {name} is revoked",
        actual=str(tdx_svn[0]),
    )
    return level


def _identity(info: TcbInfo, tdx_svn: bytes) -> TdxModuleIdentity | None:
    name = module_name(tdx_svn)
    return next((item for item in info.tdx_module_identities or () if item.id.upper() == name), None)
