"""The attested channel beside TLS 1.3, in one run: handshakes, many clients, requests, downloads, memory.

    python -m bench.channel

For handshakes the peer is Python's own ssl over memory: X25519, a P-256 certificate, no client certificate, no
resumption. For requests and downloads it is the same service, served over https by the same server.
"""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.channel_served import MIB, served
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.channel.client import ClientExchange, ClientResumption, ClientTerms
from strongroom.channel.keyed import KeyedRequest, ServerKeyedExchange
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.secure import ServerChannel
from strongroom.channel.server import Batch, ServerExchange
from strongroom.cli.measured import RELEASE_SIGNER, measure_store
from strongroom.client.trust import standing_policy
from strongroom.crypto.hashing import sha256
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.batcher import QuoteBatcher
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock
from strongroom.transport.resumptions import Origin, ResumptionTable
from strongroom.transport.table import ChannelLimits, ChannelTable
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.channel_served import Served
    from strongroom.channel.server import InstanceIdentity

ROUNDS = 7
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def cpu_ms(work: Callable[[], object], repeat: int) -> float:
    """Median over the rounds of the CPU time of one call, in milliseconds."""
    samples = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(repeat):
            work()
        samples.append((time.process_time() - start) / repeat * 1000)
    return statistics.median(samples)


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


def tls_handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[float, float]:
    """One TLS 1.3 handshake over memory; gives the CPU seconds of the server's and of the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = {
        "client": client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        "server": server.wrap_bio(to_server, to_client, server_side=True),
    }
    spent, waiting = {"client": 0.0, "server": 0.0}, ["client", "server"]
    while waiting:
        side = waiting.pop(0)
        start = time.process_time()
        try:
            sides[side].do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
        spent[side] += time.process_time() - start
    return spent["server"], spent["client"]


def tls_cpu_ms(folder: Path, repeat: int) -> tuple[float, float]:
    """Median CPU time of a handshake at the server and at the client, in milliseconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW.replace(year=2027))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "tls.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    server.num_tickets = 0
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(pem)
    rounds = []
    for _ in range(ROUNDS):
        both = [tls_handshake(server, client) for _ in range(repeat)]
        rounds.append((statistics.mean(s for s, _ in both) * 1000, statistics.mean(c for _, c in both) * 1000))
    return statistics.median(s for s, _ in rounds), statistics.median(c for _, c in rounds)


def handshakes(bench: Bench, folder: Path) -> tuple[float, float]:
    """Print the CPU time of handshakes; gives TLS's at the server and at the client, in milliseconds."""
    tls_server, tls_client = tls_cpu_ms(folder, 50)
    server = 0.0

    def row(name: str, server: float, client: float) -> None:
        ratios = f"{server / tls_server:4.2f} and {client / tls_client:4.2f}"
        print(f"{name:50}  {server:6.3f}    {client:6.3f}    {ratios}")

    print("handshake, CPU ms                                   server    client    of TLS")
    row("TLS 1.3 (X25519, P-256)", tls_server, tls_client)
    for clients in (1, 16, 256):
        hellos = [ClientExchange(bench.terms, collateral=bench.known, memo=bench.memo).hello for _ in range(clients)]
        server = cpu_ms(lambda hellos=hellos: bench.serve(hellos), max(1, 64 // clients)) / clients
        for warm in (False, True):
            client = client_ms(bench, clients, warm=warm)
            row(f"attested, {clients:3} in a batch, {'warm' if warm else 'cold'} client", server, client)
    resumed, client = resumption_ms(bench)
    row("resumed", resumed, client)
    print(
        f"handshakes per server CPU-second: TLS {1000 / tls_server:.0f}, "
        f"attested in batches of 256 {1000 / server:.0f}, resumed {1000 / resumed:.0f}"
    )
    return tls_server, tls_client


def client_ms(bench: Bench, clients: int, *, warm: bool) -> float:
    """The client's whole part: hello and verdict; a warm one knows platform and collateral."""
    samples: list[float] = []
    for _ in range(ROUNDS):
        memo = bench.memo if warm else None
        known = bench.known if warm else {}
        count = min(clients, 16)
        start = time.process_time()
        begun = [ClientExchange(bench.terms, collateral=known, memo=memo) for _ in range(count)]
        spent = time.process_time() - start
        answers = bench.serve([exchange.hello for exchange in begun])
        start = time.process_time()
        finished = [
            exchange.finish(answer, elapsed_seconds=0.1, at=NOW)
            for exchange, answer in zip(begun, answers, strict=True)
        ]
        samples.append((spent + time.process_time() - start) / count * 1000)
        bench.known = {sha256(finished[0].collateral): finished[0].collateral}
    return statistics.median(samples[1:])


def resumption_ms(bench: Bench, count: int = 50) -> tuple[float, float]:
    """The CPU time of one resumption at the server and at the client."""
    servers, clients = [], []
    facts = {
        "deployment": sha256(bench.identity.deployment_key),
        "epoch": bench.identity.epoch,
        "collateral_digest": sha256(bench.collateral),
    }
    for _ in range(ROUNDS):
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
            resumed = ServerKeyedExchange(request, key, **facts)
            resumed.channel()
            answers.append(resumed.answer)
        answered = time.process_time()
        for attempt, answer in zip(attempts, answers, strict=True):
            attempt.finish(answer, at=NOW)
        servers.append((answered - asked) / count * 1000)
        clients.append((asked - start + time.process_time() - answered) / count * 1000)
    return statistics.median(servers), statistics.median(clients)


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


def crowd(bench: Bench, tls_server: float, count: int = 10_000) -> None:
    """Ten thousand clients that arrive together."""
    evidence = bench.attester.evidence(bytes(64))
    hello = ClientExchange(bench.terms, collateral=bench.known).hello
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


def memory(count: int = 20_000) -> None:
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
    print(f"memory in the server: {sizes[0]:.0f} bytes a channel, {sizes[1]:.0f} bytes a session that can be resumed")


def resident() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def traffic(bench: Bench, folder: Path, pem: Path) -> None:
    """Requests and a download of 100 MiB, in the channel and over https, each server a process of its own."""
    context = ssl.create_default_context(cafile=str(pem))
    terms = ClientTerms(policy=bench.terms.policy, deployment=None)
    figures: dict[str, list[float]] = {}
    with served("tls", folder, pem) as tls, served("channel", folder, pem) as channel:
        clients = {
            "https": (tls, httpx2.Client(base_url=tls.url, verify=context, trust_env=False, timeout=60)),
            "channel": (
                channel,
                httpx2.Client(
                    transport=AttestedTransport(channel.url, terms, clock=SystemClock()), base_url="https://store"
                ),
            ),
        }
        for name, (server, client) in clients.items():
            client.post("/", content=b"x")
            figures[name] = [*requests(server, client), *download(server, client)]
            client.close()
    print("one client, one connection          https    channel    ratio")
    rows = ("requests per second", "server CPU ms a request", "download MiB/s", "server CPU s a download")
    for place, row in enumerate(rows):
        ours, theirs = figures["channel"][place], figures["https"][place]
        print(f"{row:30} {theirs:10.2f} {ours:10.2f} {ours / theirs:8.2f}")


def requests(server: Served, client: httpx2.Client) -> tuple[float, float]:
    """Requests of 1 KiB one after the other: per second, and CPU milliseconds of the server for each."""
    body, rates, costs = bytes(1024), [], []
    for _ in range(3):
        start, spent = time.monotonic(), server.cpu()
        for _ in range(500):
            client.post("/", content=body)
        rates.append(500 / (time.monotonic() - start))
        costs.append((server.cpu() - spent) / 500 * 1000)
    return statistics.median(rates), statistics.median(costs)


def download(server: Served, client: httpx2.Client) -> tuple[float, float]:
    """A download of 100 MiB: MiB per second, and CPU seconds of the server."""
    rates, costs = [], []
    for _ in range(3):
        start, spent = time.monotonic(), server.cpu()
        with client.stream("GET", "/100") as answer:
            size = sum(len(piece) for piece in answer.iter_raw())
        if size != 100 * MIB:
            raise SystemExit("the download is not whole")
        rates.append(100 / (time.monotonic() - start))
        costs.append(server.cpu() - spent)
    return statistics.median(rates), statistics.median(costs)


def growth(bench: Bench, folder: Path, pem: Path) -> None:
    """Clients with a channel each, from 10 to 5,000, all at one server; 50 requests are under way at any time."""
    terms = ClientTerms(policy=bench.terms.policy, deployment=None)
    print("clients   exchanges/s   request p50 ms   p99 ms   server KiB a client")
    with served("channel", folder, pem) as server:
        for count in (10, 100, 1000, 5000):
            before = server.rss()
            rate, latencies = asyncio.run(visit(server.url, terms, count))
            grown = (server.rss() - before) / count / 1024
            p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
            print(f"{count:7}   {rate:11.0f}   {p50:14.1f}   {p99:6.1f}   {grown:19.1f}")


async def visit(url: str, terms: ClientTerms, count: int) -> tuple[float, list[float]]:
    """Open ``count`` channels, then make a request in each; gives exchanges per second and milliseconds."""
    limits = httpx2.Limits(max_connections=50, max_keepalive_connections=50)
    outer = httpx2.AsyncHTTPTransport(trust_env=False, limits=limits)
    transports = [AsyncAttestedTransport(url, terms, clock=SystemClock(), outer=outer) for _ in range(count)]
    busy = asyncio.Semaphore(50)
    latencies = []

    async def open_channel(transport: AsyncAttestedTransport) -> None:
        async with busy:
            await transport.peer()

    async def ask(transport: AsyncAttestedTransport) -> None:
        async with busy:
            start = time.monotonic()
            request = httpx2.Request("POST", "https://store/", content=bytes(1024))
            response = await transport.handle_async_request(request)
            await response.aread()
            latencies.append((time.monotonic() - start) * 1000)

    start = time.monotonic()
    await asyncio.gather(*map(open_channel, transports))
    rate = count / (time.monotonic() - start)
    await asyncio.gather(*map(ask, transports))
    await outer.aclose()
    return rate, latencies


def main() -> None:
    """Run and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        memory()
        bench = Bench(folder)
        tls_server, _ = handshakes(bench, folder)
        crowd(bench, tls_server)
        traffic(bench, folder, folder / "tls.pem")
        growth(bench, folder, folder / "tls.pem")


if __name__ == "__main__":
    sys.exit(main())
