"""The attested channel beside TLS 1.3, in one run: handshakes, many clients, requests, downloads, memory.

    python -m bench.channel [FOLDER FOR THE FIGURES]

For handshakes in memory the peers are those of ``bench.tls``; for what goes through a socket it is the same service,
served over https by the same server (``bench.channel_traffic``).
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.channel_traffic import growth, served_handshakes, traffic
from bench.plot import bars
from bench.tls import peers
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.channel.client import ClientExchange, ClientResumption, ClientTerms
from strongroom.channel.keyed import KeyedRequest, ServerKeyedExchange
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.secure import ServerChannel
from strongroom.channel.server import Batch, ServerExchange
from strongroom.cli.measured import RELEASE_SIGNER, measure_store
from strongroom.client.trust import standing_policy
from strongroom.crypto.hashing import digest_of, sha256
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.transport.batcher import QuoteBatcher
from strongroom.transport.clock import SystemClock
from strongroom.transport.resumptions import Origin, ResumptionTable
from strongroom.transport.table import ChannelLimits, ChannelTable
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.tls import Handshake
    from strongroom.channel.server import InstanceIdentity

HANDSHAKE_ROUNDS = 41
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Bench:
    """A platform, a deployment and a client's terms."""

    def __init__(self, folder: Path) -> None:
        platform = SimulatedPlatform.open(folder / "platform", create=True)
        self.attester = platform.enclave(EnclaveIdentity(mr_enclave=measure_store(), mr_signer=RELEASE_SIGNER))
        deployment = Deployment.create(MemoryRecordStore(), self.attester)
        self.identity = deployment.identity(NOW)
        self.collateral = platform.collateral(NOW).to_json()
        root = Anchor.from_certificate(platform.root_certificate_pem, simulated=True).spki
        policy = standing_policy(measure_store(), simulated_root=root)
        self.terms = ClientTerms(policy=policy, deployment=deployment.deployment_id)
        self.known: dict[bytes, bytes] = {}
        self.memo = Memo(capacity=1000)
        first, answer = self.answers(1)[0]
        collateral = first.finish(answer, elapsed_seconds=0.1, at=NOW).collateral
        self.known = {sha256(collateral): collateral}
        self.hello = ClientExchange(self.terms, collateral=self.known).hello

    def answers(self, clients: int) -> list[tuple[ClientExchange, bytes]]:
        """One batch of exchanges: what each client sent and what it gets back."""
        begun = [ClientExchange(self.terms, collateral=self.known, memo=self.memo) for _ in range(clients)]
        return list(zip(begun, self.serve([exchange.hello for exchange in begun]), strict=True))

    def serve(self, hellos: list[bytes]) -> list[bytes]:
        """The server's part: secrets, one batch, one quote, the answers."""
        key = self.identity.deployment_key
        exchanges = [ServerExchange(hello, deployment_key=key, collateral=self.collateral) for hello in hellos]
        batch = Batch([exchange.leaf for exchange in exchanges], self.identity)
        evidence = self.attester.evidence(batch.report_data)
        return [exchange.answer(batch.attestation(i, evidence)) for i, exchange in enumerate(exchanges)]


def handshakes(bench: Bench, folder: Path, figures: Path) -> dict[str, float]:
    """Print and draw the CPU time of handshakes; gives TLS's at the server for each kind, in milliseconds."""
    ours = {f"attested, one of {count}": partial(attested, bench, count) for count in (1, 16, 256)}
    kinds: dict[str, Callable[[], Handshake]] = {
        **{f"TLS 1.3, {name}": peer for name, peer in peers(folder).items()},
        **ours,
        "attested, a client that knows nothing": partial(attested, bench, 16, warm=False),
        "resumed": partial(resumed, bench),
    }
    spent: dict[str, list[Handshake]] = {name: [] for name in kinds}
    for _ in range(HANDSHAKE_ROUNDS):  # in turns, so that whatever else the machine does meets all of them
        for name, handshake in kinds.items():
            # sixteen of each in a row: a processor that has just done one is quicker at the next, whoever's it is
            alone = name.startswith("TLS") or name.endswith("of 1")
            rounds = [handshake() for _ in range(16 if alone else 1)]
            server, client = (statistics.fmean(sides) * 1000 for sides in zip(*rounds, strict=True))
            spent[name].append((server, client))
    medians = {name: tuple(map(statistics.median, zip(*both, strict=True))) for name, both in spent.items()}
    least = spent["TLS 1.3, pinned"]
    print("handshake, CPU ms                          server    client    of TLS 1.3, pinned   server's per CPU second")
    for name, (server, client) in medians.items():
        # of each round by itself, since the machine's other work changes from one to the next
        of_tls = [
            statistics.median(ours[side] / theirs[side] for ours, theirs in zip(spent[name], least, strict=True))
            for side in (0, 1)
        ]
        ratios = f"{of_tls[0]:4.2f} and {of_tls[1]:4.2f}"
        print(f"{name:40}  {server:7.3f}   {client:7.3f}    {ratios:20} {1000 / server:8.0f}")
    for side, title in enumerate(("at the server", "at the client")):
        bars(
            figures / f"handshakes-{('server', 'client')[side]}.svg",
            f"CPU time of a handshake {title}",
            "milliseconds of CPU, less is better",
            [
                (name, both[side], 0 if name.startswith(("attested", "resumed")) else 1)
                for name, both in medians.items()
            ],
            "pinned, issued: X25519. hybrid, and all of ours: X25519 with ML-KEM-768.",
        )
    return {name.removeprefix("TLS 1.3, "): both[0] for name, both in medians.items() if name.startswith("TLS")}


def attested(bench: Bench, count: int, *, warm: bool = True) -> Handshake:
    """Give the CPU seconds of an attested handshake: one of ``count`` under one quote.

    A warm client knows platform and collateral from an earlier session, a cold one nothing.
    """
    memo, known = (bench.memo, bench.known) if warm else (None, {})
    start = time.process_time()
    begun = [ClientExchange(bench.terms, collateral=known, memo=memo) for _ in range(min(count, 16))]
    client = time.process_time() - start
    others = [bench.hello] * (count - len(begun))
    start = time.process_time()
    answers = bench.serve([*(exchange.hello for exchange in begun), *others])
    server = time.process_time() - start
    start = time.process_time()
    for exchange, answer in zip(begun, answers, strict=False):
        exchange.finish(answer, elapsed_seconds=0.1, at=NOW)
    return server / count, (client + time.process_time() - start) / len(begun)


def resumed(bench: Bench, count: int = 16) -> Handshake:
    """Give the CPU seconds of one resumption."""
    facts = {
        "deployment": sha256(bench.identity.deployment_key),
        "epoch": bench.identity.epoch,
        "collateral_digest": digest_of(bench.collateral),
    }
    pairs = bench.answers(count)
    earlier = [exchange.finish(answer, elapsed_seconds=0.1, at=NOW) for exchange, answer in pairs]
    keys = [channel.channel.resumption_key()[1] for channel in earlier]
    start = time.process_time()
    attempts = [ClientResumption(channel, bench.terms, at=NOW) for channel in earlier]
    asked = time.process_time()
    answers = []
    for attempt, key in zip(attempts, keys, strict=True):
        request = KeyedRequest.from_bytes(attempt.request)
        if not request.is_proven_by(key):
            raise SystemExit("the request does not prove its key")
        exchange = ServerKeyedExchange(request, key, **facts)
        exchange.channel()
        answers.append(exchange.answer)
    answered = time.process_time()
    for attempt, answer in zip(attempts, answers, strict=True):
        attempt.finish(answer, at=NOW)
    return (answered - asked) / count, (asked - start + time.process_time() - answered) / count


class SlowDevice:
    """A quoting device that takes a given time and none of ours."""

    kind = "sgx-dcap-3"

    def __init__(self, seconds: float, evidence: bytes) -> None:
        self.seconds = seconds
        self.quotes = 0
        self._evidence = evidence

    def evidence(self, report_data: bytes) -> bytes:
        time.sleep(self.seconds)
        self.quotes += 1
        return self._evidence if report_data else b""


class Standing:
    """Implements ``IdentitySource`` and ``Clock`` for a moment that does not pass."""

    def __init__(self, bench: Bench) -> None:
        self._identity = bench.identity

    def identity(self, at: datetime) -> InstanceIdentity:
        del at
        return self._identity

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return time.monotonic()


async def idle(count: int) -> None:
    """Let as many tasks wait for one future each, and wake them."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(count)]

    async def wait(future: asyncio.Future[None]) -> None:
        await future

    loop.call_later(0.02, lambda: [future.set_result(None) for future in futures])
    await asyncio.gather(*map(wait, futures))


def crowd(bench: Bench, tls: dict[str, float], figures: Path, count: int = 10_000) -> None:
    """Ten thousand clients that arrive together."""
    evidence = bench.attester.evidence(bytes(64))
    hello, tls_server, parts = bench.hello, tls["pinned"], {}
    print(
        f"{count} clients together              quotes   seconds   server CPU ms a client   attestation's part, of TLS"
    )
    for seconds in (0.02, 1.0):
        device = SlowDevice(seconds, evidence)
        standing = Standing(bench)

        async def arrive(device: SlowDevice = device, standing: Standing = standing) -> tuple[float, float]:
            batcher = QuoteBatcher(device, standing, standing)
            leaves = [os.urandom(32) for _ in range(count)]
            start = time.process_time()
            await idle(count)  # what waiting costs without a quote
            waited = time.process_time()
            await asyncio.gather(*map(batcher.attest, leaves))
            proofs = time.process_time() - waited - (waited - start)
            batcher = QuoteBatcher(device, standing, standing)
            device.quotes = 0

            async def one() -> None:
                exchange = ServerExchange(
                    hello, deployment_key=bench.identity.deployment_key, collateral=bench.collateral
                )
                exchange.answer(await batcher.attest(exchange.leaf))
                exchange.channel()

            whole = time.process_time()
            await asyncio.gather(*(one() for _ in range(count)))
            return proofs / count * 1000, (time.process_time() - whole) / count * 1000

        start = time.monotonic()
        part, whole = asyncio.run(arrive())
        took = time.monotonic() - start
        print(
            f"a quote takes {seconds:4.2f} s              {device.quotes:6}   {took:7.2f}   {whole:22.3f}"
            f"   {part:.4f} ms, 1/{tls_server / part:.0f} of TLS"
        )
        parts[f"quote and proofs, {seconds:g} s a quote ({device.quotes} of them)"] = part
    bars(
        figures / "crowd.svg",
        f"{count:,} clients that arrive together: the quote's part of the server's work",
        "milliseconds of CPU a client, less is better",
        [*((name, part, 0) for name, part in parts.items()), ("TLS 1.3, pinned: a whole handshake", tls_server, 1)],
    )


def memory(figures: Path, count: int = 20_000) -> None:
    """What one idle channel takes in the server."""
    table = ChannelTable(ChannelLimits(max_channels=count), SystemClock())
    resumptions = ResumptionTable(capacity=count, max_age_seconds=86_400.0, clock=SystemClock())
    origin = Origin(attested=0.0, epoch=1, collateral_digest=bytes(32))
    sizes = []
    for work in ("channel", "resumption"):
        gc.collect()
        before = resident()
        for _ in range(count):
            keys = KeySchedule.derive(os.urandom(32), os.urandom(32))
            if work == "channel":
                table.add(ServerChannel(keys), origin=origin)
            else:
                resumptions.keep(KeySchedule.resumption_of(keys.further), origin)
        gc.collect()
        sizes.append((resident() - before) / count)
    bars(
        figures / "memory.svg",
        "Memory that a client takes in the server",
        "KiB, less is better",
        [("a channel", sizes[0] / 1024, 0), ("a session that can be resumed", sizes[1] / 1024, 0)],
    )
    print(f"memory in the server: {sizes[0]:.0f} bytes a channel, {sizes[1]:.0f} bytes a session that can be resumed")


def resident() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run, print, and draw into the folder given, or docs/figures."""
    figures = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "figures"
    figures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        memory(figures)
        bench = Bench(folder)
        tls = handshakes(bench, folder, figures)
        crowd(bench, tls, figures)
        pem = folder / "tls.pem"
        served_handshakes(bench.hello, folder, pem, figures)
        traffic(bench.terms.policy, folder, pem, figures)
        growth(bench.terms.policy, folder, pem, figures)


if __name__ == "__main__":
    sys.exit(main())
