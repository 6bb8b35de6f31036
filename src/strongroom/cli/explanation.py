"""``strongroom verify --explain``: an appraisal as a chain of steps, coloured where there is a terminal for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused, StorageUnavailable
from strongroom.verifier.explain import Standing
from strongroom.verifier.explain import explain as make_explanation

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Group, RenderableType
    from rich.table import Table

    from strongroom.verifier.binding import AttestedPeer
    from strongroom.verifier.explain import Explanation, Step
    from strongroom.verifier.result import Assessment, AttestationResult

__all__ = ["explain", "session_of"]

_STYLES: Final = {
    Standing.PROVED: ("green", "✓"),
    Standing.SIMULATED: ("yellow", "~"),
    Standing.REFUSED: ("bold red", "✗"),
    Standing.UNSUPPORTED: ("yellow", "?"),
    Standing.OPEN: ("dim", "○"),
}


def explain(
    subject: AttestationResult | Assessment | AppraisalRefused,
    *,
    assessment: Assessment | None = None,
    peer: AttestedPeer | None = None,
    html: Path | None = None,
) -> None:
    """Print an explanation, or write it to a file as HTML.

    ``assessment`` gives a refusal its facts, ``peer`` a live store's result what was proven about the connection.
    """
    explanation = make_explanation(subject, assessment=assessment, session=None if peer is None else session_of(peer))
    if html is not None:
        _write(explanation, html)
    elif sys.stdout.isatty():
        _paint(explanation)
    else:
        from strongroom.cli.output import emit
        from strongroom.verifier.explain_text import to_text

        emit(to_text(explanation).rstrip("\n"))


def session_of(peer: AttestedPeer) -> dict[str, str]:
    """Say what was proven about a connection."""
    pinned = "the one you expected" if peer.deployment_pinned else "seen for the first time, nobody vouched for it"
    return {
        "session": peer.session.hex(),
        "deployment": f"{peer.deployment.hex()}, {pinned}",
        "machine": f"{peer.machine.hex()}, certified by the deployment's key",
    }


def _write(explanation: Explanation, path: Path) -> None:
    from strongroom.verifier.explain_html import to_html

    page = (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Appraisal</title>\n{to_html(explanation)}'
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as cause:
        raise StorageUnavailable(f"cannot write {path}: {cause.strerror}") from cause


def _paint(explanation: Explanation) -> None:
    from rich.console import Console
    from rich.text import Text

    from strongroom.verifier.explain_text import branch_lines

    console = Console(highlight=False)
    console.print(Text(explanation.verdict, style="bold green" if explanation.accepted else "bold"))
    for warning in explanation.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))
    console.print()
    for step in explanation.steps:
        console.print(_card(step, last=step is explanation.steps[-1]))
    if explanation.branch is not None:
        console.print(Text("What each policy said", style="bold"))
        for line in branch_lines(explanation.branch, console.width, indent=2):
            console.print(Text(line))
        console.print()
    console.print(Text("Assumed, and not to be proven", style="bold"), _rows([("  -", t) for t in explanation.assumed]))
    console.print(Text("\nNot covered", style="bold"), _rows([("  -", text) for text in explanation.not_covered]))


def _card(step: Step, *, last: bool) -> Group:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from strongroom.verifier.explain_text import statement

    style, shape = _STYLES[step.standing]
    head = Text.assemble((step.title, "bold"), "  ", (f"{shape} {step.standing.value}", style))
    lines: list[RenderableType] = [Text(text, style="dim") for text in statement(step)]
    rows = list(step.rows)
    for finding in step.objections:
        lines.append(Text(f"✗ {finding.message} ({finding.check}, {finding.section})", style="red"))
        rows += [(name, value) for name, value in (("expected", finding.expected), ("found", finding.actual)) if value]
    lines += [_rows(rows)] if rows else []
    arrow = Text("" if last else "↓", style="dim")
    return Group(head, Padding(Group(*lines), (0, 0, 0, 2)), arrow)


def _rows(rows: list[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table
