"""A bundle: several sets in one file, for machines that are not online (docs/spec/collateral.md section 4).

A bundle is an envelope and proves nothing. What it carries is signed by the manufacturer, part by part, and is
checked when it is read. An entry of the cache is a bundle of one set.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import MalformedCollateral
from strongroom.base.fields import Fields
from strongroom.crypto.certificates import MAX_CHAIN_BYTES, MAX_CRL_BYTES
from strongroom.formats.collateral import Collateral
from strongroom.formats.signed_json import MAX_BODY_BYTES

__all__ = ["MAX_BUNDLE_BYTES", "MAX_SETS", "CollateralBundle"]

MAX_BUNDLE_BYTES: Final = 32 * 1024 * 1024  # a set has about 30 KB
MAX_SETS: Final = 512
_FORMAT: Final = "strongroom collateral bundle"
_VERSION: Final = 1
_SIGNATURE_BYTES: Final = 64
_NAMES: Final = tuple(part.name for part in fields(Collateral))
_TEXTS: Final = frozenset(name for name in _NAMES if name.endswith("_chain") or name in {"tcb_info", "qe_identity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralBundle:
    """The sets in the order of their encodings, each once."""

    sets: tuple[Collateral, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> CollateralBundle:
        """Read a bundle, or raise ``MalformedCollateral``. No signature is verified here."""
        opened = Fields.decode(data, path="bundle", error=MalformedCollateral, max_bytes=MAX_BUNDLE_BYTES)
        opened.exactly("format", _FORMAT)
        opened.exactly("version", _VERSION)
        encoded = opened.byte_strings("sets", at_most=MAX_SETS)
        opened.done()
        if not encoded:
            raise MalformedCollateral("holds no set", path="bundle")
        if any(second <= first for first, second in pairwise(encoded)):
            raise MalformedCollateral("the sets are out of order or repeated", path="bundle")
        return cls(sets=tuple(_read_set(item, f"bundle.sets[{index}]") for index, item in enumerate(encoded)))

    def to_bytes(self) -> bytes:
        """Write the bundle. The same sets give the same bytes, in whatever order they came."""
        encoded = sorted({_write_set(item) for item in self.sets})
        if not 1 <= len(encoded) <= MAX_SETS:
            raise ValueError(f"a bundle holds 1 to {MAX_SETS} sets")
        return canonical.encode({"format": _FORMAT, "version": _VERSION, "sets": encoded})


def _write_set(collateral: Collateral) -> bytes:
    return canonical.encode({name: getattr(collateral, name) for name in _NAMES})


def _read_set(data: bytes, path: str) -> Collateral:
    opened = Fields.decode(data, path=path, error=MalformedCollateral, max_bytes=len(data))
    parts = {name: _read_part(opened, name, path) for name in _NAMES}
    opened.done()
    return Collateral(**parts)


def _read_part(opened: Fields, name: str, path: str) -> bytes:
    if name.endswith("_signature"):
        return opened.byte_string(name, length=_SIGNATURE_BYTES)
    limit = MAX_CHAIN_BYTES if name.endswith("_chain") else MAX_CRL_BYTES if name.endswith("_crl") else MAX_BODY_BYTES
    value = opened.byte_string(name, at_most=limit)
    if name in _TEXTS:
        try:
            value.decode()
        except UnicodeDecodeError:
            raise MalformedCollateral("not text", path=f"{path}.{name}") from None
    return value
