"""One appraisal under way: the instant it is for, what is accepted as a root, and every objection so far.

Steps report to it and go on; nothing ends early, so that a refusal lists everything that is wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from strongroom.base.findings import Check, Finding
from strongroom.crypto import ecdsa

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.crypto.certificates import Certificate, RevocationList
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.memo import Memo

__all__ = ["Inquiry", "label"]

_MAX_LABEL = 80
T = TypeVar("T")


class Inquiry:
    """Collects findings, the ends of everything that was used, and the leniencies that were needed.

    ``grace`` is how long after their end CRLs and documents are still taken; certificates get none.
    """

    def __init__(self, *, anchors: Sequence[Anchor], memo: Memo, at: datetime, grace: timedelta) -> None:
        if at.tzinfo is None:
            raise ValueError("an instant needs its time zone")
        self.anchors = tuple(anchors)
        self.memo = memo
        self.at = at
        self.grace = grace
        self.findings: list[Finding] = []
        self.confessions: list[str] = []
        self.ends: list[datetime] = []
        self._objections = 0

    def require(
        self,
        holds: bool,
        check: Check,
        section: str,
        message: str,
        *,
        expected: str = "",
        actual: str = "",
    ) -> bool:
        """Object unless a condition holds; give the condition back."""
        if not holds:
            self.object(check, section, message, expected=expected, actual=actual)
        return holds

    def object(self, check: Check, section: str, message: str, *, expected: str = "", actual: str = "") -> None:
        """Note an objection; the same one, as to one root in three chains, once."""
        self._objections += 1
        finding = Finding(
            check=check, message=message, section=f"appraisal {section}", expected=expected, actual=actual
        )
        if finding not in self.findings:
            self.findings.append(finding)

    def unopposed(self, judge: Callable[[], T | None]) -> tuple[T | None, bool]:
        """Give what a judgement finds out, and whether it did so without any objection, new or repeated."""
        before = self._objections
        value = judge()
        return value, self._objections == before

    def in_time(self, section: str, what: str, begin: datetime, end: datetime, *, graced: bool) -> None:
        """Object when the instant lies outside [begin, end]; ``graced`` things may be late by the grace period."""
        limit = self.holds_until(end, self.grace if graced else timedelta(0))
        if self.at < begin:
            self.require(
                False,
                Check.EXPIRY,
                section,
                f"{what} is not valid yet",
                expected=f"from {begin.isoformat()}",
                actual=self.at.isoformat(),
            )
        if self.at > limit:
            self.require(
                False,
                Check.EXPIRY,
                section,
                f"{what} has expired",
                expected=f"until {limit.isoformat()}",
                actual=self.at.isoformat(),
            )
        elif self.at > end:
            self.confessions.append(f"{what} expired {self.at - end} ago and is taken by the policy's grace period")

    def holds_until(self, begin: datetime, period: timedelta) -> datetime:
        """Note that the verdict holds no longer than for a period after ``begin``; give its end."""
        try:
            end = begin + period
        except OverflowError:  # further than the calendar reaches
            end = datetime.max.replace(tzinfo=UTC)
        self.ends.append(end)
        return end

    def signed_by(self, issuer: Certificate, subject: Certificate | RevocationList) -> bool:
        """Tell whether the issuer's key made the subject's signature, by ECDSA P-256 with SHA-256 only."""
        content = (issuer.spki, subject.tbs, subject.signature)
        return (
            issuer.ecdsa_p256_sha256
            and subject.ecdsa_p256_sha256
            and self.memo.holds("DER signature", *content, check=lambda: issuer.signed(subject))
        )

    def raw_signature(self, signer: Certificate, message: bytes, signature: bytes) -> bool:
        """Tell whether a signature in raw form (r and s, 64 bytes) is that of a certificate's key."""
        key = signer.key
        return (
            key is not None
            and signer.ecdsa_p256_sha256
            and self.memo.holds(
                "raw signature",
                signer.spki,
                message,
                signature,
                check=lambda: ecdsa.verify_raw(key, message, signature),
            )
        )


def label(certificate: Certificate) -> str:
    """Name a certificate in a message; its name is foreign text."""
    return _printable(certificate.common_name)


@lru_cache(maxsize=256)  # the names of a PKI are few
def _printable(name: str) -> str:
    return ascii(name)[:_MAX_LABEL]
