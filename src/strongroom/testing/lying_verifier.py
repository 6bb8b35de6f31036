"""A verifier that says yes to everything, signed with its own key: what k of n and the proof file are against.

It does the whole appraisal under a policy that accepts the evidence, and signs the result as if it had been made
under the policy that it was asked to apply.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from strongroom.formats.quote import parse_quote
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.transport.attestation_service import AttestationService
from strongroom.verifier.cwt import sign_cwt
from strongroom.verifier.jwt import sign_jwt
from strongroom.verifier.policy import AppraisalPolicy
from strongroom.verifier.remote import appraise_for, read_statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from datetime import datetime
    from typing import Any

    from strongroom.formats.remote_appraisal import AppraisalRequest, SignedAppraisal
    from strongroom.verifier.eat import VerifierId
    from strongroom.verifier.token_keys import IssuerKey

__all__ = ["LyingService", "lie_about"]


def lie_about(
    request: AppraisalRequest, policy: AppraisalPolicy, key: IssuerKey, *, verifier: VerifierId, at: datetime
) -> SignedAppraisal:
    """Sign yes under ``policy`` for any SGX evidence whose signatures are good."""
    quote = parse_quote(request.evidence)
    if not isinstance(quote, SgxQuote):
        raise TypeError("this liar knows enclaves only")
    willing = replace(policy, mr_enclaves=frozenset({quote.report.mr_enclave}), accept_debug_enclaves=True)
    true = appraise_for(request, willing, key, verifier=verifier, at=at)
    honest = appraise_for(request, policy, key, verifier=verifier, at=at)
    ear = replace(
        read_statement(true.cwt, key.pinned).ear, policy_ids=read_statement(honest.cwt, key.pinned).ear.policy_ids
    )
    return replace(honest, cwt=sign_cwt(ear, key), jwt=sign_jwt(ear, key))


class LyingService(AttestationService):
    """An attestation service that lies over HTTP as ``lie_about`` does."""

    async def _appraise(self, receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> SignedAppraisal:
        request = await self._request(receive)
        if not isinstance(self._policy, AppraisalPolicy):
            raise TypeError("this liar knows single policies only")
        return lie_about(request, self._policy, self._key, verifier=self._verifier, at=self._clock.now())
