"""One appraisal under way: the instant it is for, what is accepted as a root, and every objection so far.

Steps report to it and go on; nothing ends early, so that a refusal lists everything that is wrong. ``Objections`` is
what every step sees. An ``Inquiry`` judges dates at once; ``Lasting`` notes them, for a verdict at any instant later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from strongroom.base.findings import Check, Finding
from strongroom.crypto import ecdsa
from strongroom.verifier.anchors import KNOWN_ROOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.crypto.certificates import Certificate, RevocationList
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.memo import Memo

__all__ = ["Inquiry", "Lasting", "Objections", "Span", "Term", "label"]

_MAX_LABEL = 80
_NO_GRACE = timedelta(0)
T = TypeVar("T")


class Span(NamedTuple):
    """When one thing is valid, both ends included; ``section`` is the step that says so, ``what`` names the thing.

    What is ``graced`` may be late by the grace period.
    """

    section: str
    what: str
    begin: datetime
    end: datetime
    graced: bool


class Term:
    """The spans of everything that a verdict rests on, and the bounds between which none of them objects."""

    __slots__ = ("begin", "end", "graced_end", "spans", "ungraced_end")

    def __init__(self, spans: Sequence[Span]) -> None:
        last = datetime.max.replace(tzinfo=UTC)
        self.spans = tuple(spans)
        self.begin = max((span.begin for span in spans), default=datetime.min.replace(tzinfo=UTC))
        self.graced_end = min((span.end for span in spans if span.graced), default=last)
        self.ungraced_end = min((span.end for span in spans if not span.graced), default=last)
        self.end = min(self.graced_end, self.ungraced_end)


class Objections(ABC):
    """Collects findings."""

    def __init__(self, *, anchors: Sequence[Anchor], memo: Memo) -> None:
        self.anchors = tuple(anchors)
        self.memo = memo
        self.findings: list[Finding] = []
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
        self.repeat(
            Finding(check=check, message=message, section=f"appraisal {section}", expected=expected, actual=actual)
        )

    def repeat(self, finding: Finding) -> None:
        """Note an objection that was made elsewhere, once."""
        if finding not in self.findings:
            self.findings.append(finding)

    def unopposed(self, judge: Callable[[], T | None]) -> tuple[T | None, bool]:
        """Give what a judgement finds out, and whether it did so without any objection, new or repeated."""
        before = self._objections
        value = judge()
        return value, self._objections == before

    @abstractmethod
    def in_time(self, section: str, what: str, begin: datetime, end: datetime, *, graced: bool) -> None:
        """Object when the instant lies outside [begin, end]; ``graced`` things may be late by the grace period."""

    def signed_by(self, issuer: Certificate, subject: Certificate | RevocationList) -> bool:
        """Tell whether the issuer's key made the subject's signature, by ECDSA P-256 with SHA-256 only."""
        if subject is issuer and issuer.der in KNOWN_ROOTS:
            return True
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


class Inquiry(Objections):
    """Judges at one instant; collects the ends of everything that was used too, and the leniencies that were needed.

    ``grace`` is how long after their end CRLs and documents are still taken; certificates get none.
    """

    def __init__(self, *, anchors: Sequence[Anchor], memo: Memo, at: datetime, grace: timedelta) -> None:
        if at.tzinfo is None:
            raise ValueError("an instant needs its time zone")
        super().__init__(anchors=anchors, memo=memo)
        self.at = at
        self.grace = grace
        self.confessions: list[str] = []
        self.ends: list[datetime] = []

    def in_time(self, section: str, what: str, begin: datetime, end: datetime, *, graced: bool) -> None:
        """Object now, or confess to the grace."""
        limit = self.holds_until(end, self.grace if graced else _NO_GRACE)
        if self.at < begin:
            self.object(
                Check.EXPIRY,
                section,
                f"{what} is not valid yet",
                expected=f"from {begin.isoformat()}",
                actual=self.at.isoformat(),
            )
        if self.at > limit:
            self.object(
                Check.EXPIRY,
                section,
                f"{what} has expired",
                expected=f"until {limit.isoformat()}",
                actual=self.at.isoformat(),
            )
        elif self.at > end:
            self.confessions.append(f"{what} expired {self.at - end} ago and is taken by the policy's grace period")

    def within(self, term: Term) -> None:
        """Judge every span of a term; between its bounds none of them has anything to say but its end."""
        if term.begin <= self.at <= term.end:
            self.ends.append(term.ungraced_end)
            self.holds_until(term.graced_end, self.grace)
            return
        for span in term.spans:
            self.in_time(span.section, span.what, span.begin, span.end, graced=span.graced)

    def holds_until(self, begin: datetime, period: timedelta) -> datetime:
        """Note that the verdict holds no longer than for a period after ``begin``; give its end."""
        try:
            end = begin + period
        except OverflowError:  # further than the calendar reaches
            end = datetime.max.replace(tzinfo=UTC)
        self.ends.append(end)
        return end


class Lasting(Objections):
    """Judges what no instant changes, and notes every date that an instant has to be compared with."""

    def __init__(self, *, anchors: Sequence[Anchor], memo: Memo) -> None:
        super().__init__(anchors=anchors, memo=memo)
        self._spans: list[Span] = []

    def in_time(self, section: str, what: str, begin: datetime, end: datetime, *, graced: bool) -> None:
        """Note the span."""
        span = Span(section, what, begin, end, graced)
        if span not in self._spans:  # they are few, and comparing them costs less than hashing their dates
            self._spans.append(span)

    @property
    def term(self) -> Term:
        """All dates noted, each once."""
        return Term(self._spans)


def label(certificate: Certificate) -> str:
    """Name a certificate in a message; its name is foreign text."""
    return _printable(certificate.common_name)


@lru_cache(maxsize=256)  # the names of a PKI are few
def _printable(name: str) -> str:
    return ascii(name)[:_MAX_LABEL]
