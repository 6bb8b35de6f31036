"""The file that says whom a client believes: ``required`` of these verifiers, under one policy.

version = 1
required = 2
policy_digest = "…"            # as `strongroom policy explain` prints it
maximum_age_seconds = 60

[[verifier]]
name = "ours"
url = "https://verifier.example"
key = "EdDSA:…"                # as `strongroom verifier key` prints it
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from strongroom.base.errors import Misconfigured
from strongroom.cli.wanted import read_file
from strongroom.verifier.quorum import PinnedVerifier, VouchRule
from strongroom.verifier.token_keys import PinnedKey

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Verifiers", "pinned_key", "verifiers_from_toml"]

_SETTINGS: Final = {"version", "required", "policy_digest", "maximum_age_seconds", "verifier"}
_OF_ONE: Final = {"name", "url", "key"}
_MAX_AGE_SECONDS: Final = 24 * 3600
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifiers:
    """The rule, and where its verifiers listen, by their names."""

    rule: VouchRule
    addresses: dict[str, str]


def verifiers_from_toml(path: Path) -> Verifiers:
    """Read the file, or raise ``Misconfigured`` naming the setting. Unknown settings are refused."""
    try:
        table = tomllib.loads(read_file(path).decode())
    except ValueError as error:
        raise Misconfigured(f"{path} is not TOML: {error}", setting=str(path)) from error
    _known(table, _SETTINGS)
    if _take(table, "version", int) != 1:
        raise Misconfigured("'version' is not 1", setting="version")
    seconds = _take(table, "maximum_age_seconds", int)
    if not 0 < seconds <= _MAX_AGE_SECONDS:
        raise Misconfigured(f"'maximum_age_seconds' is not from 1 to {_MAX_AGE_SECONDS}", setting="maximum_age_seconds")
    verifiers = []
    addresses = {}
    for item in _take(table, "verifier", list):
        if not isinstance(item, dict):
            raise Misconfigured("'verifier' is not a list of tables", setting="verifier")
        _known(item, _OF_ONE)
        name = _take(item, "name", str)
        verifiers.append(PinnedVerifier(name=name, key=pinned_key(_take(item, "key", str), setting="verifier.key")))
        addresses[name] = _take(item, "url", str)
    try:
        digest = bytes.fromhex(_take(table, "policy_digest", str))
    except ValueError:
        digest = b""
    rule = VouchRule(
        verifiers=tuple(verifiers),
        required=_take(table, "required", int),
        policy_digest=digest,
        maximum_age=timedelta(seconds=seconds),
    )
    return Verifiers(rule=rule, addresses=addresses)


def pinned_key(text: str, *, setting: str) -> PinnedKey:
    """Read a verifier's public key, or raise ``Misconfigured``."""
    try:
        return PinnedKey.from_text(text)
    except ValueError as error:
        raise Misconfigured(f"{setting}: {error}", setting=setting) from error


def _known(table: dict[str, object], names: set[str]) -> None:
    if surplus := sorted(table.keys() - names):
        raise Misconfigured(f"unknown setting {surplus[0]!r}", setting=surplus[0])


def _take(table: dict[str, object], name: str, kind: type[T]) -> T:
    value = table.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Misconfigured(f"setting {name!r} is missing or of a wrong type", setting=name)
    return value
