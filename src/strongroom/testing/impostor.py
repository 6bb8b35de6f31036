"""An impostor who has an attestation key that was extracted from a machine, and no deployment key.

It has seen what every client is shown: the deployment's public key, a quote, an instance certificate. With the stolen
key it quotes any claims, for each client's own session, and no verifier of quotes can tell. What refuses it is that
the pinned deployment key signed for no instance of its: steps 6.6 and 6.7 of docs/spec/attested-channel.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import httpx2

from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.base.errors import StoreUnreachable
from strongroom.channel.messages import (
    EVIDENCE_SGX_DCAP_3,
    NONCE_BYTES,
    SUITE_1,
    AnswerCore,
    ClientHello,
    ServerAnswer,
)
from strongroom.channel.server import InstanceIdentity
from strongroom.client.invitation import Invitation
from strongroom.crypto.hashing import sha256
from strongroom.crypto.hpke import HpkePrivateKey
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.claims import Claims
from strongroom.formats.instance_certificate import MAX_LIFETIME_MS, InstanceCertificate, SignedInstanceCertificate
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.testing.loopback import Loopback
from strongroom.testing.stolen_key import ForgingAttester, steal_attestation_key
from strongroom.transport.asgi import CONTENT_TYPE, EXCHANGE_PATH, AttestedService
from strongroom.transport.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from datetime import datetime
    from pathlib import Path

    from strongroom.base.clock import Clock

__all__ = ["Impostor", "Observed", "Pretence", "observe"]

_CERTIFICATE_LABEL: Final = "strongroom instance certificate v1"
_HALF_LIFE_MS: Final = MAX_LIFETIME_MS // 2


class Pretence(StrEnum):
    """How the impostor answers for its instance key.

    ``FORGED``: a certificate for its own key, naming the deployment, signed by itself.
    ``COPIED``: the genuine instance's certificate, and claims that name the genuine instance's key.
    ``OWN_DEPLOYMENT``: a correct certificate of a deployment of its own, under claims that name it.
    """

    FORGED = "forged"
    COPIED = "copied"
    OWN_DEPLOYMENT = "own-deployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a service shows to whoever asks."""

    deployment_key: bytes
    evidence: bytes
    claims: Claims
    certificate: SignedInstanceCertificate
    collateral: bytes


def observe(url: str) -> Observed:
    """Ask a service for its evidence, as a client does; raises ``StoreUnreachable``."""
    hello = ClientHello(
        suites=(SUITE_1,),
        evidence_kinds=(EVIDENCE_SGX_DCAP_3,),
        deployment=None,
        nonce=os.urandom(NONCE_BYTES),
        kem_key=HpkePrivateKey.generate().public,
        known_collateral=(),
    ).to_bytes()
    try:
        with httpx2.Client(trust_env=False) as http:
            answered = http.post(url.rstrip("/") + EXCHANGE_PATH, content=hello, headers={"content-type": CONTENT_TYPE})
    except httpx2.HTTPError as cause:
        raise StoreUnreachable("cannot reach the service that is to be observed") from cause
    if answered.status_code != 200:
        raise StoreUnreachable(f"the service that is to be observed answered with status {answered.status_code}")
    answer = ServerAnswer.from_bytes(answered.content)
    shown = answer.attestation
    return Observed(
        deployment_key=AnswerCore.from_bytes(answer.core).deployment_key,
        evidence=shown.evidence,
        claims=Claims.from_bytes(shown.claims),
        certificate=SignedInstanceCertificate.from_bytes(shown.instance_certificate),
        collateral=answer.collateral or b"",
    )


class Impostor:
    """A service that claims to be the observed one. ``heard`` holds what clients told it, in clear.

    ``application`` is an ASGI application; ``serve`` runs it.
    """

    def __init__(
        self,
        platform: SimulatedPlatform,
        observed: Observed,
        *,
        pretence: Pretence = Pretence.FORGED,
        clock: Clock | None = None,
    ) -> None:
        self.heard: list[bytes] = []
        self._observed = observed
        self._pretence = pretence
        self._instance_key = SigningKey.generate()
        self._deployment_key = SigningKey.generate()
        report = SgxQuote.from_bytes(observed.evidence).report
        self.application = AttestedService(
            self._listen,
            attester=ForgingAttester(
                steal_attestation_key(platform),
                observed.evidence,
                EnclaveIdentity(
                    mr_enclave=report.mr_enclave,
                    mr_signer=report.mr_signer,
                    isv_prod_id=report.isv_prod_id,
                    isv_svn=report.isv_svn,
                ),
                platform_id=platform.platform_id,
            ),
            endorsements=self,
            identities=self,
            clock=clock or SystemClock(),
        )

    @classmethod
    def of(cls, platform: Path, invitation: str, *, pretence: Pretence = Pretence.FORGED) -> Impostor:
        """Steal the key of the platform in a directory and observe the service of an invitation, which must run."""
        url = Invitation.from_text(invitation).url
        return cls(SimulatedPlatform.open(platform), observe(url), pretence=pretence)

    def serve(self, port: int = 0) -> Loopback:
        """Listen on a loopback port for as long as a ``with`` block lasts; entering gives the URL."""
        return Loopback(self.application, port=port)

    def collateral(self, _at: datetime) -> bytes:
        """Pass on the genuine collateral. Implements ``transport.ports.EndorsementSource``."""
        return self._observed.collateral

    def identity(self, at: datetime) -> InstanceIdentity:
        """Say who one is. Implements ``transport.ports.IdentitySource``."""
        observed = self._observed
        own = self._pretence is Pretence.OWN_DEPLOYMENT
        key = self._instance_key
        if self._pretence is Pretence.COPIED:
            # claims will name the genuine key; the signatures are what they can be without it
            key = SigningKey(key._key, observed.certificate.certificate.instance_key)
        return InstanceIdentity(
            deployment_key=self._deployment_key.public if own else observed.deployment_key,
            instance_key=key,
            certificate=self._certificate(int(at.timestamp() * 1000)),
            head_key_hash=sha256(self._instance_key.public),
            epoch=observed.claims.epoch,
            release=observed.claims.release,
        )

    def _certificate(self, at_ms: int) -> SignedInstanceCertificate:
        genuine = self._observed.certificate
        if self._pretence is Pretence.COPIED:
            return genuine
        own = self._pretence is Pretence.OWN_DEPLOYMENT
        statement = InstanceCertificate(
            deployment=sha256(self._deployment_key.public) if own else genuine.certificate.deployment,
            instance_key=self._instance_key.public,
            epoch=self._observed.claims.epoch,
            machine=genuine.certificate.machine,
            not_before_ms=at_ms - _HALF_LIFE_MS,
            not_after_ms=at_ms + _HALF_LIFE_MS,
        )
        signer = self._deployment_key if own else self._instance_key
        signature = signer.sign(_CERTIFICATE_LABEL, statement.to_bytes())
        return SignedInstanceCertificate(certificate=statement, signature=signature)

    async def _listen(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        self.heard.append((await receive()).get("body", b""))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
