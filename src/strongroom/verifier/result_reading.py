"""An attestation result read back from its JSON, for a client that believes others (docs/spec/remote-verifier.md 5).

Of SGX only: it is the evidence that the attested channel carries. Reading it proves nothing; whoever calls this has
found the signatures good.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedToken
from strongroom.base.fields import Fields
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.pck_extension import COMPONENTS, Configuration, PckExtension, PckTcb, SgxType
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.result import Advisory, AttestationResult, CollateralFacts, SgxClaims, TcbFacts

if TYPE_CHECKING:
    from strongroom.base.canonical import Value

__all__ = ["read_result"]

_MAX_LIST: Final = 256
_MAX_TEXT: Final = 512
_PATH: Final = "attestation result"


def read_result(details: Mapping[str, object], *, policy_digest: bytes, appraised_at: datetime) -> AttestationResult:
    """Read what ``AttestationResult.to_json_object`` wrote, or raise ``MalformedToken``. Unknown fields are left out.

    ``policy_digest`` and ``appraised_at`` are what the token itself says of them.
    """
    top = _Part(details, _PATH)
    return AttestationResult(
        kind=top.text("kind"),
        claims=_claims(top.part("claims")),
        tcb=_tcb(top.part("tcb")),
        platform=_platform(top.part("platform")),
        collateral=_collateral(top.part("collateral")),
        anchor=top.text("anchor"),
        simulated=top.truth("simulated"),
        appraised_at=appraised_at,
        policy_digest=policy_digest,
        confessions=top.texts("confessions"),
    )


class _Part:
    """One map of the JSON."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise MalformedToken("not a map", path=path)
        self._value: dict[int | str | bytes, Value] = dict(value)
        self._path = path

    @property
    def _fields(self) -> Fields:
        return Fields(self._value, path=self._path, error=MalformedToken)

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def part(self, name: str) -> _Part:
        return _Part(self._value.get(name), f"{self._path}.{name}")

    def parts(self, name: str) -> list[_Part]:
        value = self._value.get(name)
        if not isinstance(value, list) or len(value) > _MAX_LIST:
            raise self.fail(f"{name} is not a list of at most {_MAX_LIST}")
        return [_Part(item, f"{self._path}.{name}") for item in value]

    def text(self, name: str) -> str:
        return self._fields.text(name, at_most=_MAX_TEXT)

    def texts(self, name: str) -> tuple[str, ...]:
        return self._fields.texts(name, at_most=_MAX_LIST)

    def number(self, name: str, *, at_most: int = 0xFFFFFFFF) -> int:
        return self._fields.number(name, at_most=at_most)

    def numbers(self, name: str) -> tuple[int, ...]:
        return self._fields.numbers(name, at_most=_MAX_LIST)

    def truth(self, name: str) -> bool:
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise self.fail(f"{name} is neither true nor false")
        return value

    def octets(self, name: str, length: int) -> bytes:
        try:
            value = bytes.fromhex(self.text(name))
        except ValueError:
            value = b""
        if len(value) != length:
            raise self.fail(f"{name} is not {length} bytes in hexadecimal")
        return value

    def status(self, name: str) -> TcbStatus:
        try:
            return TcbStatus(self.text(name))
        except ValueError:
            raise self.fail(f"{name} is no TCB status") from None

    def instant(self, name: str) -> datetime:
        try:
            value = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise self.fail(f"{name} is no time as RFC 3339 writes it") from None
        if value.tzinfo is None:
            raise self.fail(f"{name} has no time zone")
        return value.astimezone(UTC)

    def decimal(self, name: str) -> int | None:
        if name not in self:
            return None
        text = self.text(name)
        if not (text.isascii() and text.isdigit()) or len(text) > 64:
            raise self.fail(f"{name} is not a number in decimal text")
        return int(text)

    def fail(self, rule: str) -> MalformedToken:
        return MalformedToken(rule, path=self._path)


def _claims(part: _Part) -> SgxClaims:
    return SgxClaims(
        mr_enclave=MrEnclave(part.octets("mr_enclave", 32)),
        mr_signer=MrSigner(part.octets("mr_signer", 32)),
        isv_prod_id=part.number("isv_prod_id"),
        isv_svn=part.number("isv_svn"),
        debug=part.truth("debug"),
        report_data=part.octets("report_data", 64),
        cpu_svn=part.octets("cpu_svn", 16),
        attributes_flags=int.from_bytes(part.octets("attributes_flags", 8), "big"),
        attributes_xfrm=int.from_bytes(part.octets("attributes_xfrm", 8), "big"),
        misc_select=int.from_bytes(part.octets("misc_select", 4), "big"),
        config_id=part.octets("config_id", 64),
        config_svn=part.number("config_svn"),
        isv_ext_prod_id=part.octets("isv_ext_prod_id", 16),
        isv_family_id=part.octets("isv_family_id", 16),
    )


def _tcb(part: _Part) -> TcbFacts:
    return TcbFacts(
        status=part.status("status"),
        platform_status=part.status("platform_status"),
        quoting_enclave_status=part.status("quoting_enclave_status"),
        date=part.instant("date"),
        advisories=tuple(
            Advisory(id=item.text("id"), sources=item.texts("sources")) for item in part.parts("advisories")
        ),
        shortfalls=part.texts("shortfalls"),
    )


def _platform(part: _Part) -> PckExtension:
    components = part.numbers("components")
    if len(components) != COMPONENTS or not all(0 <= item <= 255 for item in components):
        raise part.fail(f"components are not {COMPONENTS} numbers of one byte")
    kinds = {kind.name.lower(): kind for kind in SgxType}
    kind = part.text("sgx_type")
    if kind not in kinds:
        raise part.fail("sgx_type is none")
    stated = part.part("configuration")
    flags = ("dynamic_platform", "cached_keys", "smt_enabled")
    instance = part.octets("platform_instance_id", 16) if "platform_instance_id" in part else None
    return PckExtension(
        ppid=part.octets("ppid", 16),
        # not in a result: the appraisal found it equal to the components
        tcb=PckTcb(components=components, pce_svn=part.number("pce_svn"), cpu_svn=bytes(components)),
        pce_id=part.octets("pce_id", 2),
        fmspc=part.octets("fmspc", 6),
        sgx_type=kinds[kind],
        platform_instance_id=instance,
        configuration=(
            Configuration(**{name: stated.truth(name) for name in flags}) if all(n in stated for n in flags) else None
        ),
    )


def _collateral(part: _Part) -> CollateralFacts:
    return CollateralFacts(
        tcb_evaluation_data_number=part.number("tcb_evaluation_data_number"),
        root_crl_number=part.decimal("root_crl_number"),
        pck_crl_number=part.decimal("pck_crl_number"),
        earliest_issue=part.instant("earliest_issue"),
        latest_issue=part.instant("latest_issue"),
        expires_at=part.instant("expires_at"),
    )
