"""The server's side: a TLS context whose certificate is renewed while it serves, and what lies beside it.

    certificate = RenewingCertificate(lambda at: issue_certificate(attester, at=at), clock=SystemClock())
    service = BesideCertificate(application, certificate, endorsements=…, clock=SystemClock())
    uvicorn.Server(uvicorn_config(service, certificate, host=…, port=…)).run()

The context issues no session tickets: a resumed session brings no certificate, so nothing of it could be appraised,
and whatever a server had found out about a client would outlive its end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import Misconfigured, StrongroomError
from strongroom.crypto.certificates import pem
from strongroom.crypto.hashing import sha256
from strongroom.ratls.paths import COLLATERAL_PATH, EVIDENCE_PATH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping
    from datetime import datetime

    import uvicorn

    from strongroom.base.clock import Clock
    from strongroom.ratls.issuing import ServerCertificate
    from strongroom.ratls.ports import EndorsementSource

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = [
    "BesideCertificate",
    "RenewingCertificate",
    "load_certificate",
    "server_context",
    "uvicorn_config",
]

_POLL_SECONDS: Final = 30.0
_OCTETS: Final = "application/octet-stream"

_log = logging.getLogger(__name__)


def server_context(*, allow_tls_1_2: bool = False) -> ssl.SSLContext:
    """Make a context for a server: TLS 1.3 (or 1.2 for peers that have nothing newer), no tickets, no client CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2 if allow_tls_1_2 else ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context


def load_certificate(context: ssl.SSLContext, certificate: ServerCertificate, *, directory: Path | None = None) -> None:
    """Put a certificate and its key into a context, also into one that serves already.

    The TLS library reads files only. Without ``directory`` they exist in this process's memory alone (a memfd of
    Linux). With one they are written there for a moment, so it must be a file system in the enclave's own memory
    (Gramine's tmpfs): a key on a disk is a key in the host's hands.

    Handshakes that another thread begins at this very moment may see half of the change; call it from the thread that
    accepts connections.
    """
    content = pem(certificate.chain) + certificate.key.to_pem()
    with _file(content, directory) as path:
        context.load_cert_chain(path)


class RenewingCertificate:
    """A server's certificate, replaced before it ends. Thread-affine: used from the thread that serves.

    ``issue`` makes a certificate for an instant, in a thread of its own when renewing. Renewal begins when a third of
    the life is left and is tried again until it succeeds; connections that stand are not touched.
    """

    def __init__(
        self,
        issue: Callable[[datetime], ServerCertificate],
        *,
        clock: Clock,
        context: ssl.SSLContext | None = None,
        directory: Path | None = None,
    ) -> None:
        self.context = context or server_context()
        self._issue = issue
        self._clock = clock
        self._directory = directory
        self._recent: list[ServerCertificate] = []
        self._adopt(issue(clock.now()))

    @property
    def current(self) -> ServerCertificate:
        """What is presented now."""
        return self._recent[-1]

    def evidence_for(self, public_key_hash: bytes) -> bytes | None:
        """Give the evidence about the current or the previous key, by SHA-256 of its SubjectPublicKeyInfo."""
        for certificate in self._recent:
            if sha256(certificate.key.spki) == public_key_hash:
                return certificate.evidence
        return None

    def due(self) -> bool:
        """Tell whether it is time for a new certificate."""
        current = self.current
        return self._clock.now() >= current.not_after - (current.not_after - current.not_before) / 3

    async def renew(self) -> None:
        """Replace the certificate now; raises what ``issue`` raises and then keeps the old one."""
        self._adopt(await asyncio.to_thread(self._issue, self._clock.now()))

    async def keep_fresh(self, *, poll_seconds: float = _POLL_SECONDS) -> None:
        """Renew whenever it is due, until cancelled."""
        while True:
            await asyncio.sleep(poll_seconds)
            if self.due():
                try:
                    await self.renew()
                except StrongroomError as error:
                    _log.warning("the certificate could not be renewed: %s", error.code)

    def _adopt(self, certificate: ServerCertificate) -> None:
        load_certificate(self.context, certificate, directory=self._directory)
        self._recent = [*self._recent[-1:], certificate]


class BesideCertificate:
    """Middleware that serves collateral and evidence beside the certificate, and keeps the certificate fresh.

    ``GET /.well-known/strongroom/ra-tls/collateral`` gives the platform's collateral (JSON); ``…/evidence/HASH`` the
    tagged evidence about the key with this SHA-256 of its SubjectPublicKeyInfo, in hexadecimal. Both are public and
    signed by the manufacturer's keys. Everything else goes to the application.
    """

    def __init__(
        self,
        application: Application,
        certificate: RenewingCertificate,
        *,
        endorsements: EndorsementSource,
        clock: Clock,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self._application = application
        self._certificate = certificate
        self._endorsements = endorsements
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._keeper: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request. The keeper starts with the server and ends with its loop."""
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._certificate.keep_fresh(poll_seconds=self._poll_seconds))
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == COLLATERAL_PATH or path.startswith(EVIDENCE_PATH)):
            await self._application(scope, receive, send)
            return
        status, content, content_type = self._answer(scope["method"], path)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, method: str, path: str) -> tuple[int, bytes, str]:
        if method != "GET":
            return 405, b"", _OCTETS
        if path == COLLATERAL_PATH:
            try:
                return 200, self._endorsements.collateral(self._clock.now()), "application/json"
            except StrongroomError as error:
                return error.http_status, b"", _OCTETS
        try:
            wanted = bytes.fromhex(path.removeprefix(EVIDENCE_PATH))
        except ValueError:
            return 404, b"", _OCTETS
        evidence = self._certificate.evidence_for(wanted)
        return (404, b"", _OCTETS) if evidence is None else (200, evidence, _OCTETS)


def uvicorn_config(application: Application, certificate: RenewingCertificate, **options: Any) -> uvicorn.Config:
    """Give the configuration of a uvicorn server that presents the certificate; ``options`` are uvicorn's own."""
    import uvicorn  # noqa: PLC0415 - belongs to the extra "store"; clients do without

    return uvicorn.Config(
        application,
        ssl_context_factory=lambda config, default: certificate.context,
        **{"log_config": None, "access_log": False, "server_header": False, **options},
    )


@contextmanager
def _file(content: bytes, directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        descriptor, name = tempfile.mkstemp(dir=directory)
        path = Path(name)
    elif hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("ra-tls")
        path = Path(f"/proc/self/fd/{descriptor}")
    else:
        raise Misconfigured(
            "this system has no files in memory",
            setting="directory",
            hint="name a directory in the enclave's own memory",
        )
    try:
        _write(descriptor, content)
        yield path
    finally:
        os.close(descriptor)
        if directory is not None:
            path.unlink()


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
