"""Floors, notices and invitations by the real commands, against a store that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from running import Deployment
from strongroom.base.errors import AppraisalRefused
from strongroom.cli import app as commands
from strongroom.cli.invite import invite
from strongroom.cli.main import main
from strongroom.cli.measured import measure_store
from strongroom.cli.notice import app as notice
from strongroom.client.floors import FloorBook, Floors
from strongroom.client.invitation import Invitation
from strongroom.client.trust import standing_policy
from strongroom.formats.distrust_notice import SignedDistrustNotice
from strongroom.verifier.policy_file import to_toml

ACCEPT = "--accept-simulated-platform"

# so that this file does not depend on which other commands there are
if "invite" not in {command.name for command in commands.app.registered_commands}:
    commands.app.command("invite")(invite)
if "notice" not in {group.name for group in commands.app.registered_groups}:
    commands.app.add_typer(notice, name="notice")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment.create(tmp_path_factory.mktemp("deployment"))
    with deployment.running():
        yield deployment


class Commands:
    """Commands of one device and of an operator, run in this process."""

    def __init__(self, deployment: Deployment, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.home = home
        self.operator = ["--data", deployment.data, "--simulated-platform", deployment.platform]
        self.invite = ["invite", *self.operator, "--url", deployment.url]

    def run(self, *arguments: Any, code: int = 0) -> str:
        self._capsys.readouterr()
        assert main([*map(str, arguments)]) == code
        said = self._capsys.readouterr()
        return said.out if code == 0 else said.out + said.err

    def json(self, *arguments: Any, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))

    def verify(self, invitation: str, *more: Any, code: int = 0) -> Any:
        return self.json("verify", invitation, ACCEPT, "--home", self.home, *more, code=code)

    def findings(self, invitation: str, *more: Any) -> list[tuple[str, str]]:
        shown = self.verify(invitation, *more, code=AppraisalRefused.exit_code)
        return [(finding["check"], finding["section"]) for finding in shown["findings"]]


@pytest.fixture
def operator(deployment: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(deployment, tmp_path / "home", capsys)


def test_an_invitation_can_be_printed_again(deployment: Deployment, operator: Commands) -> None:
    assert operator.run(*operator.invite).strip() == deployment.invitation
    shown = operator.json(*operator.invite)
    assert shown["invitation"] == deployment.invitation
    drawn = operator.home.parent / "invite.svg"
    said = operator.run(*operator.invite, "--qr", "--qr-file", drawn)
    assert said.startswith(deployment.invitation + "\n")
    assert said.count("\n") > 20
    assert operator.verify(f"@{drawn}")["deployment_pinned"]
    assert shown["this_machine"] == operator.verify(deployment.invitation)["machine"]
    assert operator.run("verify", deployment.invitation, ACCEPT).count(shown["this_machine"]) == 1


def test_an_invitation_that_names_machines_admits_no_other(operator: Commands) -> None:
    here = operator.run(*operator.invite, "--machine", "this", "--machine", "ab" * 32).strip()
    assert operator.verify(here)["attested"]
    elsewhere = operator.run(*operator.invite, "--machine", "ab" * 32).strip()
    assert operator.findings(elsewhere) == [("platform", "floors-and-notices 7.1")]
    assert "--machine takes 32 bytes" in operator.run(*operator.invite, "--machine", "abc", code=1)
    too_many = [part for _ in range(17) for part in ("--machine", "this")]
    assert "at most 16" in operator.run(*operator.invite, *too_many, code=1)


def test_an_invitation_that_names_a_policy_goes_with_no_other(
    deployment: Deployment, operator: Commands, tmp_path: Path
) -> None:
    root = Invitation.from_text(deployment.invitation).simulated_root
    named, other = tmp_path / "named.toml", tmp_path / "other.toml"
    policy = standing_policy(measure_store(), simulated_root=root)
    named.write_bytes(to_toml(policy))
    other.write_text(
        named.read_text().replace("minimum_tcb_evaluation_data_number = 0", "minimum_tcb_evaluation_data_number = 1")
    )
    assert other.read_text() != named.read_text()
    standing = operator.run(*operator.invite, "--policy", named).strip()
    assert operator.verify(standing, "--policy", named)["attested"]
    assert operator.verify(standing)["attested"]  # the standing policy is the very same
    assert operator.verify(standing, "--policy", other, code=1)["error"] == "misconfigured"
    narrower = operator.run(*operator.invite, "--policy", other).strip()
    assert policy.digest.hex() in operator.verify(narrower, code=1)["message"]
    assert operator.verify(narrower, "--policy", other)["attested"]


def test_a_notice_of_the_deployment_refuses_its_machine_until_a_newer_one(
    deployment: Deployment, operator: Commands, tmp_path: Path
) -> None:
    machine = operator.verify(deployment.invitation)["machine"]
    file, again = tmp_path / "notice", tmp_path / "again"
    made = operator.run("notice", "make", *operator.operator, "--machine", machine, "--reason", "its disks were sold")
    file.write_text(made)
    home = ["--home", operator.home]
    assert operator.run("notice", "show", *home) == "no notices\n"
    assert operator.json("notice", "show", file)[0]["signed_by"] == "deployment"
    assert "distrust machine " + machine in operator.run("notice", "apply", file, *home)
    assert "nothing changed" in operator.run("notice", "apply", file, *home)
    assert operator.json("notice", "show", *home)[0]["reason"] == "its disks were sold"
    assert operator.findings(deployment.invitation) == [("platform", "floors-and-notices 6.1")]

    again.write_text(operator.run("notice", "make", *operator.operator, "--machine", machine, "--trust-again"))
    assert "trust-again machine" in operator.run("notice", "apply", again, *home)
    assert operator.verify(deployment.invitation)["attested"]
    assert "nothing changed" in operator.run("notice", "apply", file, *home)
    assert operator.verify(deployment.invitation)["attested"]


@pytest.mark.parametrize(
    ("subject", "check", "step"), [("instance", "deployment", "6.2"), ("measurement", "measurement", "6.3")]
)
def test_a_notice_key_that_the_invitation_names_is_believed(
    operator: Commands, tmp_path: Path, subject: str, check: str, step: str
) -> None:
    secret, file = tmp_path / "notice.key", tmp_path / "notice"
    public = operator.run("notice", "key", secret).strip()
    assert operator.run("notice", "key", secret).strip() == public
    assert secret.stat().st_mode & 0o777 == 0o600
    invitation = operator.run(*operator.invite, "--notice-key", public).strip()
    shown = operator.verify(invitation)
    value = shown["instance"] if subject == "instance" else shown["result"]["claims"]["mr_enclave"]
    made = operator.json(
        "notice", "make", "--key", secret, "--deployment", invitation, f"--{subject}", value,
        "--since", "2025-01-01T00:00:00Z",
    )  # fmt: skip
    assert SignedDistrustNotice.from_text(made["notice"]).key.hex() == public
    file.write_text(made["notice"])
    refused = operator.run("notice", "apply", file, "--home", operator.home, code=5)
    assert "signed neither by" in refused
    operator.run("notice", "apply", file, "--home", operator.home, "--invitation", invitation)
    assert operator.findings(invitation) == [(check, f"floors-and-notices {step}")]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--machine", "ab" * 32],
        ["--machine", "ab" * 32, "--instance", "ab" * 32],
        ["--machine", "ab" * 32, "--key", "k"],
        ["--machine", "ab" * 32, "--key", "missing", "--deployment", "ab" * 32],
        ["--machine", "ab" * 32, "--key", "missing", "--deployment", "abc"],
    ],
)
def test_half_a_notice_is_refused(operator: Commands, arguments: list[str]) -> None:
    operator.run("notice", "make", *arguments, code=1)


def test_an_altered_notice_is_malformed(operator: Commands, tmp_path: Path) -> None:
    made = operator.run("notice", "make", *operator.operator, "--machine", "ab" * 32, "--reason", "x" * 40)
    signed = SignedDistrustNotice.from_text(made)
    file = tmp_path / "notice"
    other = SignedDistrustNotice.from_bytes(signed.to_bytes().replace(b"x" * 40, b"y" * 40))
    file.write_text(other.to_text())
    for verb in ("show", "apply"):
        assert "signature does not fit" in operator.run("notice", verb, file, "--home", operator.home, code=2)


def test_floors_are_shown_and_hold(deployment: Deployment, operator: Commands, tmp_path: Path) -> None:
    home = ["--home", operator.home]
    assert "this device has not accepted this deployment before" in operator.run(
        "verify", deployment.invitation, ACCEPT, *home
    )
    assert not operator.home.exists()
    password = tmp_path / "password"
    password.write_text("a password\n")
    operator.run("register", deployment.invitation, "-u", "floors", ACCEPT, *home, "--password-file", password)
    shown = operator.verify(deployment.invitation)["floors"]
    assert shown["epoch"] == "1"
    assert {name.partition(" ")[0] for name in shown} == {
        "epoch", "evaluation", "issued", "pck-crl", "root-crl", "security-version",
    }  # fmt: skip
    shown = operator.run("verify", deployment.invitation, ACCEPT, *home)
    assert "floors: this device accepts no less than epoch 1, " in shown

    # the collateral is put back to yesterday's, as far as this device can tell
    book = FloorBook(operator.home)
    identity = Invitation.from_text(deployment.invitation).deployment
    floors = book.load(identity)
    ahead = {name: number + (name.startswith("pck-crl")) for name, number in floors.numbers.items()}
    path = operator.home / "floors" / f"{identity.hex()}.cbor"
    path.write_bytes(Floors(deployment=identity, numbers=ahead).to_bytes())
    assert operator.findings(deployment.invitation) == [("expiry", "floors-and-notices 2.5")]
    said = operator.run("sync", *home, "--password-file", password, code=3)
    assert "floors-and-notices 2.5" in said
    assert "older than before" in said
    path.write_bytes(b"damaged")
    assert str(path) in operator.run("sync", *home, "--password-file", password, code=2)
