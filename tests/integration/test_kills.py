"""What was acknowledged survives SIGKILL, wherever it hits the store or a client.

The times of the kills are drawn from a seed that a failure prints; ``STRONGROOM_KILL_SEED`` repeats its draws (not
the machine's own timing).
"""

import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postgres_cluster import Cluster, cluster_running, needs_postgres
from running import PATIENCE_SECONDS, Deployment, Person, Store, clean_environment, free_port, login_item
from strongroom.base.errors import Unavailable
from strongroom.cli.measured import measure_store
from strongroom.client.account import prove_device
from strongroom.client.api import StoreApi
from strongroom.client.device import Device
from strongroom.client.driver import sync_device
from strongroom.client.profile import ProfileState, load_profile
from strongroom.client.vault import LocalVault
from strongroom.formats import store_api as api
from strongroom.records.item import Item
from strongroom.sync import effects
from strongroom.sync.engine import SyncEngine
from strongroom.sync.model import SyncState
from strongroom.vaultlog.head import Head, head_code

STORE_KILLS = int(os.environ.get("STRONGROOM_KILLS") or 50)  # of each kind of database
CHAPTERS = 4  # each with an account of its own, so that reading a log from zero stays quick
CLIENT_KILLS = 25
REGISTERING_CLIENT_KILLS = 10
CLIENT = Path(__file__).parents[1] / "writing_client.py"


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("STRONGROOM_KILL_SEED") or time.time_ns())
    sys.stdout.write(f"STRONGROOM_KILL_SEED={seed}\n")
    return random.Random(seed)  # noqa: S311 - when to kill is no secret


def read_from_zero(device: Device, store: StoreApi) -> tuple[dict[bytes, Item], Head]:
    """Read the whole log as somebody who knows nothing of it yet: every entry, signature, seal and head is checked."""
    profile, account_key = device.profile, device.keyring.signing_key(1)
    versions: dict[bytes, int] = {}
    prove_device(store, device)
    engine = SyncEngine(
        peer=store.peer(),
        state=SyncState.empty(
            deployment=profile.trust.deployment, vault=profile.vault_id, account_key=account_key.public
        ),
        dirty=(),
        device_key=device.device_key,
        keyring=device.keyring,
        may_admit=False,
        version_of=lambda record: versions.get(record, 0),
        at_ms=0,
    )
    found: dict[bytes, Item] = {}
    head: Head | None = None
    event: effects.Event = effects.Started()
    while True:
        for effect in engine.handle(event):
            match effect:
                case effects.Apply():
                    found.update((record.record, record.current) for record in effect.records)
                    versions.update((record.record, record.base_version) for record in effect.records)
                    head = effect.state.view.last_head
                case effects.Fetch():
                    page = store.fetch(api.FetchPage(after=effect.after_length, limit=1024, view=b""))
                    event = effects.Page(
                        head=page.head, steps=tuple((pair.entry, pair.sealed) for pair in page.entries)
                    )
                case effects.Publish():
                    pass  # a reader has nothing to say for itself
                case effects.Finished():
                    assert head is not None
                    return found, head
                case _:
                    raise AssertionError("a reader has nothing to append and no sisters to prove")


@dataclass
class Writer:
    """Writes as fast as it can until the store is gone, and remembers what was acknowledged.

    Items are added in batches, each of which is one append, and edited. An item's ``username`` is its revision, and
    its password says which item and revision it belongs to.
    """

    device: Device
    store: StoreApi
    chance: random.Random
    written: dict[bytes, int] = field(default_factory=dict)
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    batches: list[list[bytes]] = field(default_factory=list)
    syncs: int = 0
    failure: BaseException | None = None

    def write_until_killed(self) -> None:
        try:
            while True:
                self.write()
                sync_device(self.device, self.store)
                self.acknowledged = dict(self.written)
                self.syncs += 1
        except Unavailable:
            pass  # as it should be: the store was killed
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
            self.failure = error

    def write(self) -> None:
        vault = LocalVault(self.device.store)
        if self.written and self.chance.random() < 0.4:
            record = self.chance.choice(list(self.written))
            entry = vault.find(record.hex())
            revision = self.written[record] + 1
            fields = {"username": str(revision), "password": f"{entry.item.title}/{revision}"}
            vault.change(entry, entry.item.edited(at=revision, fields=fields))
            self.written[record] = revision
            return
        number = len(self.batches)
        size = self.chance.choice([1, 2, 3, 4, 40])
        titles = [f"item {number}.{place}" for place in range(size)]
        entries = vault.add_all([login_item(title, username="1", password=f"{title}/1") for title in titles])
        self.written.update((entry.record, 1) for entry in entries)
        self.batches.append([entry.record for entry in entries])

    def check(self, found: dict[bytes, Item]) -> None:
        """Hold the store to what it acknowledged."""
        for record, item in found.items():
            assert item.get("password") == f"{item.title}/{item.get('username')}"
            assert int(item.get("username")) <= self.written[record]
        for record, revision in self.acknowledged.items():
            assert record in found, "an acknowledged entry is gone"
            assert int(found[record].get("username")) >= revision, "an acknowledged edit is gone"
        for batch in self.batches:
            assert len({record in found for record in batch}) == 1, "half of an append is there"


@dataclass
class Killer:
    """Kills the store a given number of times; each time it is started again and has to hold what it acknowledged."""

    deployment: Deployment
    chance: random.Random
    kills: int = 0
    cluster: Cluster | None = None
    starting_seconds: float = 0.5

    @contextlib.contextmanager
    def one_life(self) -> Iterator[None]:
        """Run the store for the block, and kill it then."""
        begun = time.monotonic()
        store = self.deployment.start()
        self.starting_seconds = time.monotonic() - begun
        try:
            yield
        finally:
            self.strike(store)
            self.kills += 1

    def strike(self, store: Store) -> None:
        """Kill the store, its database, or both."""
        if self.cluster is not None and self.chance.random() < 0.5:
            self.cluster.kill()
            self.cluster.start()
        store.kill()

    def kill_while_starting(self) -> None:
        store = self.deployment.start(wait=False)
        time.sleep(self.chance.uniform(0.5, 1.1) * self.starting_seconds)  # earlier, it only imports
        store.kill()
        self.kills += 1

    def let(self, work: Callable[[], None], longest: float) -> threading.Thread:
        """Let somebody work in another thread for a while; the store's life ends under them.

        ``longest`` is a share of the time that the store takes to start, so that a busy machine gets more of it.
        """
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(self.chance.uniform(0, longest * self.starting_seconds))
        return thread


@dataclass
class Registering:
    """Registers a person until the store is gone."""

    person: Person
    home: Path
    failure: BaseException | None = None

    def register_until_killed(self) -> None:
        try:
            with (
                self.person.deployment.connected() as store,
                self.person.register(self.home, store) as device,
            ):
                sync_device(device, store)
        except Unavailable:
            pass
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
            self.failure = error

    def go_on(self) -> None:
        """Go on with a registration wherever a kill has stopped it."""
        with self.person.deployment.connected() as store:
            if not self.is_ready:
                with self.person.register(self.home, store):
                    pass
            with self.person.unlock(self.home) as device:
                sync_device(device, store)

    @property
    def is_ready(self) -> bool:
        return (self.home / "profile.json").exists() and load_profile(self.home).state is ProfileState.READY


class Chapter:
    """One account and its device, through many lives of the store."""

    def __init__(self, killer: Killer, folder: Path) -> None:
        self.killer = killer
        self.folder = folder
        self.person = Person(killer.deployment, username=folder.name)
        with killer.one_life():
            Registering(self.person, folder / "device").go_on()

    def run(self, kills: int) -> int:
        """Kill the store this often; gives how many syncs were acknowledged meanwhile."""
        deployment, chance = self.killer.deployment, self.killer.chance
        last = self.killer.kills + kills
        with deployment.connected() as store, self.person.unlock(self.folder / "device") as device:
            writer = Writer(device, store, chance)
            while self.killer.kills < last:
                match chance.choices(["writing", "registering", "starting"], [70, 15, 15])[0]:
                    case "starting":
                        self.killer.kill_while_starting()
                    case "writing":
                        with self.killer.one_life():
                            writer.check(read_from_zero(device, store)[0])
                            work = self.killer.let(writer.write_until_killed, 0.7)
                        work.join(PATIENCE_SECONDS)
                        assert not work.is_alive()
                        assert writer.failure is None, writer.failure
                    case "registering":
                        person = Person(deployment, username=f"other {self.killer.kills}")
                        other = Registering(person, self.folder / person.username)
                        with self.killer.one_life():
                            work = self.killer.let(other.register_until_killed, 0.25)
                        work.join(PATIENCE_SECONDS)
                        assert not work.is_alive()
                        assert other.failure is None, other.failure
                        with self.killer.one_life():
                            other.go_on()
            with deployment.running():
                self.end(writer)
        return writer.syncs

    def end(self, writer: Writer) -> None:
        """See that everything arrives, and that a fresh device that starts from zero has all of it."""
        device, store = writer.device, writer.store
        sync_device(device, store)
        writer.acknowledged = dict(writer.written)
        found, head = read_from_zero(device, store)
        writer.check(found)
        assert items_of(device) == {record.hex(): item.to_bytes() for record, item in found.items()}
        assert code_of(device) == head_code(head)
        with (
            self.killer.deployment.connected() as fresh_store,
            self.person.join(self.folder / "fresh", fresh_store, device.account_secret) as fresh,
        ):
            sync_device(fresh, fresh_store)
            sync_device(device, store)
            assert items_of(fresh) == items_of(device)
            assert code_of(fresh) == code_of(device)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def killer(request: pytest.FixtureRequest, tmp_path: Path, chance: random.Random) -> Iterator[Killer]:
    """Kill a store on a file, or a store and its PostgreSQL, which flushes as one in service does."""
    if request.param == "sqlite":
        yield Killer(Deployment.create(tmp_path), chance)
        return
    with cluster_running(free_port()) as cluster:
        deployment = Deployment.create(tmp_path, postgres=cluster.url(cluster.new_database()))
        yield Killer(deployment, chance, cluster=cluster)


def test_every_acknowledged_entry_survives_kills_of_the_store(tmp_path: Path, killer: Killer) -> None:
    begun = time.monotonic()
    syncs = sum(Chapter(killer, tmp_path / f"person {n}").run(STORE_KILLS // CHAPTERS) for n in range(CHAPTERS))
    sys.stdout.write(f"{killer.kills} kills, {syncs} syncs acknowledged, {time.monotonic() - begun:.0f} s\n")
    assert killer.kills >= STORE_KILLS
    assert syncs > STORE_KILLS // 4  # or the kills have met nobody at work


def items_of(device: Device) -> dict[str, bytes]:
    return {entry.record.hex(): entry.item.to_bytes() for entry in LocalVault(device.store).items()}


def code_of(device: Device) -> str:
    state = LocalVault(device.store).sync_state()
    assert state is not None
    assert state.view.last_head is not None
    return head_code(state.view.last_head)


def start_client(person: Person, home: Path, verb: str, first: int = 0) -> subprocess.Popen[bytes]:
    trust = person.deployment.trust
    assert trust.simulated_root is not None
    settings = {
        "verb": verb,
        "home": str(home),
        "url": trust.url,
        "deployment": base64.b64encode(trust.deployment).decode(),
        "simulated_root": base64.b64encode(trust.simulated_root).decode(),
        "mr_enclave": base64.b64encode(measure_store()).decode(),
        "username": person.username,
        "password": person.password.decode(),
        "first": first,
    }
    process = subprocess.Popen(
        [sys.executable, "-I", str(CLIENT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(settings).encode())
    process.stdin.close()
    process.stdin = None
    return process


def killed(process: subprocess.Popen[bytes], after_seconds: float) -> list[list[str]]:
    """Kill a client this long after it is ready; give what it had acknowledged."""
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(after_seconds)
    process.kill()
    output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert errors == b"", errors.decode()
    return [line.split() for line in (first + output).decode().splitlines()]


def test_every_acknowledged_item_survives_kills_of_the_client(tmp_path: Path, chance: random.Random) -> None:
    deployment = Deployment.create(tmp_path)
    person = Person(deployment)
    home = tmp_path / "device"
    revisions: dict[int, int] = {}
    synced = 0
    with deployment.running(), deployment.connected() as store, deployment.connected() as fresh_store:
        with person.register(home, store) as device:
            account_secret = device.account_secret
        first = 0
        for _ in range(CLIENT_KILLS):
            for words in killed(start_client(person, home, "write", first), chance.uniform(0, 0.3)):
                match words:
                    case ["added", number]:
                        revisions[int(number)] = 1
                    case ["changed", number]:
                        revisions[int(number)] = 2
                    case ["synced", _]:
                        synced += 1
            with person.unlock(home) as device:
                held = {int(entry.item.title.split()[1]): entry.item for entry in LocalVault(device.store).items()}
            for number, revision in revisions.items():
                assert held[number].get("password") == f"secret {number}"
                assert revision == 1 or held[number].get("username") == f"name {number}"
            first = max(held, default=-1) + 1
        with person.unlock(home) as device, person.join(tmp_path / "fresh", fresh_store, account_secret) as fresh:
            sync_device(device, store)
            sync_device(fresh, fresh_store)
            sync_device(device, store)
            assert items_of(fresh) == items_of(device)
            assert code_of(fresh) == code_of(device)
            titles = [entry.item.title for entry in LocalVault(fresh.store).items()]
    assert len(titles) == len(set(titles))
    assert {f"item {number}" for number in revisions} <= set(titles)
    assert len(revisions) > CLIENT_KILLS
    assert synced > 0


def test_a_registration_survives_kills_of_the_client(tmp_path: Path, chance: random.Random) -> None:
    deployment = Deployment.create(tmp_path)
    with deployment.running():
        for number in range(REGISTERING_CLIENT_KILLS):
            client = Registering(Person(deployment, username=f"person {number}"), tmp_path / f"device {number}")
            acknowledged = killed(start_client(client.person, client.home, "register"), chance.uniform(0, 0.12))
            assert client.is_ready or ["registered"] not in acknowledged
            client.go_on()
            with deployment.connected() as store, client.person.unlock(client.home) as device:
                LocalVault(device.store).add(login_item("first"))
                sync_device(device, store)
                account_secret = device.account_secret
            with (
                deployment.connected() as store,
                client.person.join(tmp_path / f"fresh {number}", store, account_secret) as fresh,
            ):
                sync_device(fresh, store)
                assert [entry.item.title for entry in LocalVault(fresh.store).items()] == ["first"]
