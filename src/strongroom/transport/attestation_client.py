"""Asks attestation services. Their answers are bytes to be judged (``verifier.quorum``); nothing is believed here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx2

from strongroom.base.errors import StrongroomError
from strongroom.formats.remote_appraisal import MAX_ANSWER_BYTES, SignedAppraisal
from strongroom.transport.outer import (
    HEADERS,
    MAX_ERROR_BYTES,
    limited,
    outer_tls,
    refusal,
    unreachable,
    usable_address,
)
from strongroom.transport.paths import APPRAISE_PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.formats.remote_appraisal import AppraisalRequest

__all__ = ["Asked", "ask", "ask_all"]

_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of asking one service: an answer, or why there is none."""

    address: str
    answer: SignedAppraisal | None
    error: StrongroomError | None = None


def ask(address: str, request: AppraisalRequest, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> SignedAppraisal:
    """Ask one service; raises ``StoreUnreachable``, ``MalformedMessage``."""
    url = usable_address(address) + APPRAISE_PATH
    transport = httpx2.HTTPTransport(verify=outer_tls(), trust_env=False)
    try:
        with (
            httpx2.Client(transport=transport, timeout=timeout_seconds, trust_env=False) as http,
            http.stream("POST", url, content=request.to_bytes(), headers=HEADERS) as response,
        ):
            good = response.status_code == httpx2.codes.OK
            content = b""
            for chunk in response.iter_raw():
                content += chunk
                limited(len(content), MAX_ANSWER_BYTES if good else MAX_ERROR_BYTES)
            if not good:
                raise refusal(response.status_code, content, response.headers.get("retry-after", ""))
    except httpx2.HTTPError as cause:
        raise unreachable(cause) from cause
    return SignedAppraisal.from_bytes(content)


def ask_all(
    addresses: Sequence[str], request: AppraisalRequest, *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> list[Asked]:
    """Ask several services at once; one that cannot be had does not keep the others back."""

    def one(address: str) -> Asked:
        try:
            return Asked(address=address, answer=ask(address, request, timeout_seconds=timeout_seconds))
        except StrongroomError as error:
            return Asked(address=address, answer=None, error=error)

    if not addresses:
        return []
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        return list(pool.map(one, addresses))
