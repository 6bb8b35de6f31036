from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collateral_sets import (
    ANCHORS,
    KIND,
    OTHER_KIND,
    REAL_AT,
    REAL_KIND,
    SGX_17,
    SGX_19,
    checked,
    generated,
    real,
)
from evidence_vectors import damaged
from strongroom.base.errors import CollateralUnavailable, Misconfigured, StorageUnavailable
from strongroom.collateral import cache as cache_module
from strongroom.collateral.bundle import CollateralBundle
from strongroom.collateral.cache import CollateralCache
from strongroom.collateral.checked import check_collateral
from strongroom.storage import files
from strongroom.testing.intel_pki import AT, IntelPki, key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strongroom.collateral.checked import CheckedCollateral

OLD = checked(generated())
NEW = checked(generated(number=19, days=1, pck_crl=2, root_crl=2))


def opened(directory: Path) -> CollateralCache:
    return CollateralCache(directory, files, anchors=ANCHORS)


def entries(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.collateral"))


def other_kind(pki: IntelPki) -> None:
    pki.tcb_info = replace(pki.tcb_info, fmspc=OTHER_KIND.fmspc)


def test_what_was_put_is_given_until_it_expires(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    assert opened(directory).put(OLD) is OLD
    again = opened(directory)
    assert again.collateral(KIND, AT).collateral == OLD.collateral
    with pytest.raises(CollateralUnavailable, match="expired"):
        again.collateral(KIND, AT + timedelta(days=60))
    newest = again.newest(KIND)
    assert newest is not None  # expired, and still the mark
    assert newest.tcb_info == OLD.tcb_info


def test_an_empty_cache_has_nothing(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CollateralUnavailable, match="holds nothing for sgx-30606A000000-platform"):
            opened(directory).collateral(KIND, AT)
        assert opened(directory).sets() == opened(directory).damaged() == ()


def test_entries_are_named_by_kind_and_number_and_are_private(tmp_path: Path) -> None:
    opened(tmp_path / "cache").put(OLD)
    (entry,) = entries(tmp_path / "cache")
    assert entry.name.startswith("sgx-30606A000000-platform-0000000018-")
    assert entry.stat().st_mode & 0o777 == 0o600
    assert CollateralBundle.from_bytes(entry.read_bytes()).sets == (OLD.collateral,)


def test_a_newer_set_takes_the_place_of_the_older(tmp_path: Path) -> None:
    opened(tmp_path).put(OLD)
    opened(tmp_path).put(NEW)
    assert opened(tmp_path).collateral(KIND, AT).tcb_info.number == 19
    assert len(entries(tmp_path)) == 1


@pytest.mark.parametrize(
    ("offered", "part"),
    [
        (generated(number=18, days=2, pck_crl=3, root_crl=3), "tcb_info"),
        (generated(number=19, days=0, pck_crl=3, root_crl=3), "tcb_info"),
        (generated(number=20, days=2, pck_crl=1, root_crl=3), "pck_crl"),
        (generated(number=20, days=2, pck_crl=3, root_crl=1), "root_ca_crl"),
        (generated(number=20, days=2, crl_days=0, pck_crl=2, root_crl=2), "pck_crl"),
    ],
    ids=["lower number", "older issue", "lower CRL number", "lower root CRL number", "older CRL of one number"],
)
def test_nothing_older_replaces_anything_newer(tmp_path: Path, offered: Any, part: str) -> None:
    opened(tmp_path).put(NEW)
    kept = opened(tmp_path).put(checked(offered))
    for held in (kept, opened(tmp_path).newest(KIND)):
        assert held is not None
        assert getattr(held, part) == getattr(NEW, part)


def test_an_older_set_changes_nothing(tmp_path: Path) -> None:
    opened(tmp_path).put(NEW)
    before = {item.name: item.stat().st_mtime_ns for item in entries(tmp_path)}
    assert opened(tmp_path).put(OLD).collateral == NEW.collateral
    assert {item.name: item.stat().st_mtime_ns for item in entries(tmp_path)} == before


def test_kinds_stand_beside_each_other(tmp_path: Path) -> None:
    held = opened(tmp_path)
    held.put(OLD)
    held.put(checked(generated(number=12, change=other_kind)))
    assert [item.kind for item in held.sets()] == [OTHER_KIND, KIND]
    assert held.collateral(OTHER_KIND, AT).tcb_info.number == 12


def test_real_sets_of_intel(tmp_path: Path) -> None:
    held = CollateralCache(tmp_path, files)
    held.put(check_collateral(real(SGX_19)))
    held.put(check_collateral(real(SGX_17)))
    assert held.collateral(REAL_KIND, REAL_AT).tcb_info.number == 19


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _open_to_all(path: Path) -> None:
    path.chmod(0o644)


def _make_long(path: Path) -> None:
    path.write_bytes(bytes(cache_module.MAX_ENTRY_BYTES + 1))


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "not those it is named after"),
        (_empty, "not those it is named after"),
        (_flip, "not those it is named after"),
        (_open_to_all, "accessed by other users"),
        (_make_long, "longer than"),
        (_make_pipe, "not a regular file"),
    ],
)
def test_a_damaged_entry_is_named_and_counts_as_absent(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    opened(tmp_path).put(OLD)
    (entry,) = entries(tmp_path)
    spoil(entry)
    held = opened(tmp_path)
    with pytest.raises(CollateralUnavailable, match="holds nothing"):
        held.collateral(KIND, AT)
    (found,) = held.damaged()
    assert found.name == entry.name
    assert said in found.reason
    assert held.put(OLD) is OLD
    assert opened(tmp_path).collateral(KIND, AT).collateral == OLD.collateral


def test_an_entry_under_another_name_is_damaged(tmp_path: Path) -> None:
    opened(tmp_path).put(OLD)
    (entry,) = entries(tmp_path)
    entry.rename(tmp_path / entry.name.replace("30606A000000", "00906ED50000"))
    assert opened(tmp_path).newest(OTHER_KIND) is None
    assert "holds number 18 for sgx-30606A000000-platform" in opened(tmp_path).damaged()[0].reason


def test_a_bundle_of_several_sets_is_no_entry(tmp_path: Path) -> None:
    opened(tmp_path).put(OLD)
    (entry,) = entries(tmp_path)
    data = CollateralBundle(sets=(OLD.collateral, NEW.collateral)).to_bytes()
    digest = cache_module.sha256(data).hex()[:32]
    files.write_private_file(tmp_path / f"sgx-30606A000000-platform-0000000018-{digest}.collateral", data)
    entry.unlink()
    assert "holds 2 sets" in opened(tmp_path).damaged()[0].reason


def test_entries_under_other_anchors_are_neither_used_nor_removed(tmp_path: Path) -> None:
    intels = check_collateral(real(SGX_17))
    CollateralCache(tmp_path, files).put(intels)
    ours = opened(tmp_path)
    assert ours.newest(REAL_KIND) is None
    assert "is not an accepted anchor" in ours.damaged()[0].reason

    def same_kind(pki: IntelPki) -> None:
        pki.tcb_info = replace(pki.tcb_info, fmspc=REAL_KIND.fmspc)
        pki.intermediate.common_name = "Example SGX PCK Processor CA"

    ours.put(checked(generated(change=same_kind)))
    assert CollateralCache(tmp_path, files).collateral(REAL_KIND, REAL_AT).collateral == intels.collateral


def test_a_set_that_does_not_fit_is_refused_and_remembered(tmp_path: Path) -> None:
    def revoke(pki: IntelPki) -> None:
        revoked = pki.tcb_signer.serial
        pki.tcb_signer.serial, pki.tcb_signer.key = 40, key("another signer")
        pki.root_crl.revoked = [revoked]

    held = opened(tmp_path)
    held.put(checked(generated(number=19)))
    with pytest.raises(CollateralUnavailable, match="is revoked"):
        held.put(checked(generated(number=18, root_crl=2, change=revoke)))
    with pytest.raises(CollateralUnavailable, match="is revoked"):  # not the one whose signer is revoked by now
        opened(tmp_path).collateral(KIND, AT)
    way_out = checked(generated(number=20, root_crl=3, days=1, change=revoke))
    assert held.put(way_out).tcb_info.number == 20
    assert len(entries(tmp_path)) == 1


class _Crash(BaseException):
    """The process ends here."""


def _crash_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the step-th call that touches the disk not happen, as if the process had ended before it."""
    done: list[str] = []

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            if len(done) == step:
                raise _Crash(name)
            done.append(name)
            return function(*arguments, **settings)

        return call

    for owner, name in ((os, "open"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "mkdir")):
        monkeypatch.setattr(owner, name, wrapped(name, getattr(owner, name)))
    return done


@pytest.mark.parametrize("first", [None, OLD], ids=["empty", "over an older set"])
def test_a_crash_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: CheckedCollateral | None
) -> None:
    for step in range(100):
        directory = tmp_path / str(step)
        if first is not None:
            opened(directory).put(first)
        with monkeypatch.context() as patched:
            done = _crash_at(step, patched)
            try:
                opened(directory).put(NEW)
                crashed = False
            except _Crash:
                crashed = True
        held = opened(directory)
        assert held.damaged() == ()
        found = held.newest(KIND)
        allowed = [None if first is None else first.collateral, NEW.collateral]
        assert (None if found is None else found.collateral) in allowed
        if "replace" in done:
            assert found is not None
            assert found.collateral == NEW.collateral
        held.put(NEW)
        assert opened(directory).collateral(KIND, AT).collateral == NEW.collateral
        assert len(entries(directory)) == 1
        if not crashed:
            assert done.count("replace") == 1
            return
    pytest.fail("the write never ended")


def test_a_rename_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path).put(OLD)

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(StorageUnavailable, match="No space left"):
            opened(tmp_path).put(NEW)
    assert opened(tmp_path).collateral(KIND, AT).collateral == OLD.collateral
    assert list(tmp_path.glob(".*")) == []


def test_what_cannot_be_read_stops_a_write(tmp_path: Path) -> None:
    """An entry behind a failing disk may be the newest; without it nothing says what would be a step back."""
    opened(tmp_path).put(NEW)

    class Failing:
        write_private_file = staticmethod(files.write_private_file)
        make_private_directory = staticmethod(files.make_private_directory)

        @staticmethod
        def read_private_file(path: Path, *, max_bytes: int) -> bytes | None:
            raise StorageUnavailable(f"{path} cannot be read: Input/output error")

    broken = CollateralCache(tmp_path, Failing(), anchors=ANCHORS)
    with pytest.raises(StorageUnavailable):
        broken.put(OLD)
    with pytest.raises(StorageUnavailable):
        broken.collateral(KIND, AT)
    assert len(entries(tmp_path)) == 1


def test_a_directory_that_others_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(Misconfigured, match="other users may write"):
        opened(tmp_path).put(OLD)


def test_a_file_instead_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(StorageUnavailable):
        opened(tmp_path / "cache").newest(KIND)


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 1)
    held = opened(tmp_path)
    held.put(OLD)
    with pytest.raises(StorageUnavailable, match="full") as refused:
        held.put(checked(generated(change=other_kind)))
    assert str(tmp_path) in refused.value.hint
    held.put(NEW)  # a kind that is there may be renewed
    assert held.collateral(KIND, AT).tcb_info.number == 19
    monkeypatch.setattr(cache_module, "MAX_ENTRY_BYTES", 1000)
    with pytest.raises(StorageUnavailable, match="is not kept"):
        opened(tmp_path / "small").put(OLD)


def test_what_crashed_writers_left_is_removed_in_the_end(tmp_path: Path) -> None:
    for index in range(40):
        left = tmp_path / f".sgx-{index}.collateral.{index:016x}.new"
        left.write_bytes(b"half")
        os.utime(left, (index, index))
    (tmp_path / ".keep").write_bytes(b"")
    opened(tmp_path).put(OLD)
    assert sorted(item.name for item in tmp_path.glob(".sgx*")) == sorted(
        f".sgx-{index}.collateral.{index:016x}.new" for index in range(24, 40)
    )
    assert (tmp_path / ".keep").exists()


ENTRY = CollateralBundle(sets=(OLD.collateral,)).to_bytes()


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=200), damaged([ENTRY])), st.booleans())
def test_any_bytes_in_an_entry_give_a_set_or_are_named(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, named_after: bool
) -> None:
    directory = tmp_path_factory.mktemp("cache")
    digest = cache_module.sha256(data if named_after else ENTRY).hex()[:32]
    files.write_private_file(directory / f"{KIND}-0000000018-{digest}.collateral", data)
    held = opened(directory)
    found = held.newest(KIND)
    if found is None:
        assert len(held.damaged()) == 1
    else:
        assert held.damaged() == ()
        assert found.kind == KIND


_WRITER = """
import sys
from pathlib import Path
from strongroom.collateral.cache import CollateralCache
from strongroom.collateral.checked import check_collateral
from strongroom.formats.collateral import Collateral
from strongroom.storage import files
from strongroom.testing.intel_pki import IntelPki

directory, *sets = map(Path, sys.argv[1:])
anchors = (IntelPki().anchor,)
cache = CollateralCache(directory, files, anchors=anchors)
for path in sets * 4:
    cache.put(check_collateral(Collateral.from_json(path.read_bytes()), anchors=anchors))
"""


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    paths = []
    for index in range(6):
        path = tmp_path / f"{index}.json"
        path.write_bytes(generated(number=20 + index // 2, days=index % 2, pck_crl=1 + (index * 5) % 6).to_json())
        paths.append(str(path))
    started = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "cache"), *order])
        for order in (paths, paths[::-1])
    ]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_an_entry_that_goes_while_it_is_read_shows_the_newer_one(tmp_path: Path) -> None:
    writer = opened(tmp_path)
    writer.put(OLD)

    class Racing:
        write_private_file = staticmethod(files.write_private_file)
        make_private_directory = staticmethod(files.make_private_directory)

        @staticmethod
        def read_private_file(path: Path, *, max_bytes: int) -> bytes | None:
            writer.put(NEW)  # between the listing and the reading
            return files.read_private_file(path, max_bytes=max_bytes)

    assert CollateralCache(tmp_path, Racing(), anchors=ANCHORS).collateral(KIND, AT).tcb_info.number == 19


def test_a_directory_that_never_rests_is_unavailable(tmp_path: Path) -> None:
    opened(tmp_path).put(OLD)

    class Vanishing:
        write_private_file = staticmethod(files.write_private_file)
        make_private_directory = staticmethod(files.make_private_directory)

        @staticmethod
        def read_private_file(path: Path, *, max_bytes: int) -> bytes | None:
            return None

    restless = CollateralCache(tmp_path, Vanishing(), anchors=ANCHORS)
    assert restless.damaged() == ()
    with pytest.raises(StorageUnavailable, match="changes while it is read"):
        restless.newest(KIND)


def test_two_processes_writing_never_take_a_reader_back(tmp_path: Path, writers: list[subprocess.Popen[bytes]]) -> None:
    directory = tmp_path / "cache"
    held = opened(directory)
    last = None
    while any(process.poll() is None for process in writers):
        found = held.newest(KIND)
        if last is not None:
            assert found is not None
            for part in ("tcb_info", "qe_identity", "pck_crl", "root_ca_crl"):
                assert getattr(found, part) >= getattr(last, part)
        last = found
    assert [process.returncode for process in writers] == [0, 0]
    final = opened(directory)
    assert final.damaged() == ()
    newest = final.collateral(KIND, AT)
    assert newest.tcb_info.number == 22
    assert newest.pck_crl.number == 6
