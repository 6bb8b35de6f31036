from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from collateral_sets import (
    ANCHORS,
    KIND,
    OTHER_KIND,
    REAL_AT,
    REAL_KIND,
    SGX_17,
    SGX_19,
    TDX_18,
    TDX_AT,
    TDX_KIND,
    ScriptedSource,
    checked,
    generated,
    real,
    unavailable,
)
from strongroom.base.errors import CollateralUnavailable, MalformedCollateral, StorageUnavailable
from strongroom.collateral.bundle import CollateralBundle
from strongroom.collateral.cache import CollateralCache
from strongroom.collateral.sources import BundleSource, CachingSource, SourceChain, StapledSource
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.storage import files
from strongroom.testing.intel_pki import AT, IntelPki, key

if TYPE_CHECKING:
    from pathlib import Path

OLD = checked(generated())
NEW = checked(generated(number=19, days=1, pck_crl=2, root_crl=2))


def forged() -> bytes:
    def change(pki: IntelPki) -> None:
        pki.tcb_info_signer = key("a forger")

    return generated(change=change).to_json()


def test_a_stapled_set() -> None:
    data = real(SGX_17).to_json()
    assert StapledSource(data).collateral(REAL_KIND, REAL_AT).collateral.to_json() == data


def test_a_stapled_set_is_checked() -> None:
    with pytest.raises(CollateralUnavailable, match="is not genuine"):
        StapledSource(forged(), anchors=ANCHORS).collateral(KIND, AT)
    with pytest.raises(MalformedCollateral):
        StapledSource(b"{}", anchors=ANCHORS).collateral(KIND, AT)


def test_a_bundle_gives_what_it_has() -> None:
    data = CollateralBundle(sets=(real(SGX_17), real(SGX_19), real(TDX_18))).to_bytes()
    source = BundleSource(data)
    assert source.collateral(REAL_KIND, REAL_AT).tcb_info.number == 19
    assert source.collateral(TDX_KIND, TDX_AT).kind == TDX_KIND
    with pytest.raises(CollateralUnavailable, match="holds nothing"):
        source.collateral(KIND, AT)


def test_of_several_sets_in_a_bundle_the_newest_valid_one() -> None:
    future = generated(number=20, days=400)
    data = CollateralBundle(sets=(OLD.collateral, NEW.collateral, future)).to_bytes()
    assert BundleSource(data, anchors=ANCHORS).collateral(KIND, AT).tcb_info.number == 19


def test_a_bundle_with_a_forged_set_is_refused_as_a_whole() -> None:
    from strongroom.formats.collateral import Collateral

    data = CollateralBundle(sets=(OLD.collateral, Collateral.from_json(forged()))).to_bytes()
    with pytest.raises(ResourceUnavailable, match="is not genuine") as refused:
        BundleSource(data, anchors=ANCHORS, name="b.bundle")
    assert refused.value.resource in {"set 0 of b.bundle", "set 1 of b.bundle"}


def test_a_chain_takes_the_first_that_has_a_valid_set() -> None:
    expired = ScriptedSource(checked(generated(days=-90)))
    away, good, never = ScriptedSource(unavailable()), ScriptedSource(OLD), ScriptedSource(NEW)
    assert SourceChain([expired, away, good, never]).collateral(KIND, AT) is OLD
    assert never.asked == 0


def test_a_chain_says_what_each_source_answered_and_when_to_ask_again() -> None:
    sources = [
        ScriptedSource(checked(generated(days=-90))),
        ScriptedSource(unavailable(60.0)),
        ScriptedSource(unavailable(7.0)),
        ScriptedSource(MalformedCollateral("not JSON")),
        ScriptedSource(StorageUnavailable("the disk is gone")),
    ]
    with pytest.raises(ResourceUnavailable) as refused:
        SourceChain(sources).collateral(KIND, AT)
    for said in ("expired at", "the service is away", "not JSON", "the disk is gone"):
        assert said in refused.value.message
    assert refused.value.retry_after_seconds == 7.0


def test_a_chain_does_not_take_another_kind_from_a_source_that_errs() -> None:
    class Erring:
        name = "erring"

        def collateral(self, kind: object, at: object) -> object:
            return OLD

    with pytest.raises(CollateralUnavailable, match="not for sgx-00906ED50000-platform"):
        SourceChain([Erring()]).collateral(OTHER_KIND, AT)  # type: ignore[list-item]


def test_an_error_that_is_a_mistake_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        SourceChain([ScriptedSource(ZeroDivisionError())]).collateral(KIND, AT)
    with pytest.raises(ValueError, match="without sources"):
        SourceChain([])


def cache(directory: Path) -> CollateralCache:
    return CollateralCache(directory, files, anchors=ANCHORS)


def test_what_a_source_gave_is_kept(tmp_path: Path) -> None:
    source = ScriptedSource(OLD, unavailable())
    caching = CachingSource(source, cache(tmp_path))
    assert caching.collateral(KIND, AT) is OLD
    with pytest.raises(CollateralUnavailable, match="away"):
        caching.collateral(KIND, AT)
    chain = SourceChain([caching, cache(tmp_path)])
    assert chain.collateral(KIND, AT).collateral == OLD.collateral


def test_the_cache_first_spares_the_question(tmp_path: Path) -> None:
    source = ScriptedSource(OLD)
    held = cache(tmp_path)
    chain = SourceChain([held, CachingSource(source, held)])
    for _ in range(3):
        chain.collateral(KIND, AT)
    assert source.asked == 1


def test_a_source_that_goes_backwards_gets_the_newest_parts_held_against_it(tmp_path: Path) -> None:
    held = cache(tmp_path)
    held.put(NEW)
    assert CachingSource(ScriptedSource(OLD), held).collateral(KIND, AT).tcb_info.number == 19
    later = AT + timedelta(days=25)
    stale = checked(generated(number=19, days=-10, pck_crl=2, root_crl=2))
    other = cache(tmp_path / "other")
    other.put(stale)
    with pytest.raises(ResourceUnavailable, match="the scripted source goes backwards: TCB info number 18"):
        CachingSource(ScriptedSource(OLD), other).collateral(KIND, later)


def test_a_full_disk_costs_the_memory_of_it_and_not_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = cache(tmp_path)
    held.put(NEW)

    class Full:
        read_private_file = staticmethod(files.read_private_file)
        make_private_directory = staticmethod(files.make_private_directory)

        @staticmethod
        def write_private_file(path: Path, data: bytes) -> None:
            raise StorageUnavailable("No space left on device")

    full = CollateralCache(tmp_path, Full(), anchors=ANCHORS)
    caching = CachingSource(ScriptedSource(checked(generated(number=20, pck_crl=1))), full)
    given = caching.collateral(KIND, AT)
    assert (given.tcb_info.number, given.pck_crl.number) == (20, 2)
    assert "No space left" in caching.storage_failure
    empty = CollateralCache(tmp_path / "empty", Full(), anchors=ANCHORS)
    assert CachingSource(ScriptedSource(OLD), empty).collateral(KIND, AT) is OLD
