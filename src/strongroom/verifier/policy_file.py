"""Appraisal policies as TOML files (docs/spec/appraisal.md section 9). An unknown or missing setting is refused."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from typing import Final, TypeVar

from strongroom.base.errors import Misconfigured
from strongroom.formats.measurements import MEASUREMENT_BYTES, MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.anchors import INTEL_SGX_ROOT, Anchor
from strongroom.verifier.policy import ANY, PPID_BYTES, AnyValue, AppraisalPolicy, SignerRule, TcbRule

__all__ = ["BUILT_IN_ANCHORS", "from_toml", "to_toml"]

BUILT_IN_ANCHORS: Final = {"intel-sgx": INTEL_SGX_ROOT}
"""Anchors that a policy file can name instead of spelling out."""

_MAX_FILE_BYTES: Final = 1024 * 1024
_MAX_SECONDS: Final = 10 * 366 * 86400
T = TypeVar("T")


def from_toml(data: bytes) -> AppraisalPolicy:
    """Read a policy file, or raise ``Misconfigured`` naming the setting."""
    if len(data) > _MAX_FILE_BYTES:
        raise Misconfigured(f"the policy file has {len(data)} bytes, at most {_MAX_FILE_BYTES} are read")
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"the policy file is not TOML: {error}") from error
    settings = _Settings(table, "")
    settings.exactly("version", 1)
    age = settings.any_or_number("maximum_collateral_age_seconds", at_most=_MAX_SECONDS)
    policy = AppraisalPolicy(
        anchors=tuple(_anchor(item, f"anchors[{i}]") for i, item in enumerate(settings.items("anchors"))),
        accept_simulated_platform=settings.boolean("accept_simulated_platform"),
        accept_debug_enclaves=settings.boolean("accept_debug_enclaves"),
        mr_enclaves=frozenset(map(MrEnclave, settings.digests("mr_enclaves", MEASUREMENT_BYTES))),
        signers=tuple(_signer(item, f"signers[{i}]") for i, item in enumerate(settings.items("signers"))),
        tcb=tuple(_tcb_rule(item, f"tcb[{i}]") for i, item in enumerate(settings.items("tcb"))),
        minimum_tcb_evaluation_data_number=settings.number("minimum_tcb_evaluation_data_number", at_most=0xFFFFFFFF),
        maximum_collateral_age=age if isinstance(age, AnyValue) else timedelta(seconds=age),
        expired_collateral_grace=timedelta(
            seconds=settings.number("expired_collateral_grace_seconds", at_most=_MAX_SECONDS)
        ),
        platforms=settings.any_or_digests("platforms", PPID_BYTES),
    )
    settings.done()
    return policy


def to_toml(policy: AppraisalPolicy) -> bytes:
    """Write a policy file that reads back as the same policy."""
    age = policy.maximum_collateral_age
    lines = [
        "version = 1",
        f"accept_simulated_platform = {_flag(policy.accept_simulated_platform)}",
        f"accept_debug_enclaves = {_flag(policy.accept_debug_enclaves)}",
        f"mr_enclaves = {_texts(sorted(item.hex() for item in policy.mr_enclaves))}",
        f"minimum_tcb_evaluation_data_number = {policy.minimum_tcb_evaluation_data_number}",
        f"maximum_collateral_age_seconds = {_text('any') if age is ANY else int(age.total_seconds())}",
        f"expired_collateral_grace_seconds = {int(policy.expired_collateral_grace.total_seconds())}",
        f"platforms = {_any_or_digests(policy.platforms)}",
    ]
    if not policy.anchors:
        lines.append("anchors = []")
    if not policy.signers:
        lines.append("signers = []")
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
    for rule in policy.tcb:
        advisories = _text("any") if rule.advisories is ANY else _texts(sorted(rule.advisories))
        lines += [
            "",
            "[[tcb]]",
            f"status = {_text(rule.status.value)}",
            f"mr_enclave = {_text('any' if rule.mr_enclave is ANY else rule.mr_enclave.hex())}",
            f"advisories = {advisories}",
        ]
    return ("\n".join(lines) + "\n").encode()


class _Settings:
    """Typed reading of one TOML table; every setting is taken once, and what is left over is refused."""

    def __init__(self, table: object, path: str) -> None:
        if not isinstance(table, dict):
            raise Misconfigured("not a table", setting=path)
        self._left = dict(table)
        self._path = path

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

    def any_or_number(self, name: str, *, at_most: int) -> int | AnyValue:
        return ANY if self.is_any(name) else self.number(name, at_most=at_most)

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


def _tcb_rule(item: object, path: str) -> TcbRule:
    settings = _Settings(item, path)
    name = settings.text("status")
    try:
        status = TcbStatus(name)
    except ValueError:
        raise settings.fail("status", f"is {name!r}, which is no TCB status") from None
    any_enclave = settings.is_any("mr_enclave")
    any_advisory = settings.is_any("advisories")
    rule = TcbRule(
        status=status,
        mr_enclave=ANY if any_enclave else MrEnclave(settings.digest("mr_enclave", MEASUREMENT_BYTES)),
        advisories=ANY if any_advisory else frozenset(settings.texts("advisories")),
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


def _any_or_digests(values: frozenset[bytes] | AnyValue) -> str:
    return _text("any") if isinstance(values, AnyValue) else _texts(sorted(item.hex() for item in values))
