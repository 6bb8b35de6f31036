"""Attacks that we make as people in the middle, between this server and our own reference client.

The server's part is that its evidence, certificates and answers are good for one session of one client. If a client
that checks all of docs/spec/attested-channel.md still accepts what we did, that is the finding.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, Malformed
from strongroom.channel.client import ClientResumption
from strongroom.channel.keyed import KeyedRequest, ServerKeyedExchange
from strongroom.channel.messages import ServerAnswer
from strongroom.crypto.hashing import sha256
from strongroom.formats.instance_certificate import SignedInstanceCertificate
from strongroom.testing.attacks.model import Accepted, Attack, NotApplicable, named
from strongroom.testing.attacks.target import PROBE_PATH, ShiftedClock
from strongroom.testing.middle import Diverting, Downgrading, KeylessRelay, Replaying, Splicing
from strongroom.testing.relay import Relay, Wiretap
from strongroom.transport.outer import ServiceRefused
from strongroom.transport.paths import EXCHANGE_PATH, KEYED_PATH, MESSAGE_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.testing.attacks.target import Target

__all__ = ["THROUGH_US"]

_RENEWAL: Final = timedelta(seconds=1500.1)  # when our client opens its next channel


def _refused(target: Target, middle: Wiretap, worked: str, **options: Any) -> str:
    try:
        target.tell(middle, **options)
    except (AppraisalRefused, Malformed, ServiceRefused) as error:
        return named(error)
    raise Accepted(worked)


def _relay(target: Target) -> str:
    relay = Relay(target.url)
    refusal = _refused(target, relay, "the relay read the client's requests")
    if relay.read:
        raise Accepted("the relay read what the client sent before it refused")
    return refusal


def _splice(target: Target) -> str:
    return _refused(target, Splicing(target.url), "one client took the proof that another got", times=2)


def _replayed_answer(target: Target) -> str:
    return _refused(target, Replaying(target.url), "a client took the answer that another got", times=2)


def _weakened(field: str, value: object) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        middle = Downgrading(target.url, hello={field: value})
        return _refused(target, middle, f"neither end noticed that the hello's {field} was changed on the way")

    return run


def _choice(field: str, value: object) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        middle = Downgrading(target.url, core={field: value})
        return _refused(target, middle, "the client took a choice that it had not offered")

    return run


class _Altering(Wiretap):
    """Changes the server's answers to hellos."""

    def __init__(self, genuine_url: str, change: Callable[[ServerAnswer], ServerAnswer]) -> None:
        super().__init__(genuine_url)
        self._change = change

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, an answer to a hello changed."""
        status, answer = await super().pass_on(path, body)
        if path == EXCHANGE_PATH and status == 200:
            answer = self._change(ServerAnswer.from_bytes(answer)).to_bytes()
        return status, answer


def _altered(change: Callable[[ServerAnswer], ServerAnswer], *, hellos: int = 1) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        return _refused(target, _Altering(target.url, change), "the client took what had been altered", times=hellos)

    return run


def _shown(**changes: Callable[[Any], Any]) -> Callable[[ServerAnswer], ServerAnswer]:
    """Change fields of the attestation in an answer."""

    def change(answer: ServerAnswer) -> ServerAnswer:
        shown = answer.attestation
        return replace(
            answer, attestation=replace(shown, **{name: what(getattr(shown, name)) for name, what in changes.items()})
        )

    return change


def _claims(**changes: Callable[[Any], Any]) -> Callable[[ServerAnswer], ServerAnswer]:
    """Change claims, or add some, in their own encoding."""

    def rewritten(encoded: bytes) -> bytes:
        value = _map(encoded)
        for name, what in changes.items():
            value[name] = what(value.get(name))
        return canonical.encode(value)

    return _shown(claims=rewritten)


def _certificate(**changes: Callable[[Any], Any]) -> Callable[[ServerAnswer], ServerAnswer]:
    def rewritten(encoded: bytes) -> bytes:
        signed = SignedInstanceCertificate.from_bytes(encoded)
        fields = {name: what(getattr(signed.certificate, name)) for name, what in changes.items()}
        return replace(signed, certificate=replace(signed.certificate, **fields)).to_bytes()

    return _shown(instance_certificate=rewritten)


def _twice(encoded: bytes) -> bytes:
    """Write the first claim twice, which no encoder of ours does."""
    entries = sorted(canonical.encode(name) + canonical.encode(value) for name, value in _map(encoded).items())
    return bytes([0xA0 | len(entries) + 1]) + b"".join([entries[0], *entries])


def _map(encoded: bytes) -> dict[Any, Any]:
    value = canonical.decode(encoded, path="claims", max_bytes=4096)
    if not isinstance(value, dict):
        raise TypeError("claims are a map")
    return value


class _StaleEvidence(Wiretap):
    """Shows everyone the first evidence there was, with today's claims, binder and signatures."""

    first: bytes | None = None

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, with old evidence."""
        status, answer = await super().pass_on(path, body)
        if path == EXCHANGE_PATH and status == 200:
            parsed = ServerAnswer.from_bytes(answer)
            self.first = self.first or parsed.attestation.evidence
            if parsed.attestation.evidence == self.first:
                return status, answer
            shown = replace(parsed.attestation, evidence=self.first)
            answer = replace(parsed, attestation=shown).to_bytes()
        return status, answer


def _stale_evidence(target: Target) -> str:
    return _refused(target, _StaleEvidence(target.url), "old evidence beside a fresh binder was taken", times=2)


def _at(ahead: timedelta, worked: str) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        clock = ShiftedClock(target.clock)
        clock.ahead = ahead
        return _refused(target, Wiretap(target.url), worked, clock=clock)

    return run


def _diverted(target: Target) -> str:
    other = sha256(b"another deployment of the same code")
    return _refused(target, Wiretap(target.url), "a client took another deployment for its own", deployment=other)


class _Answers(Wiretap):
    """Changes the answers to messages; ``earlier`` are those that were passed on, and their requests."""

    def __init__(self, genuine_url: str, change: Callable[[_Answers, bytes, bytes], bytes]) -> None:
        super().__init__(genuine_url)
        self._change = change
        self.earlier: list[bytes] = []

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Pass on, an answer to a message changed."""
        status, answer = await super().pass_on(path, body)
        if path == MESSAGE_PATH and status == 200:
            changed = self._change(self, body, answer)
            self.earlier.append(answer)
            return status, changed
        return status, answer


def _answers(change: Callable[[_Answers, bytes, bytes], bytes]) -> Callable[[Target], str]:
    def run(target: Target) -> str:
        middle = _Answers(target.url, change)
        with middle.serve() as address, target.client(address) as (client, _):
            try:
                client.get(PROBE_PATH)
                client.get(PROBE_PATH)
            except Malformed as error:
                return named(error)
        raise Accepted("the client took an answer that was not the one to its request")

    return run


def _resumes(target: Target, middle: Wiretap) -> bool:
    """Let a client say something, wait until its channel is due, and say more; tells whether it resumed."""
    clock = ShiftedClock(target.clock)
    with middle.serve() as address, target.client(address, clock=clock) as (client, transport):
        client.get(PROBE_PATH)
        clock.ahead = _RENEWAL
        client.get(PROBE_PATH)
        return transport.peer().resumed


def _resumption_by_a_relay(target: Target) -> str:
    opened = target.confirmed()
    said: dict[str, Any] = {
        "deployment": opened.peer.deployment,
        "epoch": opened.peer.epoch,
        "collateral_digest": sha256(opened.collateral),
    }
    relay = KeylessRelay(target.url, said["deployment"], said["collateral_digest"])
    if _resumes(target, relay) or relay.read:
        raise Accepted("somebody without the session's key resumed it")
    attempt = ClientResumption(opened, target.terms, at=target.clock.now())
    forged = ServerKeyedExchange(KeyedRequest.from_bytes(attempt.request), bytes(32), **said)
    return _not_resumed(attempt, forged.answer, target)


def _resumption_spliced(target: Target) -> str:
    one, other = (ClientResumption(target.confirmed(), target.terms, at=target.clock.now()) for _ in "ab")
    status, answer = target.post(KEYED_PATH, one.request)
    if status != 200:
        raise NotApplicable("this server resumes no sessions")
    return _not_resumed(other, answer, target)


def _not_resumed(attempt: ClientResumption, answer: bytes, target: Target) -> str:
    try:
        attempt.finish(answer, at=target.clock.now())
    except (AppraisalRefused, Malformed) as error:
        return named(error)
    raise Accepted("the client took an answer to its resumption that was not its instance's")


def _resumption_elsewhere(target: Target) -> str:
    if target.other_instance is None:
        raise NotApplicable("no --other-instance was named")
    if _resumes(target, Diverting(target.url, target.other_instance)):
        raise Accepted("another instance resumed the session")
    request = ClientResumption(target.confirmed(), target.terms, at=target.clock.now()).request
    return replace(target, url=target.other_instance).refusal(KEYED_PATH, request, "another instance resumed it")


def _resumption_too_old(target: Target) -> str:
    late = target.clock.now() + target.terms.max_resumed_age + timedelta(seconds=1)
    try:
        ClientResumption(target.confirmed(), target.terms, at=late)
    except AppraisalRefused as error:
        return named(error)
    raise Accepted("a session was resumed after the greatest age of its verdict")


def _attack(name: str, what: str, run: Callable[[Target], str]) -> Attack:
    return Attack(name=name, where="client", what=what, run=run)


_MRENCLAVE_AT: Final = 48 + 64  # in a quote of version 3: behind its header, in the enclave's report


def _other_measurement(quote: bytes) -> bytes:
    return quote[:_MRENCLAVE_AT] + bytes([quote[_MRENCLAVE_AT] ^ 1]) + quote[_MRENCLAVE_AT + 1 :]


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


THROUGH_US: Final = (
    _attack("relay-of-evidence", "a relay ends the exchange itself and shows the server's genuine evidence", _relay),
    _attack("splice-of-handshakes", "one client's answer with the proof of another client's session", _splice),
    _attack("replayed-answer", "a recorded answer to somebody else's hello", _replayed_answer),
    _attack("downgrade-suites-offered", "the hello's suites changed on the way", _weakened("suites", (1, 0))),
    _attack(
        "downgrade-evidence-offered",
        "the hello's evidence kinds changed on the way",
        _weakened("evidence_kinds", ("sgx-dcap-3", "none")),
    ),
    _attack("hello-deployment-changed", "the wanted deployment taken out of the hello", _weakened("deployment", None)),
    _attack("hello-nonce-changed", "the client's nonce changed on the way", _weakened("nonce", bytes(32))),
    _attack("downgrade-suite-chosen", "an answer that chose a suite that was not offered", _choice("suite", 0)),
    _attack(
        "downgrade-evidence-chosen",
        "an answer that chose a kind of evidence that was not offered",
        _choice("evidence_kind", "none"),
    ),
    _attack("proof-of-another-index", "the proof of another place", _altered(_shown(index=lambda index: index + 1))),
    _attack(
        "proof-with-another-path",
        "a proof with one step more",
        _altered(_shown(path=lambda path: (*path, os.urandom(32)))),
    ),
    _attack("proof-under-another-root", "claims of another tree", _altered(_claims(root=lambda _: os.urandom(32)))),
    _attack("proof-of-another-size", "claims of a larger tree", _altered(_claims(size=lambda size: size + 1))),
    _attack("claims-unknown", "claims with an unknown entry", _altered(_claims(critical=lambda _: 1))),
    _attack("claims-duplicate", "claims with one entry twice", _altered(_shown(claims=_twice))),
    _attack("claims-of-another-epoch", "claims of another epoch", _altered(_claims(epoch=lambda epoch: epoch + 1))),
    _attack("stale-evidence", "old evidence beside a fresh binder and fresh claims", _stale_evidence),
    _attack("altered-evidence", "a quote with another measurement", _altered(_shown(evidence=_other_measurement))),
    _attack(
        "certificate-of-another-epoch",
        "the instance certificate of another epoch",
        _altered(_certificate(epoch=lambda epoch: epoch + 1)),
    ),
    _attack(
        "certificate-of-another-machine",
        "the instance certificate of another machine",
        _altered(_certificate(machine=lambda _: os.urandom(32))),
    ),
    _attack(
        "certificate-made-longer",
        "the instance certificate with a later end",
        _altered(_certificate(not_after_ms=lambda end: end + 1)),
    ),
    _attack(
        "certificate-expired",
        "the answer shown when the instance certificate has ended",
        _at(timedelta(days=2), "a client took an instance certificate two days later"),
    ),
    _attack(
        "collateral-withheld", "an answer without collateral", _altered(lambda item: replace(item, collateral=None))
    ),
    _attack(
        "collateral-exchanged",
        "other collateral than the answer announced",
        _altered(lambda item: replace(item, collateral=(item.collateral or b"") + b" ")),
    ),
    _attack(
        "collateral-stale",
        "the collateral shown long after its end",
        _at(timedelta(days=400), "a client took collateral that ended long ago"),
    ),
    _attack(
        "collateral-of-the-future",
        "the collateral shown before it was issued",
        _at(timedelta(days=-400), "a client took collateral of the future"),
    ),
    _attack("diversion", "a client that expects another deployment of the same code", _diverted),
    _attack("answer-replayed", "the answer to an earlier request", _answers(lambda m, _r, a: (m.earlier or [a])[0])),
    _attack("answer-truncated", "an answer without its last byte", _answers(lambda _m, _r, a: a[:-1])),
    _attack("answer-altered", "an answer with its last bit flipped", _answers(lambda _m, _r, a: _flipped(a))),
    _attack("answer-reflected", "the client's own request as its answer", _answers(lambda _m, r, _a: r[16:])),
    _attack("resumption-by-a-relay", "a relay answers a resumption without the session's key", _resumption_by_a_relay),
    _attack("resumption-spliced", "the answer to another client's resumption", _resumption_spliced),
    _attack("resumption-into-another-instance", "a resumption led to another instance", _resumption_elsewhere),
    _attack("resumption-too-old", "a resumption after the greatest age of the verdict", _resumption_too_old),
)
