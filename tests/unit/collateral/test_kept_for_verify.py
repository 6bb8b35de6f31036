"""``strongroom verify --evidence`` with the collateral that this device keeps, run in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from strongroom.base.errors import CollateralUnavailable, MalformedQuote
from strongroom.cli.verification import Kept, Shown, verify_captured
from strongroom.crypto.certificates import pem
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.testing.loopback import Loopback
from strongroom.testing.pcs_server import PcsServer

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = Shown(as_json=True, explain=False, html=None)


@pytest.fixture
def pki(tmp_path: Path) -> IntelPki:
    pki = IntelPki()
    (tmp_path / "quote.bin").write_bytes(pki.quote().to_bytes())
    (tmp_path / "root.pem").write_bytes(pem([pki.root.der()]))
    return pki


def verify(tmp_path: Path, *, pccs: str | None = None) -> None:
    kept = Kept(home=tmp_path / "home", intel=False, pccs=pccs)
    verify_captured(tmp_path / "quote.bin", kept, tmp_path / "root.pem", None, at=AT.isoformat(), shown=SHOWN)


def test_what_is_lacking_is_fetched_once_and_kept(
    pki: IntelPki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CollateralUnavailable, match="holds nothing for") as caught:
        verify(tmp_path)
    assert "--pccs URL" in caught.value.hint
    with Loopback(PcsServer([pki.collateral()], pccs=True)) as url:
        verify(tmp_path, pccs=url)
    assert json.loads(capsys.readouterr().out)["verdict"] == "assessed-without-policy"
    verify(tmp_path)
    assert json.loads(capsys.readouterr().out)["tcb"]["status"] == "UpToDate"
    verify(tmp_path, pccs=url)  # nobody answers there any more, and nobody is asked


def test_what_is_kept_and_no_longer_valid_is_not_used(pki: IntelPki, tmp_path: Path) -> None:
    with Loopback(PcsServer([pki.collateral()], pccs=True)) as url:
        verify(tmp_path, pccs=url)
    kept = Kept(home=tmp_path / "home", intel=False, pccs=None)
    with pytest.raises(CollateralUnavailable):
        verify_captured(
            tmp_path / "quote.bin", kept, tmp_path / "root.pem", None, at="2090-01-01T00:00:00Z", shown=SHOWN
        )


@pytest.mark.usefixtures("pki")
def test_evidence_that_names_no_platform(tmp_path: Path) -> None:
    (tmp_path / "quote.bin").write_bytes(b"no quote")
    with pytest.raises(MalformedQuote):
        verify(tmp_path)
