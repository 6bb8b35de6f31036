"""The attack suite as a command: ``python -m strongroom.testing.attacks URL --invitation strongroom1:…``."""

from __future__ import annotations

import argparse
import ipaddress
import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from strongroom.base.errors import Misconfigured, StrongroomError
from strongroom.cli.wanted import Wanted
from strongroom.testing.attacks.model import Outcome
from strongroom.testing.attacks.suite import ATTACKS, run_suite
from strongroom.testing.attacks.target import Target
from strongroom.transport.outer import usable_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.testing.attacks.model import Report, Verdict

__all__ = ["main", "run"]

_MAX_FLOOD = 10_000
_MAX_PATIENCE = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; the exit code is 0 when everything was refused, 1 when an attack worked."""
    given = _parser().parse_args(arguments)
    if given.list:
        for attack in ATTACKS:
            _say(f"{attack.name:<34} {attack.where:<7} {attack.what}")
        return 0
    try:
        target = _target(given)
        report = run_suite(target, only=given.only, on_verdict=(lambda _: None) if given.json else _tell)
    except StrongroomError as error:
        sys.stderr.write(f"strongroom-attack: {error.code}: {error.message}\n")
        return error.exit_code if not isinstance(error, Misconfigured) else 2
    if given.json:
        _say(json.dumps(report.to_json_object(), indent=2))
    else:
        _say(_summary(report))
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="strongroom-attack",
        description="Attack an attested service of your own, as an outsider can, and say what was refused and how.",
        epilog="Exit codes: 0 all refused, 1 an attack worked, 2 misused, 3 no genuine client served, 7 unavailable.",
    )
    parser.add_argument("url", nargs="?", help="address of the server")
    parser.add_argument("--invitation", help="the deployment's invitation: what a genuine client expects")
    parser.add_argument("--policy", type=Path, help="appraisal policy (TOML); the code installed here by default")
    parser.add_argument("--root", type=Path, help="PEM of the root to trust instead of Intel's or the invitation's")
    parser.add_argument("--accept-simulated-platform", action="store_true", help="as for every other command")
    parser.add_argument("--other-instance", help="address of another instance of the same deployment")
    parser.add_argument("--i-own-this-server", action="store_true", help="needed for any address but loopback")
    parser.add_argument("--only", action="append", default=[], metavar="ATTACK", help="run this one; repeatable")
    parser.add_argument("--flood", type=int, default=200, help=f"hellos of the flood, at most {_MAX_FLOOD}")
    parser.add_argument("--patience", type=float, default=75.0, help="seconds a slow client may be put up with")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--list", action="store_true", help="list the attacks and end")
    return parser


def _target(given: argparse.Namespace) -> Target:
    if given.url is None or given.invitation is None:
        raise Misconfigured("give the server's URL and --invitation, or --list")
    if not 1 <= given.flood <= _MAX_FLOOD or not 0 < given.patience <= _MAX_PATIENCE:
        raise Misconfigured(f"a flood has 1 to {_MAX_FLOOD} hellos, patience lasts up to {_MAX_PATIENCE:g} s")
    addresses = [usable_address(url) for url in (given.url, given.other_instance) if url is not None]
    if not given.i_own_this_server and not all(map(_is_loopback, addresses)):
        raise Misconfigured(
            "this is not a loopback address; attack servers of your own only, and say --i-own-this-server"
        )
    wanted = Wanted.parse(
        given.invitation,
        accept_simulated_platform=given.accept_simulated_platform,
        root=given.root,
        policy=given.policy,
    )
    return Target(
        url=addresses[0],
        terms=wanted.terms(),
        other_instance=addresses[1] if len(addresses) > 1 else None,
        flood=given.flood,
        patience=given.patience,
    )


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(item[4][0]).is_loopback for item in found)


def _tell(verdict: Verdict) -> None:
    detail = " ".join(verdict.detail.split())
    _say(f"{verdict.outcome.value + ':':<16}{verdict.name:<34} {detail}")


def _summary(report: Report) -> str:
    if report.baseline:
        return f"nothing was tried: {report.baseline}"
    counts = {outcome: sum(item.outcome is outcome for item in report.verdicts) for outcome in Outcome}
    lines = ["", ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)]
    if report.accepted:
        lines.append("these attacks WORKED: " + ", ".join(report.accepted))
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run() -> None:
    """Be the program ``strongroom-attack``."""
    sys.exit(main())


if __name__ == "__main__":
    run()
