"""The new instance's side of a join: prove oneself in the session that proved the donor, take the key, seal it.

The donor is proven before a word is said to it: by the transport, whose terms pin the deployment
(docs/spec/instances.md 4). Whoever calls this has made those terms; without a pinned deployment nothing is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import httpx2

from strongroom.base.errors import (
    AppraisalRefused,
    MalformedMessage,
    Misconfigured,
    StoreUnreachable,
    StrongroomError,
    Unavailable,
)
from strongroom.channel.peer_evidence import ClientClaim
from strongroom.crypto.aead import OpenFailed
from strongroom.crypto.hpke import HpkePrivateKey
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.client_claims import ClientRole
from strongroom.formats.joining import CBOR_TYPE, JOIN_PATH, JoinRequest, JoinStatement, join_info, refusal_of
from strongroom.store.deployment import Deployment
from strongroom.store.root import Root, Sealer

if TYPE_CHECKING:
    from strongroom.store.ports import RecordStore
    from strongroom.transport.client import AttestedTransport

__all__ = ["JoinRefused", "JoiningEnclave", "join_deployment"]

_HOST = "https://instance.strongroom.invalid"


class JoiningEnclave(Sealer, Protocol):
    """What a joiner needs of its platform: sealing keys and evidence."""

    def evidence(self, report_data: bytes) -> bytes:
        """Make evidence over 64 bytes; raises ``AttesterUnavailable``."""
        ...


class JoinRefused(AppraisalRefused):
    """The running instance refused the join, for these findings."""

    code = "join-refused"


def join_deployment(
    storage: RecordStore, enclave: JoiningEnclave, transport: AttestedTransport, *, collateral: bytes
) -> Deployment:
    """Join the deployment whose running instance ``transport`` leads to, and seal the root key for this code here.

    ``collateral`` is this platform's, as JSON. Raises ``AppraisalRefused`` when the donor does not prove itself,
    ``JoinRefused`` with the donor's findings, ``Misconfigured`` when the database is another deployment's.
    """
    Deployment.require(storage)
    peer = transport.peer()
    if not peer.deployment_pinned:
        raise Misconfigured(
            "a join needs a pinned deployment: nobody takes a root key from whoever answers", setting="deployment"
        )
    instance_key, private = SigningKey.generate(), HpkePrivateKey.generate()
    statement = JoinStatement(instance_key=instance_key.public, kem_key=private.public)
    claim = ClientClaim(role=ClientRole.INSTANCE, binder=transport.client_binder(), context=statement.context)
    request = JoinRequest(statement=statement, shown=claim.shown(enclave.evidence(claim.report_data), collateral))
    with httpx2.Client(transport=transport, base_url=_HOST, trust_env=False) as client:
        response = client.post(JOIN_PATH, content=request.to_bytes(), headers={"content-type": CBOR_TYPE})
    if response.status_code != httpx2.codes.OK:
        raise _refusal(response)
    try:
        root = Root.from_bytes(private.open(response.content, join_info(peer.session, statement)))
    except OpenFailed:
        raise MalformedMessage("the root key was not sealed for this session", path="join") from None
    deployment = Deployment.take_over(storage, enclave, root, instance_key=instance_key)
    if deployment.deployment_id != peer.deployment:
        raise Misconfigured("this database is another deployment's", setting="data")
    return deployment


def _refusal(response: httpx2.Response) -> StrongroomError:
    """Read a refusal. It came through the channel, so it is the donor enclave's own word."""
    try:
        code, message, findings = refusal_of(response.content)
    except MalformedMessage:
        return StoreUnreachable(f"the instance answered with status {response.status_code}")
    if findings:
        return JoinRefused(findings, hint="see `strongroom instances` on the running deployment")
    if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
        return Unavailable(f"the instance could not answer: {message}")
    return MalformedMessage(f"the instance refused with {code}: {message}", path="join")
