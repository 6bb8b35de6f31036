"""Intel's signed JSON: the exact bytes that were signed, and a strict reading of them.

A signature is over the text as served, so the text is sliced out and kept, never written anew. The reading refuses
what two parsers could understand differently: a key twice, text after the value, NaN, fractions, a byte order mark,
nesting deeper than 32. Fields that this version does not know are legal and stay in the signed bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeGuard

from strongroom.base.errors import MalformedCollateral
from strongroom.crypto import ecdsa

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = [
    "MAX_BODY_BYTES",
    "Json",
    "JsonFields",
    "SignedJson",
    "instant",
    "is_short_text",
    "parse_object",
    "parse_texts",
    "write_date",
    "write_json",
]

Json = bool | int | str | None | list["Json"] | dict[str, "Json"]

MAX_BODY_BYTES: Final = 256 * 1024  # the largest genuine TCB info has 21 KB
MAX_DEPTH: Final = 32
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_MAX_TEXT: Final = 256
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SIGNATURE: Final = re.compile(r'\s*,\s*"signature"\s*:\s*"([0-9a-fA-F]{128})"\s*}\s*', re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedJson:
    """A document ``{"<name>":<body>,"signature":"<128 hex digits>"}``: body bytes as signed, signature of 64 bytes."""

    name: str
    body: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str) -> SignedJson:
        """Take a document apart, or raise ``MalformedCollateral``."""
        text = _decoded(data, name, MAX_BODY_BYTES)
        parse_object(data, path=name)
        opening = re.compile(rf'\s*{{\s*"{re.escape(name)}"\s*:\s*', re.ASCII).match(text)
        if opening is None:
            raise MalformedCollateral(f"does not begin with {name!r}", path=name)
        # the whole was read strictly above, so what is left to do is to find where the value ends
        _, end = json.JSONDecoder().raw_decode(text, opening.end())
        closing = _SIGNATURE.fullmatch(text, end)
        if closing is None:
            raise MalformedCollateral("no signature of 64 bytes in hexadecimal after the value", path=name)
        body = text[opening.end() : end].encode()
        return cls(name=name, body=body, signature=bytes.fromhex(closing[1]))

    def to_bytes(self) -> bytes:
        """Write the document with the body's own bytes."""
        return b'{"%s":%s,"signature":"%s"}' % (self.name.encode(), self.body, self.signature.hex().encode())

    def verify(self, key: ecdsa.EcdsaPublicKey) -> bool:
        """Tell whether the signature is the key's over the body's bytes (ECDSA P-256, SHA-256)."""
        return ecdsa.verify_raw(key, self.body, self.signature)


class JsonFields:
    """Typed reading of one JSON object: a missing or ill-typed field is malformed, an unknown one is ignored."""

    __slots__ = ("_fields", "_parent", "_step")

    def __init__(self, value: Json, *, path: str, parent: JsonFields | None = None) -> None:
        self._parent = parent
        self._step = path
        if not isinstance(value, dict):
            raise self.fail("not an object")
        self._fields = value

    @property
    def path(self) -> str:
        """Where this object stands in its document."""
        return self._step if self._parent is None else f"{self._parent.path}.{self._step}"

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    @property
    def names(self) -> Collection[str]:
        """The names of its fields, for a reader that refuses unknown ones."""
        return self._fields.keys()

    def fail(self, rule: str) -> MalformedCollateral:
        """Build the error for a broken rule of this object."""
        return MalformedCollateral(rule, path=self.path)

    def _get(self, name: str) -> Json:
        if name not in self._fields:
            raise self.fail(f"field {name!r} is missing")
        return self._fields[name]

    def text(self, name: str) -> str:
        """A text of at most 256 printable characters."""
        value = self._get(name)
        if not is_short_text(value):
            raise self.fail(f"field {name!r} is not a short printable text")
        return value

    def long_text(self, name: str, *, at_most: int) -> str:
        """A text of at most ``at_most`` printable characters."""
        value = self._get(name)
        if not isinstance(value, str) or len(value) > at_most or not value.isprintable():
            raise self.fail(f"field {name!r} is not a printable text of at most {at_most}")
        return value

    def hexadecimal(self, name: str, length: int) -> bytes:
        """``length`` bytes as hexadecimal digits of either case."""
        value = self.text(name)
        if len(value) != 2 * length or not re.fullmatch(r"[0-9a-fA-F]*", value):
            raise self.fail(f"field {name!r} is not {length} bytes in hexadecimal")
        return bytes.fromhex(value)

    def number(self, name: str, *, at_most: int) -> int:
        """A whole number from 0 to ``at_most``."""
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= at_most:
            raise self.fail(f"field {name!r} is not a whole number from 0 to {at_most}")
        return value

    def date(self, name: str) -> datetime:
        """An instant ``YYYY-MM-DDTHH:MM:SSZ``."""
        value = instant(self.text(name))
        if value is None:
            raise self.fail(f"field {name!r} is not an instant of the form YYYY-MM-DDTHH:MM:SSZ")
        return value

    def object(self, name: str) -> JsonFields:
        """An object."""
        return JsonFields(self._get(name), path=name, parent=self)

    def objects(self, name: str, *, at_most: int) -> list[JsonFields]:
        """A list of at most ``at_most`` objects."""
        return [JsonFields(item, path=name, parent=self) for item in self.plain_objects(name, at_most=at_most)]

    def plain_objects(self, name: str, *, at_most: int) -> list[dict[str, Any]]:
        """A list of at most ``at_most`` objects as they are, for many small ones that the caller reads."""
        value = self._get(name)
        if not isinstance(value, list) or len(value) > at_most:
            raise self.fail(f"field {name!r} is not a list of at most {at_most}")
        objects = [item for item in value if isinstance(item, dict)]
        if len(objects) != len(value):
            raise self.fail(f"field {name!r} holds something else than objects")
        return objects

    def texts(self, name: str, *, at_most: int) -> tuple[str, ...]:
        """A list of at most ``at_most`` short printable texts."""
        value = self._get(name)
        if not isinstance(value, list) or len(value) > at_most:
            raise self.fail(f"field {name!r} is not a list of at most {at_most}")
        texts = [item for item in value if isinstance(item, str) and len(item) <= _MAX_TEXT and item.isprintable()]
        if len(texts) != len(value):
            raise self.fail(f"field {name!r} holds something else than short printable texts")
        return tuple(texts)


@lru_cache(maxsize=256)  # the levels of a document share few dates
def instant(text: str) -> datetime | None:
    """Read an instant ``YYYY-MM-DDTHH:MM:SSZ``; ``None`` when the text is none."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_short_text(value: Json) -> TypeGuard[str]:
    """Tell whether a value is a text of at most 256 printable characters."""
    return isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable()


def parse_object(body: bytes, *, path: str) -> JsonFields:
    """Read one JSON object strictly, or raise ``MalformedCollateral``."""
    return JsonFields(_parse(_decoded(body, path, MAX_BODY_BYTES), path), path=path)


def parse_texts(data: bytes, *, path: str, max_bytes: int) -> dict[str, str]:
    """Read one JSON object whose values are all texts, of any length within ``max_bytes``, just as strictly."""
    value = _parse(_decoded(data, path, max_bytes), path)
    if not isinstance(value, dict):
        raise MalformedCollateral("not an object", path=path)
    texts = {name: item for name, item in value.items() if isinstance(item, str)}
    if len(texts) != len(value):
        raise MalformedCollateral(f"key {min(set(value) - set(texts))!r} is not a text", path=path)
    return texts


def _parse(text: str, path: str) -> Json:
    decoder = _STRICT if _has_long_number(text) else _DECODER
    try:
        value: Json = decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedCollateral(f"not JSON as it is read here: {error}", path=path) from error
    if not _obviously_flat(text):
        _limit_depth(value, path)
    return value


def write_date(value: datetime) -> str:
    """Write an instant the way Intel does, in whole seconds of UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def write_json(value: Json) -> bytes:
    """Write JSON without spaces, fields in the given order."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _decoded(data: bytes, path: str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise MalformedCollateral(f"{len(data)} bytes, at most {max_bytes} are read", path=path)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedCollateral("not UTF-8", path=path, offset=error.start) from error
    if text.startswith("\ufeff"):
        raise MalformedCollateral("begins with a byte order mark", path=path, offset=0)
    return text


def _once(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _no_fraction(digits: str) -> NoReturn:
    raise ValueError(f"{digits[:20]} is not a whole number")


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("a number of more than 20 digits")
    return int(digits)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_no_fraction)
_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_no_fraction, parse_int=_whole
)
_DIGITS: Final = bytes.maketrans(b"123456789:,[-\t\n\r", b"000000000" + b" " * 7)
_LONG: Final = b" " + b"0" * 20


def _has_long_number(text: str) -> bool:
    """Tell whether there may be a number of 20 digits or more; texts can only make it say yes."""
    return _LONG in b" " + text.encode().translate(_DIGITS)


def _obviously_flat(text: str) -> bool:
    """Tell whether brackets cancel out within few rounds; brackets inside of texts can only make it say no."""
    brackets = text.encode().translate(None, delete=_NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not brackets:
            return True
    return False


def _limit_depth(value: Json, path: str) -> None:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        children = (
            item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))
        )
        level = [child for group in children for child in group if isinstance(child, (dict, list))]
        if not level:
            return
    raise MalformedCollateral(f"nested deeper than {MAX_DEPTH}", path=path)
