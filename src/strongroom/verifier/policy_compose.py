"""Policies made of policies: evidence that all of them accept, or any of them.

``appraise`` takes a composition wherever it takes one policy. Each policy in it is applied whole and by itself, with
its own anchors and its own grace, so that a composition never accepts what its parts, read one by one, do not.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, Misconfigured
from strongroom.verifier.policy import AppraisalPolicy, policy_digest
from strongroom.verifier.policy_file import MAX_FILE_BYTES, from_table, to_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strongroom.base.canonical import Value
    from strongroom.base.findings import Finding
    from strongroom.verifier.result import AttestationResult

__all__ = [
    "AllOf",
    "AnyOf",
    "Branch",
    "CompositionRefused",
    "Policy",
    "every_part",
    "judge_composition",
    "leaves",
    "policy_from_toml",
    "policy_to_toml",
]

MAX_DEPTH: Final = 8
MAX_POLICIES: Final = 64


@dataclass(frozen=True, slots=True)
class AllOf:
    """Accepts what every one of its policies accepts. The verdict ends with the first of theirs."""

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        _limit(self, "all_of", "all of no policies would accept everything")

    def to_canonical(self) -> dict[int | str | bytes, Value]:
        """Give the composition as a map for ``base.canonical``."""
        return {"version": 1, "all_of": [policy.to_canonical() for policy in self.policies]}

    @property
    def digest(self) -> bytes:
        """SHA-256 over the canonical encoding, 32 bytes, as of a single policy."""
        return policy_digest(self.to_canonical())


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Accepts what at least one of its policies accepts. The result is that of the first which does."""

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        _limit(self, "any_of", "any of no policies would accept nothing")

    def to_canonical(self) -> dict[int | str | bytes, Value]:
        """Give the composition as a map for ``base.canonical``."""
        return {"version": 1, "any_of": [policy.to_canonical() for policy in self.policies]}

    @property
    def digest(self) -> bytes:
        """SHA-256 over the canonical encoding, 32 bytes, as of a single policy."""
        return policy_digest(self.to_canonical())


Policy = AppraisalPolicy | AllOf | AnyOf
"""One policy or a composition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What one policy of a composition said. ``place`` is its number, ``2.1`` for the first in the second.

    ``findings`` are a single policy's, ``branches`` a composition's; both are empty where evidence was accepted by a
    single policy.
    """

    place: str
    policy: Policy
    accepted: bool
    findings: tuple[Finding, ...] = ()
    branches: tuple[Branch, ...] = ()

    def judged(self) -> Iterator[Branch]:
        """Give the single policies that were applied."""
        if isinstance(self.policy, AppraisalPolicy):
            yield self
        for branch in self.branches:
            yield from branch.judged()


class CompositionRefused(AppraisalRefused):
    """Evidence that a composition does not accept.

    ``branch`` holds what each policy found, nested as the policies are. ``findings`` are the same in one list: first
    what every policy objected to, then the others, each saying by which policy.
    """

    def __init__(self, branch: Branch) -> None:
        super().__init__(_flat(branch))
        self.branch = branch


def judge_composition(
    policy: AllOf | AnyOf, appraise: Callable[[AppraisalPolicy], AttestationResult]
) -> AttestationResult:
    """Apply every policy of a composition and combine what they say, or raise ``CompositionRefused``."""
    branch, result = _judge(policy, appraise, place="")
    if result is None:
        raise CompositionRefused(branch)
    return result


def leaves(policy: Policy) -> Iterator[tuple[str, AppraisalPolicy]]:
    """Give the single policies of a policy with their places; a single one has the place ``""``."""

    def walk(part: Policy, place: str) -> Iterator[tuple[str, AppraisalPolicy]]:
        if isinstance(part, AppraisalPolicy):
            yield place, part
            return
        for number, inner in enumerate(part.policies, 1):
            yield from walk(inner, _below(place, number))

    return walk(policy, "")


def every_part(policy: Policy, holds: Callable[[AppraisalPolicy], bool]) -> bool:
    """Tell whether what holds of a single policy's evidence holds of whatever a composition accepts."""
    if isinstance(policy, AppraisalPolicy):
        return holds(policy)
    limits = all if isinstance(policy, AnyOf) else any
    return limits(every_part(part, holds) for part in policy.policies)


def policy_from_toml(data: bytes) -> Policy:
    """Read the file of one policy or of a composition, or raise ``Misconfigured`` naming the setting.

    A composition has ``version = 1`` and a list of tables ``all_of`` or ``any_of``, each a policy or a composition.
    """
    if len(data) > MAX_FILE_BYTES:
        raise Misconfigured(f"the policy file has {len(data)} bytes, at most {MAX_FILE_BYTES} are read")
    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"the policy file is not TOML: {error}") from error
    return _from_table(table, "", 0)


def policy_to_toml(policy: Policy) -> bytes:
    """Write a file that reads back as the same policy."""
    if isinstance(policy, AppraisalPolicy):
        return to_toml(policy)
    name = "all_of" if isinstance(policy, AllOf) else "any_of"
    parts = ["version = 1\n"]
    for part in policy.policies:
        inner = policy_to_toml(part).decode()
        parts.append(f"\n[[{name}]]\n" + re.sub(r"^\[\[", f"[[{name}.", inner, flags=re.MULTILINE))
    return "".join(parts).encode()


def _limit(policy: AllOf | AnyOf, name: str, reason: str) -> None:
    if not policy.policies:
        raise Misconfigured(f"an empty list is refused: {reason}", setting=name)
    if _depth(policy) > MAX_DEPTH or sum(1 for _ in leaves(policy)) > MAX_POLICIES:
        raise Misconfigured(f"a composition has {MAX_POLICIES} policies and depth {MAX_DEPTH} at most", setting=name)


def _depth(policy: Policy) -> int:
    return 0 if isinstance(policy, AppraisalPolicy) else 1 + max(map(_depth, policy.policies))


def _below(place: str, number: int) -> str:
    return f"{place}.{number}" if place else str(number)


def _judge(
    policy: Policy, appraise: Callable[[AppraisalPolicy], AttestationResult], *, place: str
) -> tuple[Branch, AttestationResult | None]:
    if isinstance(policy, AppraisalPolicy):
        try:
            return Branch(place=place, policy=policy, accepted=True), appraise(policy)
        except AppraisalRefused as refusal:
            return Branch(place=place, policy=policy, accepted=False, findings=refusal.findings), None
    parts = [_judge(part, appraise, place=_below(place, i)) for i, part in enumerate(policy.policies, 1)]
    results = [result for _, result in parts if result is not None]
    accepted = len(results) == len(parts) if isinstance(policy, AllOf) else bool(results)
    branch = Branch(place=place, policy=policy, accepted=accepted, branches=tuple(branch for branch, _ in parts))
    if not accepted:
        return branch, None
    return branch, _together(policy, results if isinstance(policy, AllOf) else results[:1])


def _together(policy: AllOf | AnyOf, results: list[AttestationResult]) -> AttestationResult:
    """The evidence is one, so the results differ in what each policy allowed: all leniencies, and the earliest end."""
    first = results[0]
    return replace(
        first,
        simulated=any(result.simulated for result in results),
        collateral=replace(first.collateral, expires_at=min(result.expires_at for result in results)),
        policy_digest=policy.digest,
        confessions=tuple(dict.fromkeys(text for result in results for text in result.confessions)),
    )


def _flat(branch: Branch) -> list[Finding]:
    judged = list(branch.judged())
    common = [finding for finding in judged[0].findings if all(finding in other.findings for other in judged)]
    own = [
        replace(finding, message=f"policy {part.place}: {finding.message}")
        for part in judged
        for finding in part.findings
        if finding not in common
    ]
    return common + own


def _from_table(table: object, path: str, depth: int) -> Policy:
    kinds: dict[str, type[AllOf] | type[AnyOf]] = {"all_of": AllOf, "any_of": AnyOf}
    named = [name for name in kinds if isinstance(table, dict) and name in table]
    if not isinstance(table, dict) or not named:
        return from_table(table, path)
    name = named[0]
    where = f"{path}.{name}" if path else name
    if set(table) != {"version", name} or isinstance(table["version"], bool) or table["version"] != 1:
        raise Misconfigured(f"beside {where!r} stands version = 1 and nothing else", setting=where)
    if not isinstance(table[name], list):
        raise Misconfigured(f"policy setting {where!r} is not a list of tables", setting=where)
    if depth >= MAX_DEPTH:
        raise Misconfigured(f"a composition has depth {MAX_DEPTH} at most", setting=where)
    return kinds[name](tuple(_from_table(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(table[name])))
