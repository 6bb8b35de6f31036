"""Backup and restore by the commands, beside a running store; what devices say to a restore that is announced."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from command_world import expect, new_world
from postgres_cluster import needs_postgres
from running import Deployment, strongroom

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def database(request: pytest.FixtureRequest) -> Callable[[], str | None]:
    """Give an empty database for each call, or ``None`` for a file of one's own."""
    if request.param == "sqlite":
        return lambda: None
    cluster = request.getfixturevalue("postgres")
    return lambda: cluster.url(cluster.new_database())


def test_an_announced_restore_is_told_from_a_silent_one_and_made_good(
    tmp_path: Path, database: Callable[[], str | None]
) -> None:
    deployment = Deployment.create(tmp_path, postgres=database())
    made = tmp_path / "first.backup"
    with deployment.running():
        world = new_world(tmp_path, deployment)
        assert world.run("add", "early", "--generate").code == 0
        assert world.run("sync").code == 0
        ran = strongroom("backup", made, "--data", deployment.data, *deployment.where[4:])  # while it is running
        assert ran.code == 0, ran.err
        expect(strongroom("backup", made, "--data", deployment.data, *deployment.where[4:]), 1, "exists already")
        assert made.stat().st_mode & 0o777 == 0o600
        assert world.run("add", "late", "--generate").code == 0
        assert world.run("sync").code == 0
    assert b"me@example.com" not in made.read_bytes()

    other = replace(deployment, data=tmp_path / "restored", postgres=database())
    expect(strongroom("restore", tmp_path / "none", *other.where), 1, "cannot read")
    cut = tmp_path / "cut.backup"
    cut.write_bytes(made.read_bytes()[:-10])
    expect(strongroom("restore", cut, *other.where), 2, "backup")
    ran = strongroom("restore", made, *other.where, "--reason", "disk failure")
    assert ran.code == 0, ran.err
    expect(strongroom("restore", made, *other.where), 1, "is not empty")
    with other.running():
        ran = world.run("sync")
        expect(ran, 4, "rollback", "was put back on", "disk failure", "sync --repair")
        assert world.titles() == ["early", "kept", "late"]
        assert world.run("sync", "--repair").code == 0
        assert world.run("sync").code == 0
    assert len(list((world.home / "proofs").iterdir())) >= 1

    # from now on the device knows that epoch: the same announcement explains no second rollback
    if other.postgres is None:
        with other.running():
            assert world.run("add", "later still", "--generate").code == 0
            copy = other.database.read_bytes()
            assert world.run("sync").code == 0
        with contextlib.suppress(FileNotFoundError):
            other.database.with_name("store.db-wal").unlink()
        other.database.write_bytes(copy)
        with other.running():
            ran = world.run("sync")
            expect(ran, 4, "rollback")
            assert "was put back on" not in ran.err


def test_keys_are_rotated_beside_a_running_store(tmp_path: Path, database: Callable[[], str | None]) -> None:
    deployment = Deployment.create(tmp_path, postgres=database())
    with deployment.running():
        world = new_world(tmp_path, deployment)
        ran = strongroom("rotate", *deployment.where, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["epoch"] == 2
        assert (ran.json["sealed"] > 3, ran.json["unopened"]) == (True, 0)
        assert world.run("add", "during", "--generate").code == 0
        assert world.run("sync").code == 0  # by the store that has been running since before
    with deployment.running():
        assert world.run("add", "after", "--generate").code == 0
        assert world.run("sync").code == 0
        ran = strongroom("rotate", *deployment.where, "--continue", "--json")
        assert (ran.code, ran.json["epoch"]) == (0, 2)
        kit = world.home / "recovery-kit.txt"
        assert world.login("me@example.com", tmp_path / "fresh", kit).code == 0
        assert world.titles(tmp_path / "fresh") == ["after", "during", "kept"]
