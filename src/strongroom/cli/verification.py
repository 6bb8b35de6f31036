"""What ``strongroom verify`` does, for a live store and for captured evidence, in each form of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from strongroom.base.errors import AppraisalRefused, CollateralUnavailable
from strongroom.cli.captured import anchor_of, describe_captured, instant_of
from strongroom.cli.explanation import explain
from strongroom.cli.measured import measure_store
from strongroom.cli.output import emit, emit_json, note
from strongroom.cli.verdict import describe, describe_json
from strongroom.cli.verifiers_file import verifiers_from_toml
from strongroom.cli.wanted import Wanted, connect, read_file
from strongroom.client.floors import FloorBook
from strongroom.formats.collateral import Collateral
from strongroom.verifier import appraise, assess
from strongroom.verifier.policy_compose import policy_from_toml

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.client.floors import Floors
    from strongroom.verifier.anchors import Anchor

__all__ = ["Kept", "Shown", "verify_captured", "verify_live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """In which form the answer is wanted; ``html`` is a file for the explanation."""

    as_json: bool
    explain: bool
    html: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The collateral in a device's directory, and where what it lacks comes from: Intel, a caching service, nowhere."""

    home: Path
    intel: bool
    pccs: str | None

    def find(self, evidence: bytes, anchor: Anchor, at: datetime) -> Collateral:
        """Give collateral that is valid at an instant for evidence; what was fetched is kept.

        Raises ``CollateralUnavailable``, and ``MalformedQuote`` for evidence that names no platform.
        """
        from strongroom.cli.collateral import collateral_service, kept_collateral
        from strongroom.collateral.kinds import PlatformKind
        from strongroom.collateral.sources import CachingSource

        kind = PlatformKind.of_evidence(evidence)
        kept = kept_collateral(None, self.home, (anchor,))
        try:
            return kept.collateral(kind, at).collateral
        except CollateralUnavailable as absent:
            if not self.intel and self.pccs is None:
                absent.hint = "give it with --collateral FILE, or let it be fetched with --intel or --pccs URL"
                raise
        service = collateral_service(self.pccs, anchors=(anchor,), update="standard", number=None, tls_ca=None)
        fetching = CachingSource(service, kept)
        found = fetching.collateral(kind, at)
        if fetching.storage_failure:
            note(f"not kept: {fetching.storage_failure}")
        return found.collateral


def verify_live(
    address: str,
    root: Path | None,
    policy: Path | None,
    *,
    accept_simulated_platform: bool,
    home: Path,
    shown: Shown,
    verifiers: Path | None = None,
) -> None:
    """Attest a store and show what was proven; ``AppraisalRefused`` with every finding where it is refused.

    What this device knows of the deployment counts, and is left as it is. ``home`` is the device's directory.
    ``verifiers`` is a file that says whose word to take instead of appraising here.
    """
    wanted = Wanted.parse(address, accept_simulated_platform=accept_simulated_platform, root=root, policy=policy)
    believed = None if verifiers is None else verifiers_from_toml(verifiers)
    store = connect(wanted, home, keep=False, verifiers=believed)
    try:
        peer = store.peer()
    except AppraisalRefused as refusal:
        if shown.explain:
            explain(refusal, html=shown.html)
        raise
    finally:
        store.close()
    if shown.explain:
        explain(peer.result, peer=peer, html=shown.html)
        return
    floors = FloorBook(home).load(peer.deployment)
    if shown.as_json:
        emit_json({**describe_json(peer, url=wanted.url), "floors": dict(floors.described())})
    else:
        emit(describe(peer, url=wanted.url, own_measurement=measure_store()))
        emit(_floors_text(floors))


def _floors_text(floors: Floors) -> str:
    if not floors.numbers:
        return "\nfloors: none, this device has not accepted this deployment before"
    shown = [f"{name.partition(' ')[0]} {value}" for name, value in floors.described()]
    return "\nfloors: this device accepts no less than " + ", ".join(shown)


def verify_captured(
    evidence: Path, collateral: Path | Kept, root: Path | None, policy: Path | None, *, at: str | None, shown: Shown
) -> None:
    """Judge captured evidence: with a policy a verdict, without one what can be judged without."""
    quote = read_file(evidence)
    instant = datetime.now(UTC) if at is None else instant_of(at)
    anchor = anchor_of(root)
    if isinstance(collateral, Kept):
        endorsements = collateral.find(quote, anchor, instant)
    else:
        endorsements = Collateral.from_json(read_file(collateral))
    assessment = assess(quote, endorsements, (anchor,), at=instant)
    result = None
    if policy is not None:
        accepted = policy_from_toml(read_file(policy))
        try:
            result = appraise(quote, endorsements, accepted, at=instant)
        except AppraisalRefused as refusal:
            if shown.explain:
                explain(refusal, assessment=assessment, html=shown.html)
            raise
    if shown.explain:
        explain(result or assessment, assessment=assessment, html=shown.html)
    elif shown.as_json:
        emit_json((result or assessment).to_json_object())
    else:
        emit(describe_captured(assessment, judged_with_policy=result is not None))
    if result is None and assessment.findings:
        if shown.as_json:
            raise SystemExit(AppraisalRefused.exit_code)  # the findings stand in the result already
        raise AppraisalRefused(assessment.findings)
