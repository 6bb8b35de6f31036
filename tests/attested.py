"""An attested service in this process, with every part within reach, and clients for it.

``Enclave`` is platform, attester, identity and collateral of one instance; each fact it attests can be set. It answers
hellos without a network (``answer``) or gives the whole middleware (``service``), which ``Loopback`` serves.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from store_client import FakeClock
from strongroom.attesters.simulated import EnclaveIdentity, PlatformSettings, SimulatedPlatform
from strongroom.base.errors import AppraisalRefused
from strongroom.channel.client import AttestedChannel, ClientExchange, ClientTerms
from strongroom.channel.messages import ServerAnswer
from strongroom.channel.server import Batch, InstanceIdentity, ServerExchange
from strongroom.crypto.hashing import sha256
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.instance_certificate import (
    MAX_LIFETIME_MS,
    InstanceCertificate,
    SignedInstanceCertificate,
    machine_id,
)
from strongroom.formats.measurements import MrEnclave, MrSigner
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.transport.asgi import AttestedService
from strongroom.transport.client import AttestedTransport
from strongroom.transport.table import ChannelLimits
from strongroom.verifier.policy import ANY, Anchor, AppraisalPolicy, TcbRule

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)
HOUR_MS = 3_600_000
IDENTITY = EnclaveIdentity(mr_enclave=MrEnclave(b"e" * 32), mr_signer=MrSigner(b"s" * 32), isv_prod_id=1, isv_svn=2)


def new_platform(directory: Path, **settings: Any) -> SimulatedPlatform:
    """Make a simulated platform in a directory of its own."""
    return SimulatedPlatform.open(directory, create=True, settings=PlatformSettings(**settings))


def policy(platform: SimulatedPlatform, **changes: Any) -> AppraisalPolicy:
    """Give a policy for ``IDENTITY`` on an up-to-date simulated platform."""
    wanted: dict[str, Any] = {
        "anchors": (Anchor.from_certificate(platform.root_certificate_pem, simulated=True),),
        "accept_simulated_platform": True,
        "accept_debug_enclaves": False,
        "mr_enclaves": frozenset({IDENTITY.mr_enclave}),
        "signers": (),
        "trust_domains": (),
        "tcb": (TcbRule(status=TcbStatus.UP_TO_DATE, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY),),
        "minimum_tcb_evaluation_data_number": 0,
        "maximum_collateral_age": ANY,
        "expired_collateral_grace": timedelta(0),
        "platforms": ANY,
        "smt_enabled": ANY,
        "dynamic_platform": ANY,
        "cached_keys": ANY,
    }
    return AppraisalPolicy(**{**wanted, **changes})


@dataclass
class Enclave:
    """One instance. Change a field, and it attests that instead.

    ``certificate`` maps the certificate that would be right to the one that is shown, unsigned.
    """

    platform: SimulatedPlatform
    code: EnclaveIdentity = IDENTITY
    deployment_key: SigningKey = field(default_factory=SigningKey.generate)
    named_deployment: bytes | None = None
    instance_key: SigningKey = field(default_factory=SigningKey.generate)
    certifier: SigningKey | None = None
    epoch: int = 1
    certificate: Callable[[InstanceCertificate], InstanceCertificate] = lambda right: right
    kind: str = "sgx-dcap-3"
    quotes: int = 0

    @property
    def deployment(self) -> bytes:
        """What clients pin."""
        return sha256(self.deployment_key.public)

    def evidence(self, report_data: bytes) -> bytes:
        self.quotes += 1
        return self.platform.enclave(self.code).evidence(report_data)

    def collateral(self, at: datetime) -> bytes:
        return self.platform.collateral(at).to_json()

    def identity(self, at: datetime) -> InstanceIdentity:
        at_ms = int(at.timestamp() * 1000)
        right = InstanceCertificate(
            deployment=self.deployment,
            instance_key=self.instance_key.public,
            epoch=self.epoch,
            machine=machine_id(self.platform.platform_id),
            not_before_ms=at_ms - HOUR_MS,
            not_after_ms=at_ms - HOUR_MS + MAX_LIFETIME_MS,
        )
        return InstanceIdentity(
            deployment_key=self.deployment_key.public,
            instance_key=self.instance_key,
            certificate=signed(self.certificate(right), self.certifier or self.deployment_key),
            head_key_hash=sha256(b"head key"),
            epoch=self.epoch,
            release=sha256(b"release"),
        )

    def begin(self, hello: bytes, at: datetime = AT) -> ServerExchange:
        return ServerExchange(hello, deployment_key=self.deployment_key.public, collateral=self.collateral(at))

    def answer(
        self, hello: bytes, *, at: datetime = AT, before: Sequence[bytes] = (), after: Sequence[bytes] = ()
    ) -> bytes:
        """Answer a hello in a batch with other leaves before and after its own."""
        exchange = self.begin(hello, at)
        batch = Batch([*before, exchange.leaf, *after], self.identity(at))
        return exchange.answer(batch.attestation(len(before), self.evidence(batch.report_data)))

    def service(self, application: Any = None, *, clock: Any = None, limits: ChannelLimits | None = None) -> Any:
        """Give the middleware around an application, by default ``echo``."""
        return AttestedService(
            application or echo,
            attester=self,
            endorsements=self,
            identities=self,
            clock=clock or FakeClock(),
            limits=limits,
        )

    def terms(self, *, pinned: bool = True, **changes: Any) -> ClientTerms:
        """Give the terms of a client that expects this very instance's code and deployment."""
        return ClientTerms(
            policy=changes.pop("policy", policy(self.platform)),
            deployment=self.deployment if pinned else None,
            **changes,
        )


def signed(certificate: InstanceCertificate, key: SigningKey) -> SignedInstanceCertificate:
    """Sign a certificate with any key, also with one that it does not name."""
    label = "strongroom instance certificate v1"
    return SignedInstanceCertificate(certificate=certificate, signature=key.sign(label, certificate.to_bytes()))


def judge(
    terms: ClientTerms,
    respond: Callable[[bytes], bytes],
    *,
    elapsed: float = 0.1,
    at: datetime = AT,
    collateral: dict[bytes, bytes] | None = None,
) -> AttestedChannel:
    """Make one exchange without a network: ``respond`` turns the hello into an answer."""
    exchange = ClientExchange(terms, collateral=collateral)
    return exchange.finish(respond(exchange.hello), elapsed_seconds=elapsed, at=at)


def objections(*arguments: Any, **options: Any) -> list[tuple[str, str]]:
    """Make an exchange that is refused; gives check and section of every finding, in order."""
    with pytest.raises(AppraisalRefused) as refused:
        judge(*arguments, **options)
    return findings_of(refused.value)


def findings_of(refusal: AppraisalRefused) -> list[tuple[str, str]]:
    """Give check and section of every finding, in order."""
    return [(str(finding.check), finding.section) for finding in refusal.findings]


def altered(answer: bytes, **changes: Any) -> bytes:
    """Change fields of an answer or of the attestation in it."""
    parsed = ServerAnswer.from_bytes(answer)
    inner = {name: changes.pop(name) for name in list(changes) if hasattr(parsed.attestation, name)}
    shown = dataclasses.replace(parsed.attestation, **inner)
    return dataclasses.replace(parsed, attestation=shown, **changes).to_bytes()


def some_leaves(count: int) -> list[bytes]:
    """Give leaves of other clients."""
    return [os.urandom(32) for _ in range(count)]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was asked. ``/fail`` raises, ``/zeros/N`` gives N bytes, ``/count`` counts in its channel."""
    if scope["type"] != "http":
        return
    body = await body_of(receive)
    path = scope["path"]
    if path == "/fail":
        raise RuntimeError("the record says: " + body.decode())
    if path.startswith("/zeros/"):
        body = bytes(int(path.removeprefix("/zeros/")))
    if path == "/count":
        state = scope["extensions"]["strongroom"]["state"]
        state["count"] = state.get("count", 0) + 1
        body = str(state["count"]).encode()
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"x-method", scope["method"].encode()),
        (b"x-query", scope["query_string"]),
        (b"x-session", scope["extensions"]["strongroom"]["session"].hex().encode()),
        *((b"x-echo-" + name, value) for name, value in scope["headers"] if name.startswith(b"x-")),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await send({"type": "http.response.body", "body": body[len(body) // 2 :]})


async def body_of(receive: Any) -> bytes:
    """Read a whole body; ``ConnectionError`` when it breaks off."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionError("the body broke off")
        chunks.append(message["body"])
        if not message.get("more_body", False):
            return b"".join(chunks)


class Counting:
    """Middleware that notes path and size of every request that arrives."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.arrived: list[tuple[str, int]] = []

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.arrived]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        size = 0
        chunks = []
        while True:
            message = await receive()
            chunks.append(message)
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
        self.arrived.append((scope["path"], size))
        replay = iter(chunks)

        async def again() -> Any:
            return next(replay, {"type": "http.disconnect"})

        await self._application(scope, again, send)


@contextmanager
def client_of(
    url: str, terms: ClientTerms, *, clock: Any = None, **options: Any
) -> Iterator[tuple[httpx2.Client, AttestedTransport]]:
    """Give a client whose requests travel inside the channel, and its transport."""
    transport = AttestedTransport(url, terms, clock=clock or FakeClock(), **options)
    with httpx2.Client(transport=transport, base_url="https://store") as client:
        yield client, transport
