from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from strongroom.base.errors import AppraisalRefused, StorageUnavailable
from strongroom.base.findings import Check, Finding
from strongroom.cli.explanation import explain, session_of
from strongroom.verifier import AnyOf
from strongroom.verifier.policy_compose import Branch, CompositionRefused
from tokens import POLICY, RESULT

PEER = SimpleNamespace(session=b"\x01" * 16, deployment=b"\x02" * 32, machine=b"\x03" * 32, deployment_pinned=True)
REFUSAL = AppraisalRefused([Finding(check=Check.MEASUREMENT, message="[bold]m", section="appraisal 8.3")])


def test_without_a_terminal_it_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    explain(RESULT)
    shown = capsys.readouterr().out
    assert shown.startswith("ACCEPTED")
    assert "\x1b" not in shown
    assert "\nThis connection  [not judged]" in shown


def test_on_a_terminal_it_is_a_chain_within_its_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    explain(REFUSAL, assessment=None)
    explain(RESULT)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "[bold]m" in shown
    assert RESULT.claims.mr_enclave.hex() in shown
    assert "The measured code" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_on_a_terminal_warnings_and_every_policy_s_word_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    explain(replace(RESULT, confessions=("a debug enclave is accepted",)))
    branch = Branch(place="1", policy=POLICY, accepted=False, findings=REFUSAL.findings)
    policy = AnyOf((POLICY,))
    explain(CompositionRefused(Branch(place="", policy=policy, accepted=False, branches=(branch,))))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "! a debug enclave is accepted" in shown
    assert "What each policy said" in shown
    assert "policy 1 refuses" in shown


def test_a_peer_s_session_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    explain(RESULT, peer=PEER)  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert "\nThis connection  [proved]" in shown
    assert PEER.session.hex() in shown
    first_met = SimpleNamespace(**{**vars(PEER), "deployment_pinned": False})
    assert "nobody vouched for it" in session_of(first_met)["deployment"]  # type: ignore[arg-type]


def test_html_is_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explain(RESULT, html=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert '<section class="sr-explanation">' in page
    assert not capsys.readouterr().out
    with pytest.raises(StorageUnavailable, match="cannot write"):
        explain(RESULT, html=tmp_path / "missing" / "page.html")
