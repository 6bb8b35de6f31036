"""QE identity: which enclaves may sign quotes, and which of their versions have which status.

Source: Intel PCS API version 4, "Get Quoting Enclave Identity" (document version 2). It compares nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from strongroom.formats.measurements import MrSigner
from strongroom.formats.signed_json import Json, parse_object, write_date, write_json
from strongroom.formats.tcb_levels import MAX_LEVELS, IsvSvnLevel

__all__ = ["QeIdentity"]

_VERSION: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class QeIdentity:
    """One enclave identity; ``id`` is ``QE`` for SGX (``TD_QE`` and ``QVE`` are read too).

    ``misc_select`` and its mask are numbers of 32 bits; ``attributes`` and its mask are the report's 16 bytes.
    """

    id: str
    issue_date: datetime
    next_update: datetime
    tcb_evaluation_data_number: int
    misc_select: int
    misc_select_mask: int
    attributes: bytes
    attributes_mask: bytes
    mr_signer: MrSigner
    isv_prod_id: int
    levels: tuple[IsvSvnLevel, ...]

    @classmethod
    def from_bytes(cls, body: bytes) -> QeIdentity:
        """Read the value that is signed (the inner object, without its signature), or raise ``MalformedCollateral``."""
        fields = parse_object(body, path="QE identity")
        version = fields.number("version", at_most=0xFFFF)
        if version != _VERSION:
            raise fields.fail(f"version {version} is not read (2 is)")
        levels = tuple(IsvSvnLevel.read(level) for level in fields.objects("tcbLevels", at_most=MAX_LEVELS))
        if not levels:
            raise fields.fail("no TCB level")
        if len({level.isv_svn for level in levels}) != len(levels):
            raise fields.fail("a TCB level occurs twice")
        return cls(
            id=fields.text("id"),
            issue_date=fields.date("issueDate"),
            next_update=fields.date("nextUpdate"),
            tcb_evaluation_data_number=fields.number("tcbEvaluationDataNumber", at_most=0xFFFFFFFF),
            # Intel writes the four bytes as they stand in the report, least significant first
            misc_select=int.from_bytes(fields.hexadecimal("miscselect", 4), "little"),
            misc_select_mask=int.from_bytes(fields.hexadecimal("miscselectMask", 4), "little"),
            attributes=fields.hexadecimal("attributes", 16),
            attributes_mask=fields.hexadecimal("attributesMask", 16),
            mr_signer=MrSigner(fields.hexadecimal("mrsigner", 32)),
            isv_prod_id=fields.number("isvprodid", at_most=0xFFFF),
            levels=levels,
        )

    def to_bytes(self) -> bytes:
        """Write the value to be signed, fields in Intel's order."""
        out: dict[str, Json] = {
            "id": self.id,
            "version": _VERSION,
            "issueDate": write_date(self.issue_date),
            "nextUpdate": write_date(self.next_update),
            "tcbEvaluationDataNumber": self.tcb_evaluation_data_number,
            "miscselect": self.misc_select.to_bytes(4, "little").hex().upper(),
            "miscselectMask": self.misc_select_mask.to_bytes(4, "little").hex().upper(),
            "attributes": self.attributes.hex().upper(),
            "attributesMask": self.attributes_mask.hex().upper(),
            "mrsigner": self.mr_signer.hex().upper(),
            "isvprodid": self.isv_prod_id,
            "tcbLevels": [level.to_json_object() for level in self.levels],
        }
        return write_json(out)
