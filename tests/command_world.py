"""A person at the command line, with one device and a store that runs: what the tests of bad input begin with."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from running import Deployment, Ran, Store, strongroom

__all__ = ["ACCEPT", "PASSWORD", "World", "expect", "new_world", "world_of_ones_own"]

PASSWORD = "a password that must not be seen anywhere"
ACCEPT = "--accept-simulated-platform"


@dataclass
class World:
    """A deployment that runs, and the command line of a person with one device, which holds one item."""

    deployment: Deployment
    folder: Path
    home: Path

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    def run(self, verb: str, *arguments: str | Path, home: Path | None = None, stdin: bytes | None = None) -> Ran:
        files = ["--home", home or self.home, "--password-file", self.password_file]
        return strongroom(verb, *arguments, *files, stdin=stdin)

    def titles(self, home: Path | None = None) -> list[str]:
        ran = self.run("list", "--json", home=home)
        assert ran.code == 0, ran.err
        return [entry["title"] for entry in ran.json]

    def register(self, username: str, home: Path, *more: str | Path) -> Ran:
        return self.run("register", self.deployment.invitation, "--username", username, ACCEPT, *more, home=home)

    def login(self, username: str, home: Path, secret: Path, *, password: Path | None = None) -> Ran:
        return strongroom(
            "login", self.deployment.invitation, "--username", username, ACCEPT,
            "--home", home, "--password-file", password or self.password_file, "--account-secret-file", secret,
        )  # fmt: skip

    def copy(self, folder: Path) -> World:
        """The same person and store, with a copy of the device to be damaged."""
        home = folder / "device"
        shutil.copytree(self.home, home)
        return replace(self, home=home)


def new_world(folder: Path, deployment: Deployment) -> World:
    world = World(deployment=deployment, folder=folder, home=folder / "device")
    world.password_file.write_text(PASSWORD + "\n")
    ran = world.register("me@example.com", world.home)
    assert ran.code == 0, ran.err
    assert world.run("add", "kept", "--generate").code == 0
    assert world.run("sync").code == 0
    return world


@contextlib.contextmanager
def world_of_ones_own(folder: Path) -> Iterator[tuple[World, Store]]:
    deployment = Deployment.create(folder)
    store = deployment.start()
    try:
        yield new_world(folder, deployment), store
    finally:
        store.stop()


def expect(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.out + ran.err
    for word in words:
        assert word in ran.out + ran.err
    assert PASSWORD not in ran.out + ran.err
    assert all(line.startswith("strongroom: ") for line in ran.err.splitlines()), ran.err
