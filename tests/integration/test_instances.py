"""Several instances by the real commands: joins, upgrades and what is refused, over one database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from running import Deployment, Person, login_item, strongroom
from several_instances import ACCEPT, Build, beside, new_platform_directory, platform_id
from strongroom.client.driver import sync_device
from strongroom.client.vault import LocalVault


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("vendor")
    return folder / "vendor.key", strongroom("release", "key", folder / "vendor.key").out.strip()


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return Build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, vendor: tuple[Path, str]) -> Deployment:
    options = ("--vendor-key", vendor[1], "--upgrade-delay-hours", "0", "--machine", "this", "--counter", "none")
    return Deployment.create(tmp_path_factory.mktemp("deployment"), *options)


@pytest.fixture(scope="module")
def running(deployment: Deployment) -> Iterator[Deployment]:
    with deployment.running():
        yield deployment


def join_arguments(deployment: Deployment, platform: Path, *more: str | Path) -> list[str | Path]:
    return ["join", deployment.invitation, "--data", deployment.data, "--simulated-platform", platform, ACCEPT, *more]


def refused(deployment: Deployment, platform: Path, *more: str | Path) -> str:
    """Try to join, be refused by an appraisal, and give what was said."""
    ran = strongroom(*join_arguments(deployment, platform, *more))
    assert ran.code == 3, ran.err
    assert strongroom("serve", *serve_options(deployment, platform)).code == 1
    return ran.err


def serve_options(deployment: Deployment, platform: Path) -> list[str | Path]:
    return ["--data", deployment.data, "--simulated-platform", platform, "--listen", "127.0.0.1:0"]


def test_a_second_machine_joins_and_both_serve_one_person(running: Deployment, tmp_path: Path) -> None:
    platform = new_platform_directory(tmp_path / "second", beside=running.platform)
    machine = platform_id(platform)
    assert "does not list the joiner's machine" in refused(running, platform)

    where = ("--data", running.data, "--simulated-platform", running.platform)
    assert strongroom("instances", "allow", *where, "--machine", machine).code == 0
    ran = strongroom(*join_arguments(running, platform))
    assert ran.code == 0, ran.err
    assert machine in ran.out
    log = strongroom("instances", "log", *where, "--json").json
    assert [record["event"] for record in log] == ["created", "charter", "join"]
    assert log[-1]["machine"] == machine

    second = beside(running, platform)
    person = Person(running)
    with second.running():
        with running.connected() as store, person.register(tmp_path / "home", store) as device:
            LocalVault(device.store).add(login_item("A"))
            sync_device(device, store)
        with second.connected() as store, person.unlock(tmp_path / "home") as device:
            assert store.peer().machine.hex() == machine
            LocalVault(device.store).add(login_item("B"))
            sync_device(device, store)
        with running.connected() as store, person.unlock(tmp_path / "home") as device:
            sync_device(device, store)
            assert {entry.item.fields["title"] for entry in LocalVault(device.store).items()} == {"A", "B"}


def test_a_machine_of_another_manufacturer_is_refused(running: Deployment, tmp_path: Path) -> None:
    platform = new_platform_directory(tmp_path / "other")
    assert "chain: the root 'Strongroom Simulated SGX Root CA' is not" in refused(running, platform)


def test_a_joiner_believes_no_other_deployment(running: Deployment, tmp_path: Path) -> None:
    platform = new_platform_directory(tmp_path / "second", beside=running.platform)
    other = Deployment.create(tmp_path / "elsewhere", "--any-machine", platform=running.platform)
    with other.running():
        said = refused(running, platform, "--url", other.url)
    assert "this is another deployment than the one expected" in said


def test_a_release_takes_over_by_the_vendors_word_alone(
    deployment: Deployment, running: Deployment, build: Build, vendor: tuple[Path, str], tmp_path: Path
) -> None:
    key, _ = vendor
    own = strongroom("measure").out.split()[0]
    where = ("--data", deployment.data, "--simulated-platform", deployment.platform)
    join = [*join_arguments(running, running.platform), "--donor-measurement", own]

    def joined() -> tuple[int, str]:
        ran = build.run(*join)
        return ran.code, ran.err

    def manifest(name: str, *options: str | Path, signer: Path = key, measurement: str = build.measurement) -> Path:
        file = tmp_path / name
        made = strongroom("release", "make", "--version", name, "--build", f"sgx-dcap-3:{measurement}:1", *options)
        assert made.code == 0, made.err
        file.write_text(made.out)
        signed = strongroom("release", "sign", file, "--key", signer)
        assert signed.code == 0, signed.err
        file.write_text(signed.out)
        return file

    def authorise(file: Path) -> tuple[int, str]:
        ran = strongroom("upgrade", "authorise", file, *where)
        return ran.code, ran.err

    # without a manifest
    code, said = joined()
    assert (code, "measurement" in said) == (3, True), said

    # of another vendor, and altered
    forger = tmp_path / "forger.key"
    strongroom("release", "key", forger)
    code, said = authorise(manifest("forged", signer=forger))
    assert (code, "not signed by enough of the pinned vendor keys" in said) == (3, True), said

    # for other code; then for this code, but over already
    first = manifest("1", measurement=own)
    assert authorise(first)[0] == 0
    assert joined()[0] == 3
    over = manifest("2", "--previous", first, "--not-before", "2020-01-01T00:00:00Z", "--days", "1")
    assert authorise(over)[0] == 0
    code, said = joined()
    assert (code, "the release has expired" in said) == (3, True), said
    code, said = authorise(first)
    assert (code, "is not newer than the newest that was accepted" in said) == (3, True), said

    # for this code, now
    third = manifest("3", "--previous", over)
    assert authorise(third)[0] == 0
    code, said = joined()
    assert code == 0, said
    log = strongroom("instances", "log", *where, "--json").json
    assert (log[-1]["event"], log[-1]["measurement"]) == ("upgrade", build.measurement)

    # the new build serves the same deployment, and a client of the old one refuses it
    upgraded = beside(running, running.platform)
    store = build.serve(upgraded.serve_arguments(), tmp_path / "upgraded.log")
    try:
        store.wait_until_listening()
        ran = strongroom("verify", upgraded.invitation, ACCEPT)
        assert (ran.code, "measurement" in ran.err + ran.out) == (3, True), ran.err
        ran = build.run("verify", upgraded.invitation, ACCEPT)
        assert ran.code == 0, ran.err
    finally:
        store.stop()
