"""Which counter a deployment hangs on, as an operator says it."""

from pathlib import Path

import pytest

from software_tpm import software_tpm
from strongroom.attesters.simulated.counter import SimulatedCounter
from strongroom.attesters.tpm import TpmCounter
from strongroom.base.errors import AnchorUnavailable, Misconfigured
from strongroom.cli.counters import bound_counter, new_counter


def test_the_platform_s_counter_is_found_by_its_name(tmp_path: Path) -> None:
    made = new_counter("platform", tmp_path)
    assert isinstance(made, SimulatedCounter)
    found = bound_counter(None, tmp_path, made.anchor_id)
    assert found is not None
    assert found.anchor_id == made.anchor_id


def test_none_is_none(tmp_path: Path) -> None:
    assert new_counter("none", tmp_path) is None
    assert bound_counter(None, tmp_path, None) is None


def test_a_counter_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(AnchorUnavailable):
        bound_counter(None, tmp_path, b"x" * 32)


def test_a_tpm_s_counter_at_an_index(tmp_path: Path) -> None:
    with software_tpm(tmp_path) as tpm:
        made = new_counter(f"tpm:{tpm.socket}@01800007", tmp_path)
        assert isinstance(made, TpmCounter)
        made.close()
        found = bound_counter(f"tpm:{tpm.socket}@01800007", tmp_path, made.anchor_id)
        assert isinstance(found, TpmCounter)
        assert found.anchor_id == made.anchor_id
        found.close()


@pytest.mark.parametrize(
    "choice", ["", "tpm", "tpm:", "tpm:/dev/tpm0@", "tpm:/dev/tpm0@xyz", "tpm:/x@02000000", "disk:/x"]
)
def test_anything_else_is_refused(tmp_path: Path, choice: str) -> None:
    with pytest.raises(Misconfigured, match="platform, none, tpm:PATH"):
        new_counter(choice, tmp_path)
