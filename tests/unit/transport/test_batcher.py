"""One quote for many: who waits, who shares, and what a failure or a departure means to the others."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from attested import AT, Enclave, new_platform
from store_client import FakeClock
from strongroom.base.errors import AttesterUnavailable, StorageUnavailable
from strongroom.channel.messages import Attestation
from strongroom.crypto import merkle
from strongroom.formats.claims import Claims, report_data
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.transport import batcher as batcher_module
from strongroom.transport.batcher import QuoteBatcher


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform) -> Enclave:
    return Enclave(platform)


class SlowAttester:
    """Takes its time, notes overlaps, and fails when told."""

    kind = "sgx-dcap-3"

    def __init__(self, enclave: Enclave, seconds: float = 0.1) -> None:
        self.enclave = enclave
        self.seconds = seconds
        self.error: Exception | None = None
        self.quotes = 0
        self._busy = threading.Lock()

    def evidence(self, data: bytes) -> bytes:
        assert self._busy.acquire(blocking=False), "two quotes at a time"
        try:
            self.quotes += 1
            time.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return self.enclave.evidence(data)
        finally:
            self._busy.release()


def proves(attestation: Attestation, leaf: bytes) -> bool:
    claims = Claims.from_bytes(attestation.claims)
    quoted = SgxQuote.from_bytes(attestation.evidence).report.report_data
    return quoted == report_data(attestation.claims) and merkle.verify_inclusion(
        leaf, index=attestation.index, size=claims.size, path=attestation.path, root=claims.root
    )


def new_batcher(enclave: Enclave, seconds: float = 0.1) -> tuple[QuoteBatcher, SlowAttester]:
    attester = SlowAttester(enclave, seconds)
    return QuoteBatcher(attester, enclave, FakeClock(AT)), attester


def test_a_lone_client_gets_a_quote_at_once(enclave) -> None:
    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.0)
        for count in range(1, 4):
            leaf = os.urandom(32)
            attestation = await asyncio.wait_for(batcher.attest(leaf), 1.0)
            assert proves(attestation, leaf)
            assert Claims.from_bytes(attestation.claims).size == 1
            assert attester.quotes == count

    asyncio.run(run())


def test_whoever_arrives_during_a_quote_shares_the_next_one(enclave) -> None:
    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.2)
        leaves = [os.urandom(32) for _ in range(101)]
        first = asyncio.create_task(batcher.attest(leaves[0]))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.attest(leaf)) for leaf in leaves[1:]]
        attestations = await asyncio.gather(first, *others)
        assert attester.quotes == 2
        assert [Claims.from_bytes(item.claims).size for item in attestations] == [1] + [100] * 100
        assert all(proves(item, leaf) for item, leaf in zip(attestations, leaves, strict=True))
        assert not proves(attestations[1], leaves[2])

    asyncio.run(run())


def test_a_stream_of_clients_takes_far_fewer_quotes_than_there_are_clients(enclave) -> None:
    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.1)
        leaves = [os.urandom(32) for _ in range(60)]
        tasks = []
        for leaf in leaves:
            tasks.append(asyncio.create_task(batcher.attest(leaf)))
            await asyncio.sleep(0.01)
        attestations = await asyncio.gather(*tasks)
        assert all(proves(item, leaf) for item, leaf in zip(attestations, leaves, strict=True))
        assert attester.quotes <= 15

    asyncio.run(run())


@pytest.mark.parametrize("during_the_quote", [True, False])
def test_a_client_that_leaves_does_not_hurt_the_others(enclave, during_the_quote: bool) -> None:
    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.1)
        first = asyncio.create_task(batcher.attest(os.urandom(32)))
        await asyncio.sleep(0.02)
        leaves = [os.urandom(32) for _ in range(4)]
        waiting = [asyncio.create_task(batcher.attest(leaf)) for leaf in leaves]
        await asyncio.sleep(0.12 if during_the_quote else 0.02)
        waiting[1].cancel()
        await first
        with pytest.raises(asyncio.CancelledError):
            await waiting[1]
        for index in (0, 2, 3):
            attestation = await waiting[index]
            assert proves(attestation, leaves[index])
            assert Claims.from_bytes(attestation.claims).size == (4 if during_the_quote else 3)
        assert attester.quotes == 2

    asyncio.run(run())


def test_no_quote_is_made_when_everybody_has_left(enclave) -> None:
    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.1)
        first = asyncio.create_task(batcher.attest(os.urandom(32)))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(batcher.attest(os.urandom(32)))
        await asyncio.sleep(0.02)
        second.cancel()
        await first
        await asyncio.sleep(0.05)
        assert attester.quotes == 1
        leaf = os.urandom(32)
        assert proves(await batcher.attest(leaf), leaf)

    asyncio.run(run())


@pytest.mark.parametrize("error", [AttesterUnavailable("no device", retry_after_seconds=3.0), OSError(5, "I/O error")])
def test_a_failing_attester_is_each_waiting_clients_answer_and_then_over(enclave, error: Exception) -> None:
    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.05)
        attester.error = error
        results = await asyncio.gather(*(batcher.attest(os.urandom(32)) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(item, AttesterUnavailable) for item in results)
        assert len({id(item) for item in results}) == 5
        if isinstance(error, AttesterUnavailable):
            assert {item.retry_after_seconds for item in results} == {3.0}
        else:
            assert "I/O error" not in str(results[0])
        attester.error = None
        leaf = os.urandom(32)
        assert proves(await batcher.attest(leaf), leaf)

    asyncio.run(run())


def test_a_database_that_fails_while_certifying_keeps_its_name(enclave) -> None:
    class Broken:
        def identity(self, _at: object) -> object:
            raise StorageUnavailable("no database")

    async def run() -> None:
        batcher = QuoteBatcher(SlowAttester(enclave), Broken(), FakeClock(AT))
        with pytest.raises(StorageUnavailable, match="no database"):
            await batcher.attest(os.urandom(32))

    asyncio.run(run())


def test_a_batch_has_a_greatest_size_and_the_queue_an_end(enclave, monkeypatch) -> None:
    monkeypatch.setattr(batcher_module, "MAX_BATCH", 4)
    monkeypatch.setattr(batcher_module, "_MAX_WAITING", 8)

    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.05)
        first = asyncio.create_task(batcher.attest(os.urandom(32)))
        await asyncio.sleep(0.02)
        waiting = [asyncio.create_task(batcher.attest(os.urandom(32))) for _ in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(AttesterUnavailable, match="too many") as refused:
            await batcher.attest(os.urandom(32))
        assert refused.value.retry_after_seconds
        sizes = [Claims.from_bytes(item.claims).size for item in await asyncio.gather(first, *waiting)]
        assert sizes == [1] + [4] * 8
        assert attester.quotes == 3

    asyncio.run(run())


# ten thousand clients


class TimedAttester:
    """Makes no evidence that anybody could check, and takes its time."""

    kind = "sgx-dcap-3"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.quoted: list[bytes] = []

    def evidence(self, data: bytes) -> bytes:
        time.sleep(self.seconds)
        self.quoted.append(data)
        return data


@pytest.mark.parametrize("seconds", [0.02, 1.0])
def test_ten_thousand_clients_together_take_the_quote_that_is_being_made_and_the_next(enclave, seconds: float) -> None:
    async def run() -> None:
        attester = TimedAttester(seconds)
        batcher = QuoteBatcher(attester, enclave, FakeClock(AT))
        leaves = [os.urandom(32) for _ in range(10_000)]
        first = asyncio.create_task(batcher.attest(leaves[0]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        attestations = await asyncio.gather(first, *(batcher.attest(leaf) for leaf in leaves[1:]))
        assert len(attester.quoted) == 2
        assert [Claims.from_bytes(item.claims).size for item in attestations[:2]] == [1, 9_999]
        for place in (1, 2, 4_999, 9_999):
            shown = attestations[place]
            claims = Claims.from_bytes(shown.claims)
            assert shown.evidence == report_data(shown.claims) == attester.quoted[1]
            assert merkle.verify_inclusion(
                leaves[place], index=shown.index, size=claims.size, path=shown.path, root=claims.root
            )

    asyncio.run(run())


def test_ten_thousand_clients_one_after_the_other_take_a_quote_for_each_time_that_one_takes(enclave) -> None:
    async def run() -> None:
        attester = TimedAttester(0.02)
        batcher = QuoteBatcher(attester, enclave, FakeClock(AT))
        begun = time.monotonic()
        tasks = []
        for _ in range(100):
            tasks += [asyncio.create_task(batcher.attest(os.urandom(32))) for _ in range(100)]
            await asyncio.sleep(0.005)
        attestations = await asyncio.gather(*tasks)
        took = time.monotonic() - begun
        assert 2 <= len(attester.quoted) <= took / 0.02 + 1
        # whoever came earlier is in the same batch or in an earlier one, and before the others in it
        batches = [attester.quoted.index(item.evidence) for item in attestations]
        order = list(zip(batches, (item.index for item in attestations), strict=True))
        assert order == sorted(order)

    asyncio.run(run())


def test_who_leaves_makes_room_at_once(enclave, monkeypatch) -> None:
    monkeypatch.setattr(batcher_module, "_MAX_WAITING", 3)

    async def run() -> None:
        batcher, attester = new_batcher(enclave, 0.2)
        first = asyncio.create_task(batcher.attest(os.urandom(32)))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(batcher.attest(os.urandom(32))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(AttesterUnavailable, match="too many"):
            await batcher.attest(os.urandom(32))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        leaf = os.urandom(32)
        assert proves(await batcher.attest(leaf), leaf)
        await first
        assert attester.quotes == 2

    asyncio.run(run())


def test_a_worker_that_is_stopped_leaves_nobody_waiting_and_the_next_client_starts_another(enclave) -> None:
    async def run() -> None:
        batcher, _ = new_batcher(enclave, 0.1)
        task = asyncio.create_task(batcher.attest(os.urandom(32)))
        await asyncio.sleep(0.02)
        assert batcher._worker is not None
        batcher._worker.cancel()
        with pytest.raises(AttesterUnavailable, match="CancelledError"):
            await task
        await asyncio.sleep(0.15)  # the device is still busy with what it was asked for
        leaf = os.urandom(32)
        assert proves(await batcher.attest(leaf), leaf)

    asyncio.run(run())
