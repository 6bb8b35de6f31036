"""What every source of collateral does, whatever it is made of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from collateral_sets import ANCHORS, KIND, OTHER_KIND, ScriptedSource, checked, generated, unavailable
from strongroom.base.errors import CollateralUnavailable, MalformedCollateral
from strongroom.collateral.bundle import CollateralBundle
from strongroom.collateral.cache import CollateralCache
from strongroom.collateral.checked import check_collateral
from strongroom.collateral.pcs import PcsSource
from strongroom.collateral.sources import BundleSource, CachingSource, SourceChain, StapledSource
from strongroom.formats.collateral import Collateral
from strongroom.storage import files
from strongroom.testing.intel_pki import AT, IntelPki, key
from strongroom.testing.loopback import Loopback
from strongroom.testing.pcs_server import ROOT_CRL_PATH, PcsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from strongroom.collateral.sources import CollateralSource

    Adapter = Callable[[Collateral, Path, ExitStack], CollateralSource]


def _bundle(collateral: Collateral) -> bytes:
    return CollateralBundle(sets=(collateral,)).to_bytes()


def _cache(collateral: Collateral, directory: Path) -> CollateralCache:
    """Fill a cache with whatever it is, the way somebody else could who may write there."""
    data = _bundle(collateral)
    from strongroom.crypto.hashing import sha256

    files.make_private_directory(directory)
    name = f"{KIND}-0000000018-{sha256(data).hex()[:32]}.collateral"
    files.write_private_file(directory / name, data)
    return CollateralCache(directory, files, anchors=ANCHORS)


def _service(collateral: Collateral, stack: ExitStack, *, pccs: bool) -> PcsSource:
    url = stack.enter_context(Loopback(PcsServer([collateral], pccs=pccs)))
    return PcsSource(url, root_crl_url=None if pccs else url + ROOT_CRL_PATH, anchors=ANCHORS)


ADAPTERS: dict[str, Adapter] = {
    "stapled": lambda collateral, _, __: StapledSource(collateral.to_json(), anchors=ANCHORS),
    "bundle": lambda collateral, _, __: BundleSource(_bundle(collateral), anchors=ANCHORS),
    "cache": lambda collateral, directory, _: _cache(collateral, directory / "cache"),
    "PCS": lambda collateral, _, stack: _service(collateral, stack, pccs=False),
    "PCCS": lambda collateral, _, stack: _service(collateral, stack, pccs=True),
    "PCCS, kept": lambda collateral, directory, stack: CachingSource(
        _service(collateral, stack, pccs=True), CollateralCache(directory / "kept", files, anchors=ANCHORS)
    ),
    "chain": lambda collateral, _, __: SourceChain(
        [ScriptedSource(unavailable()), StapledSource(collateral.to_json(), anchors=ANCHORS)]
    ),
}


@pytest.fixture(params=ADAPTERS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Collateral], CollateralSource]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda collateral: ADAPTERS[request.param](collateral, tmp_path, stack)


def test_a_valid_set_is_given(make: Callable[[Collateral], CollateralSource]) -> None:
    collateral = generated()
    given = make(collateral).collateral(KIND, AT)
    assert given.kind == KIND
    assert given.valid_at(AT)
    assert given == check_collateral(given.collateral, anchors=ANCHORS)
    assert given.collateral == collateral


def test_it_has_a_name(make: Callable[[Collateral], CollateralSource]) -> None:
    assert make(generated()).name


def test_another_platform_gets_nothing(make: Callable[[Collateral], CollateralSource]) -> None:
    with pytest.raises(CollateralUnavailable):
        make(generated()).collateral(OTHER_KIND, AT)


@pytest.mark.parametrize("days", [-60, 60], ids=["expired", "not yet valid"])
def test_what_is_not_valid_now_is_not_given(make: Callable[[Collateral], CollateralSource], days: int) -> None:
    with pytest.raises(CollateralUnavailable):
        make(generated()).collateral(KIND, AT + timedelta(days=days))


def _forge_tcb_info(pki: IntelPki) -> None:
    pki.tcb_info_signer = key("a forger")


def _forge_crl(pki: IntelPki) -> None:
    pki.pck_crl.signer = key("a forger")


def _forge_root(pki: IntelPki) -> None:
    pki.root.key = key("another root")


@pytest.mark.parametrize("change", [_forge_tcb_info, _forge_crl, _forge_root])
def test_what_is_not_genuine_is_never_given(
    make: Callable[[Collateral], CollateralSource], change: Callable[[IntelPki], None]
) -> None:
    with pytest.raises((CollateralUnavailable, MalformedCollateral)):
        make(generated(change=change)).collateral(KIND, AT)


def test_what_is_given_can_be_stapled(make: Callable[[Collateral], CollateralSource]) -> None:
    given = make(generated()).collateral(KIND, AT)
    assert checked(Collateral.from_json(given.collateral.to_json())) == given
