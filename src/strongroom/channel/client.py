"""The client's side of the exchange: a hello, then a verdict. Nothing of the user exists here.

Numbers in comments are the steps of docs/spec/attested-channel.md section 6.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypedDict

from strongroom.base.errors import AppraisalRefused, MalformedMessage, Misconfigured
from strongroom.base.findings import Check, Finding
from strongroom.channel.messages import (
    EVIDENCE_SGX_DCAP_3,
    NONCE_BYTES,
    SUITE_1,
    AnswerCore,
    ClientHello,
    ServerAnswer,
)
from strongroom.channel.resumption import ResumptionAttempt, ResumptionTicket
from strongroom.channel.schedule import SECRET_BYTES, KeySchedule, hpke_info, transcript_hash
from strongroom.channel.secure import ClientChannel
from strongroom.crypto.aead import OpenFailed
from strongroom.crypto.hashing import digest_of, equal
from strongroom.crypto.hpke import HpkePrivateKey
from strongroom.formats.collateral import Collateral
from strongroom.formats.remote_appraisal import AppraisalRequest
from strongroom.verifier.binding import AttestedPeer, SessionProof, attest_peer, vouch_nonce, vouch_peer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from strongroom.verifier.memo import Memo
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.quorum import VouchRule

__all__ = [
    "MAX_ELAPSED_SECONDS",
    "MAX_RESUMED_AGE",
    "AttestedChannel",
    "ClientExchange",
    "ClientResumption",
    "ClientTerms",
]

MAX_ELAPSED_SECONDS: Final = 60.0  # from hello to answer; a batch waits for one quote, which takes a second at most

MAX_RESUMED_AGE: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTerms:
    """On what terms this client talks: its policy, and the deployment it expects (SHA-256 of its key) if any.

    ``max_resumed_age`` is how old a verdict may get by resumption; zero resumes nothing. ``vouching`` makes this a
    client that does not appraise: it believes k of n verifiers that applied ``policy``
    (docs/spec/remote-verifier.md 5).
    """

    policy: Policy
    deployment: bytes | None
    max_elapsed_seconds: float = MAX_ELAPSED_SECONDS
    max_resumed_age: timedelta = MAX_RESUMED_AGE
    vouching: VouchRule | None = None

    def __post_init__(self) -> None:
        if self.vouching is not None and self.vouching.policy_digest != self.policy.digest:
            raise Misconfigured("the verifiers would apply another policy than the client names", setting="vouching")


class _Limits(TypedDict):
    expected_deployment: bytes | None
    max_elapsed_seconds: float
    at: datetime
    memo: Memo | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedChannel:
    """A proven peer and the channel to it. One cannot be had without the other.

    ``ticket`` resumes this session once.
    """

    peer: AttestedPeer
    channel: ClientChannel
    collateral: bytes = field(repr=False)
    ticket: ResumptionTicket


class ClientExchange:
    """One exchange: send ``hello``, give the answer to ``finish``. Good for one answer only."""

    def __init__(
        self, terms: ClientTerms, *, collateral: Mapping[bytes, bytes] | None = None, memo: Memo | None = None
    ) -> None:
        """``collateral`` are sets held already, by SHA-256; ``memo`` spares repeated work of the verifier."""
        self._terms = terms
        self._memo = memo
        self._collateral = dict(collateral or {})
        self._key: HpkePrivateKey | None = HpkePrivateKey.generate()
        self.hello = ClientHello(
            suites=(SUITE_1,),
            evidence_kinds=(EVIDENCE_SGX_DCAP_3,),
            deployment=terms.deployment,
            nonce=os.urandom(NONCE_BYTES),
            kem_key=self._key.public,
            known_collateral=tuple(self._collateral)[-8:],
        ).to_bytes()

    def question(self, answer: bytes) -> AppraisalRequest:
        """Give what to ask verifiers about an answer, before ``finish``; ``MalformedMessage`` if it is none."""
        parsed = ServerAnswer.from_bytes(answer)
        collateral = self._stapled(parsed, AnswerCore.from_bytes(parsed.core))
        nonce = vouch_nonce(transcript_hash(self.hello, parsed.core))
        return AppraisalRequest(evidence=parsed.attestation.evidence, collateral=collateral, nonce=nonce)

    def finish(
        self, answer: bytes, *, elapsed_seconds: float, at: datetime, vouches: Sequence[bytes] = ()
    ) -> AttestedChannel:
        """Judge the answer. ``vouches`` are results signed for ``question``; only terms with ``vouching`` look at them.

        Raises ``MalformedMessage`` (or another ``Malformed``) for bytes that are no answer, ``AppraisalRefused``
        with every finding for one that does not prove what the terms demand.
        """
        key, self._key = self._key, None
        if key is None:
            raise ValueError("this exchange has had its answer")
        parsed = ServerAnswer.from_bytes(answer)
        core = AnswerCore.from_bytes(parsed.core)
        if core.suite != SUITE_1 or core.evidence_kind != EVIDENCE_SGX_DCAP_3:
            raise MalformedMessage("the answer chose something that was not offered", path="answer")
        keys = self._keys(key, parsed, core)
        collateral = self._stapled(parsed, core)
        shown = parsed.attestation
        proof = SessionProof(
            claims=shown.claims,
            claims_signature=shown.claims_signature,
            instance_certificate=shown.instance_certificate,
            deployment_key=core.deployment_key,
            index=shown.index,
            path=shown.path,
            binder=keys.server_binder,
            session=keys.transcript,
            elapsed_seconds=elapsed_seconds,
        )
        limits: _Limits = {
            "expected_deployment": self._terms.deployment,
            "max_elapsed_seconds": self._terms.max_elapsed_seconds,
            "at": at,
            "memo": self._memo,
        }
        if self._terms.vouching is None:
            peer = attest_peer(shown.evidence, self._parsed(collateral), self._terms.policy, proof, **limits)
        else:
            peer = vouch_peer(shown.evidence, collateral, vouches, self._terms.vouching, proof, **limits)
        return _attested(peer, keys, collateral, core.collateral_digest)

    def _keys(self, key: HpkePrivateKey, answer: ServerAnswer, core: AnswerCore) -> KeySchedule:
        """Open the secret and check that the other end derived the same keys from the same transcript."""
        try:
            secret = key.open(core.sealed_secret, hpke_info(self.hello))
        except OpenFailed:
            raise _not_for_us("the secret was not sealed for this hello") from None
        if len(secret) != SECRET_BYTES:
            raise MalformedMessage("the sealed secret has a wrong length", path="answer")
        keys = KeySchedule.derive(secret, transcript_hash(self.hello, answer.core))
        if not equal(keys.server_confirmation, answer.confirmation):
            raise _not_for_us("the other end saw another exchange")
        return keys

    def _parsed(self, collateral: bytes) -> Collateral:
        if self._memo is None:
            return Collateral.from_json(collateral)
        return self._memo.parsed("collateral", collateral, read=Collateral.from_json)

    def _stapled(self, answer: ServerAnswer, core: AnswerCore) -> bytes:
        """Give the collateral: stapled, or the copy that the hello said we hold."""
        collateral = answer.collateral
        if collateral is None:
            collateral = self._collateral.get(core.collateral_digest)
        if collateral is None:
            raise MalformedMessage("collateral is neither stapled nor known", path="answer")
        if digest_of(collateral) != core.collateral_digest:
            raise MalformedMessage("collateral is not the one announced", path="answer")
        return collateral


class ClientResumption:
    """One attempt to resume an earlier session without new evidence. Send ``request``, give the answer to ``finish``.

    Making one spends the session's ticket.
    """

    def __init__(self, earlier: AttestedChannel, terms: ClientTerms, *, at: datetime) -> None:
        """Raises ``AppraisalRefused`` when the earlier verdict may not be repeated on these terms, or not any more."""
        self._collateral = earlier.collateral
        self._attempt = ResumptionAttempt(
            earlier.ticket,
            policy_digest=terms.policy.digest,
            deployment=terms.deployment,
            max_age=terms.max_resumed_age,
            at=at,
        )

    @property
    def request(self) -> bytes:
        """The bytes to send."""
        return self._attempt.request

    def finish(self, answer: bytes, *, at: datetime) -> AttestedChannel:
        """Judge the answer; raises as ``ClientExchange.finish`` does."""
        peer, keys = self._attempt.finish(answer, at=at)
        return _attested(peer, keys, self._collateral, digest_of(self._collateral))


def _attested(peer: AttestedPeer, keys: KeySchedule, collateral: bytes, digest: bytes) -> AttestedChannel:
    channel = ClientChannel(keys)
    ticket = ResumptionTicket(peer, digest, channel.resumption_key())
    return AttestedChannel(peer=peer, channel=channel, collateral=collateral, ticket=ticket)


def _not_for_us(message: str) -> AppraisalRefused:
    return AppraisalRefused([Finding(check=Check.KEY_BINDING, message=message, section="attested-channel 3")])
