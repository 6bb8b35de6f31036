"""What every vault command does first: find the device, read the password, unlock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom.cli.options import home_directory
from strongroom.cli.output import note
from strongroom.cli.prompts import read_password
from strongroom.client.device import unlocked_device
from strongroom.client.profile import load_profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongroom.client.device import Device

__all__ = ["unlocked"]


@contextmanager
def unlocked(home: Path | None, password_file: Path | None) -> Iterator[Device]:
    """Give the unlocked device. A device that was never set up is told so before a password is asked for."""
    directory = home_directory(home)
    profile = load_profile(directory)
    if profile.trust.simulated_root is not None:
        note("simulated platform: this device's store proves no hardware")
    with unlocked_device(directory, read_password(password_file)) as device:
        yield device
