"""TLS 1.3 handshakes with both ends in memory: what the attested handshake is measured beside.

Three kinds, none with a client certificate or resumption, all with P-256 certificates:

* ``pinned``: X25519, the client trusts the server's certificate itself, so it checks one signature: the least there is;
* ``issued``: X25519, the certificate is issued by an authority that the client trusts, as most certificates are;
* ``hybrid``: X25519MLKEM768, pinned: recorded traffic stays closed to a quantum computer, as in the attested channel.
  It needs pyOpenSSL (``make bench-setup``), whose OpenSSL has the group where Python's own ssl may lack it.
  That one also sends two tickets, which its interface cannot turn off.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Handshake", "peers", "self_signed"]

Handshake = tuple[float, float]
"""CPU seconds of the server's and of the client's side."""

SSL: Any = import_module("OpenSSL.SSL") if find_spec("OpenSSL") else None
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def _certificate(key: Any, issuer: tuple[str, Any], name: str, *, ca: bool) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    end = _BEGIN.replace(year=2036)
    return (
        x509.CertificateBuilder(
            named(issuer[0]), named(name), key.public_key(), x509.random_serial_number(), _BEGIN, end
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer[1], hashes.SHA256())
    )


def _pem(key: Any, *certificates: x509.Certificate) -> bytes:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates) + private


def self_signed(folder: Path) -> Path:
    """Write key and certificate of a server that a client trusts by its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = folder / "tls.pem"
    path.write_bytes(_pem(key, _certificate(key, ("localhost", key), "localhost", ca=False)))
    return path


def _issued(folder: Path) -> tuple[Path, Path]:
    """Write an authority's certificate, and key and certificate of a server that it vouches for."""
    root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    trusted, server = folder / "root.pem", folder / "issued.pem"
    trusted.write_bytes(_pem(root, _certificate(root, ("root", root), "root", ca=True)))
    server.write_bytes(_pem(key, _certificate(key, ("root", root), "localhost", ca=False)))
    return trusted, server


def peers(folder: Path) -> dict[str, Callable[[], Handshake]]:
    """Give a function for each kind that can be had here; each call makes one handshake."""
    pinned = self_signed(folder)
    found = {"pinned": _stdlib(pinned, pinned), "issued": _stdlib(*_issued(folder))}
    if SSL is not None:
        found["hybrid"] = _hybrid(pinned)
    return found


def _stdlib(trusted: Path, served: Path) -> Callable[[], Handshake]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(served)
    server.num_tickets = 0
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(trusted)

    def handshake() -> Handshake:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        spent = [0.0, 0.0]
        start = time.process_time()
        ends = [server.wrap_bio(to_server, to_client, server_side=True)]
        spent[0] += time.process_time() - start
        start = time.process_time()
        ends.append(client.wrap_bio(to_client, to_server, server_hostname="localhost"))
        spent[1] += time.process_time() - start
        waiting = [1, 0]
        while waiting:
            side = waiting.pop(0)
            start = time.process_time()
            try:
                ends[side].do_handshake()
            except ssl.SSLWantReadError:
                waiting.append(side)
            spent[side] += time.process_time() - start
        if ends[1].version() != "TLSv1.3":
            raise SystemExit("not TLS 1.3")
        return spent[0], spent[1]

    return handshake


def _hybrid(pem: Path) -> Callable[[], Handshake]:
    server = SSL.Context(SSL.TLS_METHOD)
    server.use_certificate_chain_file(str(pem))
    server.use_privatekey_file(str(pem))
    server.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    client = SSL.Context(SSL.TLS_METHOD)
    client.load_verify_locations(str(pem))
    client.set_verify(SSL.VERIFY_PEER)

    def handshake() -> Handshake:
        start = time.process_time()
        ends = [SSL.Connection(server, None)]
        ends[0].set_accept_state()
        spent = [time.process_time() - start]
        start = time.process_time()
        ends.append(SSL.Connection(client, None))
        ends[1].set_tlsext_host_name(b"localhost")
        ends[1].set_connect_state()
        spent.append(time.process_time() - start)
        done = [False, False]
        side = 1
        while not all(done):
            start = time.process_time()
            try:
                ends[side].do_handshake()
                done[side] = True
            except SSL.WantReadError:
                pass
            data = _drained(ends[side])
            spent[side] += time.process_time() - start
            side = 1 - side
            if data:
                start = time.process_time()
                ends[side].bio_write(data)
                spent[side] += time.process_time() - start
        if ends[1].get_group_name() != "X25519MLKEM768":
            raise SystemExit("not the hybrid group")
        return spent[0], spent[1]

    return handshake


def _drained(end: Any) -> bytes:
    parts = []
    while True:
        try:
            parts.append(end.bio_read(65536))
        except SSL.WantReadError:
            return b"".join(parts)
