"""Settings for all tests: examples may take their time on a busy machine, and a failure prints how to repeat it."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from postgres_cluster import Cluster, cluster_running
from running import free_port

settings.register_profile("strongroom", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("strongroom")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL for the tests of a process; flushing can be left out, for this one is never killed."""
    with cluster_running(free_port(), fsync="off") as cluster:
        yield cluster
