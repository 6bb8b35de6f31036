"""What goes through sockets: handshakes, requests, downloads and thousands of clients, https and the channel in turns.

Part of ``python -m bench.channel``. Each server is a process of its own; CPU is the operating system's account of it.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from typing import TYPE_CHECKING

import httpx2

from bench.channel_served import MIB, served
from bench.plot import bars, lines
from strongroom.channel.client import ClientTerms
from strongroom.transport.async_client import AsyncAttestedTransport
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bench.channel_served import Served
    from strongroom.verifier.policy_compose import Policy

__all__ = ["growth", "served_handshakes", "traffic"]

ROUNDS = 5
CONNECTIONS = 1000


def served_handshakes(hello: bytes, folder: Path, pem: Path, figures: Path) -> None:
    """Handshakes with the whole server, 50 clients at a time: TLS, and exchanges over plain http.

    A TLS client connects, makes the handshake and leaves; or posts as many bytes as a hello has before, and reads the
    answer. One of ours connects, posts its hello, reads the answer and leaves; or stays and posts twenty.
    """
    context = ssl.create_default_context(cafile=str(pem))

    async def tls(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        writer.close()

    async def tls_request(port: int) -> None:
        await ask(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost"), "/", 1)

    async def exchange(port: int, times: int = 1) -> None:
        await ask(*await asyncio.open_connection("127.0.0.1", port), "/strongroom/v1/exchange", times)

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, times: int) -> None:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n"
        post = f"{head}content-length: {len(hello)}\r\n\r\n".encode() + hello
        for _ in range(times):
            writer.write(post)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"no answer but {answer!r}")
            length = next(line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
        writer.close()

    async def stay(port: int) -> None:
        await exchange(port, 20)

    costs: dict[str, list[float]] = {}
    with served("tls", folder, pem) as https, served("channel", folder, pem) as channel:
        kinds = (
            ("TLS 1.3, a connection each", https, tls, CONNECTIONS, 1),
            ("TLS 1.3, a connection with one request", https, tls_request, CONNECTIONS, 1),
            ("attested, a connection each", channel, exchange, CONNECTIONS, 1),
            ("attested, twenty on a connection", channel, stay, CONNECTIONS // 20, 20),
        )
        for _ in range(ROUNDS):
            for name, server, visit, visits, each in kinds:
                start = server.cpu()
                asyncio.run(_fifty_at_a_time(visit, server.port, visits))
                costs.setdefault(name, []).append((server.cpu() - start) / (visits * each) * 1000)
    medians = {name: statistics.median(values) for name, values in costs.items()}
    least = medians["TLS 1.3, a connection each"]
    print("handshakes with the whole server           server CPU ms    of TLS    per CPU second")
    for name, cost in medians.items():
        print(f"{name:40}   {cost:13.3f}    {cost / least:6.2f}    {1000 / cost:14.0f}")
    bars(
        figures / "handshakes-served.svg",
        "Handshakes with the whole server (uvicorn), 50 clients at a time",
        "handshakes per CPU second of the server, more is better",
        [(name, 1000 / cost, 1 if name.startswith("TLS") else 0) for name, cost in medians.items()],
    )


async def _fifty_at_a_time(visit: Callable[[int], Awaitable[None]], port: int, visits: int) -> None:
    busy = asyncio.Semaphore(50)

    async def one() -> None:
        async with busy:
            await visit(port)

    await asyncio.gather(*(one() for _ in range(visits)))


def traffic(policy: Policy, folder: Path, pem: Path, figures: Path) -> None:
    """Requests and a download of 100 MiB, in the channel and over https."""
    context = ssl.create_default_context(cafile=str(pem))
    terms = ClientTerms(policy=policy, deployment=None)
    samples: dict[str, list[tuple[float, ...]]] = {"https": [], "channel": []}
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
        for _, client in clients.values():
            client.post("/", content=b"x")
        for _ in range(ROUNDS):
            for name, (server, client) in clients.items():
                samples[name].append((*requests(server, client), *download(server, client)))
        for _, client in clients.values():
            client.close()
    found = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in samples.items()}
    print("one client, one connection          https    channel    ratio")
    rows = (
        "requests per second",
        "server CPU ms a request",
        "client CPU ms a request",
        "download MiB/s",
        "server CPU s a download",
        "client CPU s a download",
    )
    for place, row in enumerate(rows):
        ours, theirs = found["channel"][place], found["https"][place]
        print(f"{row:30} {theirs:10.3f} {ours:10.3f} {ours / theirs:8.2f}")

    def draw(name: str, title: str, unit: str, places: dict[str, int]) -> None:
        rows = [
            (f"{kind}{label}", found[kind][place], colour)
            for label, place in places.items()
            for kind, colour in (("https", 1), ("channel", 0))
        ]
        bars(figures / name, title, unit, rows)

    draw("requests.svg", "Requests of 1 KiB, one after the other", "requests per second, more is better", {"": 0})
    draw(
        "requests-cpu.svg",
        "CPU time of a request of 1 KiB",
        "milliseconds of CPU, less is better",
        {", server": 1, ", client": 2},
    )
    draw("download.svg", "A download of 100 MiB", "MiB per second, more is better", {"": 3})


def requests(server: Served, client: httpx2.Client) -> tuple[float, float, float]:
    """Requests of 1 KiB one after the other: per second, and CPU milliseconds of server and client for each."""
    body, count = bytes(1024), 1000
    start, spent, own = time.monotonic(), server.cpu(), time.process_time()
    for _ in range(count):
        client.post("/", content=body)
    took = time.monotonic() - start
    return count / took, (server.cpu() - spent) / count * 1000, (time.process_time() - own) / count * 1000


def download(server: Served, client: httpx2.Client) -> tuple[float, float, float]:
    """A download of 100 MiB: MiB per second, and CPU seconds of server and client."""
    start, spent, own = time.monotonic(), server.cpu(), time.process_time()
    with client.stream("GET", "/100") as answer:
        size = sum(len(piece) for piece in answer.iter_raw())
    if size != 100 * MIB:
        raise SystemExit("the download is not whole")
    return 100 / (time.monotonic() - start), server.cpu() - spent, time.process_time() - own


def growth(policy: Policy, folder: Path, pem: Path, figures: Path) -> None:
    """Clients with a channel each, from 10 to 5,000, all at one server; 50 requests are under way at any time."""
    terms = ClientTerms(policy=policy, deployment=None)
    curves: dict[str, list[tuple[float, float]]] = {"median": [], "99th": []}
    print("clients   exchanges/s   request p50 ms   p99 ms   server KiB a client")
    with served("channel", folder, pem) as server:
        for count in (10, 100, 1000, 5000):
            before = server.rss()
            rate, latencies = asyncio.run(visit(server.url, terms, count))
            grown = (server.rss() - before) / count / 1024
            p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
            curves["median"].append((count, p50))
            curves["99th"].append((count, p99))
            print(f"{count:7}   {rate:11.0f}   {p50:14.1f}   {p99:6.1f}   {grown:19.1f}")
    lines(
        figures / "growth.svg",
        "Time of a request as clients grow, at most 50 under way",
        ("clients with a channel each", "milliseconds, less is better"),
        curves,
        "All clients are one process on the same two cores: most of the time is theirs.",
    )


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
