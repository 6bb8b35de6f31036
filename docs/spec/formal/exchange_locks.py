"""What protects the attested exchange, what the attacker may be given, and what must hold.

Every protection is a ``Lock`` that can be taken off, every gift a ``Power``. Numbers are those of
docs/spec/attested-channel.md.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["BASE", "QUERIES", "Lock", "Power"]


class Lock(StrEnum):
    """A protection of the exchange, by the step or section of the specification that demands it."""

    SESSION_BINDING = "2,6.2 evidence commits to a session (else: to the instance key, which signs the session)"
    HPKE_INFO = "3 the hello's hash in HPKE's info"
    NONCE_IN_H = "3 the nonce in h"
    KEM_KEY_IN_H = "3 the client's one-time key in h"
    WISH_IN_H = "3 the wanted deployment in h"
    SEALED_IN_H = "3 the sealed secret in h"
    DEPLOYMENT_IN_H = "3 the deployment key in h"
    OWN_LEAVES = "4 the enclave puts only binders of its own into a batch"
    CONFIRMATION = "6 the server's confirmation"
    REPORT_DATA = "6.1 the report data is the hash of these claims"
    INCLUSION = "6.2 the path leads from this session's binder"
    PIN = "6.4 the pinned deployment"
    CLAIMS_DEPLOYMENT = "6.5 the claims name that deployment"
    CERTIFICATE_DEPLOYMENT = "6.6 the certificate names it"
    CERTIFICATE_SIGNATURE = "6.6 the deployment key signed the certificate"
    CLAIMS_INSTANCE = "6.7 the claims name the certificate's instance key"
    CLAIMS_SIGNATURE = "6.7 the instance key signed the claims"
    EXPIRY = "6.9 the certificate is valid now"
    MACHINE = "6.10 the certificate is for the machine of the evidence"
    CODE = "6.11 the measurement is one the policy accepts"
    DIRECTION_KEYS = "3 each direction has a key of its own"
    DIRECTION_LABELS = "7 request and answer have labels of their own"
    REQUEST_NUMBER = "7 an answer's associated data holds its request's number"
    ROLE_LABELS = "mutual: server and client attest under labels of their own"
    OWN_EVIDENCE_REFUSED = "mutual: evidence that carries one's own key is refused"
    DEVICE_MACHINES = "mutual: only listed machines are devices"
    DEVICE_BINDING = "mutual: the client's evidence commits to this session"


class Power(StrEnum):
    """Something that the attacker is given beyond the network."""

    FOREIGN_PLATFORM = "the attestation key of a platform elsewhere (m2)"
    OWN_PLATFORM = "the attestation key of another machine of the same deployment (m3)"
    OTHER_INSTANCE = "the instance key of another accepted enclave of the same deployment (i2)"
    OTHER_DEPLOYMENT = "the deployment key and an instance key of another deployment of the same code (b, i4)"
    EXPIRED_INSTANCE = "the instance key of an instance whose certificate has expired (i5, on m3)"
    OTHER_SESSIONS = "the one-time keys of other clients, and so the secrets of their sessions"
    OTHER_CODE = "genuine platforms (m1) quote the attacker's own code, under its own measurement"
    WEAK_SEALING = "sealing commits neither to its key nor to its info: anybody's sealed secret opens for anybody"
    WHOLE_INSTANCE = "attestation key and instance key of one instance of this deployment (i3 on m3)"
    DEPLOYMENT_KEY = "this deployment's key"
    ALL_LATER = "every long-term key of everybody, after the sessions"
    KEM_KEY_KEPT = "the client keeps its one-time key, and it leaks later"


BASE = frozenset(
    {
        Power.FOREIGN_PLATFORM,
        Power.OWN_PLATFORM,
        Power.OTHER_INSTANCE,
        Power.OTHER_DEPLOYMENT,
        Power.EXPIRED_INSTANCE,
        Power.OTHER_SESSIONS,
        Power.OTHER_CODE,
    }
)
"""What the attacker always has unless said otherwise."""

QUERIES = {
    "bad_user_data": "secrecy: what the user says stays between client and enclave",
    "bad_answer": "secrecy: so does what the enclave answers",
    "bad_session_secret": "secrecy of the secret of a session that a client accepted",
    "bad_later": "forward secrecy: user data stay secret when every long-term key leaks afterwards",
    "end_agree": "agreement: whoever a client accepts has the same h, secret, deployment, instance and machine",
    "end_answer": "agreement: an answer is the enclave's answer to that request of that session",
    "end_device": "mutual agreement: a device that a server accepts has attested in that session",
}
"""What must hold. ``bad_…`` must not be derivable; ``end_…(x)`` only together with ``begin_…(x)``."""
