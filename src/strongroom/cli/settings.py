"""Kinds of settings: how each is read from TOML and from text, and what it looks like when it is shown.

A kind refuses what it does not know by ``Misconfigured`` naming the setting. A setting that holds a secret is a file's
name: values are shown, and end up in process lists and in the environment of other processes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from strongroom.base.errors import Misconfigured

__all__ = [
    "Address",
    "Choice",
    "Effect",
    "File",
    "Hexadecimals",
    "Kind",
    "Number",
    "Origins",
    "Switch",
    "Text",
    "split_address",
]

T = TypeVar("T")


class Effect(StrEnum):
    """What a setting can do to what clients rely on (docs/decisions/0012)."""

    OPERATIONAL = "operational"
    """Nothing: it changes when, where and how much, and never what a client verifies."""
    SHOWN = "shown in evidence"
    """Clients see it in the evidence, and refuse it unless their policy says otherwise."""


class Kind(ABC, Generic[T]):
    """How one sort of setting is read."""

    form: str = ""

    @abstractmethod
    def read(self, value: object, name: str, folder: Path) -> T:
        """Take a TOML value; relative paths are relative to ``folder``."""

    def parse(self, text: str, name: str) -> T:
        """Take a text from the environment or the command line."""
        return self.read(text, name, Path())

    def show(self, value: T) -> object:
        """Give the value as JSON can hold it."""
        return value

    def wrong(self, name: str) -> Misconfigured:
        """Build the error for another value. It does not repeat it: it may be a misplaced secret."""
        return Misconfigured(f"{name} is {self.form}", setting=name)


class Switch(Kind[bool]):
    """On or off."""

    form = "true or false"

    def read(self, value: object, name: str, folder: Path) -> bool:
        """Take a boolean."""
        if not isinstance(value, bool):
            raise self.wrong(name)
        return value

    def parse(self, text: str, name: str) -> bool:
        """Take ``true`` or ``false``."""
        if text not in {"true", "false"}:
            raise self.wrong(name)
        return text == "true"


class Number(Kind[int]):
    """A whole number within bounds."""

    def __init__(self, at_least: int, at_most: int) -> None:
        self.form = f"a whole number from {at_least} to {at_most}"
        self._bounds = range(at_least, at_most + 1)

    def read(self, value: object, name: str, folder: Path) -> int:
        """Take an integer."""
        if not isinstance(value, int) or isinstance(value, bool) or value not in self._bounds:
            raise self.wrong(name)
        return value

    def parse(self, text: str, name: str) -> int:
        """Take decimal digits."""
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise self.wrong(name)
        return self.read(int(text), name, Path())


class Text(Kind[str]):
    """A short text without control characters."""

    form = "a text of at most 512 printable characters"

    def read(self, value: object, name: str, folder: Path) -> str:
        """Take a string."""
        if not isinstance(value, str) or len(value) > 512 or not value.isprintable():
            raise self.wrong(name)
        return value


class Choice(Kind[str]):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.form = f"one of {', '.join(words)}"
        self._words = words

    def read(self, value: object, name: str, folder: Path) -> str:
        """Take one of the words."""
        if not isinstance(value, str) or value not in self._words:
            raise self.wrong(name)
        return value


class Address(Kind[str]):
    """Where to listen: ``ADDRESS:PORT``. Empty for nowhere, where that is allowed."""

    def __init__(self, *, optional: bool = False) -> None:
        self.form = "ADDRESS:PORT" + (" or empty" if optional else "")
        self._optional = optional

    def read(self, value: object, name: str, folder: Path) -> str:
        """Take an address."""
        if not isinstance(value, str):
            raise self.wrong(name)
        if value or not self._optional:
            split_address(value, name)
        return value


class File(Kind[Path | None]):
    """A file's or a directory's name; none where it is not set."""

    form = "a path"

    def read(self, value: object, name: str, folder: Path) -> Path:
        """Take a path, relative to the file that names it."""
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.wrong(name)
        return folder / value

    def show(self, value: Path | None) -> object:
        """Give the path as text."""
        return None if value is None else str(value)


class Hexadecimals(Kind[tuple[bytes, ...]]):
    """A list of values in hexadecimal digits; in the environment separated by commas."""

    def __init__(self, length: int) -> None:
        self.form = f"a list of values of {2 * length} hexadecimal digits"
        self._value = re.compile(rf"[0-9a-f]{{{2 * length}}}")

    def read(self, value: object, name: str, folder: Path) -> tuple[bytes, ...]:
        """Take a list of strings."""
        if not isinstance(value, list):
            raise self.wrong(name)
        if not all(isinstance(item, str) and self._value.fullmatch(item) for item in value):
            raise self.wrong(name)
        return tuple(map(bytes.fromhex, value))

    def parse(self, text: str, name: str) -> tuple[bytes, ...]:
        """Take values separated by commas."""
        return self.read([part for part in text.split(",") if part], name, Path())

    def show(self, value: tuple[bytes, ...]) -> object:
        """Give the list as it is written."""
        return [item.hex() for item in value]


class Origins(Kind[tuple[str, ...]]):
    """A list of web origins; in the environment separated by commas."""

    form = "a list of origins as https://app.example is one, at most 16"

    def read(self, value: object, name: str, folder: Path) -> tuple[str, ...]:
        """Take a list of strings."""
        from strongroom.transport.cross_origin import is_origin

        if not isinstance(value, list) or len(value) > 16:
            raise self.wrong(name)
        if not all(isinstance(item, str) and is_origin(item) for item in value):
            raise self.wrong(name)
        return tuple(value)

    def parse(self, text: str, name: str) -> tuple[str, ...]:
        """Take origins separated by commas."""
        return self.read([part for part in text.split(",") if part], name, Path())

    def show(self, value: tuple[str, ...]) -> object:
        """Give the list as it is written."""
        return list(value)


def split_address(text: str, name: str) -> tuple[str, int]:
    """Split ``ADDRESS:PORT``, or raise ``Misconfigured``. IPv6 addresses are in brackets."""
    host, _, port = text.rpartition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise Misconfigured(f"{name} takes ADDRESS:PORT", setting=name)
    return host.strip("[]"), int(port)
