"""The store by itself: logins, writes and reads per CPU-second of a store process, over TLS, on SQLite and PostgreSQL.

``python -m bench.store [--quick]``. Every client has an attested channel inside TLS 1.3; passwords cost nothing to
stretch, so that what is counted is the store's part. CPU is the store processes' own, all threads; PostgreSQL's is
shown beside it. Growth is measured with rows that are as large as real ones and belong to nobody.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import psycopg
from msgspec import structs

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from postgres_cluster import PROGRAMS, Cluster, cluster_running
from running import Deployment, Person, Store, free_port, login_item
from strongroom.client.account import prove_device
from strongroom.client.driver import sync_device
from strongroom.client.vault import LocalVault
from strongroom.crypto import opaque
from strongroom.formats import store_api as api
from strongroom.store.ports import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strongroom.client.api import StoreApi
    from strongroom.client.device import Device

QUICK = "--quick" in sys.argv
OPERATIONS = 40 if QUICK else 200
GROWTH = (100, 2_000) if QUICK else (100, 100_000)
CLIENTS = 4
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pids: list[int]) -> float:
    """CPU seconds that these processes, and their children that were waited for, have used."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def memory_of(pid: int) -> float:
    """Resident memory in MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@dataclass
class Running:
    """Stores behind TLS over one database."""

    deployments: list[Deployment]
    stores: list[Store]
    certificate: Path
    cluster: Cluster | None

    @property
    def pids(self) -> list[int]:
        return [store.process.pid for store in self.stores]

    @property
    def database_pids(self) -> list[int]:
        if self.cluster is None or self.cluster.process is None:
            return []
        pid = self.cluster.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    @contextlib.contextmanager
    def client(self, number: int) -> Iterator[StoreApi]:
        """Give a client of one of the stores, in turn: an attested channel inside TLS."""
        deployment = self.deployments[number % len(self.deployments)]
        outer = httpx2.HTTPTransport(verify=ssl.create_default_context(cafile=str(self.certificate)))
        with deployment.connected(outer=outer) as store:
            yield store


@contextlib.contextmanager
def running(folder: Path, *, cluster: Cluster | None, instances: int = 1) -> Iterator[Running]:
    """Run stores; they are stopped after the block."""
    folder.mkdir()
    certificate, key = folder / "tls.pem", folder / "tls.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    url = None if cluster is None else cluster.url(cluster.new_database())
    first = Deployment.create(folder, postgres=url)
    with contextlib.ExitStack() as stack:
        deployments, stores = [], []
        for _ in range(instances):
            deployment = replace(first, port=free_port())
            tls = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
            store = Store([*deployment.serve_arguments(), *tls], folder / f"log {deployment.port}")
            stack.callback(store.stop)
            store.wait_until_listening()
            deployments.append(OverTls(**vars(deployment)))
            stores.append(store)
        yield Running(deployments, stores, certificate, cluster)


class OverTls(Deployment):
    """A deployment whose clients come by https."""

    @property
    def trust(self):  # type: ignore[no-untyped-def]
        return structs.replace(super().trust, url=f"https://127.0.0.1:{self.port}")


def log_in(store: StoreApi, person: Person) -> None:
    state, ke1 = opaque.client.start_login(person.password)
    started = store.login_start(api.LoginStart(username=person.username, ke1=ke1))
    stretching = opaque.argon2id(person.credentials.cost)
    ke3, _, _ = opaque.client.finish_login(state, started.ke2, stretching=stretching)
    store.login_finish(api.LoginFinish(ke3=ke3))


def repeat(operation: Callable[[int], None], number: int, times: int) -> None:
    for _ in range(times):
        operation(number)


def measured(run: Running, operation: Callable[[int], None], times: int) -> tuple[float, float, float]:
    """Give operations per CPU-second of the stores, CPU ms of the database for each, and operations per second."""
    before, database, begun = cpu_of(run.pids), cpu_of(run.database_pids), time.perf_counter()
    threads = [threading.Thread(target=repeat, args=(operation, n, times // CLIENTS)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    done = times // CLIENTS * CLIENTS
    used = cpu_of(run.pids) - before
    return done / used, (cpu_of(run.database_pids) - database) * 1000 / done, done / seconds


def fill(run: Running, accounts: int) -> None:
    """Add rows as large as those of so many accounts with three entries each; they open for nobody."""
    sizes = {"accounts": [600, 80], "vaults": [700], "entries": [900] * 3}
    deployment = run.deployments[0]
    for table, each in sizes.items():
        rows = ((os.urandom(KEY_BYTES), 1, os.urandom(size)) for _ in range(accounts) for size in each)
        if deployment.postgres is None:
            with contextlib.closing(sqlite3.connect(deployment.database, timeout=60)) as database, database:
                database.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)  # noqa: S608
        else:
            statement = f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()
            with psycopg.connect(deployment.postgres) as connection, connection.cursor().copy(statement) as copy:
                copy.set_types(["bytea", "int8", "bytea"])
                for row in rows:
                    copy.write_row(row)
            with psycopg.connect(deployment.postgres, autocommit=True) as connection:
                connection.execute(f"ANALYZE {table}".encode())


class Load:
    """Clients with an account each, ready to work."""

    def __init__(self, run: Running, folder: Path, stack: contextlib.ExitStack) -> None:
        self.run = run
        self.people: list[Person] = []
        self.devices: list[Device] = []
        self.stores: list[StoreApi] = []
        for number in range(CLIENTS):
            store = stack.enter_context(run.client(number))
            person = Person(run.deployments[number % len(run.deployments)], username=f"person {time.time_ns()}")
            device = stack.enter_context(person.register(folder / person.username, store))
            sync_device(device, store)
            prove_device(store, device)
            self.people.append(person)
            self.devices.append(device)
            self.stores.append(store)

    def login(self, number: int) -> None:
        with self.run.client(number) as store:  # a session takes few attempts, so each has a connection and exchange
            log_in(store, self.people[number])

    def write(self, number: int) -> None:
        device, store = self.devices[number], self.stores[number]
        LocalVault(device.store).add(login_item("an item", username="me@example.com", password="x" * 20))
        sync_device(device, store)

    def read(self, number: int) -> None:
        self.stores[number].fetch(api.FetchPage(after=0, limit=10))


def figures(run: Running, folder: Path, label: str) -> dict[str, float]:
    """Print one line of the table."""
    with contextlib.ExitStack() as stack:
        load = Load(run, folder, stack)
        shown = {"write": measured(run, load.write, OPERATIONS), "read": measured(run, load.read, OPERATIONS)}
        shown["login"] = measured(run, load.login, OPERATIONS)
        memory = sum(map(memory_of, run.pids)) / len(run.pids)
    cells = " | ".join(
        f"{shown[kind][0]:.0f} ({shown[kind][2]:.0f}/s, database {shown[kind][1]:.2f} ms)"
        for kind in ("login", "write", "read")
    )
    print(f"| {label} | {cells} | {memory:.0f} MiB |", flush=True)
    return {kind: 1 / value[0] for kind, value in shown.items()}


def main() -> None:
    print(
        "| database | logins per CPU-second | syncs with one write | pages of 10 read | memory |\n|---|---|---|---|---|"
    )
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(cluster_running(free_port())) if PROGRAMS is not None else None
        for name, where in (("SQLite", None), ("PostgreSQL", cluster)):
            if name == "PostgreSQL" and where is None:
                print("PostgreSQL is not installed")
                continue
            with running(folder / name, cluster=where) as run:
                costs = []
                filled = 0
                for accounts in GROWTH:
                    fill(run, accounts - filled)
                    filled = accounts
                    costs.append(figures(run, folder, f"{name}, {accounts} accounts"))
                growth = ", ".join(f"{kind} {costs[1][kind] / costs[0][kind]:.2f}" for kind in costs[0])
                print(f"cost of a request at {GROWTH[1]} accounts, of that at {GROWTH[0]}: {growth}", flush=True)
        if cluster is not None:
            for instances in (1, 2, 4):
                with running(folder / f"{instances} instances", cluster=cluster, instances=instances) as run:
                    figures(run, folder, f"PostgreSQL, {instances} instances")


if __name__ == "__main__":
    main()
