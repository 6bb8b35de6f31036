"""Mutual attestation: a client shows evidence inside the channel, the service admits it by a policy of its own.

At the client, for any transport:

    AttestedTransport(url, terms, clock=clock, attestation=ClientAttestation(attester, collateral))

At the service, around any application, within ``AttestedService`` (docs/spec/attested-channel.md 14):

    AttestedService(ClientGate(application, ClientRule(policy=policy, own=own), clock=clock), …)

The application finds the proven client by ``attested_client(scope, at)``. What evidence holds names the client's
machine for ever: a client shows it only where its owner gave it an attester.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from strongroom.base import canonical
from strongroom.base.errors import ClientNotAttested, MalformedMessage, StrongroomError
from strongroom.base.fields import Fields
from strongroom.channel.bhttp import BinaryRequest, BinaryResponse
from strongroom.channel.peer_evidence import MAX_SHOWN_BYTES, ClientClaim, judge_client
from strongroom.crypto.hashing import sha256
from strongroom.formats.client_claims import ClientRole
from strongroom.transport.inner import respond
from strongroom.transport.paths import CLIENT_EVIDENCE_PATH
from strongroom.verifier.client_binding import AttestedClient
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from datetime import datetime

    from strongroom.base.clock import Clock
    from strongroom.transport.ports import Attester, EndorsementSource
    from strongroom.verifier.client_binding import OwnEnclave
    from strongroom.verifier.policy_compose import Policy

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["MAX_STATEMENT_BYTES", "ClientAttestation", "ClientGate", "ClientRule", "attested_client", "shown_client"]

MAX_STATEMENT_BYTES: Final = 1024
_MAX_BODY_BYTES: Final = MAX_SHOWN_BYTES + MAX_STATEMENT_BYTES + 256
_MEMO_PLATFORMS: Final = 1024
_KEY: Final = "strongroom.client"
_TYPE: Final = b"application/cbor"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAttestation:
    """What a client needs to attest itself in each channel that it opens, before anything else is said there.

    ``statement`` is what the evidence commits to beside the session: a device's public key, or nothing. Without
    ``endorsements`` the service has to have the collateral. ``attester`` is called in the caller's thread.
    """

    attester: Attester
    endorsements: EndorsementSource | None = None
    statement: bytes = b""

    def request(self, binder: bytes, at: datetime) -> BinaryRequest:
        """Make the evidence for one session and the request that shows it."""
        claim = ClientClaim(role=ClientRole.DEVICE, binder=binder, context=sha256(self.statement))
        collateral = b"" if self.endorsements is None else self.endorsements.collateral(at)
        shown = claim.shown(self.attester.evidence(claim.report_data), collateral)
        return BinaryRequest(
            method=b"POST",
            scheme=b"https",
            authority=b"strongroom.invalid",
            path=CLIENT_EVIDENCE_PATH.encode(),
            headers=((b"content-type", _TYPE),),
            content=canonical.encode({"statement": self.statement, "shown": shown}),
        )

    @staticmethod
    def check(answer: BinaryResponse) -> None:
        """Raise ``ClientNotAttested`` with the service's reason unless it admitted this client.

        The answer came through the channel, so it is the service's own word.
        """
        if answer.status in {200, 204}:
            return
        try:
            body = json.loads(answer.content)
            reason = str(body.get("message", ""))[:2000]
        except (ValueError, AttributeError, RecursionError):
            reason = ""
        if answer.status in {404, 405}:
            raise ClientNotAttested("this service takes no evidence of clients", hint="connect without an attester")
        raise ClientNotAttested(reason or f"the service answered the evidence with status {answer.status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRule:
    """Which clients a service admits.

    ``own`` is the service's own enclave, whose evidence is nobody else's; ``None`` where the service is no enclave.
    With ``required`` false, clients without evidence reach the application, which can ask more of some than of others.
    ``endorsements`` are for clients that show no collateral.
    """

    policy: Policy
    own: OwnEnclave | None
    required: bool = True
    endorsements: EndorsementSource | None = None


class ClientGate:
    """Middleware within ``AttestedService``: takes evidence of clients and holds back those that owe it.

    Shown evidence counts for its channel alone, and as long as what the verdict rests on.
    """

    def __init__(self, application: Application, rule: ClientRule, *, clock: Clock) -> None:
        self._application = application
        self._rule = rule
        self._clock = clock
        self._memo = Memo(capacity=_MEMO_PLATFORMS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request: evidence here, everything else inside."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        try:
            channel = scope.get("extensions", {}).get("strongroom")
            if channel is None:
                raise ClientNotAttested("outside of an attested channel there is nothing to show evidence for")
            if scope["path"] == CLIENT_EVIDENCE_PATH:
                body = await _body(receive)
                channel["state"][_KEY] = await asyncio.to_thread(self._judge, channel, body)
                await respond(send, 200, b"{}", "application/json")
                return
            if self._rule.required and attested_client(scope, self._clock.now()) is None:
                raise ClientNotAttested(
                    "this service admits clients by their evidence, and none that counts was shown in this channel",
                    hint="connect with an attester",
                )
        except StrongroomError as error:
            content = json.dumps({"error": error.code, "message": error.message, "hint": error.hint}).encode()
            await respond(send, error.http_status, content, "application/json")
            return
        await self._application(scope, receive, send)

    def _judge(self, channel: MutableMapping[str, Any], body: bytes) -> AttestedClient:
        fields = Fields.decode(body, path="client evidence", error=MalformedMessage, max_bytes=_MAX_BODY_BYTES)
        statement = fields.byte_string("statement", at_most=MAX_STATEMENT_BYTES)
        shown = fields.byte_string("shown", at_most=MAX_SHOWN_BYTES)
        fields.done()
        at = self._clock.now()
        endorsements = self._rule.endorsements
        channel["state"].pop(_KEY, None)  # whoever shows worse evidence than before has none
        return judge_client(
            shown,
            self._rule.policy,
            role=ClientRole.DEVICE,
            context=sha256(statement),
            binder=channel["client_binder"],
            session=channel["session"],
            at=at,
            memo=self._memo,
            own=self._rule.own,
            collateral_source=None if endorsements is None else lambda: endorsements.collateral(at),
        )


def attested_client(scope: Scope, at: datetime) -> AttestedClient | None:
    """Give the client that this request's channel has proven, while its verdict holds at ``at``; ``None`` otherwise."""
    client = shown_client(scope)
    return None if client is None or int(at.timestamp() * 1000) >= client.expires_at_ms else client


def shown_client(scope: Scope) -> AttestedClient | None:
    """Give the client that this request's channel has proven; whoever asks compares the verdict's end with a clock."""
    channel = scope.get("extensions", {}).get("strongroom")
    client = None if channel is None else channel["state"].get(_KEY)
    return client if isinstance(client, AttestedClient) else None


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise MalformedMessage("the request ended early", path="client evidence")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > _MAX_BODY_BYTES:
            raise MalformedMessage(f"more than {_MAX_BODY_BYTES} bytes", path="client evidence")
        more = message.get("more_body", False)
    return b"".join(chunks)
