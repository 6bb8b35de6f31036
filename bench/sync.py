"""Two devices and a real store: creating, fetching and changing records, beside password managers that run here.

    python -m bench.sync [--records 10000] [--largest 100000]

Everything of ours goes over the attested channel, to a store process on SQLite, from clients with their encrypted
database, each change durable on both sides. A record is a login with an address, a name, a password and a note of 60
characters, 250 bytes in clear. Times are wall clock, unlocking not counted.

Peers, where they are installed: pykeepass and keepassxc-cli work on one local file, pass on one file a record; none
of them syncs. Figures of others that need an installation of their own are in bench/README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from running import Deployment, Person, login_item
from strongroom.client.driver import sync_device
from strongroom.client.vault import LocalVault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strongroom.client.device import Device
    from strongroom.records.item import Item


PASSWORD = "correct horse battery staple"  # noqa: S105 - nobody's


class Counted(httpx2.BaseTransport):
    """The way to the store, with the bytes that bodies take on it."""

    def __init__(self) -> None:
        self._way = httpx2.HTTPTransport()
        self.up = self.down = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.up += len(request.read())
        response = self._way.handle_request(request)
        self.down += int(response.headers.get("content-length", 0))
        return response

    def taken(self) -> tuple[int, int]:
        taken = (self.up, self.down)
        self.up = self.down = 0
        return taken


def record(number: int) -> Item:
    return login_item(
        f"site {number}", username=f"person{number}@example.com", password=f"pw-{number:024d}", notes="n" * 60
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class World:
    """A store, a device that writes, and further devices as they are needed."""

    def __init__(self, folder: Path, deployment: Deployment, name: str) -> None:
        self.folder, self.deployment = folder, deployment
        self.person = Person(deployment, username=name)
        self.made = 0

    @contextmanager
    def first(self) -> Iterator[tuple[Device, Any, Counted]]:
        way = Counted()
        home = self.folder / f"{self.person.username} first"
        with self.deployment.connected(way) as store, self.person.register(home, store) as device:
            sync_device(device, store)
            way.taken()
            yield device, store, way

    @contextmanager
    def another(self, device: Device) -> Iterator[tuple[Device, Any, Counted]]:
        self.made += 1
        way, home = Counted(), self.folder / f"{self.person.username} {self.made}"
        with (
            self.deployment.connected(way) as store,
            self.person.join(home, store, device.account_secret) as joining,
        ):
            way.taken()
            yield joining, store, way


def create(device: Device, numbers: range) -> None:
    LocalVault(device.store).add_all([record(number) for number in numbers])


def ours(folder: Path, records: int, largest: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    deployment = Deployment.create(folder)
    with deployment.running() as running:
        world = World(folder, deployment, "one by one")
        with world.first() as (device, store, way):

            def one_by_one() -> None:
                for number in range(1000):
                    create(device, range(number, number + 1))
                    sync_device(device, store)

            figures["create 1,000 one by one"] = seconds(one_by_one)
            up, down = way.taken()
            print(f"  on the wire, a record created alone: {up / 1000:,.0f} bytes up, {down / 1000:,.0f} down")
        sizes = sorted({1000, records, largest})
        for size in sizes:
            world = World(folder, deployment, f"with {size}")
            with world.first() as (device, store, way):
                figures[f"create {size:,} in one go"] = seconds(
                    lambda device=device, store=store, size=size: (
                        create(device, range(size)),
                        sync_device(device, store),
                    )
                )
                up, down = way.taken()
                print(f"  on the wire, {size:,} records created in one go: {up / size:,.0f} bytes up a record")
                with world.another(device) as (second, second_store, second_way):
                    start = time.perf_counter()
                    sync_device(second, second_store)
                    figures[f"a new device, {size:,}"] = time.perf_counter() - start
                    up, down = second_way.taken()
                    print(f"  on the wire, a new device with {size:,} records: {down / size:,.0f} bytes down a record")
                    sync_device(device, store)
                    upload, delta = changes(device, store, second, second_store)
                    figures[f"send one change, of {size:,}"] = upload
                    figures[f"fetch one change, of {size:,}"] = delta
                    _, down = second_way.taken()
                    print(f"  on the wire, fetching one change: {down / 15:,.0f} bytes down")
        print(f"  the store: {memory(running.process.pid):.0f} MiB resident")
    return figures


def changes(device: Device, store: Any, second: Device, second_store: Any) -> tuple[float, float]:
    """Change one record on one device and fetch the change on the other; medians of both."""
    sent, fetched = [], []
    vault = LocalVault(device.store)
    [entry] = vault.search("site 7777") or vault.search("site 777")[:1]
    for number in range(15):
        entry = vault.change(entry, entry.item.edited(at=2 + number, fields={"password": f"changed {number}"}))
        sent.append(seconds(lambda: sync_device(device, store)))
        fetched.append(seconds(lambda: sync_device(second, second_store)))
        assert LocalVault(second.store).version_of(entry.record) == number + 2
    return statistics.median(sent), statistics.median(fetched)


def memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def keepass(folder: Path) -> dict[str, float]:
    try:
        from pykeepass import create_database  # noqa: PLC0415 - a peer, where it is installed
    except ImportError:
        return {}
    database = create_database(str(folder / "peer.kdbx"), password=PASSWORD)

    def fill() -> None:
        for number in range(1000):
            item = record(number)
            database.add_entry(
                database.root_group, item.title, item.get("username"), item.get("password"), notes="n" * 60
            )
        database.save()

    return {"pykeepass, local file, 1,000 and one save": seconds(fill)}


def pass_store(folder: Path) -> dict[str, float]:
    if shutil.which("pass") is None or shutil.which("gpg") is None:
        return {}
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(home), "PASSWORD_STORE_DIR": str(folder / "pass")}

    def run(*command: str, given: str = "") -> None:
        subprocess.run(command, env=environment, input=given.encode(), capture_output=True, check=True)

    try:
        run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "bench", "default", "default")
        run("pass", "init", "bench")

        def fill() -> None:
            for number in range(50):
                run("pass", "insert", "-m", f"site{number}", given=record(number).get("password"))

        return {"pass, local files, 1,000 one by one (from 50)": seconds(fill) * 20}
    finally:
        run("gpgconf", "--kill", "all")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--largest", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = ours(folder, asked.records, asked.largest)
        figures |= keepass(folder)
        figures |= pass_store(folder)
    for what, took in figures.items():
        print(f"{what:<48} {took * 1000:12,.1f} ms")


if __name__ == "__main__":
    main()
