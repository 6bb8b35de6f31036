"""Results reach their reader, or the command fails; the reader may go away."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.base.errors import StorageUnavailable
from strongroom.cli.output import emit, emit_json, finish, note


@contextmanager
def standard_output(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with open(descriptor, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        yield


def test_text_json_and_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    emit("text")
    emit_json({"name": "ünïcode"})
    note("a remark")
    finish()
    said = capsys.readouterr()
    assert said.out == 'text\n{\n  "name": "ünïcode"\n}\n'
    assert said.err == "strongroom: a remark\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_unavailable_whenever_it_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with standard_output(os.open("/dev/full", os.O_WRONLY), monkeypatch):
        emit("short")
        with pytest.raises(StorageUnavailable, match="No space left"):
            finish()
    with (
        standard_output(os.open("/dev/full", os.O_WRONLY), monkeypatch),
        pytest.raises(StorageUnavailable, match="No space left"),
    ):
        emit("long" * 100_000)


def test_a_reader_that_has_gone_ends_the_command_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with standard_output(writer, monkeypatch):
        emit("unread")
        with pytest.raises(SystemExit) as ended:
            finish()
        assert ended.value.code == 141
