"""Appraisal policies as TOML files (docs/spec/appraisal.md section 9). An unknown or missing setting is refused."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from typing import Any, Final, TypeVar

from strongroom.base.errors import Misconfigured
from strongroom.formats.measurements import (
    MEASUREMENT_BYTES,
    TD_MEASUREMENT_BYTES,
    MrEnclave,
    MrSeam,
    MrSigner,
    MrTd,
)
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.anchors import INTEL_SGX_ROOT, Anchor
from strongroom.verifier.policy import (
    ANY,
    PLATFORM_FLAGS,
    PPID_BYTES,
    TD_MEASUREMENTS,
    AnyValue,
    AppraisalPolicy,
    SignerRule,
    TcbRule,
    TdAttributes,
    TdRule,
)

__all__ = ["BUILT_IN_ANCHORS", "MAX_FILE_BYTES", "from_table", "from_toml", "to_toml"]

BUILT_IN_ANCHORS: Final = {"intel-sgx": INTEL_SGX_ROOT}
"""Anchors that a policy file can name instead of spelling out."""

MAX_FILE_BYTES: Final = 1024 * 1024
_MAX_SECONDS: Final = 10 * 366 * 86400
T = TypeVar("T")


def from_toml(data: bytes) -> AppraisalPolicy:
    """Read a policy file, or raise ``Misconfigured`` naming the setting."""
    if len(data) > MAX_FILE_BYTES:
        raise Misconfigured(f"the policy file has {len(data)} bytes, at most {MAX_FILE_BYTES} are read")
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"the policy file is not TOML: {error}") from error
    return from_table(table, "")


def from_table(table: object, path: str) -> AppraisalPolicy:
    """Read a policy that is a table of a TOML file, or raise ``Misconfigured`` naming the setting under ``path``."""
    settings = _Settings(table, path)
    settings.exactly("version", 1)
    policy = AppraisalPolicy(
        anchors=tuple(_anchor(item, settings.below("anchors", i)) for i, item in enumerate(settings.items("anchors"))),
        accept_simulated_platform=settings.boolean("accept_simulated_platform"),
        accept_debug_enclaves=settings.boolean("accept_debug_enclaves"),
        mr_enclaves=frozenset(map(MrEnclave, settings.digests("mr_enclaves", MEASUREMENT_BYTES))),
        signers=tuple(_signer(item, settings.below("signers", i)) for i, item in enumerate(settings.items("signers"))),
        trust_domains=tuple(
            _td_rule(item, settings.below("trust_domains", i)) for i, item in enumerate(settings.items("trust_domains"))
        ),
        tcb=tuple(_tcb_rule(item, settings.below("tcb", i)) for i, item in enumerate(settings.items("tcb"))),
        minimum_tcb_evaluation_data_number=settings.number("minimum_tcb_evaluation_data_number", at_most=0xFFFFFFFF),
        maximum_collateral_age=settings.any_or_seconds("maximum_collateral_age_seconds"),
        expired_collateral_grace=timedelta(
            seconds=settings.number("expired_collateral_grace_seconds", at_most=_MAX_SECONDS)
        ),
        platforms=settings.any_or_digests("platforms", PPID_BYTES),
        **{name: settings.any_or_boolean(name) for name in PLATFORM_FLAGS},
    )
    settings.done()
    return policy


def to_toml(policy: AppraisalPolicy) -> bytes:
    """Write a policy file that reads back as the same policy."""
    lines = [
        "version = 1",
        f"accept_simulated_platform = {_flag(policy.accept_simulated_platform)}",
        f"accept_debug_enclaves = {_flag(policy.accept_debug_enclaves)}",
        f"mr_enclaves = {_texts(sorted(item.hex() for item in policy.mr_enclaves))}",
        f"minimum_tcb_evaluation_data_number = {policy.minimum_tcb_evaluation_data_number}",
        f"maximum_collateral_age_seconds = {_any_or_seconds(policy.maximum_collateral_age)}",
        f"expired_collateral_grace_seconds = {int(policy.expired_collateral_grace.total_seconds())}",
        f"platforms = {_any_or_digests(policy.platforms)}",
    ]
    for name in PLATFORM_FLAGS:
        wanted: bool | AnyValue = getattr(policy, name)
        lines.append(f"{name} = {_text('any') if wanted is ANY else _flag(wanted)}")
    if not policy.anchors:
        lines.append("anchors = []")
    if not policy.signers:
        lines.append("signers = []")
    if not policy.trust_domains:
        lines.append("trust_domains = []")
    if not policy.tcb:
        lines.append("tcb = []")
    for anchor in policy.anchors:
        lines += [
            "",
            "[[anchors]]",
            f"name = {_text(anchor.name)}",
            f"public_key = {_text(anchor.spki.hex())}",
            f"simulated = {_flag(anchor.simulated)}",
            f"vendor = {_text(anchor.vendor)}",
        ]
    for signer in policy.signers:
        lines += [
            "",
            "[[signers]]",
            f"mr_signer = {_text(signer.mr_signer.hex())}",
            f"isv_prod_id = {signer.isv_prod_id}",
            f"minimum_isv_svn = {signer.minimum_isv_svn}",
        ]
    for domain in policy.trust_domains:
        lines += ["", "[[trust_domains]]"]
        lines += [f"{name} = {_any_or_digest(getattr(domain, name))}" for name in TD_MEASUREMENTS]
        lines += [
            f"mr_seam = {_any_or_digests(domain.mr_seam)}",
            f"accepted_attributes = {_texts(list(domain.accepted_attributes.names))}",
            f"require_sept_ve_disable = {_flag(domain.require_sept_ve_disable)}",
            f"accept_seam_attributes = {_flag(domain.accept_seam_attributes)}",
        ]
    for rule in policy.tcb:
        advisories = _text("any") if rule.advisories is ANY else _texts(sorted(rule.advisories))
        lines += [
            "",
            "[[tcb]]",
            f"status = {_text(rule.status.value)}",
            f"measurement = {_any_or_digest(rule.measurement)}",
            f"advisories = {advisories}",
            f"maximum_tcb_age_seconds = {_any_or_seconds(rule.maximum_tcb_age)}",
        ]
    return ("\n".join(lines) + "\n").encode()


class _Settings:
    """Typed reading of one TOML table; every setting is taken once, and what is left over is refused."""

    def __init__(self, table: object, path: str) -> None:
        if not isinstance(table, dict):
            raise Misconfigured("not a table", setting=path)
        self._left = dict(table)
        self._path = path

    def below(self, name: str, index: int) -> str:
        return f"{self._path}.{name}[{index}]" if self._path else f"{name}[{index}]"

    def fail(self, name: str, rule: str) -> Misconfigured:
        where = f"{self._path}.{name}" if self._path else name
        return Misconfigured(f"policy setting {where!r} {rule}", setting=where)

    def _take(self, name: str, kind: type[T]) -> T:
        if name not in self._left:
            raise self.fail(name, "is missing")
        value = self._left.pop(name)
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise self.fail(name, f"is not of type {kind.__name__}")
        return value

    def exactly(self, name: str, expected: int) -> None:
        if self._take(name, int) != expected:
            raise self.fail(name, f"is not {expected}")

    def boolean(self, name: str) -> bool:
        return self._take(name, bool)

    def text(self, name: str) -> str:
        return self._take(name, str)

    def number(self, name: str, *, at_most: int) -> int:
        value = self._take(name, int)
        if not 0 <= value <= at_most:
            raise self.fail(name, f"is not from 0 to {at_most}")
        return value

    def items(self, name: str) -> list[object]:
        return self._take(name, list)

    def digest(self, name: str, length: int) -> bytes:
        return self._digest(name, self.text(name), length)

    def digests(self, name: str, length: int) -> list[bytes]:
        return [self._digest(name, item, length) for item in self.items(name)]

    def texts(self, name: str) -> list[str]:
        items = self.items(name)
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) != len(items):
            raise self.fail(name, "holds something else than texts")
        return texts

    def is_any(self, name: str) -> bool:
        if self._left.get(name) == ANY.value:
            self._left.pop(name)
            return True
        return False

    def any_or_seconds(self, name: str) -> timedelta | AnyValue:
        return ANY if self.is_any(name) else timedelta(seconds=self.number(name, at_most=_MAX_SECONDS))

    def any_or_boolean(self, name: str) -> bool | AnyValue:
        return ANY if self.is_any(name) else self.boolean(name)

    def any_or_digest(self, name: str, length: int) -> bytes | AnyValue:
        return ANY if self.is_any(name) else self.digest(name, length)

    def any_or_measurement(self, name: str) -> MrEnclave | MrTd | AnyValue:
        if self.is_any(name):
            return ANY
        text = self.text(name)
        if len(text) == 2 * TD_MEASUREMENT_BYTES:
            return MrTd(self._digest(name, text, TD_MEASUREMENT_BYTES))
        return MrEnclave(self._digest(name, text, MEASUREMENT_BYTES))

    def any_or_digests(self, name: str, length: int) -> frozenset[bytes] | AnyValue:
        return ANY if self.is_any(name) else frozenset(self.digests(name, length))

    def _digest(self, name: str, text: object, length: int) -> bytes:
        if not isinstance(text, str) or not re.fullmatch(r"[0-9a-fA-F]*", text) or len(text) != 2 * length:
            raise self.fail(name, f"is not {length} bytes in hexadecimal")
        return bytes.fromhex(text)

    def done(self) -> None:
        if self._left:
            raise self.fail(min(self._left), "is unknown")


def _anchor(item: object, path: str) -> Anchor:
    if isinstance(item, str):
        if item not in BUILT_IN_ANCHORS:
            raise Misconfigured(f"there is no built-in anchor {item!r}", setting=path)
        return BUILT_IN_ANCHORS[item]
    settings = _Settings(item, path)
    anchor = Anchor(
        name=settings.text("name"),
        spki=settings.digest("public_key", len(INTEL_SGX_ROOT.spki)),
        simulated=settings.boolean("simulated"),
        vendor=settings.text("vendor"),
    )
    settings.done()
    return anchor


def _signer(item: object, path: str) -> SignerRule:
    settings = _Settings(item, path)
    rule = SignerRule(
        mr_signer=MrSigner(settings.digest("mr_signer", MEASUREMENT_BYTES)),
        isv_prod_id=settings.number("isv_prod_id", at_most=0xFFFF),
        minimum_isv_svn=settings.number("minimum_isv_svn", at_most=0xFFFF),
    )
    settings.done()
    return rule


def _td_rule(item: object, path: str) -> TdRule:
    settings = _Settings(item, path)
    measurements: dict[str, Any] = {
        name: settings.any_or_digest(name, TD_MEASUREMENT_BYTES) for name in TD_MEASUREMENTS
    }
    modules = settings.any_or_digests("mr_seam", TD_MEASUREMENT_BYTES)
    attributes = TdAttributes(0)
    for name in settings.texts("accepted_attributes"):
        if name not in TdAttributes.__members__:
            raise settings.fail("accepted_attributes", f"holds {name!r}, which is no attribute")
        attributes |= TdAttributes[name]
    rule = TdRule(
        **measurements,
        mr_seam=modules if isinstance(modules, AnyValue) else frozenset(map(MrSeam, modules)),
        accepted_attributes=attributes,
        require_sept_ve_disable=settings.boolean("require_sept_ve_disable"),
        accept_seam_attributes=settings.boolean("accept_seam_attributes"),
    )
    settings.done()
    return rule


def _tcb_rule(item: object, path: str) -> TcbRule:
    settings = _Settings(item, path)
    name = settings.text("status")
    try:
        status = TcbStatus(name)
    except ValueError:
        raise settings.fail("status", f"is {name!r}, which is no TCB status") from None
    measurement = settings.any_or_measurement("measurement")
    any_advisory = settings.is_any("advisories")
    rule = TcbRule(
        status=status,
        measurement=measurement,
        advisories=ANY if any_advisory else frozenset(settings.texts("advisories")),
        maximum_tcb_age=settings.any_or_seconds("maximum_tcb_age_seconds"),
    )
    settings.done()
    return rule


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _text(value: str) -> str:
    escaped = "".join(
        character if character.isprintable() and character not in '"\\' else f"\\U{ord(character):08x}"
        for character in value
    )
    return f'"{escaped}"'


def _texts(values: list[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"


def _any_or_digest(value: bytes | AnyValue) -> str:
    return _text("any" if isinstance(value, AnyValue) else value.hex())


def _any_or_seconds(value: timedelta | AnyValue) -> str:
    return _text("any") if isinstance(value, AnyValue) else str(int(value.total_seconds()))


def _any_or_digests(values: frozenset[bytes] | AnyValue) -> str:
    return _text("any") if isinstance(values, AnyValue) else _texts(sorted(item.hex() for item in values))
