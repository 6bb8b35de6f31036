"""Private files: whole or not at all, and nobody else's to read."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.base.errors import Malformed, Misconfigured, StorageUnavailable
from strongroom.storage import files
from strongroom.storage.files import (
    make_private_directory,
    new_private_file,
    read_private_file,
    write_private_file,
)

if TYPE_CHECKING:
    from pathlib import Path


@given(data=st.binary(max_size=500))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read(tmp_path: Path, data: bytes) -> None:
    write_private_file(tmp_path / "profile", data)
    assert read_private_file(tmp_path / "profile", max_bytes=500) == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["profile"]


def test_it_is_private_whatever_the_umask_and_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "profile"
    path.write_bytes(b"old")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        write_private_file(path, b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"new"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    (tmp_path / "profile").symlink_to(tmp_path / "elsewhere")
    write_private_file(tmp_path / "profile", b"ours")
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"
    assert not (tmp_path / "profile").is_symlink()


def test_contents_are_flushed_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        happened.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_fsync(descriptor)

    def replace(source: str, target: str) -> None:
        happened.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    write_private_file(tmp_path / "profile", b"data")
    assert happened == ["file", "rename", "directory"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_private_file(tmp_path / "profile", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(StorageUnavailable, match="cannot be written: No space left") as caught:
        write_private_file(tmp_path / "profile", b"new")
    assert isinstance(caught.value.__cause__, OSError)
    assert (tmp_path / "profile").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["profile"]


def test_a_directory_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="No such file"):
        write_private_file(tmp_path / "missing" / "profile", b"data")


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert read_private_file(tmp_path / "profile", max_bytes=10) is None


def test_a_file_that_is_too_long_is_malformed_and_its_contents_are_not_shown(tmp_path: Path) -> None:
    write_private_file(tmp_path / "profile", b"secret-text")
    assert read_private_file(tmp_path / "profile", max_bytes=11) == b"secret-text"
    with pytest.raises(Malformed, match="longer than the 10 bytes") as caught:
        read_private_file(tmp_path / "profile", max_bytes=10)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_may_access_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    write_private_file(tmp_path / "profile", b"data")
    (tmp_path / "profile").chmod(mode)
    with pytest.raises(Misconfigured, match=f"mode {mode:04o}") as caught:
        read_private_file(tmp_path / "profile", max_bytes=10)
    assert caught.value.hint.startswith("chmod 600")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(Misconfigured, match="not a regular file"):
        read_private_file(tmp_path / "pipe", max_bytes=10)
    (tmp_path / "directory").mkdir(mode=0o700)
    with pytest.raises((Misconfigured, StorageUnavailable)):
        read_private_file(tmp_path / "directory", max_bytes=10)


def test_a_path_through_a_file_is_unavailable(tmp_path: Path) -> None:
    write_private_file(tmp_path / "profile", b"data")
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        read_private_file(tmp_path / "profile" / "below", max_bytes=10)
    with pytest.raises(StorageUnavailable, match="cannot be made"):
        make_private_directory(tmp_path / "profile" / "below")


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    write_private_file(tmp_path / "profile", b"data")
    with pytest.raises(Misconfigured, match="not a directory"):
        make_private_directory(tmp_path / "profile")


@pytest.mark.parametrize(("mode", "accepted"), [(0o700, True), (0o755, True), (0o770, False), (0o1777, True)])
def test_an_existing_directory_is_left_as_it_is_unless_others_may_write_it(
    tmp_path: Path, mode: int, accepted: bool
) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    directory.chmod(mode)
    if accepted:
        make_private_directory(directory)
    else:
        with pytest.raises(Misconfigured, match="other users may write") as caught:
            make_private_directory(directory)
        assert caught.value.hint.startswith("chmod go-w")
    assert stat.S_IMODE(directory.stat().st_mode) == mode


def test_a_new_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with new_private_file(tmp_path / "new", subject="it") as unfinished:
        unfinished.write_bytes(b"contents")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new").read_bytes() == b"contents"
    with pytest.raises(KeyError), new_private_file(tmp_path / "other", subject="it") as unfinished:  # noqa: PT012
        unfinished.with_name(unfinished.name + "-wal").write_bytes(b"a companion")
        raise KeyError
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"old")
    with pytest.raises(Misconfigured, match="exists already"), new_private_file(tmp_path / "new", subject="it"):
        pass
    assert (tmp_path / "new").read_bytes() == b"old"
    with (
        pytest.raises(StorageUnavailable, match="it cannot be made"),
        new_private_file(tmp_path / "a" / "b", subject="it"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(mount)]
    if subprocess.run(options, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        write_private_file(mount / "profile", b"old")
        with pytest.raises(StorageUnavailable, match="No space left"):
            write_private_file(mount / "profile", bytes(200_000))
        assert [entry.name for entry in mount.iterdir()] == ["profile"]
        assert read_private_file(mount / "profile", max_bytes=10) == b"old"
    finally:
        subprocess.run(["umount", str(mount)], check=True)
