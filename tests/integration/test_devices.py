"""Devices on the command line: one approves another, one revokes another, and the store refuses it from then on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_world import ACCEPT, World, expect, world_of_ones_own
from running import STRONGROOM, clean_environment

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
        expect(world.run("devices", "approve", "0000-0000-0000-0000-0000"), 5, "no waiting device has this code")
        expect(world.run("devices", "approve", code), 0, "approved")
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, err
    assert "1 records fetched" in out
    assert world.titles(phone) == ["kept"]
    expect(world.run("sync", home=phone), 0)
    expect(world.run("devices"), 0, "this device", "phone: active")
    expect(world.run("devices", "revoke", "phone"), 0, "revoked")
    expect(world.run("sync", home=phone), 5, "this device was revoked")
    assert {item["state"] for item in world.run("devices", "--json").json["devices"]} == {"this device", "revoked"}


def test_a_refused_device_is_told_so(world: World, tmp_path: Path) -> None:
    with asking(world, tmp_path / "other") as process:
        code_of(process)
        (waiting,) = world.run("devices", "--json").json["waiting"]
        expect(world.run("devices", "refuse", waiting["device"][:8]), 0, "refused")
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 5
    assert "refused on another device" in err
