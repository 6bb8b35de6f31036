"""The entry point: every way a command can end has its exit code and no traceback."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from strongroom.base import errors
from strongroom.base.findings import Check, Finding
from strongroom.cli import app
from strongroom.cli.main import main

FINDING = Finding(check=Check.DEBUG, message="a debug enclave", section="appraisal 7.1", expected="no", actual="yes")


def ending(monkeypatch: pytest.MonkeyPatch, outcome: BaseException | object) -> None:
    def application(_: Sequence[str], **__: Any) -> object:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(app, "application", application)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Misconfigured("a fact", hint="a hint"), 1),
        (errors.MalformedQuote("a fact", hint="a hint"), 2),
        (errors.RollbackDetected("a fact", proof=b"proof", hint="a hint"), 4),
        (errors.NotAuthorised("a fact", hint="a hint"), 5),
        (errors.HeadMoved("a fact", hint="a hint"), 6),
        (errors.StoreUnreachable("a fact", hint="a hint"), 7),
    ],
)
def test_an_error_ends_with_its_familys_code_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: errors.StrongroomError, code: int
) -> None:
    ending(monkeypatch, error)
    assert main(["sync"]) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"strongroom: {error.code}: a fact\nstrongroom: hint: a hint\n")
    assert main(["sync", "--json"]) == code
    shown = json.loads(capsys.readouterr().out)
    assert (shown["error"], shown["message"], shown["hint"]) == (error.code, "a fact", "a hint")
    assert shown.get("proof") == (b"proof".hex() if code == 4 else None)


def test_a_refusal_lists_every_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ending(monkeypatch, errors.AppraisalRefused([FINDING, Finding(check=Check.CHAIN, message="no", section="2.2")]))
    assert main(["verify"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        "strongroom: refused, for these reasons:",
        "strongroom:   debug: a debug enclave [appraisal 7.1]",
        "strongroom:       expected no",
        "strongroom:       found    yes",
        "strongroom:   chain: no [2.2]",
    ]
    assert main(["verify", "--json"]) == 3
    checks = [finding["check"] for finding in json.loads(capsys.readouterr().out)["findings"]]
    assert checks == ["debug", "chain"]


def test_being_interrupted_ends_as_a_shell_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, KeyboardInterrupt())
    assert main([]) == 130


@pytest.mark.parametrize(("outcome", "code"), [(None, 0), (0, 0), (3, 3), ("text", 0)])
def test_what_a_command_returns(monkeypatch: pytest.MonkeyPatch, outcome: object, code: int) -> None:
    ending(monkeypatch, outcome)
    monkeypatch.setattr(sys, "argv", ["strongroom", "list"])
    assert main() == code


def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main([])


@pytest.mark.parametrize("arguments", [["nonsense"], ["get"], ["get", "--nonsense"], ["add", "x", "--home"]])
def test_a_command_line_that_is_none(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 1
    assert "Error: " in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Your vault" in capsys.readouterr().out
