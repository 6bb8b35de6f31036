"""Damaged, missing, full and altered files and disks, of devices and of the store: the real commands.

Exit codes: 1 misconfigured, 2 malformed, 3 refused, 4 misbehaviour, 5 denied, 6 conflict, 7 unavailable. The helper
that runs commands fails a test whenever a traceback is printed.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from command_world import PASSWORD, World, expect, new_world, world_of_ones_own
from running import STRONGROOM, Deployment, Person, Ran, clean_environment, free_port, login_item, strongroom
from strongroom.base.errors import StorageUnavailable, StoreUnreachable
from strongroom.client.driver import sync_device
from strongroom.client.vault import LocalVault
from strongroom.vaultlog.proof import ProofKind, verify_proof

# disks and files of the device ---------------------------------------------------------------------------------


def test_a_device_without_its_secret_says_so(world: World) -> None:
    (world.home / "device.secret").unlink()
    expect(world.run("list"), 1, "device.secret is missing or cut short")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"state": "ready"}', b"x" * 100_000])
def test_a_damaged_profile_is_malformed(world: World, content: bytes) -> None:
    (world.home / "profile.json").write_bytes(content)
    expect(world.run("list"), 2, "profile.json")
    expect(world.run("sync"), 2, "profile.json")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("vault_id", "", 2),
        ("vault_id", "AAAAAAAAAAAAAAAAAAAAAA==", 2),
        ("account_id", "AAAAAAAAAAAAAAAAAAAAAA==", 5),
        ("device_key", "", 7),
        ("wrapped_root_key", "", 2),
        ("state", "joining", 1),
        ("state", "registering", 1),
    ],
)
def test_a_profile_with_a_field_altered_sends_nothing_wrong_to_the_store(
    world: World, field: str, value: str, code: int
) -> None:
    assert world.run("add", "unsent", "--generate").code == 0
    path = world.home / "profile.json"
    profile = path.read_text()
    path.write_text(json.dumps(json.loads(profile) | {field: value}))
    expect(world.run("sync"), code)
    path.write_text(profile)
    assert world.titles() == ["kept", "unsent"]


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("url", "http://[", 1),
        ("url", "http://127.0.0.1:1", 7),
        ("deployment", "AAAA", 2),
        ("deployment", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 3),
        ("simulated_root", "AAAA", 3),
        ("simulated_root", None, 3),
        ("policy", "?", 1),
    ],
)
def test_a_profile_whose_trust_was_altered_trusts_nobody(
    world: World, setting: str, value: str | None, code: int
) -> None:
    path = world.home / "profile.json"
    profile = json.loads(path.read_text())
    profile["trust"][setting] = value
    path.write_text(json.dumps(profile))
    expect(world.run("sync"), code)


def test_files_that_others_may_read_are_not_used(world: World) -> None:
    for name in ("profile.json", "device.secret"):
        (world.home / name).chmod(0o644)
        expect(world.run("list"), 1, "can be accessed by other users", "chmod 600")
        (world.home / name).chmod(0o600)
    assert world.titles() == ["kept"]


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "flipped", "missing", "directory"])
def test_a_damaged_local_database_is_named_and_can_be_fetched_again(world: World, tmp_path: Path, damage: str) -> None:
    path = world.home / "vault.db"
    content = path.read_bytes()
    path.unlink()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[: len(content) // 2 + 100])
        case "garbage":
            path.write_bytes(os.urandom(len(content)))
        case "flipped":
            middle = len(content) // 2
            path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "directory":
            path.mkdir()
    expect(world.run("list"), 1 if damage in {"missing", "empty"} else 7, "local database")
    again = tmp_path / "again"
    assert world.login("me@example.com", again, world.home / "recovery-kit.txt").code == 0
    assert world.titles(again) == ["kept"]


def test_a_database_that_another_process_holds_is_unavailable(world: World) -> None:
    arguments = ["add", "slow", "--secret-file", "-", "--home", str(world.home)]
    arguments += ["--password-file", str(world.password_file)]
    with subprocess.Popen(
        [*STRONGROOM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(),
    ) as holder:
        assert holder.stdin is not None
        wait_for_lock(world.home / "vault.db", holder.pid)
        expect(world.run("list"), 7, "somebody else holds the database")
        holder.communicate(b"secret")
    assert holder.returncode == 0
    assert world.titles() == ["kept", "slow"]


def wait_for_lock(path: Path, pid: int) -> None:
    wanted = f" {pid} "
    deadline = time.monotonic() + 60
    inode = f":{path.stat().st_ino} "
    while time.monotonic() < deadline:
        if any(wanted in line and inode in line for line in Path("/proc/locks").read_text().splitlines()):
            return
        time.sleep(0.01)
    raise AssertionError("the database was never locked")


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a small disk on a new directory."""
    folder.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_of_the_store_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "store", "600k"), world_of_ones_own(tmp_path) as (world, store):
        notes = tmp_path / "notes"
        notes.write_text("n" * 90_000)
        acknowledged = ["kept"]
        for number in range(20):
            title = f"note {number:02}"
            assert world.run("add", title, "--type", "note", "--notes-file", notes).code == 0
            ran = world.run("sync")
            if ran.code != 0:
                break
            acknowledged.append(title)
        expect(ran, 7, "storage-unavailable", "the disk is full")
        assert len(acknowledged) > 1
        # what was there is there, and what did not fit waits on the device
        fresh = tmp_path / "fresh"
        assert world.titles() == [*acknowledged, title]
        assert world.run("sync").code == 7
        resize(tmp_path / "store", "20m")
        assert world.run("sync").code == 0
        assert world.login("me@example.com", fresh, world.home / "recovery-kit.txt").code == 0
        assert world.titles(fresh) == [*acknowledged, title]
        assert PASSWORD not in store.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_of_the_client_loses_nothing(shared: World, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "256k"):
        world = shared.copy(disk)
        notes = tmp_path / "notes"
        notes.write_text("n" * 100_000)
        ballast = disk / "ballast"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        ballast.write_bytes(bytes(free - 20_000))
        expect(world.run("add", "too large", "--type", "note", "--notes-file", notes), 7, "the disk is full")
        assert world.titles() == ["kept"]
        expect(world.register("full@example.com", disk / "new"), 7, "storage-unavailable")
        ballast.unlink()
        assert world.run("add", "fits", "--type", "note", "--notes-file", notes).code == 0
        assert world.titles() == ["fits", "kept"]
        ran = world.register("full@example.com", disk / "new")  # the store had not heard of it
        assert ran.code == 0, ran.err


def test_output_that_cannot_be_written_is_no_success(world: World) -> None:
    command = [*STRONGROOM, "list", "--home", str(world.home), "--password-file", str(world.password_file)]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=clean_environment(), check=False)
    assert done.returncode == 7
    assert b"the result cannot be written: No space left on device" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=clean_environment(), check=False)
    os.close(writer)
    assert done.returncode == 141
    assert b"Error" not in done.stderr


# the store's database, platform and environment ------------------------------------------------------------------


def serve(deployment: Deployment, **environment: str) -> Ran:
    return strongroom(*deployment.serve_arguments(), environment=clean_environment(**environment))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose store is stopped; its tests put everything back."""
    folder = tmp_path_factory.mktemp("stopped")
    with world_of_ones_own(folder) as (world, _):
        pass
    return world


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "directory", "missing"])
def test_a_damaged_store_database_is_not_served(stopped: World, damage: str) -> None:
    path = stopped.deployment.database
    content = path.read_bytes()
    path.unlink()
    try:
        match damage:
            case "empty":
                path.write_bytes(b"")
            case "cut":
                path.write_bytes(content[:5000])
            case "garbage":
                path.write_bytes(os.urandom(len(content)))
            case "directory":
                path.mkdir()
        expect(serve(stopped.deployment), 1 if damage in {"missing", "empty"} else 7)
    finally:
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        for companion in path.parent.glob("store.db-*"):
            companion.unlink()
        path.write_bytes(content)
        path.chmod(0o600)
    with stopped.deployment.running():
        assert stopped.run("sync").code == 0


@pytest.mark.parametrize("table", ["deployment", "accounts", "vaults", "entries"])
def test_an_altered_row_is_found_and_nothing_of_it_is_taken_over(stopped: World, tmp_path: Path, table: str) -> None:
    path = stopped.deployment.database
    content = path.read_bytes()
    # the counter goes back with the database: this is about rows, not about guesses after a database was put back
    counters = {file: file.read_bytes() for file in stopped.deployment.platform.iterdir()}
    world = stopped.copy(tmp_path)
    try:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            rows = database.execute(f"SELECT key, value FROM {table}").fetchall()  # noqa: S608
            for key, value in rows:
                altered = value[:-1] + bytes([value[-1] ^ 1])
                database.execute(f"UPDATE {table} SET value = ? WHERE key = ?", (altered, key))  # noqa: S608
        if table == "deployment":
            expect(serve(world.deployment), 7, "altered")
            return
        with world.deployment.running():
            kit = world.home / "recovery-kit.txt"
            expect(world.login("me@example.com", tmp_path / "fresh", kit), 7, "storage-unavailable", "altered")
            assert world.titles() == ["kept"]
            if table != "entries":
                expect(world.run("sync"), 7, "storage-unavailable")
    finally:
        for companion in path.parent.glob("store.db-*"):
            companion.unlink()
        path.write_bytes(content)
        for file, counted in counters.items():
            file.write_bytes(counted)
    with world.deployment.running():
        assert world.run("sync").code == 0


def test_a_database_put_back_to_an_older_copy_is_caught_with_a_proof(tmp_path: Path) -> None:
    deployment = Deployment.create(tmp_path)
    with deployment.running():
        world = new_world(tmp_path, deployment)
    older = deployment.database.read_bytes()
    with deployment.running():
        assert world.run("add", "later", "--generate").code == 0
        assert world.run("sync").code == 0
    assert list(deployment.data.glob("store.db-*")) == []  # one file is all of it after a stop in order
    deployment.database.write_bytes(older)
    with deployment.running() as store:
        expect(world.run("sync"), 4, "rollback", "the proof is kept in", "`strongroom sync --repair` makes it good")
        (proof,) = (world.home / "proofs").iterdir()
        verdict = verify_proof(proof.read_bytes())
        assert (verdict.kind, verdict.conclusive) == (ProofKind.ROLLBACK, True)
        assert proof.stat().st_mode & 0o777 == 0o600
        ran = world.run("sync", "--json")
        assert (ran.code, ran.json["error"]) == (4, "rollback")
        assert verify_proof(bytes.fromhex(ran.json["proof"])).conclusive
        # the device keeps what it has, and goes on without the store
        assert world.titles() == ["kept", "later"]
        assert "seen more of its vault" in store.log
        # the proof convinces by itself, and what was lost can be handed back: an outage, not a loss
        shown = strongroom("proof", "verify", proof)
        assert shown.code == 0
        assert "proven by the store's own signatures" in shown.out
        repaired = world.run("sync", "--repair")
        assert repaired.code == 0
        assert "handed back: 1 entry that the store had signed for and lost" in repaired.out
        kit = world.home / "recovery-kit.txt"
        assert world.login("me@example.com", tmp_path / "fresh", kit).code == 0
        assert world.run("sync", "--json").json["pulled"] == 0
        assert world.run("head", "--json").json["entries"] == 3 + 1  # and the new device


def test_a_store_without_deployment_platform_or_port_does_not_start(stopped: World, tmp_path: Path) -> None:
    deployment = stopped.deployment
    expect(serve(replace(deployment, data=tmp_path / "none")), 1, "there is no database", "make one first")
    expect(serve(replace(deployment, platform=tmp_path / "none")), 1, "no simulated platform")
    with deployment.running():
        second = replace(deployment, data=tmp_path / "copy")
        shutil.copytree(deployment.data, second.data)
        expect(serve(second), 1, "Address already in use")
    for listen in ("127.0.0.1:99999", "127.0.0.1:\u00b2", ":1", "127.0.0.1", "nowhere.invalid:80"):
        arguments = ["serve", "--data", deployment.data, "--simulated-platform", deployment.platform]
        expect(strongroom(*arguments, "--listen", listen), 1, "listen")
    no_pem = stopped.password_file  # neither a certificate nor a key
    free = f"127.0.0.1:{free_port()}"
    expect(strongroom(*arguments, "--listen", free, "--tls-certificate", no_pem), 1, "go together")
    expect(strongroom(*arguments, "--listen", free, "--tls-certificate", no_pem, "--tls-key", no_pem), 1, "cannot use")
    url = deployment.url
    ran = strongroom("init", "--data", deployment.data, "--simulated-platform", deployment.platform, "--url", url)
    expect(ran, 1, "already holds a deployment")


def test_a_deployment_of_another_platform_does_not_unseal(stopped: World, tmp_path: Path) -> None:
    assert strongroom("platform", tmp_path / "other").code == 0
    expect(serve(replace(stopped.deployment, platform=tmp_path / "other")), 1, "does not unseal")


@pytest.mark.parametrize("damage", ["empty", "flipped", "not JSON", "readable by others"])
def test_a_damaged_platform_directory_is_not_used(stopped: World, tmp_path: Path, damage: str) -> None:
    platform = tmp_path / "platform"
    shutil.copytree(stopped.deployment.platform, platform)
    state = platform / "platform.json"
    content = state.read_bytes()
    match damage:
        case "empty":
            state.write_bytes(b"")
        case "flipped":
            position = content.index(b'"secret"') + 20
            state.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        case "not JSON":
            state.write_bytes(b"\xff" * 100)
        case _:
            state.chmod(0o644)
    ran = serve(replace(stopped.deployment, platform=platform))
    expect(ran, 1, "misconfigured", str(state) if damage == "readable by others" else "is damaged")


@pytest.mark.parametrize(
    "name",
    [
        "SSLKEYLOGFILE",
        "OPENSSL_CONF",
        "OPENSSL_MODULES",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "PYTHONHASHSEED",
    ],
)
def test_a_service_does_not_start_in_an_environment_that_could_change_it(
    stopped: World, tmp_path: Path, name: str
) -> None:
    value = "0" if name == "PYTHONHASHSEED" else str(tmp_path / "host's choice")
    ran = serve(stopped.deployment, **{name: value})
    assert ran.code == 1
    assert f"misconfigured: the environment sets {name}" in ran.err
    assert "env -i" in ran.err
    assert list(tmp_path.iterdir()) == []


# a store that fails in the middle ------------------------------------------------------------------------------


def test_a_store_that_is_gone_is_unavailable_and_edits_wait(stopped: World, tmp_path: Path) -> None:
    world = stopped.copy(tmp_path)
    expect(world.run("sync"), 7, "store-unreachable")
    assert world.run("add", "offline", "--generate").code == 0
    expect(world.run("sync"), 7, "store-unreachable")
    assert world.titles() == ["kept", "offline"]


def test_a_database_that_cannot_be_read_is_the_clients_unavailable(tmp_path: Path) -> None:
    """The file vanishes under a store that runs: what needs a new connection says so, and the store lives on."""
    deployment = Deployment.create(tmp_path)
    person = Person(deployment)
    with deployment.running(), deployment.connected() as store:
        with person.register(tmp_path / "device", store) as device:
            LocalVault(device.store).add(login_item("kept"))
            sync_device(device, store)
        with contextlib.closing(sqlite3.connect(deployment.database)) as database:
            database.execute("BEGIN EXCLUSIVE")  # somebody else's lock: a write does not get its turn
            with person.unlock(tmp_path / "device") as device:
                LocalVault(device.store).add(login_item("late"))
                with pytest.raises((StorageUnavailable, StoreUnreachable)):
                    sync_device(device, store)
                database.rollback()
                assert sync_device(device, store).pushed == 1
