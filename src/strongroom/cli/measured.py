"""What of the configuration is measured: service and client compute the same measurement from the same values."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from strongroom.attesters.measure import measure_package
from strongroom.crypto.hashing import sha256
from strongroom.formats.measurements import MrEnclave, MrSigner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from strongroom.base.canonical import Value

__all__ = ["PRODUCT", "RELEASE_SIGNER", "SECURITY_VERSION", "measure_client", "measure_store"]

PRODUCT: Final = 1
SECURITY_VERSION: Final = 1
"""ISV SVN: goes up with every release that mends a security fault."""

RELEASE_SIGNER: Final = MrSigner(sha256(b"strongroom simulated release signer"))
"""The signer on the simulated platform, where nobody's key has signed anything."""

_CONFIGURATION: Final[Mapping[str, Value]] = {"service": "store", "accounts": "opaque", "sealing": "mrenclave"}


def measure_store(directory: Path | None = None) -> MrEnclave:
    """Measure the store as it would run from a package directory, by default from this installation's."""
    return _installed() if directory is None else measure_package(directory, configuration=_CONFIGURATION)


@cache  # it is the code that this process runs, which another measurement would not change
def _installed() -> MrEnclave:
    return measure_package(None, configuration=_CONFIGURATION)


_CLIENT_CONFIGURATION: Final[Mapping[str, Value]] = {"client": "device"}


def measure_client(directory: Path | None = None) -> MrEnclave:
    """Measure a client as it would run in an enclave from a package directory, by default from this installation's."""
    return measure_package(directory, configuration=_CLIENT_CONFIGURATION)
