"""QE identity: which enclaves may sign quotes, and which of their versions have which status.

Source: Intel PCS API version 4, "Get Quoting Enclave Identity" (document version 2). It compares nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from strongroom.formats.measurements import MrSigner
from strongroom.formats.signed_json import MAX_BODY_BYTES, Json, parse_object, write_date, write_json
from strongroom.formats.tcb_levels import MAX_LEVELS, IsvSvnLevel, read_usual_levels
from strongroom.formats.usual_json import DATE, hexadecimal, number, usual_instant

__all__ = ["QeIdentity"]

_VERSION: Final = 2
_MAX_EVALUATION_NUMBER: Final = 0xFFFFFFFF


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
        if (usual := _read_usual(body)) is not None:
            return usual
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
            tcb_evaluation_data_number=fields.number("tcbEvaluationDataNumber", at_most=_MAX_EVALUATION_NUMBER),
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


_USUAL: Final = re.compile(
    rb'\{"id":"([A-Z_]{1,16})","version":2,"issueDate":'
    + DATE
    + rb',"nextUpdate":'
    + DATE
    + rb',"tcbEvaluationDataNumber":'
    + number(10)
    + rb',"miscselect":'
    + hexadecimal(4)
    + rb',"miscselectMask":'
    + hexadecimal(4)
    + rb',"attributes":'
    + hexadecimal(16)
    + rb',"attributesMask":'
    + hexadecimal(16)
    + rb',"mrsigner":'
    + hexadecimal(32)
    + rb',"isvprodid":'
    + number(5)
    + rb',"tcbLevels":\['
)


def _read_usual(body: bytes) -> QeIdentity | None:
    """Read an identity in Intel's own form (``usual_json``); ``None`` for any other."""
    head = _USUAL.match(body)
    if head is None or len(body) > MAX_BODY_BYTES or (found := read_usual_levels(body, head.end())) is None:
        return None
    levels, end = found
    name, issued, until, evaluation, misc_select, misc_mask, attributes, mask, signer, product = head.groups()
    issue_date, next_update = usual_instant(issued), usual_instant(until)
    if body[end:] != b"]}" or issue_date is None or next_update is None:
        return None
    if int(evaluation) > _MAX_EVALUATION_NUMBER or int(product) > 0xFFFF:
        return None
    if len({level.isv_svn for level in levels}) != len(levels):
        return None
    return QeIdentity(
        id=name.decode(),
        issue_date=issue_date,
        next_update=next_update,
        tcb_evaluation_data_number=int(evaluation),
        misc_select=int.from_bytes(bytes.fromhex(misc_select.decode()), "little"),
        misc_select_mask=int.from_bytes(bytes.fromhex(misc_mask.decode()), "little"),
        attributes=bytes.fromhex(attributes.decode()),
        attributes_mask=bytes.fromhex(mask.decode()),
        mr_signer=MrSigner(bytes.fromhex(signer.decode())),
        isv_prod_id=int(product),
        levels=levels,
    )
