"""``strongroom collateral``, run in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer

from collateral_sets import REAL_AT, SGX_17, SGX_19, TDX_18, VECTORS, generated, real
from strongroom.base.errors import CollateralUnavailable, Malformed, MalformedCollateral, Misconfigured
from strongroom.cli import collateral as module
from strongroom.collateral.bundle import CollateralBundle
from strongroom.formats.collateral import Collateral
from strongroom.testing.intel_pki import IntelPki
from strongroom.testing.loopback import Loopback
from strongroom.testing.pcs_server import PcsServer
from strongroom.transport.clock import SystemClock

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

KIND_OPTIONS = ("--fmspc", "00906ed50000", "--ca", "processor")
AT_OPTIONS = ("--at", REAL_AT.isoformat())


class Command:
    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.cache = tmp_path / "cache"
        self._capsys = capsys

    def __call__(self, *arguments: object) -> str:
        typer.main.get_command(module.collateral)(
            [*map(str, arguments), "--cache", str(self.cache)], standalone_mode=False
        )
        return self._capsys.readouterr().out


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    def now(self: SystemClock) -> datetime:
        return REAL_AT

    monkeypatch.setattr(SystemClock, "now", now)
    return Command(tmp_path, capsys)


def test_show_says_what_a_set_is_for_and_when_it_ends(command: Command) -> None:
    shown = command("show", VECTORS / SGX_17, *AT_OPTIONS)
    assert "sgx-00906ED50000-processor: genuine, valid at 2025-06-10 00:00 UTC" in shown
    assert "2025-06-26 19:05 UTC, when the QE identity ends" in shown
    assert "expired at 2026" in command("show", VECTORS / SGX_17, "--at", "2026-01-01T00:00:00Z")
    assert "not valid yet" in command("show", VECTORS / SGX_17, "--at", "2025-01-01T00:00:00")


def test_show_as_json(command: Command) -> None:
    (shown,) = json.loads(command("show", VECTORS / TDX_18, "--json", "--at", "2026-03-01T00:00:00Z"))
    assert shown["tee"] == "tdx"
    assert shown["tcb_evaluation_data_number"] == 18
    assert shown["valid"] is True
    assert shown["ends_first"] == "the PCK CRL"


def test_show_of_a_simulated_root(command: Command, tmp_path: Path) -> None:
    from strongroom.attesters.simulated import SimulatedPlatform

    platform = SimulatedPlatform.open(tmp_path / "platform", create=True)
    (tmp_path / "root.pem").write_bytes(platform.root_certificate_pem)
    (tmp_path / "set.json").write_bytes(platform.collateral(REAL_AT).to_json())
    assert "SIMULATED PLATFORM" in command("show", tmp_path / "set.json", "--root", tmp_path / "root.pem")
    with pytest.raises(CollateralUnavailable, match="is not an accepted anchor"):
        command("show", tmp_path / "set.json")


def test_show_of_something_else(command: Command, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"something else")
    with pytest.raises(MalformedCollateral):
        command("show", tmp_path / "x")
    (tmp_path / "y").write_bytes(b'{"tcb_info": "x"}')
    with pytest.raises(MalformedCollateral):
        command("show", tmp_path / "y")
    with pytest.raises(Malformed, match="--at"):
        command("show", VECTORS / SGX_17, "--at", "yesterday")
    with pytest.raises(Misconfigured):
        command("show", tmp_path / "missing")


def test_a_bundle_goes_from_one_machine_to_another(command: Command, tmp_path: Path) -> None:
    bundle = tmp_path / "collateral.bundle"
    command("export", bundle, VECTORS / SGX_17, VECTORS / SGX_19, VECTORS / TDX_18)
    assert len(CollateralBundle.from_bytes(bundle.read_bytes()).sets) == 3
    shown = json.loads(command("fetch", "--bundle", bundle, "--json"))
    assert {item["tee"] for item in shown} == {"sgx", "tdx"}
    kept = json.loads(command("show", "--json"))
    assert [(item["fmspc"], item["tcb_info"]["number"]) for item in kept] == [
        ("00906ED50000", 19),
        ("90C06F000000", 18),
    ]
    again = tmp_path / "again.bundle"
    command("export", again)
    assert len(CollateralBundle.from_bytes(again.read_bytes()).sets) == 2


def test_one_set_out_of_a_bundle(command: Command, tmp_path: Path) -> None:
    command("export", tmp_path / "b", VECTORS / SGX_17, VECTORS / TDX_18)
    command("fetch", "--bundle", tmp_path / "b", *KIND_OPTIONS, "-o", tmp_path / "set.json")
    assert Collateral.from_json((tmp_path / "set.json").read_bytes()) == real(SGX_17)


def test_fetching_from_a_caching_service(command: Command, tmp_path: Path) -> None:
    server = PcsServer([real(SGX_17), real(SGX_19)], pccs=True)
    with Loopback(server) as url:
        assert "evaluation 17" in command("fetch", "--pccs", url, *KIND_OPTIONS, "-o", tmp_path / "set.json")
        assert "evaluation 19" in command("fetch", "--pccs", url, *KIND_OPTIONS, "--update", "early")
        # the standard evaluation is older than what was seen by now, so what was seen stays
        assert "TCB info     evaluation 19" in command("fetch", "--pccs", url, *KIND_OPTIONS)
        with pytest.raises(CollateralUnavailable, match="not 18"):
            command("fetch", "--pccs", url, *KIND_OPTIONS, "--number", 18)
    assert Collateral.from_json((tmp_path / "set.json").read_bytes()).tcb_info == real(SGX_17).tcb_info


def test_what_to_ask_for_comes_from_evidence(command: Command, tmp_path: Path) -> None:
    (tmp_path / "quote.bin").write_bytes(IntelPki().quote().to_bytes())
    server = PcsServer([generated()], pccs=True)
    with Loopback(server) as url, pytest.raises(CollateralUnavailable, match="is not an accepted anchor"):
        command("fetch", "--pccs", url, "--evidence", tmp_path / "quote.bin")
    assert server.requests[0] == "/sgx/certification/v4/tcb?fmspc=30606A000000&update=standard"
    assert server.requests[2] == "/sgx/certification/v4/pckcrl?ca=platform&encoding=der"


def test_a_damaged_entry_is_named(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("export", tmp_path / "b", VECTORS / SGX_17)
    command("fetch", "--bundle", tmp_path / "b")
    (entry,) = command.cache.iterdir()
    entry.write_bytes(b"")
    typer.main.get_command(module.collateral)(["show", "--cache", str(command.cache)], standalone_mode=False)
    captured = capsys.readouterr()
    assert captured.out == "no collateral\n"
    assert f"left aside: {entry.name}" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch",),
        ("fetch", "--intel", "--pccs", "https://pccs.example", "--fmspc", "00906ed50000"),
        ("fetch", "--pccs", "https://pccs.example"),
        ("fetch", "--pccs", "https://pccs.example", "--fmspc", "00906ed50000", "--evidence", "quote"),
        ("fetch", "--pccs", "pccs.example", "--fmspc", "00906ed50000"),
        ("fetch", "--pccs", "https://pccs.example", "--fmspc", "00906ed50000", "--update", "late"),
        ("export", "/nowhere/bundle"),
    ],
)
def test_what_makes_no_sense_is_said(command: Command, arguments: tuple[str, ...]) -> None:
    with pytest.raises(Misconfigured):
        command(*arguments)


def test_several_sets_do_not_go_into_one_file(command: Command, tmp_path: Path) -> None:
    command("export", tmp_path / "b", VECTORS / SGX_17, VECTORS / TDX_18)
    with pytest.raises(Misconfigured, match="takes one set"):
        command("fetch", "--bundle", tmp_path / "b", "-o", tmp_path / "set.json")
