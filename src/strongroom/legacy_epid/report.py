"""Attestation verification reports of Intel's attestation service (IAS), API versions 2 to 5.

Source: Intel's "Attestation Service for Intel SGX: API Documentation" revisions 3.0 to 7.1, as clients quote it and as
captured reports show it (docs/spec/legacy-reports.md). Bytes that are signed are judged; nothing is written back.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from strongroom.base.errors import MalformedCollateral, MalformedQuote
from strongroom.formats.signed_json import JsonFields, parse_object
from strongroom.legacy_epid.quote_body import QUOTE_BODY_BYTES, EpidQuoteBody, SignType

__all__ = ["AttestationReport", "EpidStatus"]

_PATH: Final = "report"
_PSEUDONYM_BYTES: Final = 128
_PLATFORM_INFO_BYTES: Final = 105
_PLATFORM_INFO_HEADER: Final = bytes.fromhex("15020065")
_PLATFORM_GROUP: Final = slice(37, 41)  # the EPID group, big-endian, before the signature of 64 bytes
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}")
_FIRST_VERSION_THAT_SAYS_SO: Final = 3
_MAX_ADVISORIES: Final = 64


class EpidStatus(StrEnum):
    """``isvEnclaveQuoteStatus``: what the service found."""

    OK = "OK"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    GROUP_REVOKED = "GROUP_REVOKED"
    SIGNATURE_REVOKED = "SIGNATURE_REVOKED"
    KEY_REVOKED = "KEY_REVOKED"
    SIGRL_VERSION_MISMATCH = "SIGRL_VERSION_MISMATCH"
    GROUP_OUT_OF_DATE = "GROUP_OUT_OF_DATE"
    CONFIGURATION_NEEDED = "CONFIGURATION_NEEDED"
    SW_HARDENING_NEEDED = "SW_HARDENING_NEEDED"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "CONFIGURATION_AND_SW_HARDENING_NEEDED"


_WITH_PLATFORM_INFO: Final = frozenset(
    {
        EpidStatus.GROUP_REVOKED,
        EpidStatus.GROUP_OUT_OF_DATE,
        EpidStatus.CONFIGURATION_NEEDED,
        EpidStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
    }
)
_STATUSES: Final = {status.value: status for status in EpidStatus}
_KNOWN: Final = frozenset(
    {
        "nonce", "id", "timestamp", "version", "epidPseudonym", "advisoryURL", "advisoryIDs", "isvEnclaveQuoteStatus",
        "platformInfoBlob", "isvEnclaveQuoteBody", "tcbEvaluationDataNumber", "revocationReason", "pseManifestStatus",
        "pseManifestHash", "attestationType",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationReport:
    """What a report says. ``api_version`` is 2 where it names none; ``nonce`` is what the caller had sent, if anything.

    ``pseudonym`` (128 bytes) is there for linkable quotes only: equal ones are of one EPID key.
    """

    report_id: str
    timestamp: datetime
    api_version: int
    status: EpidStatus
    quote: EpidQuoteBody
    nonce: str = ""
    pseudonym: bytes | None = None
    platform_info: bytes | None = None
    advisory_ids: tuple[str, ...] = ()
    revocation_reason: int | None = None
    tcb_evaluation_data_number: int | None = None

    @classmethod
    def from_body(cls, body: bytes) -> AttestationReport:
        """Read the signed bytes strictly, or raise ``MalformedCollateral`` or ``MalformedQuote``.

        A key that occurs twice, an unknown key or status, and fields that do not belong together are malformed.
        """
        fields = parse_object(body, path=_PATH)
        status = _STATUSES.get(fields.text("isvEnclaveQuoteStatus"))
        if status is None:
            raise fields.fail("an unknown status")
        report = cls(
            report_id=_decimal(fields, "id"),
            timestamp=_timestamp(fields),
            api_version=fields.number("version", at_most=99) if "version" in fields else 2,
            status=status,
            quote=EpidQuoteBody.from_bytes(_base64(fields, "isvEnclaveQuoteBody", QUOTE_BODY_BYTES)),
            nonce=_nonce(fields),
            pseudonym=_optional_base64(fields, "epidPseudonym", _PSEUDONYM_BYTES),
            platform_info=_platform_info(fields),
            advisory_ids=fields.texts("advisoryIDs", at_most=_MAX_ADVISORIES) if "advisoryIDs" in fields else (),
            revocation_reason=_optional_number(fields, "revocationReason", 10),
            tcb_evaluation_data_number=_optional_number(fields, "tcbEvaluationDataNumber", 1 << 16),
        )
        report._check(fields)
        return report

    def _check(self, fields: JsonFields) -> None:
        unknown = sorted(set(fields.names) - _KNOWN)
        if unknown:
            raise fields.fail(f"an unknown field {unknown[0][:32]!r}")
        if "version" in fields and self.api_version < _FIRST_VERSION_THAT_SAYS_SO:
            raise fields.fail("a version that does not name itself")
        if (self.pseudonym is not None) != (self.quote.sign_type is SignType.LINKABLE):
            raise fields.fail("a pseudonym belongs to linkable quotes, and to no others")
        if (self.revocation_reason is not None) != (self.status is EpidStatus.GROUP_REVOKED):
            raise fields.fail("a reason of revocation belongs to a revoked group, and to nothing else")
        if self.platform_info is None:
            if self.status in _WITH_PLATFORM_INFO:
                raise fields.fail("this status comes with platform information")
            return
        if int.from_bytes(self.platform_info[_PLATFORM_GROUP], "big") != self.quote.group_id:
            raise fields.fail("the platform information is about another EPID group than the quote's")


def _decimal(fields: JsonFields, name: str) -> str:
    value = fields.text(name)
    if not re.fullmatch(r"\d{1,39}", value):
        raise fields.fail(f"field {name!r} is not a decimal number of 128 bits")
    return value


def _timestamp(fields: JsonFields) -> datetime:
    text = fields.text("timestamp")
    if not _TIMESTAMP.fullmatch(text):
        raise fields.fail("field 'timestamp' is not an instant without a zone")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise fields.fail("field 'timestamp' is not an instant") from None


def _nonce(fields: JsonFields) -> str:
    if "nonce" not in fields:
        return ""
    nonce = fields.text("nonce")
    if len(nonce) > 32:
        raise fields.fail("a nonce has at most 32 characters")
    return nonce


def _platform_info(fields: JsonFields) -> bytes | None:
    if "platformInfoBlob" not in fields:
        return None
    info = fields.hexadecimal("platformInfoBlob", _PLATFORM_INFO_BYTES)
    if not info.startswith(_PLATFORM_INFO_HEADER):
        raise fields.fail("field 'platformInfoBlob' does not begin as platform information does")
    return info


def _optional_number(fields: JsonFields, name: str, at_most: int) -> int | None:
    return fields.number(name, at_most=at_most) if name in fields else None


def _optional_base64(fields: JsonFields, name: str, length: int) -> bytes | None:
    return _base64(fields, name, length) if name in fields else None


def _base64(fields: JsonFields, name: str, length: int) -> bytes:
    text = fields.long_text(name, at_most=4 * ((length + 2) // 3))
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != length or base64.b64encode(data).decode() != text:
        error = MalformedQuote if name == "isvEnclaveQuoteBody" else MalformedCollateral
        raise error(f"field {name!r} is not {length} bytes in base64", path=_PATH)
    return data
