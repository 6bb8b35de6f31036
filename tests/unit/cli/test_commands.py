"""The commands in this process, against a store in a thread: each one's results and its JSON."""

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evidence_vectors import VECTORS
from in_process import in_process_store
from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.base.errors import RollbackDetected
from strongroom.cli import environment, server, syncing
from strongroom.cli.instance import simulated_enclave
from strongroom.cli.main import main
from strongroom.cli.measured import measure_store
from strongroom.cli.options import home_directory
from strongroom.client.trust import standing_policy
from strongroom.client.vault import LocalVault
from strongroom.formats.measurements import MrEnclave
from strongroom.storage.memory import MemoryRecordStore
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.policy_file import to_toml

ACCEPT = "--accept-simulated-platform"
QUOTE = VECTORS / "sgx/dcap-qvl/sgx_quote-f8b810.quote.bin"
COLLATERAL = VECTORS / "sgx/_collateral/SGX-00A067110000-processor-v3-ev17-20250619.json"
CAPTURED = ("verify", "--evidence", str(QUOTE), "--collateral", str(COLLATERAL), "--at", "2025-07-04T10:28:44Z")


class Device:
    """A device's directory, and commands on it."""

    def __init__(self, folder: Path, invitation: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = folder / "device"
        self.invitation = invitation
        self._files = ["--home", str(self.home), "--password-file", str(folder / "password")]
        (folder / "password").write_text("secret\n")
        self._capsys = capsys

    def run(self, *arguments: str | Path, code: int = 0) -> str:
        assert main([*map(str, arguments), *self._files]) == code
        said = self._capsys.readouterr()
        return said.out if code == 0 else said.out + said.err

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        assert main([*map(str, arguments), *self._files, "--json"]) == code
        return json.loads(self._capsys.readouterr().out)


@pytest.fixture(scope="module")
def invitation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_process_store(MemoryRecordStore(), tmp_path_factory.mktemp("store") / "platform") as (person, _):
        yield person.deployment.invitation


@pytest.fixture
def device(
    invitation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Device:
    device = Device(tmp_path, invitation, capsys)
    username = request.node.name
    assert device.run("register", invitation, "-u", username, ACCEPT) == f"registered {username} with this device\n"
    return device


def second(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Device:
    folder = tmp_path / "second"
    folder.mkdir()
    other = Device(folder, device.invitation, capsys)
    username = json.loads((device.home / "profile.json").read_text())["username"]
    kit = device.home / "recovery-kit.txt"
    shown = other.json("login", device.invitation, "-u", username, ACCEPT, "--account-secret-file", kit)
    assert shown["username"] == username
    return other


def test_a_day_with_two_devices(device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"added Mail \([0-9a-f]{8}\)\n", device.run("add", "Mail", "-u", "me", "-g"))
    secret, notes = tmp_path / "secret", tmp_path / "notes"
    secret.write_text("hunter2")
    notes.write_text("a note")
    added = device.json("add", "Shop", "--secret-file", secret, "--url", "https://shop.example", "--notes-file", notes)
    assert added["title"] == "Shop"
    device.run("add", "Thought", "--type", "note", "--notes-file", notes)
    assert device.json("list", "shop")[0]["uris"] == ["https://shop.example"]
    assert "Mail" in device.run("list")
    assert device.run("get", "Shop", "-f", "password") == "hunter2\n"
    assert "hunter2" not in device.run("get", "Shop")
    assert device.json("get", "Shop", "--show")["fields"]["password"] == "hunter2"
    assert "no field" in device.run("get", "Shop", "-f", "colour", code=1)

    assert device.run("edit", "Shop", "--title", "Store", "-g").startswith("changed Store (")
    assert device.json("edit", "Store", "--notes-file", notes, "--folder", "Work")["changed"] == ["notes"]
    assert "nothing to change" in device.run("edit", "Store", code=1)
    assert device.run("sync") == "synced: 0 fetched, 3 sent\n"
    other = second(device, tmp_path, capsys)
    assert sorted(entry["title"] for entry in other.json("list")) == ["Mail", "Store", "Thought"]
    assert device.run("sync") == "synced: 0 fetched, 0 sent\n"
    assert other.json("head")["code"] == device.json("head")["code"] == device.run("head").splitlines()[0]

    device.run("edit", "Mail", "--username", "a")
    other.run("edit", "Mail", "--username", "b")
    device.run("sync")
    assert re.search(r"1 merged, \d replaced values kept", other.run("sync"))
    assert device.json("sync")["pulled"] == 1
    assert device.run("remove", "Mail").startswith("removed Mail")
    assert device.json("remove", "Mail", "--restore")["done"] == "restored"
    device.run("remove", "Mail")
    assert device.run("remove", "Mail", "--purge").startswith("erased Mail")
    assert "not both" in device.run("remove", "Mail", "--purge", "--restore", code=1)
    assert "cards, identities" in device.run("add", "x", "--type", "card", code=1)


def test_importing_says_what_it_does(device: Device, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text("name,url,username,password,extra\nBank,https://b.example,me,one,more\n,,,,\n")
    assert "would import" in device.run("import", export, "--dry-run")
    shown = device.json("import", export)
    assert (shown["imported"], shown["duplicates"], shown["kept_as_custom"]) == (1, 0, {"extra": 1})
    assert device.run("import", export).startswith("imported 0 items")


def test_a_device_before_its_first_sync_has_no_head(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = device.home / "profile.json"
    profile.write_text(json.dumps(json.loads(profile.read_text()) | {"state": "joining"}))
    assert "login was not finished" in device.run("sync", code=1)

    monkeypatch.setattr(LocalVault, "sync_state", lambda _: None)
    assert "has not synced yet" in device.run("head", code=1)


@pytest.mark.parametrize("proof", [b"signed heads", b""])
def test_a_proof_is_kept_where_there_is_one(device: Device, monkeypatch: pytest.MonkeyPatch, proof: bytes) -> None:
    def rolled_back(*_: object) -> None:
        raise RollbackDetected("older", proof=proof)

    monkeypatch.setattr(syncing, "sync_device", rolled_back)
    said = device.run("sync", code=4)
    assert "`strongroom sync --repair` makes it good" in said
    folder = device.home / "proofs"
    if not proof:
        assert not folder.exists()
        return
    (kept,) = folder.iterdir()
    assert (kept.read_bytes(), kept.name.startswith("rollback-"), str(kept) in said) == (proof, True, True)


def test_verifying_a_live_store(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["verify", device.invitation, ACCEPT]) == 0
    said = capsys.readouterr().out
    assert "the code installed on this device" in said
    assert main(["verify", device.invitation, ACCEPT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["attested"] is True
    trust = json.loads((device.home / "profile.json").read_text())["trust"]

    root = base64.b64decode(trust["simulated_root"])
    policy = tmp_path / "policy.toml"
    policy.write_bytes(to_toml(standing_policy(measure_store(), simulated_root=root)))
    assert main(["verify", device.invitation, "--policy", str(policy)]) == 0
    policy.write_bytes(to_toml(standing_policy(MrEnclave(bytes(32)), simulated_root=root)))
    capsys.readouterr()
    assert main(["verify", device.invitation, "--policy", str(policy)]) == 3
    assert "measurement: " in capsys.readouterr().err
    assert main(["verify", trust["url"], ACCEPT]) == 1
    assert "needs its root" in capsys.readouterr().err
    assert main(["verify", device.invitation, "--at", "2025-01-01"]) == 1


def test_verifying_captured_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CAPTURED]) == 0
    said = capsys.readouterr().out
    assert said.startswith("genuine")
    measurement = re.search(r"measurement +([0-9a-f]{64})", said)
    assert measurement is not None
    assert main([*CAPTURED, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    policy = tmp_path / "policy.toml"
    policy.write_bytes(to_toml(standing_policy(MrEnclave(bytes.fromhex(measurement.group(1))), simulated_root=None)))
    assert main([*CAPTURED, "--policy", str(policy)]) == 3
    assert "tcb-status" in capsys.readouterr().err
    early = [*CAPTURED[:-1], "2020-01-01"]
    assert main(early) == 3
    assert "refused" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*early, "--json"])
    assert ended.value.code == 3


def test_making_a_deployment_and_a_platform(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--data",
        str(tmp_path / "data"),
        "--simulated-platform",
        str(tmp_path / "platform"),
        "--url",
        "http://s",
    ]
    assert main(["init", *arguments]) == 0
    assert capsys.readouterr().out.startswith("strongroom1:")
    assert main(["init", *arguments]) == 1
    assert main(["init", *arguments[2:], "--data", str(tmp_path / "other"), "--json"]) == 0
    capsys.readouterr()
    for options in ([], ["--tcb", "OutOfDate"], ["--revoked"]):
        assert main(["platform", str(tmp_path / "platform"), *options]) == 0
        assert capsys.readouterr().out.startswith("-----BEGIN CERTIFICATE-----")
    assert main(["platform", str(tmp_path / "platform"), "--tcb", "Shiny"]) == 1


def test_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure"]) == 0
    assert capsys.readouterr().out == measure_store().hex() + "\n"
    assert main(["measure", "--files", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mr_enclave"] == measure_store().hex()
    assert main(["measure", "--files"]) == 0


def test_where_a_device_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STRONGROOM_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_directory(None) == tmp_path / ".local" / "share" / "strongroom"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home_directory(None) == tmp_path / "data" / "strongroom"
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "mine"))
    assert home_directory(None) == tmp_path / "mine"
    assert home_directory(tmp_path) == tmp_path


def test_serving_opens_and_closes_the_deployment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("PYTHON", "LD_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(environment, "run_isolated", lambda *_, **__: None)
    served: list[dict[str, Any]] = []
    monkeypatch.setattr(server, "run", lambda _, **settings: served.append(settings))
    directories = ["--data", str(tmp_path / "data"), "--simulated-platform", str(tmp_path / "platform")]
    assert main(["init", *directories, "--url", "http://store.invalid"]) == 0
    assert main(["serve", *directories, "--listen", "[::1]:7701"]) == 0
    ((settings),) = served
    assert (settings["host"], settings["port"]) == ("::1", 7701)
    assert f"measurement {measure_store().hex()}" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["store.db"]
    assert main(["serve", *directories, "--tls-key", "x"]) == 1
    assert "go together" in capsys.readouterr().err


def test_whom_nobody_vouched_for_is_met_with_a_remark(
    device: Device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "third"
    folder.mkdir()
    third = Device(folder, device.invitation, capsys)
    profile = json.loads((device.home / "profile.json").read_text())
    policy = tmp_path / "policy.toml"
    root = base64.b64decode(profile["trust"]["simulated_root"])
    policy.write_bytes(to_toml(standing_policy(measure_store(), simulated_root=root)))
    kit = device.home / "recovery-kit.txt"
    login = ["login", profile["trust"]["url"], "-u", profile["username"], "--account-secret-file", str(kit)]
    assert main([*login, "--policy", str(policy), *third._files]) == 0
    said = capsys.readouterr()
    assert said.out == f"logged in as {profile['username']}: 0 records fetched\n"
    assert "seen for the first time" in said.err
    assert third.run("sync").startswith("synced")  # under the policy that was kept


def test_registering_as_json(invitation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device, kit = Device(tmp_path, invitation, capsys), tmp_path / "kit.txt"
    shown = device.json("register", invitation, "-u", "json", ACCEPT, "--recovery-kit", kit)
    assert (shown["username"], shown["recovery_kit"], kit.exists()) == ("json", str(kit), True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["verify"], 1, "give either an address or --evidence"),
        (["verify", "http://x", "--evidence", "y"], 1, "give either"),
        (["verify", "http://x", "--at", "2025-01-01"], 1, "are for captured evidence"),
        (["verify", "--evidence", "x"], 1, "cannot read x"),
        (["verify", "--evidence", "/nonexistent", "--collateral", "/nonexistent"], 1, "cannot read /nonexistent"),
        (["verify", "--evidence", "/dev/zero", "--collateral", "/dev/null"], 1, "has more than"),
        ([*CAPTURED[:-1], "soon"], 2, "--at: not a time"),
        ([*CAPTURED, "--root", str(QUOTE)], 2, "malformed"),
    ],
)
def test_verifying_nothing_that_can_be_verified(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(arguments) == code
    assert words in capsys.readouterr().err


def test_captured_evidence_of_a_simulated_platform_is_named_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    platform = SimulatedPlatform.open(tmp_path / "platform", create=True)
    evidence, collateral, root = (tmp_path / name for name in ("evidence", "collateral", "root"))
    evidence.write_bytes(simulated_enclave(platform, debug=True).evidence(bytes(64)))
    collateral.write_bytes(platform.collateral(datetime.now(UTC)).to_json())
    root.write_bytes(platform.root_certificate_pem)
    captured = ["verify", "--evidence", str(evidence), "--collateral", str(collateral)]
    assert main([*captured, "--root", str(root)]) == 0
    said = capsys.readouterr().out
    assert "SIMULATED PLATFORM that proves no hardware" in said
    assert re.search(r"debug +yes", said)
    spki = Anchor.from_certificate(root.read_bytes(), simulated=True).spki
    policy = tmp_path / "policy.toml"
    accepting = replace(standing_policy(measure_store(), simulated_root=spki), accept_debug_enclaves=True)
    policy.write_bytes(to_toml(accepting))
    assert main([*captured, "--root", str(root), "--policy", str(policy)]) == 0
    assert "accepted by the policy" in capsys.readouterr().out
    assert main([*captured, "--root", str(root), "--policy", str(policy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["simulated"] is True
