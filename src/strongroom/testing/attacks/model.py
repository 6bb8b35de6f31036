"""What an attack is, and what comes of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused

if TYPE_CHECKING:
    from strongroom.base.errors import StrongroomError
    from strongroom.testing.attacks.target import Target

__all__ = ["Accepted", "Attack", "NotApplicable", "Outcome", "Report", "Verdict", "named"]


class Outcome(StrEnum):
    """What came of an attack."""

    REFUSED = "refused"
    ACCEPTED = "ACCEPTED"
    NOT_APPLICABLE = "not-applicable"
    ERROR = "error"


class Accepted(Exception):
    """The attack worked; the sentence says how."""


class NotApplicable(Exception):
    """The attack cannot be tried here; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack. ``run`` gives the name of the refusal, or raises ``Accepted`` or ``NotApplicable``.

    ``where`` says who has to refuse: ``server`` or ``client`` (our reference client, with this server behind us).
    """

    name: str
    where: str
    what: str
    run: Callable[[Target], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one attack; ``detail`` is the finding that refused it, or what went wrong."""

    name: str
    where: str
    outcome: Outcome
    detail: str
    seconds: float

    def to_json_object(self) -> dict[str, object]:
        """Give the verdict as JSON."""
        return {
            "attack": self.name,
            "refused_by": self.where,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of all. ``baseline`` is empty when a genuine client is served, else why not, and nothing was tried."""

    url: str
    baseline: str
    verdicts: tuple[Verdict, ...]

    @property
    def accepted(self) -> tuple[str, ...]:
        """The attacks that worked, by name."""
        return tuple(item.name for item in self.verdicts if item.outcome is Outcome.ACCEPTED)

    @property
    def exit_code(self) -> int:
        """0 when everything was refused, 1 when an attack worked, 3 when nothing could be tried, 7 on trouble."""
        if self.baseline:
            return 3
        if self.accepted:
            return 1
        return 7 if any(item.outcome is Outcome.ERROR for item in self.verdicts) else 0

    def to_json_object(self) -> dict[str, object]:
        """Give the report as JSON."""
        return {
            "url": self.url,
            "baseline": self.baseline or "a genuine client is served",
            "accepted": list(self.accepted),
            "exit_code": self.exit_code,
            "attacks": [item.to_json_object() for item in self.verdicts],
        }


def named(error: StrongroomError) -> str:
    """Name a refusal: its findings with their steps, or the error's code and sentence."""
    if isinstance(error, AppraisalRefused):
        return ", ".join(f"{finding.check} [{finding.section}]" for finding in error.findings)
    return f"{error.code}: {error.message}"
