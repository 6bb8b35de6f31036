"""A store that runs for all tests of a session, and a device to be damaged for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_world import PASSWORD, World, new_world
from running import Deployment


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that the tests leave as it was."""
    folder = tmp_path_factory.mktemp("shared")
    deployment = Deployment.create(folder)
    with deployment.running() as store:
        world = new_world(folder, deployment)
        yield world
        assert world.titles() == ["kept"]
        assert world.run("sync").code == 0
        for secret in (PASSWORD, "me@example.com", "Traceback"):
            assert secret not in store.log


@pytest.fixture
def world(shared: World, tmp_path: Path) -> World:
    return shared.copy(tmp_path)
