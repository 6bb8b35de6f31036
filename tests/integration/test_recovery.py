"""docs/recovery.md by the real commands: every device is gone, and a printed kit and the password bring all back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_world import ACCEPT, World, expect, world_of_ones_own
from running import Ran, strongroom
from strongroom.client.recovery_kit import RecoveryKit


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of_ones_own(tmp_path_factory.mktemp("world")) as (world, _):
        yield world


def login(world: World, home: Path, kit: Path, *more: str | Path) -> Ran:
    return strongroom(
        "login", "--kit", kit, ACCEPT, "--home", home, "--password-file", world.password_file, *more
    )  # fmt: skip


def test_a_kit_is_for_its_owner_alone_and_replaces_nothing(world: World, tmp_path: Path) -> None:
    home = world.home
    kit = home / "recovery-kit.html"
    ran = world.run("kit", "--json")
    assert ran.json == {"recovery_kit": str(kit)}
    assert kit.stat().st_mode & 0o777 == 0o600
    before = kit.read_bytes()
    expect(world.run("kit"), 1, "exists already")
    assert kit.read_bytes() == before
    secret = RecoveryKit.parse(before).account_secret.text()
    assert secret not in ran.out + ran.err
    shown = world.run("kit", "--output", "-")
    assert RecoveryKit.parse(shown.out.encode()).account_secret.text() == secret
    expect(world.run("kit", "--output", tmp_path / "kit.pdf"), 1, "--output")
    assert not (tmp_path / "kit.pdf").exists()


def test_head_codes_are_compared(world: World, tmp_path: Path) -> None:
    a, b = world.home, tmp_path / "b"
    old = world.run("head", "--json", home=a).json
    expect(world.login("me@example.com", b, a / "recovery-kit.txt"), 0)
    drawn = world.run("head", "--qr", home=a)
    assert re.search("[█▀▄]{8}", drawn.out)
    new = world.run("head", "--json", home=b).json
    assert new["entries"] == old["entries"] + 1
    expect(world.run("head", "compare", old["code"], home=a), 0, "same")
    expect(world.run("head", "compare", *old["code"].split(), home=b), 0, "behind", "lacks 1")
    expect(world.run("head", "compare", new["code"], home=a), 6, "unknown")
    expect(world.run("head", "compare", new["code"], "--entries", str(new["entries"]), home=a), 6, "ahead")
    other = world.run("head", "compare", "1" * 32, "--entries", "1", "--json", home=a)
    assert (other.code, other.json["agreement"]) == (4, "different")
    expect(world.run("head", "compare", "12", home=a), 2, "32 digits")


def test_all_devices_are_lost_and_the_kit_brings_everything_back(world: World, tmp_path: Path) -> None:
    kit, phone, new = tmp_path / "kit.html", world.folder / "phone", tmp_path / "new"
    secret = world.home / "recovery-kit.txt"
    expect(world.login("me@example.com", phone, secret), 0)
    expect(world.run("add", "from the phone", "--generate", home=phone), 0)
    expect(world.run("sync", home=phone), 0)
    expect(world.run("sync"), 0)
    before = world.run("get", "kept", "--show", "--json").json["fields"]
    expect(world.run("kit", "--output", kit), 0, "print it")
    lost = {item["device"] for item in world.run("devices", "--json").json["devices"]}

    # a fire: what is left is the printed kit, whose file stands for having scanned it, and the password
    shutil.rmtree(world.home)
    shutil.rmtree(phone)

    # without the kit the password opens nothing
    no_secret = tmp_path / "guess.txt"
    no_secret.write_text("SR1-00000-00000-00000-00000-00000-00000")
    expect(world.login("me@example.com", tmp_path / "thief", no_secret), 2, "checksum")
    ran = strongroom(
        "login", world.deployment.invitation, "-u", "me@example.com", ACCEPT,
        "--home", tmp_path / "thief", "--password-file", world.password_file,
    )  # fmt: skip
    expect(ran, 1, "account secret")
    # another account's secret, well formed: refused by name, and nothing is set up
    expect(world.register("other@example.com", tmp_path / "other"), 0)
    wrong = RecoveryKit.parse((tmp_path / "other" / "recovery-kit.txt").read_bytes()).account_secret.text()
    right = RecoveryKit.parse(kit.read_bytes()).account_secret.text()
    mixed = tmp_path / "mixed.html"
    mixed.write_text(kit.read_text().replace(right, wrong))
    expect(login(world, tmp_path / "thief", mixed), 5, "not-authorised")
    assert not (tmp_path / "thief" / "profile.json").exists()
    # nor does the kit without the password
    wrong_password = tmp_path / "wrong password"
    wrong_password.write_text("not the password\n")
    ran = strongroom("login", "--kit", kit, ACCEPT, "--home", tmp_path / "thief", "--password-file", wrong_password)
    expect(ran, 5, "not-authorised")

    expect(login(world, new, kit, "--device-name", "new"), 0, "logged in as me@example.com: 2 records fetched")
    assert world.titles(new) == ["from the phone", "kept"]
    assert world.run("get", "kept", "--show", "--json", home=new).json["fields"] == before

    expect(world.run("devices", "revoke-others", home=new), 0, f"revoked {len(lost)} devices")
    states = {item["device"]: item["state"] for item in world.run("devices", "--json", home=new).json["devices"]}
    assert {states[device] for device in lost} == {"revoked"}
    assert [state for device, state in states.items() if device not in lost] == ["this device"]
    # with new keys, the account goes on, and so does the same kit: the account secret has not changed
    expect(world.run("add", "after the fire", "--generate", home=new), 0)
    expect(world.run("sync", home=new), 0)
    expect(login(world, tmp_path / "second", kit), 0, "3 records fetched")
    # a store that shows less than the kit has seen is told so
    text = re.sub(r"<dt>entries</dt>(<dd[^>]*>)\d+", r"<dt>entries</dt>\g<1>999", kit.read_text())
    kit.write_text(text)
    expect(login(world, tmp_path / "third", kit), 4, "rollback", "made at 999")
