"""What TCB info and QE identity have in common: the statuses, and levels ordered by an enclave's ISVSVN."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from strongroom.formats.signed_json import Json, write_date
from strongroom.formats.usual_json import (
    ADVISORIES,
    DATE,
    STATUS,
    items,
    number,
    usual_advisories,
    usual_instant,
)

if TYPE_CHECKING:
    from strongroom.formats.signed_json import JsonFields

__all__ = [
    "ENCLAVE_STATUSES",
    "LEVEL_STATUSES",
    "MAX_LEVELS",
    "IsvSvnLevel",
    "TcbStatus",
    "read_advisories",
    "read_status",
    "read_usual_levels",
    "usual_status",
]

MAX_LEVELS: Final = 256
_MAX_ADVISORIES: Final = 512
_ADVISORY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class TcbStatus(StrEnum):
    """The state of a platform's trusted computing base, in Intel's spelling.

    The two of relaunch are verdicts on a trust domain, which no document states: what it was launched on is out of
    date, but the platform underneath has been updated since.
    """

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    TD_RELAUNCH_ADVISED = "TDRelaunchAdvised"
    TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"


LEVEL_STATUSES: Final = tuple(status for status in TcbStatus if not status.value.startswith("TDRelaunch"))
"""The statuses that documents state; the two of relaunch are not among them."""
ENCLAVE_STATUSES: Final = (
    TcbStatus.UP_TO_DATE,
    TcbStatus.OUT_OF_DATE,
    TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
    TcbStatus.REVOKED,
)
"""The statuses of a quoting enclave or a TDX module. The others speak of a platform's settings or of its software."""
_BY_NAME: Final = {status.value: status for status in LEVEL_STATUSES}
_BY_NAME_IN_BYTES: Final = {status.value.encode(): status for status in LEVEL_STATUSES}
_ALL_NAMES: Final = frozenset(status.value for status in TcbStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class IsvSvnLevel:
    """The status of an Intel enclave (quoting enclave, TDX module) from ``isv_svn`` (0 to 65535) upward."""

    isv_svn: int
    tcb_date: datetime
    status: TcbStatus
    advisory_ids: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: JsonFields) -> IsvSvnLevel:
        """Read one level, or raise ``MalformedCollateral``.

        A status that is not one of ``ENCLAVE_STATUSES`` is malformed: nobody can tell what it would permit.
        """
        status = read_status(fields)
        if status not in ENCLAVE_STATUSES:
            raise fields.fail(f"TCB status {status.value!r} is of platforms, not of enclaves")
        return cls(
            isv_svn=fields.object("tcb").number("isvsvn", at_most=0xFFFF),
            tcb_date=fields.date("tcbDate"),
            status=status,
            advisory_ids=read_advisories(fields),
        )

    def to_json_object(self) -> dict[str, Json]:
        """Give the level as JSON, fields in Intel's order."""
        level: dict[str, Json] = {
            "tcb": {"isvsvn": self.isv_svn},
            "tcbDate": write_date(self.tcb_date),
            "tcbStatus": self.status.value,
        }
        if self.advisory_ids:
            level["advisoryIDs"] = list(self.advisory_ids)
        return level


def read_status(fields: JsonFields) -> TcbStatus:
    """Read ``tcbStatus``. A status that is not known is malformed: nobody can say what it permits."""
    name = fields.text("tcbStatus")
    status = _BY_NAME.get(name)
    if status is None:
        raise fields.fail(f"TCB status {name!r} is {'of no level' if name in _ALL_NAMES else 'unknown'}")
    return status


def read_advisories(fields: JsonFields) -> tuple[str, ...]:
    """Read ``advisoryIDs``, which may be absent."""
    if "advisoryIDs" not in fields:
        return ()
    advisories = fields.texts("advisoryIDs", at_most=_MAX_ADVISORIES)
    if not all(map(_is_advisory, advisories)):
        raise fields.fail("an advisory id holds something else than letters, digits, dots, dashes")
    return advisories


@lru_cache(maxsize=1024)  # a document names the same few over and over
def _is_advisory(text: str) -> bool:
    return _ADVISORY.fullmatch(text) is not None


_USUAL_LEVEL: Final = re.compile(
    rb'\{"tcb":\{"isvsvn":' + number(5) + rb'\},"tcbDate":' + DATE + rb',"tcbStatus":' + STATUS + ADVISORIES + rb"\}"
)


def read_usual_levels(text: bytes, at: int = 0) -> tuple[tuple[IsvSvnLevel, ...], int] | None:
    """Read levels in Intel's own form (``usual_json``) and tell where the last ends; ``None`` for any other."""
    found, end = items(_USUAL_LEVEL, text, at)
    levels = []
    for isv_svn, date, name, advisories in found:
        svn, tcb_date, status = int(isv_svn), usual_instant(date), usual_status(name)
        if svn > 0xFFFF or tcb_date is None or status not in ENCLAVE_STATUSES:
            return None
        ids = usual_advisories(advisories)
        levels.append(IsvSvnLevel(isv_svn=svn, tcb_date=tcb_date, status=status, advisory_ids=ids))
    return (tuple(levels), end) if 0 < len(levels) <= MAX_LEVELS else None


def usual_status(name: bytes) -> TcbStatus | None:
    """Give the status of a level by its name; ``None`` for none."""
    return _BY_NAME_IN_BYTES.get(name)
