"""Certificates of a server's own: a fresh key, evidence about it, and a self-signed certificate around both."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.crypto.tls_certificates import TlsKey, issue_self_signed
from strongroom.formats.tagged_evidence import GRAMINE_EVIDENCE_OID, TAGGED_EVIDENCE_OID
from strongroom.ratls.binding import attest_key, attest_key_for_older_gramine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.ratls.ports import Attester

__all__ = ["CLOCK_SKEW", "DEFAULT_LIFETIME", "ServerCertificate", "issue_certificate"]

DEFAULT_LIFETIME: Final = timedelta(hours=4)
MAX_LIFETIME: Final = timedelta(hours=24)
CLOCK_SKEW: Final = timedelta(minutes=5)  # a client's clock may run behind ours
_SUBJECT: Final = "RA-TLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """What a TLS server presents (``chain``, DER, its own first), the key, and the evidence about the key."""

    chain: tuple[bytes, ...] = field(repr=False)
    key: TlsKey = field(repr=False)
    evidence: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime


def issue_certificate(
    attester: Attester,
    *,
    at: datetime,
    names: Sequence[str] = (),
    lifetime: timedelta = DEFAULT_LIFETIME,
    for_older_gramine: bool = False,
) -> ServerCertificate:
    """Draw a key, attest it and issue a certificate for it that ends ``lifetime`` (at most a day) after ``at``.

    ``names`` are host names and addresses; RA-TLS peers look at evidence and not at names. ``for_older_gramine`` adds
    the extension that older Gramine releases read, at the price of a second quote. Raises ``AttesterUnavailable``.
    """
    if not timedelta(0) < lifetime <= MAX_LIFETIME:
        raise ValueError(f"a certificate lives at most {MAX_LIFETIME}")
    key = TlsKey.generate()
    evidence = attest_key(attester, key.spki)
    extensions = [(TAGGED_EVIDENCE_OID, evidence)]
    if for_older_gramine:
        extensions.append((GRAMINE_EVIDENCE_OID, attest_key_for_older_gramine(attester, key.spki)))
    begin, end = (at - CLOCK_SKEW).replace(microsecond=0), (at + lifetime).replace(microsecond=0)
    certificate = issue_self_signed(
        key=key, subject=_SUBJECT, names=names, not_before=begin, not_after=end, evidence=extensions
    )
    return ServerCertificate(chain=(certificate,), key=key, evidence=evidence, not_before=begin, not_after=end)
