"""What only a database behind PostgreSQL's protocol does: addresses, schemas, lost servers, and its words for it."""

from __future__ import annotations

import ipaddress
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from postgres_cluster import Cluster, cluster_running, needs_postgres
from running import free_port
from strongroom.base.errors import Contended, Misconfigured, StorageUnavailable
from strongroom.storage.migrations import postgres as migrations
from strongroom.storage.migrations.records import TABLE_STEPS
from strongroom.storage.postgres import PostgresRecordStore
from strongroom.storage.postgres_connections import DatabaseAddress
from strongroom.store.ports import KEY_BYTES, Table, WriteTransaction
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

K1, K2 = bytes([1]) * KEY_BYTES, bytes([2]) * KEY_BYTES


def parameters(url: str, password: str | None = None) -> dict[str, object]:
    return DatabaseAddress(url=url, password=password).parameters()


@pytest.mark.parametrize(
    "url",
    ["postgresql:///vaults", "postgresql://localhost/v", "postgresql://127.0.0.1,[::1]/v", "postgresql:///v?host=/run"],
)
def test_tls_is_not_asked_for_on_this_machine(url: str) -> None:
    assert "sslmode" not in parameters(url)


@pytest.mark.parametrize(
    "url", ["postgresql://db.example/v", "postgresql://localhost,db.example/v", "postgresql:///v?hostaddr=192.0.2.1"]
)
def test_over_a_network_certificate_and_name_are_checked_unless_the_address_says_otherwise(url: str) -> None:
    assert parameters(url)["sslmode"] == "verify-full"
    assert parameters(url)["sslrootcert"] == "system"
    separator = "&" if "?" in url else "?"
    assert parameters(f"{url}{separator}sslmode=require")["sslmode"] == "require"


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Misconfigured, match="holds a password") as caught:
        parameters("postgresql://me:hunter2@db.example/v")
    assert "hunter2" not in repr(caught.value) + caught.value.hint
    assert parameters("postgresql://me@db.example/v", "hunter2")["password"] == "hunter2"
    assert "hunter2" not in repr(DatabaseAddress(url="postgresql://db.example/v", password="hunter2"))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        parameters("postgresql://[/v")


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match=r"v at 127.0.0.1: it cannot be reached") as caught:
        PostgresRecordStore.open(DatabaseAddress(url=f"postgresql://127.0.0.1:{free_port()}/v"))
    assert caught.value.retry_after_seconds == 1.0


@pytest.fixture
def address(postgres: Cluster) -> DatabaseAddress:
    return DatabaseAddress(url=postgres.url(postgres.new_database()))


def name_of(address: DatabaseAddress) -> str:
    return address.url.rpartition("/")[2]


@needs_postgres
def test_what_is_missing_is_said(postgres: Cluster, address: DatabaseAddress) -> None:
    with pytest.raises(Misconfigured, match="no tables of a store"):
        PostgresRecordStore.open(address)
    assert not PostgresRecordStore.exists(address)
    with pytest.raises(StorageUnavailable, match=r"nowhere at .*: it cannot be reached, or does not let us in"):
        PostgresRecordStore.open(DatabaseAddress(url=postgres.url("nowhere")))
    PostgresRecordStore.create(address).close()
    assert PostgresRecordStore.exists(address)
    with pytest.raises(Misconfigured, match="already"):
        PostgresRecordStore.create(address)
    postgres.execute(name_of(address), "DROP TABLE vaults")
    store = PostgresRecordStore.open(address)
    with store.read() as reading, pytest.raises(StorageUnavailable, match="is missing"):
        reading.get(Table.VAULTS, K1)
    store.close()


@needs_postgres
def test_a_newer_schema_is_refused_and_left_alone(postgres: Cluster, address: DatabaseAddress) -> None:
    PostgresRecordStore.create(address).close()
    postgres.execute(name_of(address), "UPDATE strongroom_schema SET version = 999")
    with pytest.raises(Misconfigured, match="schema version 999; this program knows versions up to") as caught:
        PostgresRecordStore.open(address)
    assert "no way back" in caught.value.hint
    assert postgres.execute(name_of(address), "SELECT version FROM strongroom_schema") == [(999,)]


@needs_postgres
def test_an_older_schema_is_brought_forward_with_its_rows(
    address: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresRecordStore.create(address)
    with store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"kept")
    store.close()
    monkeypatch.setattr(migrations, "TABLE_STEPS", (*TABLE_STEPS, ("brand_new",)))
    PostgresRecordStore.open(address).close()
    store = PostgresRecordStore.open(address)
    with store.read() as reading:
        row = reading.get(Table.VAULTS, K1)
        assert row is not None
        assert row.value == b"kept"
    store.close()
    monkeypatch.undo()
    with pytest.raises(Misconfigured, match="schema version"):
        PostgresRecordStore.open(address)


@needs_postgres
def test_a_migration_that_fails_leaves_the_old_schema(
    postgres: Cluster, address: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    PostgresRecordStore.create(address).close()
    monkeypatch.setattr(migrations, "TABLE_STEPS", (*TABLE_STEPS, ("one", "two words")))
    with pytest.raises(Exception, match="syntax"):
        PostgresRecordStore.open(address)
    monkeypatch.undo()
    assert postgres.execute(name_of(address), "SELECT 1 FROM pg_tables WHERE tablename = 'one'") == []
    PostgresRecordStore.open(address).close()


@needs_postgres
def test_two_that_begin_a_database_at_once_make_one(address: DatabaseAddress) -> None:
    outcomes: list[str] = []

    def create() -> None:
        try:
            PostgresRecordStore.create(address).close()
            outcomes.append("made")
        except (Misconfigured, StorageUnavailable):
            outcomes.append("refused")

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("made") >= 1
    PostgresRecordStore.open(address).close()


@needs_postgres
def test_a_session_that_would_not_wait_for_the_disk_is_made_to(postgres: Cluster, address: DatabaseAddress) -> None:
    postgres.execute("postgres", f"ALTER DATABASE {name_of(address)} SET synchronous_commit = off")
    store = PostgresRecordStore.create(address)
    with store.write() as transaction:
        assert transaction._connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    store.close()


@needs_postgres
def test_a_writer_that_met_another_is_undone_whole_and_says_contended(address: DatabaseAddress) -> None:
    store = PostgresRecordStore.create(address)
    with store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"a")
    with pytest.raises(Contended), store.write() as late:  # noqa: PT012 - the block is what is tested
        late.insert(Table.ENTRIES, K2, b"half")
        thread = threading.Thread(target=replace, args=(store, b"first"))
        thread.start()
        thread.join()
        late.replace(Table.VAULTS, K1, expected_version=1, value=b"late")
    with store.read() as reading:
        row = reading.get(Table.VAULTS, K1)
        assert row is not None
        assert (row.version, row.value) == (2, b"first")
        assert reading.get(Table.ENTRIES, K2) is None
    store.close()


def replace(store: PostgresRecordStore, value: bytes) -> None:
    with store.write() as transaction:
        transaction.replace(Table.VAULTS, K1, expected_version=1, value=value)


@needs_postgres
def test_altered_tables_are_found(postgres: Cluster, address: DatabaseAddress) -> None:
    store = PostgresRecordStore.create(address)
    with store.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"a")
    postgres.execute(name_of(address), "ALTER TABLE vaults ALTER COLUMN value TYPE text USING 'text'")
    with store.read() as reading, pytest.raises(StorageUnavailable, match="altered"):
        reading.get(Table.VAULTS, K1)
    postgres.execute(name_of(address), "ALTER TABLE vaults DROP COLUMN value")
    with store.read() as reading, pytest.raises(StorageUnavailable, match="altered"):
        reading.get(Table.VAULTS, K1)
    store.close()


# servers that go away ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restless() -> Iterator[Cluster]:
    """A cluster that is stopped and killed."""
    with cluster_running(free_port()) as cluster:
        yield cluster


@pytest.fixture
def store(restless: Cluster) -> Iterator[PostgresRecordStore]:
    opened = PostgresRecordStore.create(DatabaseAddress(url=restless.url(restless.new_database())))
    with opened.write() as transaction:
        transaction.insert(Table.VAULTS, K1, b"a")
    yield opened
    opened.close()


@needs_postgres
def test_a_restart_is_not_noticed_by_what_begins_after_it(restless: Cluster, store: PostgresRecordStore) -> None:
    restless.stop()
    with pytest.raises(StorageUnavailable, match="it cannot be reached"), store.read():
        pass
    restless.start()
    replace(store, b"b")


@needs_postgres
@pytest.mark.parametrize("moment", ["before", "commit"])
def test_a_server_killed_under_a_transaction_leaves_nothing_of_it(
    restless: Cluster, store: PostgresRecordStore, moment: str
) -> None:
    with pytest.raises(StorageUnavailable), store.write() as transaction:  # noqa: PT012 - the block is what is tested
        transaction.insert(Table.ENTRIES, K1, b"half")
        restless.kill()
        if moment == "before":
            transaction.replace(Table.VAULTS, K1, expected_version=1, value=b"b")
    restless.start()
    with store.read() as reading:
        assert reading.get(Table.ENTRIES, K1) is None
    replace(store, b"b")


@needs_postgres
def test_a_silent_server_is_given_up(
    restless: Cluster, store: PostgresRecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.storage.postgres_connections._Connection.patience", 0.5)
    begun = time.monotonic()
    with (
        pytest.raises(StorageUnavailable),
        store.write() as transaction,
        restless.frozen(),
    ):
        transaction.replace(Table.VAULTS, K1, expected_version=1, value=b"b")
    assert time.monotonic() - begun < 10
    replace(store, b"b")


# TLS and passwords ----------------------------------------------------------------------------------------------------


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "database")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "server.key").chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(folder / "server.key", "nobody", "nogroup")


@needs_postgres
def test_tls_and_a_password_from_elsewhere(restless: Cluster, tmp_path: Path) -> None:
    make_certificate(restless.data)
    name = restless.new_database()
    restless.execute("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'hunter2'")
    restless.execute("postgres", f"ALTER DATABASE {name} OWNER TO guarded")
    rules = restless.data / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("hostssl all guarded 127.0.0.1/32 scram-sha-256\n" + before)
    restless.stop()
    restless.start(ssl="on")
    (tmp_path / "root.crt").write_bytes((restless.data / "server.crt").read_bytes())
    url = restless.url(name).replace("strongroom@", "guarded@") + "?sslmode=verify-full&sslrootcert="
    trusted = f"{url}{tmp_path / 'root.crt'}"
    PostgresRecordStore.create(DatabaseAddress(url=trusted, password="hunter2")).close()
    with pytest.raises(StorageUnavailable) as caught:
        PostgresRecordStore.open(DatabaseAddress(url=trusted, password="hunter3"))
    assert "hunter3" not in str(caught.value)
    other = tmp_path / "other"
    other.mkdir()
    make_certificate(other)
    with pytest.raises(StorageUnavailable):
        PostgresRecordStore.open(DatabaseAddress(url=f"{url}{other / 'server.crt'}", password="hunter2"))


# kills of the database under load ------------------------------------------------------------------------------------

DATABASE_KILLS = int(os.environ.get("STRONGROOM_DATABASE_KILLS") or 10)
PAIRS = 4


@needs_postgres
def test_acknowledged_transactions_survive_kills_of_the_database_whole(
    restless: Cluster, store: PostgresRecordStore
) -> None:
    """Writers replace two rows at a time, in one transaction, while the server is killed under them again and again.

    The two always hold one number: the last that was acknowledged, or the one after it, whose outcome was lost.
    """
    pairs = [(bytes([10 + number]) * KEY_BYTES, bytes([20 + number]) * KEY_BYTES) for number in range(PAIRS)]
    with store.write() as transaction:
        for pair in pairs:
            for key in pair:
                transaction.insert(Table.ENTRIES, key, b"0")
    acknowledged = dict.fromkeys(pairs, 0)
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(pair: tuple[bytes, bytes]) -> None:
        def add_one(transaction: WriteTransaction) -> int:
            values = {transaction.get(Table.ENTRIES, key).value for key in pair}  # type: ignore[union-attr]
            assert len(values) == 1, "half of a transaction is there"
            number = int(values.pop())
            assert number in {acknowledged[pair], acknowledged[pair] + 1}, "an acknowledged transaction is gone"
            for key in pair:
                row = transaction.get(Table.ENTRIES, key)
                assert row is not None
                transaction.replace(Table.ENTRIES, key, expected_version=row.version, value=b"%d" % (number + 1))
            return number + 1

        try:
            while not stop.is_set():
                try:
                    acknowledged[pair] = transact(store, add_one)
                except StorageUnavailable:
                    time.sleep(0.02)
        except BaseException as failure:  # noqa: BLE001 - the test's own thread raises it
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(pair,)) for pair in pairs]
    for thread in threads:
        thread.start()
    chance = random.Random()  # noqa: S311 - when to kill is no secret
    try:
        for _ in range(DATABASE_KILLS):
            time.sleep(chance.uniform(0, 0.1))
            restless.kill()
            restless.start()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    with store.read() as reading:
        for pair in pairs:
            values = {row.value for row in reading.get_many(Table.ENTRIES, pair).values()}
            assert len(values) == 1
            assert int(values.pop()) in {acknowledged[pair], acknowledged[pair] + 1}
    assert min(acknowledged.values()) > DATABASE_KILLS // 2
    sys.stdout.write(f"{DATABASE_KILLS} kills, {sum(acknowledged.values())} transactions acknowledged\n")


@needs_postgres
def test_after_a_failover_the_next_transaction_goes_to_the_new_primary(restless: Cluster) -> None:
    replica = Cluster(restless.folder.with_name(restless.folder.name + "-replica"), free_port())
    replica.folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(replica.folder, "nobody", "nogroup")
    try:
        replica.copy_of(restless)
        replica.start(hot_standby="on")
        name = restless.new_database()
        both = f"postgresql://strongroom@127.0.0.1:{restless.port},127.0.0.1:{replica.port}/{name}"
        restless.execute("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
        restless.execute("postgres", "SELECT pg_reload_conf()")
        store = PostgresRecordStore.create(DatabaseAddress(url=both))
        with store.write() as transaction:
            transaction.insert(Table.VAULTS, K1, b"acknowledged")
        restless.kill()
        with pytest.raises(StorageUnavailable), store.read():
            pass
        replica.promote()
        replica.execute("postgres", "ALTER SYSTEM SET synchronous_standby_names = ''")
        replica.execute("postgres", "SELECT pg_reload_conf()")
        with store.read() as reading:
            row = reading.get(Table.VAULTS, K1)
            assert row is not None
            assert row.value == b"acknowledged"
        replace(store, b"on the new primary")
        store.close()
    finally:
        replica.kill()
        shutil.rmtree(replica.folder, ignore_errors=True)
        restless.start(synchronous_standby_names="")


@needs_postgres
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_of_the_database_undoes_the_transaction_and_says_so(restless: Cluster, tmp_path: Path) -> None:
    folder = restless.folder / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        shutil.chown(folder, "nobody", "nogroup")
        restless.execute("postgres", f"CREATE TABLESPACE small LOCATION '{folder}'")
        name = restless.new_database()
        restless.execute("postgres", f"ALTER DATABASE {name} SET default_tablespace = small")
        store = PostgresRecordStore.create(DatabaseAddress(url=restless.url(name)))
        kept = 0
        with pytest.raises(StorageUnavailable, match="the disk is full"):  # noqa: PT012 - until the disk is full
            for kept in range(256):
                with store.write() as transaction:
                    transaction.insert(Table.ENTRIES, kept.to_bytes(KEY_BYTES, "big"), os.urandom(500_000))
                    transaction.insert(Table.ENTRIES, (kept + 1000).to_bytes(KEY_BYTES, "big"), b"second half")
        with store.read() as reading:
            rows = reading.scan(Table.ENTRIES, after=b"", limit=1000)
        assert len(rows) == 2 * kept > 0
        store.close()
        restless.execute("postgres", f"DROP DATABASE {name}")
        restless.execute("postgres", "DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
