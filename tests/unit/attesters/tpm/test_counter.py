"""A counter in a real TPM implementation, over a bus that lies."""

from __future__ import annotations

import signal
import struct
from typing import TYPE_CHECKING

import pytest

from software_tpm import SoftwareTpm, software_tpm
from strongroom.attesters.tpm import TpmCounter
from strongroom.attesters.tpm import counter as counter_module
from strongroom.attesters.tpm.device import Connection, connect
from strongroom.attesters.tpm.session import Refused, TpmSession
from strongroom.attesters.tpm.wire import Command, Handle, Response, counter_public, name_of, primary_point, sized
from strongroom.base.errors import AnchorMoved, AnchorUnavailable, Misconfigured
from strongroom.crypto.ecdh import InvalidPoint, one_time_agreement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INDEX = 0x01800042
UNDEFINE_SPACE = 0x00000122
_GET_TEST_RESULT = 0x0000017C


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[SoftwareTpm]:
    with software_tpm(tmp_path) as running:
        yield running


@pytest.fixture
def counter(tpm: SoftwareTpm) -> Iterator[TpmCounter]:
    made = TpmCounter.create(tpm.socket, INDEX)
    yield made
    made.close()


def test_a_counter_is_found_again_under_its_name(tpm: SoftwareTpm, counter: TpmCounter) -> None:
    value = counter.advance(counter.read().value).value
    counter.close()
    again = TpmCounter(tpm.socket, INDEX)
    assert (again.anchor_id, again.read().value) == (counter.anchor_id, value)
    again.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_tpm_that_lost_its_power_is_not_set_back(tpm: SoftwareTpm, counter: TpmCounter, how: signal.Signals) -> None:
    value = counter.read().value
    for step in range(5):
        counter.advance(value + step)
    tpm.stop(how)
    tpm.start()
    assert counter.read().value >= value + 5  # over a new session, made without being asked
    assert counter.advance(counter.read().value).value > value + 5


def test_a_tpm_that_is_gone_is_unavailable(tpm: SoftwareTpm, counter: TpmCounter) -> None:
    tpm.stop()
    with pytest.raises(AnchorUnavailable):
        counter.read()
    with pytest.raises(AnchorUnavailable):
        counter.advance(1)


def test_another_tpm_at_the_same_place_is_refused(tmp_path: Path, tpm: SoftwareTpm, counter: TpmCounter) -> None:
    value = counter.read().value
    tpm.stop()
    (tmp_path / "state").rename(tmp_path / "first")
    (tmp_path / "state").mkdir()
    tpm.start()
    with pytest.raises(AnchorUnavailable, match="another TPM"):
        counter.read()
    other = TpmCounter.create(tpm.socket, INDEX)
    assert other.anchor_id != counter.anchor_id
    other.close()
    with pytest.raises(AnchorUnavailable, match="another TPM"):
        counter.advance(value)


def test_an_index_in_use_is_refused(tpm: SoftwareTpm, counter: TpmCounter) -> None:
    counter.close()
    with pytest.raises(Misconfigured, match="0x01800042 is in use"):
        TpmCounter.create(tpm.socket, INDEX)


def test_a_counter_that_is_removed_and_made_again_goes_on_from_above(tpm: SoftwareTpm, counter: TpmCounter) -> None:
    value = counter.read().value
    for step in range(3):
        counter.advance(value + step)
    counter.close()
    session = TpmSession(connect(tpm.socket))
    owner = struct.pack(">I", Handle.OWNER)
    name = name_of(counter_public(INDEX, written=True))
    session.call(UNDEFINE_SPACE, [Handle.OWNER, INDEX], [owner, name])  # type: ignore[arg-type]
    session.close()
    session._connection.close()
    with pytest.raises(Refused):
        counter.read()
    counter.close()
    again = TpmCounter.create(tpm.socket, INDEX)
    assert again.read().value > value + 3
    again.close()


def test_somebody_else_s_increment_is_noticed(counter: TpmCounter) -> None:
    value = counter.read().value
    call = counter._call
    name = name_of(counter_public(INDEX, written=True))

    def interrupted(action: Callable[[TpmSession], object], *, again: bool = False) -> object:
        if not again:
            call(lambda session: session.call(Command.NV_INCREMENT, [INDEX] * 2, [name] * 2))
        return call(action, again=again)

    counter._call = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(AnchorMoved):
        counter.advance(value)


class LyingBus:
    """Passes commands on and changes what comes back."""

    def __init__(self, inner: Connection, lie: Callable[[int, Response], Response]) -> None:
        self._inner = inner
        self._lie = lie

    def send(self, tag: int, command: int, body: bytes) -> Response:
        return self._lie(command, self._inner.send(tag, command, body))

    def close(self) -> None:
        self._inner.close()


def lying(counter: TpmCounter, monkeypatch: pytest.MonkeyPatch, lie: Callable[[int, Response], Response]) -> None:
    counter.close()
    monkeypatch.setattr(counter_module, "connect", lambda path: LyingBus(connect(path), lie))


def flipped(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def test_an_answer_changed_anywhere_is_refused(counter: TpmCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    length = 4 + 10 + 2 + 32 + 1 + 2 + 32
    for where in range(length):

        def lie(command: int, response: Response, where: int = where) -> Response:
            if command != Command.NV_READ:
                return response
            assert len(response.body) == length
            return Response(code=0, body=flipped(response.body, where))

        lying(counter, monkeypatch, lie)
        with pytest.raises(AnchorUnavailable):
            counter.read()


def test_an_older_answer_is_refused(counter: TpmCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    value = counter.read().value
    kept: list[Response] = []

    def lie(command: int, response: Response) -> Response:
        if command != Command.NV_READ:
            return response
        kept.append(response)
        return kept[0]

    lying(counter, monkeypatch, lie)
    assert counter.read().value == value
    with pytest.raises(AnchorUnavailable, match="does not prove"):
        counter.read()


def test_an_answer_of_one_command_is_none_of_another(counter: TpmCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = counter._opened()
    sent = opened._connection.send

    def exchanged(tag: int, command: int, body: bytes) -> Response:
        return sent(tag, _GET_TEST_RESULT if command == Command.READ_CLOCK else command, body)

    monkeypatch.setattr(opened._connection, "send", exchanged)
    with pytest.raises(AnchorUnavailable):
        opened.call(Command.READ_CLOCK)


def test_a_key_of_the_host_s_own_is_another_counter(tpm: SoftwareTpm, counter: TpmCounter) -> None:
    """Whoever answers for the TPM needs its key: with one of their own, the counter has another name."""
    counter.close()
    session = TpmSession(connect(tpm.socket))
    try:
        assert session.name == counter._key_name
    finally:
        session.close()
        session._connection.close()
    counter._key_name = name_of(b"a key of the host's own")
    with pytest.raises(AnchorUnavailable, match="another TPM"):
        counter.read()


@pytest.mark.parametrize("cut", [0, 3, 20])
def test_an_answer_cut_short_is_refused(counter: TpmCounter, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    for target in (Command.CREATE_PRIMARY, Command.START_AUTH_SESSION, Command.NV_READ, Command.READ_CLOCK):

        def lie(command: int, response: Response, target: Command = target) -> Response:
            return Response(code=0, body=response.body[:cut]) if command == target else response

        lying(counter, monkeypatch, lie)
        with pytest.raises(AnchorUnavailable):
            counter.read()


@pytest.mark.parametrize("target", [Command.CREATE_PRIMARY, Command.START_AUTH_SESSION, Command.NV_READ])
def test_a_failure_is_a_failure(counter: TpmCounter, monkeypatch: pytest.MonkeyPatch, target: Command) -> None:
    def lie(command: int, response: Response) -> Response:
        return Response(code=0x922, body=b"") if command == target else response

    lying(counter, monkeypatch, lie)
    with pytest.raises(Refused, match="0x922"):
        counter.read()


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x01", b"\x80\x01" + bytes(8), b"\x80\x01\x00\x00\x00\x0b" + bytes(4), bytes(5000)]
)
def test_a_response_of_a_wrong_length_is_refused(data: bytes) -> None:
    with pytest.raises(AnchorUnavailable, match="wrong length"):
        Response.from_bytes(data)


@pytest.mark.parametrize("public", [b"", b"\x00\x23" + bytes(60), sized(bytes(80))])
def test_another_key_than_asked_for_is_refused(public: bytes) -> None:
    with pytest.raises(AnchorUnavailable):
        primary_point(public)


def test_a_point_off_the_curve_is_refused() -> None:
    with pytest.raises(InvalidPoint):
        one_time_agreement(bytes(32), bytes([1]) * 32)


def test_a_device_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(AnchorUnavailable, match="cannot be reached"):
        TpmCounter(tmp_path / "nothing", INDEX)


def test_a_file_that_is_no_device_gives_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(AnchorUnavailable, match="wrong length"):
        TpmCounter(path, INDEX)
