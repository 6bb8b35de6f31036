"""Steps 4 and 5: TCB info and QE identity, that they are Intel's, in time, and for this platform.

The checks of docs/spec/appraisal.md sections 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.findings import Check
from strongroom.formats.quote_parts import TeeType

if TYPE_CHECKING:
    from strongroom.formats.pck_extension import PckExtension
    from strongroom.formats.qe_identity import QeIdentity
    from strongroom.formats.tcb_info import TcbInfo
    from strongroom.verifier.chains import Chain
    from strongroom.verifier.inquiry import Objections

__all__ = ["judge_qe_identity", "judge_tcb_info"]

_QUOTING_ENCLAVES: Final = {TeeType.SGX: "QE", TeeType.TDX: "TD_QE"}


def judge_tcb_info(
    inquiry: Objections,
    info: TcbInfo,
    *,
    body: bytes,
    signature: bytes,
    chain: Chain | None,
    platform: PckExtension | None,
    tee: TeeType,
) -> None:
    """Step 4: signature over the served bytes, dates, kind of TEE, and the platform's FMSPC and PCEID."""
    if chain is not None:
        inquiry.require(
            inquiry.raw_signature(chain.leaf, body, signature),
            Check.SIGNATURE,
            "4.1",
            "the TCB info is not signed by its issuer",
        )
    inquiry.in_time("4.2", "the TCB info", info.issue_date, info.next_update, graced=True)
    inquiry.require(
        info.id == tee.name,
        Check.TCB_STATUS,
        "4.3",
        f"the TCB info is not for {tee.name}",
        expected=tee.name,
        actual=info.id,
    )
    if platform is not None:
        inquiry.require(
            info.fmspc == platform.fmspc,
            Check.PLATFORM,
            "4.4",
            "the TCB info is for another kind of platform",
            expected=f"FMSPC {platform.fmspc.hex()}",
            actual=f"FMSPC {info.fmspc.hex()}",
        )
        inquiry.require(
            info.pce_id == platform.pce_id,
            Check.PLATFORM,
            "4.5",
            "the TCB info is for another PCE",
            expected=f"PCEID {platform.pce_id.hex()}",
            actual=f"PCEID {info.pce_id.hex()}",
        )


def judge_qe_identity(
    inquiry: Objections, identity: QeIdentity, *, body: bytes, signature: bytes, chain: Chain | None, tee: TeeType
) -> None:
    """Step 5: signature over the served bytes, dates, and that it is of the quoting enclave of this kind of TEE."""
    if chain is not None:
        inquiry.require(
            inquiry.raw_signature(chain.leaf, body, signature),
            Check.SIGNATURE,
            "5.1",
            "the QE identity is not signed by its issuer",
        )
    inquiry.in_time("5.2", "the QE identity", identity.issue_date, identity.next_update, graced=True)
    inquiry.require(
        identity.id == _QUOTING_ENCLAVES[tee],
        Check.QE_IDENTITY,
        "5.3",
        "the QE identity is of another enclave",
        expected=_QUOTING_ENCLAVES[tee],
        actual=ascii(identity.id),
    )
