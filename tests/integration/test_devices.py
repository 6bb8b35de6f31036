"""Devices on the command line: one approves another, one revokes another, and the store refuses it from then on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_world import ACCEPT, PASSWORD, World, expect, world_of_ones_own
from running import STRONGROOM, Deployment, Store, clean_environment, strongroom
from strongroom.cli.measured import measure_client
from strongroom.client.trust import standing_policy
from strongroom.verifier.policy_file import to_toml

PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of_ones_own(tmp_path_factory.mktemp("world")) as (world, _):
        yield world


def asking(world: World, home: Path) -> subprocess.Popen[str]:
    """A login that asks for approval, as a process of its own."""
    return subprocess.Popen(
        [
            *STRONGROOM, "login", world.deployment.invitation, "--username", "me@example.com", ACCEPT,
            "--ask-a-device", "--device-name", "phone", "--home", str(home),
            "--password-file", str(world.password_file),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip


def code_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if "devices approve" in line:
            return line.split()[-1]
    raise AssertionError(process.communicate())


def test_a_device_is_approved_by_another_and_revoked_by_it(world: World, tmp_path: Path) -> None:
    phone = tmp_path / "phone"
    with asking(world, phone) as process:
        code = code_of(process)
        assert [item["name"] for item in world.run("devices", "--json").json["waiting"]] == ["phone"]
        expect(world.run("devices", "approve", code), 0, "approved")
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert "1 records fetched" in out
    expect(world.run("devices", "revoke", "phone"), 0, "revoked")
    expect(world.run("sync", home=phone), 5, "this device was revoked")
    expect(world.run("devices"), 0, "this device", "phone: revoked")


@pytest.fixture(scope="module")
def attested_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store that admits only clients which prove to run this very code, on its own simulated platform."""
    folder = tmp_path_factory.mktemp("attested")
    deployment = Deployment.create(folder)
    policy = standing_policy(measure_client(), simulated_root=deployment.trust.simulated_root)
    (folder / "clients.toml").write_bytes(to_toml(policy))
    store = Store([*deployment.serve_arguments(), "--client-policy", str(folder / "clients.toml")], folder / "log")
    try:
        store.wait_until_listening()
        world = World(deployment=deployment, folder=folder, home=folder / "device")
        world.password_file.write_text(PASSWORD + "\n")
        yield world
    finally:
        store.stop()


def test_a_store_admits_clients_by_their_evidence_and_grades_their_devices(
    attested_world: World, tmp_path: Path
) -> None:
    world = attested_world
    expect(world.register("me@example.com", tmp_path / "nobody"), 5, "client-not-attested")
    with_evidence = ("--attest-with-simulated-platform", world.deployment.platform)
    expect(world.register("me@example.com", world.home, *with_evidence), 0)
    expect(world.run("sync"), 0)
    (device,) = world.run("devices", "--json").json["devices"]
    assert (device["grade"], device["measurement"]) == ("attested", measure_client().hex())
    expect(world.run("devices", "demand-evidence"), 0, "attested devices only")
    # another manufacturer's platform is none that the policy knows
    elsewhere = tmp_path / "elsewhere"
    assert strongroom("platform", elsewhere).code == 0
    refused = world.register("you@example.com", tmp_path / "you", "--attest-with-simulated-platform", elsewhere)
    expect(refused, 5, "client-not-attested", "chain")
