"""CPU time of an attested exchange beside a TLS 1.3 handshake, both ends in memory, in one run.

    python -m bench.channel

The peer is Python's own ssl over memory: X25519, a P-256 certificate, no client certificate, no resumption.
"""

from __future__ import annotations

import ssl
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.channel.client import ClientExchange, ClientTerms
from strongroom.channel.server import Batch, ServerExchange
from strongroom.cli.measured import RELEASE_SIGNER, measure_store
from strongroom.client.trust import standing_policy
from strongroom.crypto.hashing import sha256
from strongroom.storage.memory import MemoryRecordStore
from strongroom.store.deployment import Deployment
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable

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


def main() -> None:
    """Run and print."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        tls_server, tls_client = tls_cpu_ms(Path(folder), 50)
        print("CPU ms per handshake                          server    client")
        print(f"TLS 1.3 (ssl, X25519, P-256)                  {tls_server:6.3f}    {tls_client:6.3f}")
        for clients in (1, 16, 256):
            begun = bench.answers(clients)
            hellos = [exchange.hello for exchange, _ in begun]
            server = cpu_ms(lambda hellos=hellos: bench.serve(hellos), max(1, 32 // clients)) / clients
            finishing: list[float] = []
            for _ in range(ROUNDS):
                pairs = bench.answers(min(clients, 16))
                start = time.process_time()
                finished = [exchange.finish(answer, elapsed_seconds=0.1, at=NOW) for exchange, answer in pairs]
                finishing.append((time.process_time() - start) / len(pairs) * 1000)
                bench.known = {sha256(finished[0].collateral): finished[0].collateral}
            client = statistics.median(finishing)
            print(
                f"attested, {clients:3} in a batch                       {server:6.3f}    {client:6.3f}"
                f"    {server / tls_server:4.2f} and {client / tls_client:4.2f} of TLS"
            )
        hello_ms = cpu_ms(lambda: ClientExchange(bench.terms), 50)
        print(f"client's hello (keys of the hybrid KEM), apart          {hello_ms:6.3f}")
        exchange, answer = bench.answers(1)[0]
        channel = exchange.finish(answer, elapsed_seconds=0.1, at=NOW).channel
        sealing = cpu_ms(lambda: channel.seal_request(bytes(4096)), 500)
        print(f"sealing a request of 4 KiB                              {sealing:6.3f}")


if __name__ == "__main__":
    sys.exit(main())
