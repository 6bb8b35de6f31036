"""An explanation as plain text, for any terminal and for logs."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from strongroom.verifier.explain import Standing, clean
from strongroom.verifier.policy_compose import AllOf

if TYPE_CHECKING:
    from strongroom.verifier.explain import Explanation, Step
    from strongroom.verifier.policy_compose import Branch

__all__ = ["branch_lines", "branch_verdict", "mark", "statement", "to_text"]


def to_text(explanation: Explanation, *, width: int = 80) -> str:
    """Write an explanation as plain text of at most ``width`` columns, from 60 up."""
    lines = [*_wrap(explanation.verdict, width)]
    for warning in explanation.warnings:
        lines += _wrap(f"! {warning}", width, hang=2)
    for i, step in enumerate(explanation.steps):
        lines += ["▼" if i else "", *_step(step, width, last=step is explanation.steps[-1])]
    if explanation.branch is not None:
        lines += ["", "What each policy said", *branch_lines(explanation.branch, width, indent=2)]
    for title, texts in (
        ("Assumed, and not to be proven", explanation.assumed),
        ("Not covered", explanation.not_covered),
    ):
        lines += ["", title]
        for text in texts:
            lines += _wrap(f"  - {text}", width, hang=4)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def branch_verdict(branch: Branch) -> str:
    """Say in one line what one policy of a composition is and what it said."""
    name = f"policy {branch.place}" if branch.place else "the policy"
    verdict = "accepts" if branch.accepted else "refuses"
    if not branch.branches:
        return f"{name} {verdict}"
    kind = "all" if isinstance(branch.policy, AllOf) else "any"
    return f"{name} {verdict}: {kind} of {len(branch.branches)} policies must accept"


def branch_lines(branch: Branch, width: int, *, indent: int) -> list[str]:
    """Say, a line each, what the policies of a composition said, indented as they are nested."""
    lines = [" " * indent + branch_verdict(branch)]
    for item in branch.findings:
        lines += [" " * (indent + 2) + line for line in _wrap(f"x {clean(item.message)}", width - indent - 2, hang=2)]
    for inner in branch.branches:
        lines += branch_lines(inner, width, indent=indent + 2)
    return lines


def statement(step: Step) -> tuple[str, ...]:
    """Give what a step says: nothing where it was refused, and as a thing to be shown where it was not."""
    match step.standing:
        case Standing.PROVED | Standing.SIMULATED:
            return (step.statement,)
        case Standing.REFUSED:
            return ()
        case _:
            return (f"To be shown: {step.statement[0].lower()}{step.statement[1:]}",)


def mark(standing: Standing) -> str:
    """Name a standing so that a refusal stands out without colours."""
    return standing.value.upper() if standing is Standing.REFUSED else standing.value


def _wrap(text: str, width: int, *, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text, max(width, 20), subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _step(step: Step, width: int, *, last: bool) -> list[str]:
    room = width - 2
    body = [line for text in statement(step) for line in _wrap(text, room)]
    for item in step.objections:
        body += _wrap(f"x {item.message} ({item.check}, {item.section})", room, hang=2)
        for name, value in (("expected", item.expected), ("found", item.actual)):
            body += _row(name, value, room) if value else []
    for name, value in step.rows:
        body += _row(name, value, room)
    stem = "  " if last else "│ "
    return [f"{step.title}  [{mark(step.standing)}]", *(stem + line for line in body)]


def _row(name: str, value: str, room: int) -> list[str]:
    label = f"{name:<12} "
    if len(label) + len(value) <= room or " " in value:
        return _wrap(label + value, room, hang=len(label))
    chunk = len(value)  # a digest stays in one piece where it can, so that it can be copied
    while chunk > room - 2 and chunk > 16:
        chunk = (chunk + 1) // 2
    pieces = (value[i : i + chunk] for i in range(0, len(value), chunk))
    return [label.rstrip(), *(f"  {piece}" for piece in pieces)]
