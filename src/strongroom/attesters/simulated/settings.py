"""What can be chosen about a simulated platform and about an enclave on it, faults included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.formats.measurements import MEASUREMENT_BYTES, MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus

__all__ = ["EnclaveIdentity", "PlatformSettings"]

_STATUSES: Final = (TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE)
_MAX_ISV: Final = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """The state of the machine. ``tcb`` is ``UpToDate`` or ``OutOfDate``; a revoked PCK is in the CRL."""

    tcb: TcbStatus = TcbStatus.UP_TO_DATE
    pck_revoked: bool = False

    def __post_init__(self) -> None:
        if self.tcb not in _STATUSES:
            raise ValueError(f"a simulated platform is {' or '.join(_STATUSES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveIdentity:
    """The identity that the CPU would give to an enclave at its start; ``isv_*`` are numbers of 16 bits."""

    mr_enclave: MrEnclave
    mr_signer: MrSigner
    isv_prod_id: int = 1
    isv_svn: int = 1
    debug: bool = False

    def __post_init__(self) -> None:
        if not len(self.mr_enclave) == len(self.mr_signer) == MEASUREMENT_BYTES:
            raise ValueError(f"measurements have {MEASUREMENT_BYTES} bytes")
        if not (0 <= self.isv_prod_id <= _MAX_ISV and 0 <= self.isv_svn <= _MAX_ISV):
            raise ValueError("ISVPRODID and ISVSVN are numbers of 16 bits")
