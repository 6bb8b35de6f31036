"""The server's side of the exchange: answer a hello, put its binder in a batch, hand out the proofs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strongroom.base.errors import MalformedMessage
from strongroom.channel.messages import (
    EVIDENCE_SGX_DCAP_3,
    SUITE_1,
    AnswerCore,
    Attestation,
    ClientHello,
    ServerAnswer,
)
from strongroom.channel.schedule import SECRET_BYTES, KeySchedule, hpke_info, transcript_hash
from strongroom.channel.secure import ServerChannel
from strongroom.crypto import merkle
from strongroom.crypto.hashing import digest_of, sha256
from strongroom.crypto.hpke import InvalidPublicKey, seal_to
from strongroom.formats.claims import Claims, report_data
from strongroom.verifier.binding import CLAIMS_SIGNATURE_LABEL, batch_leaf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.crypto.signatures import SigningKey
    from strongroom.formats.instance_certificate import SignedInstanceCertificate

__all__ = ["Batch", "InstanceIdentity", "ServerExchange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceIdentity:
    """What one running instance says of itself in every batch."""

    deployment_key: bytes
    instance_key: SigningKey
    certificate: SignedInstanceCertificate
    head_key_hash: bytes
    epoch: int
    release: bytes


class ServerExchange:
    """One client's exchange, from its hello to its answer."""

    def __init__(self, hello: bytes, *, deployment_key: bytes, collateral: bytes) -> None:
        """Read a hello and draw the session's secret. Raises ``MalformedMessage``."""
        parsed = ClientHello.from_bytes(hello)
        if SUITE_1 not in parsed.suites or EVIDENCE_SGX_DCAP_3 not in parsed.evidence_kinds:
            raise MalformedMessage("no suite or evidence kind in common", path="hello")
        secret = os.urandom(SECRET_BYTES)
        try:
            sealed = seal_to(parsed.kem_key, secret, hpke_info(hello))
        except InvalidPublicKey:
            raise MalformedMessage("not a key of MLKEM768-X25519", path="hello") from None
        digest = digest_of(collateral)
        self._collateral = None if digest in parsed.known_collateral else collateral
        self._core = AnswerCore(
            suite=SUITE_1,
            evidence_kind=EVIDENCE_SGX_DCAP_3,
            sealed_secret=sealed,
            deployment_key=deployment_key,
            collateral_digest=digest,
        ).to_bytes()
        self._keys = KeySchedule.derive(secret, transcript_hash(hello, self._core))

    @property
    def leaf(self) -> bytes:
        """The leaf to put in a batch."""
        return batch_leaf(self._keys.server_binder)

    def answer(self, attestation: Attestation) -> bytes:
        """Give the answer to send, once a batch proved the leaf."""
        return ServerAnswer(
            core=self._core,
            confirmation=self._keys.server_confirmation,
            attestation=attestation,
            collateral=self._collateral,
        ).to_bytes()

    def channel(self) -> ServerChannel:
        """Give the server's end of the channel."""
        return ServerChannel(self._keys)


class Batch:
    """One quote's worth of leaves: gives the report data to quote, then each leaf's proof.

    The enclave puts into evidence nothing but the hash of claims that it built here, from binders it derived.
    """

    def __init__(self, leaves: Sequence[bytes], identity: InstanceIdentity) -> None:
        self._tree = merkle.MerkleTree(leaves)
        self._certificate = identity.certificate.to_bytes()
        self._claims = Claims(
            root=self._tree.root,
            size=self._tree.size,
            deployment=sha256(identity.deployment_key),
            instance=sha256(identity.instance_key.public),
            head_key=identity.head_key_hash,
            epoch=identity.epoch,
            release=identity.release,
        ).to_bytes()
        self._signature = identity.instance_key.sign(CLAIMS_SIGNATURE_LABEL, self._claims)

    @property
    def report_data(self) -> bytes:
        """The 64 bytes to put into the evidence."""
        return report_data(self._claims)

    def attestation(self, index: int, evidence: bytes) -> Attestation:
        """Give the proof of one leaf under evidence over ``report_data``."""
        return Attestation(
            evidence=evidence,
            claims=self._claims,
            claims_signature=self._signature,
            instance_certificate=self._certificate,
            index=index,
            path=self._tree.path(index),
        )
