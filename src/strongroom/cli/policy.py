"""``strongroom policy``: what a policy file accepts, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from strongroom.cli.options import AsJson

if TYPE_CHECKING:
    from strongroom.verifier.policy_check import Problem
    from strongroom.verifier.policy_compose import Policy
    from strongroom.verifier.policy_explain import PolicyExplanation

__all__ = ["app"]

app = typer.Typer(
    name="policy",
    help="Say what a policy file accepts, and find contradictions and dangers in it.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(help="A policy file, single or composed.", metavar="FILE")]


@app.command("explain")
def explain(file: File, as_json: AsJson = False) -> None:
    """Say in sentences what a policy accepts, and what it leaves open.

    Example: strongroom policy explain policy.toml
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.verifier.policy_explain import explain_policy, policy_text

    policy, _ = _read(file)
    explanation = explain_policy(policy)
    if as_json:
        emit_json({"digest": policy.digest.hex(), **_explanation_json(explanation)})
        return
    emit(policy_text(explanation))
    emit(f"digest {policy.digest.hex()}")


@app.command("check")
def check(
    file: File,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on dangers too, not on contradictions only.")] = False,
    newest: Annotated[
        int | None,
        typer.Option("--newest", help="The greatest TCB evaluation data number that exists.", metavar="NUMBER"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find contradictions and dangers in a policy. Exits with 1 when there is a contradiction.

    Example: strongroom policy check policy.toml --strict
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.output import emit, emit_json, finish
    from strongroom.verifier.policy_check import NEWEST_KNOWN_EVALUATION, Severity, check_policy, repeated_entries

    policy, data = _read(file)
    number = NEWEST_KNOWN_EVALUATION if newest is None else newest
    problems = (*repeated_entries(data), *check_policy(policy, newest_evaluation=number))
    if as_json:
        emit_json([_problem_json(problem) for problem in problems])
    else:
        emit("\n".join(map(_problem_text, problems)) or "no problems found")
    failing = {Severity.CONTRADICTION, Severity.DANGER} if strict else {Severity.CONTRADICTION}
    if any(problem.severity in failing for problem in problems):
        finish()
        raise SystemExit(Misconfigured.exit_code)


def _read(file: Path) -> tuple[Policy, bytes]:
    from strongroom.cli.wanted import read_file
    from strongroom.verifier.policy_compose import policy_from_toml

    data = read_file(file)
    return policy_from_toml(data), data


def _problem_text(problem: Problem) -> str:
    place = f"policy {problem.place}, " if problem.place else ""
    return f"{problem.severity}: {place}{problem.setting}: {problem.message}\n    {problem.remedy}"


def _problem_json(problem: Problem) -> dict[str, str]:
    return {
        "severity": problem.severity.value,
        "policy": problem.place,
        "setting": problem.setting,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _explanation_json(explanation: PolicyExplanation) -> dict[str, Any]:
    return {
        "policy": explanation.place,
        "headline": explanation.headline,
        "sections": [{"title": item.title, "sentences": list(item.sentences)} for item in explanation.sections],
        "parts": [_explanation_json(part) for part in explanation.parts],
    }
