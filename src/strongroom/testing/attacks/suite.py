"""Runs the attacks, one after the other, each bounded; the order is that of docs/attack-suite.md."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Misconfigured, StrongroomError
from strongroom.testing.attacks.load import BY_LOAD
from strongroom.testing.attacks.model import Accepted, NotApplicable, Outcome, Report, Verdict, named
from strongroom.testing.attacks.on_the_server import ON_THE_SERVER
from strongroom.testing.attacks.target import PROBE_PATH
from strongroom.testing.attacks.through_us import THROUGH_US

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.testing.attacks.model import Attack
    from strongroom.testing.attacks.target import Target

__all__ = ["ATTACKS", "run_suite"]

ATTACKS: Final[tuple[Attack, ...]] = (*THROUGH_US, *ON_THE_SERVER, *BY_LOAD)
"""All attacks by an outsider. The flood comes last: what it leaves on the server lasts two minutes."""


def run_suite(
    target: Target, *, only: Sequence[str] = (), on_verdict: Callable[[Verdict], None] = lambda _: None
) -> Report:
    """Run the attacks, or those named; ``on_verdict`` hears of each as it ends. ``Misconfigured`` for an unknown name.

    First a genuine client has to be served: of a server that refuses everybody nothing can be learnt.
    """
    if unknown := sorted(set(only) - {attack.name for attack in ATTACKS}):
        raise Misconfigured(f"there is no attack {unknown[0]!r}", setting="only")
    try:
        with target.client() as (client, _):
            client.get(PROBE_PATH)
    except StrongroomError as error:
        return Report(url=target.url, baseline=f"a genuine client is not served: {named(error)}", verdicts=())
    verdicts = []
    for attack in ATTACKS:
        if not only or attack.name in only:
            verdict = _tried(attack, target)
            on_verdict(verdict)
            verdicts.append(verdict)
    return Report(url=target.url, baseline="", verdicts=tuple(verdicts))


def _tried(attack: Attack, target: Target) -> Verdict:
    began = time.monotonic()
    try:
        outcome, detail = Outcome.REFUSED, attack.run(target)
    except Accepted as worked:
        outcome, detail = Outcome.ACCEPTED, str(worked)
    except NotApplicable as reason:
        outcome, detail = Outcome.NOT_APPLICABLE, str(reason)
    except StrongroomError as error:
        outcome, detail = Outcome.ERROR, named(error)
    return Verdict(
        name=attack.name, where=attack.where, outcome=outcome, detail=detail, seconds=time.monotonic() - began
    )
