"""An explanation as a fragment of HTML for a page: one ``section``, escaped, without scripts or anything to be fetched.

Every text goes through ``html.escape``, names of classes are constants, and the style is in the fragment, with names
that begin with ``sr-``. Standings differ by word and by shape, not by colour alone.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from strongroom.verifier.explain import Standing
from strongroom.verifier.explain_text import branch_verdict, statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strongroom.base.findings import Finding
    from strongroom.verifier.explain import Explanation, Step
    from strongroom.verifier.policy_compose import Branch

__all__ = ["STYLE", "to_html"]

_CLASSES: Final = {
    Standing.PROVED: ("sr-proved", "✓"),
    Standing.SIMULATED: ("sr-unsupported", "~"),
    Standing.REFUSED: ("sr-refused", "✗"),
    Standing.UNSUPPORTED: ("sr-unsupported", "?"),
    Standing.OPEN: ("sr-open", "○"),
}

STYLE: Final = """\
.sr-explanation{--sr-ink:#1c2330;--sr-dim:#5a6475;--sr-line:#c9d0da;--sr-card:#fff;
--sr-page:#f5f7fa;--sr-good:#14683f;--sr-bad:#a81e2d;--sr-unsure:#7a5200;--sr-none:#48566b;background:var(--sr-page);border-radius:.4rem;color:var(--sr-ink);
font:15px/1.5 system-ui,sans-serif;max-width:60rem;padding:1rem}
@media (prefers-color-scheme:dark){.sr-explanation{--sr-ink:#e7ebf2;--sr-dim:#a3adbd;--sr-line:#3d4757;
--sr-card:#1a2029;--sr-page:#11161d;--sr-good:#6fd6a2;--sr-bad:#ff9aa5;--sr-unsure:#efc26b;--sr-none:#b4bfd0}}
.sr-explanation *{box-sizing:border-box}
.sr-explanation h2,.sr-explanation h3{font-size:1rem;line-height:1.4;margin:0}
.sr-explanation h3{margin-top:1.5rem}
.sr-verdict{border-left:.35rem solid var(--sr-line);padding:.5rem .9rem}
.sr-verdict.sr-proved{border-color:var(--sr-good)}
.sr-verdict.sr-refused{border-color:var(--sr-bad)}
.sr-verdict.sr-unsupported{border-color:var(--sr-unsure)}
.sr-warning{color:var(--sr-unsure);font-weight:600;margin:.35rem 0 0}
.sr-chain,.sr-branches,.sr-branches ul{list-style:none;margin:0;padding:0}
.sr-chain{margin-top:1rem}
.sr-chain>li+li{margin-top:1.1rem;position:relative}
.sr-chain>li+li::before{border:solid transparent;border-top-color:var(--sr-line);border-width:.5rem .5rem 0;content:"";
left:1.35rem;position:absolute;top:calc(-.5rem - 1px)}
.sr-chain>li+li::after{background:var(--sr-line);content:"";height:.6rem;left:calc(1.85rem - 1px);position:absolute;
top:calc(-1.1rem - 1px);width:2px}
.sr-card{background:var(--sr-card);border:1px solid var(--sr-line);border-radius:.4rem;padding:.6rem .9rem}
.sr-head{align-items:baseline;display:flex;flex-wrap:wrap;gap:.2rem .7rem;justify-content:space-between}
.sr-title{font-weight:600}
.sr-badge{font-size:.85rem;font-weight:600;white-space:nowrap}
.sr-badge.sr-proved{color:var(--sr-good)}
.sr-badge.sr-refused{color:var(--sr-bad)}
.sr-badge.sr-unsupported{color:var(--sr-unsure)}
.sr-badge.sr-open{color:var(--sr-none)}
.sr-card p{color:var(--sr-dim);margin:.15rem 0 0}
.sr-card p.sr-objection{color:var(--sr-bad)}
.sr-facts{display:grid;gap:.1rem 1rem;grid-template-columns:minmax(6.5rem,max-content) 1fr;margin:.4rem 0 0}
.sr-facts dt{color:var(--sr-dim)}
.sr-facts dd{font-family:ui-monospace,monospace;font-size:.87rem;margin:0;min-width:0;overflow-wrap:anywhere}
.sr-branches ul{margin-left:1.3rem}
.sr-list{color:var(--sr-dim);margin:.3rem 0 0;padding-left:1.3rem}
"""


def to_html(explanation: Explanation, *, style: bool = True) -> str:
    """Write an explanation as one ``section``; ``style=False`` where the page brings ``STYLE`` itself."""
    parts = ['<section class="sr-explanation">']
    if style:
        parts.append(f"<style>\n{STYLE}</style>")
    parts.append(f'<div class="sr-verdict {_verdict_class(explanation)}"><h2>{escape(explanation.verdict)}</h2>')
    if explanation.appraised_at is not None:
        parts.append(f"<div>judged at {explanation.appraised_at:%Y-%m-%d %H:%M} UTC</div>")
    parts += [f'<p class="sr-warning">{escape(text)}</p>' for text in explanation.warnings]
    parts += ["</div>", '<ol class="sr-chain">', *map(_step, explanation.steps), "</ol>"]
    if explanation.branch is not None:
        parts += ["<h3>What each policy said</h3>", f'<ul class="sr-branches">{_branch(explanation.branch)}</ul>']
    parts += ["<h3>Assumed, and not to be proven</h3>", _list(explanation.assumed)]
    parts += ["<h3>Not covered</h3>", _list(explanation.not_covered), "</section>"]
    return "\n".join(parts) + "\n"


def _verdict_class(explanation: Explanation) -> str:
    if any(step.standing is Standing.REFUSED for step in explanation.steps):
        return "sr-refused"
    return "sr-proved" if explanation.accepted and not explanation.warnings else "sr-unsupported"


def _step(step: Step) -> str:
    name, shape = _CLASSES[step.standing]
    parts = [
        '<li class="sr-card">',
        f'<div class="sr-head"><span class="sr-title">{escape(step.title)}</span>',
        f'<span class="sr-badge {name}">{shape} {escape(step.standing.value)}</span></div>',
        *(f"<p>{escape(text)}</p>" for text in statement(step)),
        *(_objection(finding) for finding in step.objections),
        _facts(step.rows),
        "</li>",
    ]
    return "\n".join(part for part in parts if part)


def _objection(finding: Finding) -> str:
    text = f"{finding.message} ({finding.check}, {finding.section})"
    rows = tuple((name, value) for name, value in (("expected", finding.expected), ("found", finding.actual)) if value)
    return f'<p class="sr-objection">{escape(text)}</p>{_facts(rows)}'


def _facts(rows: tuple[tuple[str, str], ...]) -> str:
    if not rows:
        return ""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="sr-facts">{items}</dl>'


def _branch(branch: Branch) -> str:
    findings = "".join(f"<li>✗ {escape(finding.message)}</li>" for finding in branch.findings)
    inner = findings + "".join(map(_branch, branch.branches))
    return f"<li>{escape(branch_verdict(branch))}{f'<ul>{inner}</ul>' if inner else ''}</li>"


def _list(texts: Iterable[str]) -> str:
    return f'<ul class="sr-list">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>'
