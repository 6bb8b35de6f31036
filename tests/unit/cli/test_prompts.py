"""Secrets from files, standard input and terminals."""

import getpass
import io
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from strongroom.base.errors import Malformed, Misconfigured
from strongroom.cli.items import new_secret
from strongroom.cli.prompts import read_account_secret, read_password, read_secret
from strongroom.records.account_secret import AccountSecret


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, entries: Iterable[str]) -> list[str]:
    remaining, asked = list(entries), []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        if not remaining:
            raise EOFError
        return remaining.pop(0)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", ask)
    return asked


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b" a \n\n", " a \n"), (b"", ""), ("ü".encode(), "ü")],
)
def test_one_final_newline_does_not_belong_to_a_secret(file: Path, content: bytes, secret: str) -> None:
    file.write_bytes(content)
    assert read_secret("Secret", file) == secret


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"secret\n")))
    assert read_secret("Secret", Path("-")) == "secret"
    with pytest.raises(Malformed, match="nothing is in there"):
        new_secret(generate=False, file=Path("-"), ask=False)


def test_two_spellings_of_one_password_are_one(file: Path) -> None:
    file.write_text("u\u0308")
    assert read_password(file) == "\u00fc".encode()


def test_files_that_hold_no_secret(file: Path) -> None:
    file.write_bytes(b"")
    with pytest.raises(Malformed, match="password is empty"):
        read_password(file)
    file.write_bytes(b"\xff")
    with pytest.raises(Malformed, match="not UTF-8"):
        read_secret("Secret", file)
    file.write_bytes(b"12345")
    with pytest.raises(Malformed, match="more than 4 bytes"):
        read_secret("Secret", file, max_bytes=4)
    with pytest.raises(Misconfigured, match="cannot read"):
        read_secret("Secret", file / "none")


def test_the_account_secret_is_found_in_the_recovery_kit(file: Path) -> None:
    text = AccountSecret.generate().text()
    file.write_text(f"Kit\n===\naccount secret\n  {text.lower()}  \nmore\n")
    assert read_account_secret(file) == text.lower()
    file.write_text("no secret here")
    assert read_account_secret(file) == "no secret here"


def test_a_terminal_is_asked_and_twice_where_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = at_a_terminal(monkeypatch, ["one", "two", "two", "three", "four"])
    assert read_secret("Secret", None) == "one"
    assert read_secret("Secret", None, confirm=True) == "two"
    with pytest.raises(Malformed, match="differ"):
        read_secret("Secret", None, confirm=True)
    with pytest.raises(Malformed, match="nothing was entered"):
        read_secret("Secret", None)
    assert asked[:3] == ["Secret: ", "Secret: ", "Secret again: "]


def test_where_there_is_no_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret"))
    with pytest.raises(Misconfigured, match="not a terminal"):
        read_password(None)


def test_an_items_password_as_the_options_say(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text("from a file\n")
    at_a_terminal(monkeypatch, ["typed", "typed"])
    assert new_secret(generate=False, file=file, ask=False) == "from a file"
    assert new_secret(generate=False, file=None, ask=True) == "typed"
    assert new_secret(generate=False, file=None, ask=False) is None
    assert len(new_secret(generate=True, file=None, ask=False) or "") == 24
    for more in ({"file": file, "ask": False}, {"file": None, "ask": True}):
        with pytest.raises(Misconfigured, match="not both"):
            new_secret(generate=True, **more)  # type: ignore[arg-type]
