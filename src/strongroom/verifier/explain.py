"""An appraisal for people: what each step proved, what it rests on, and what nobody looked at.

``explain`` makes one structure of a result, an assessment or a refusal. ``explain_text`` and ``explain_html`` write it,
``cli.explanation`` with colours. The steps are a chain from the manufacturer's root down to the measured code and what
you accept, and a step is proved only where every step above it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import AppraisalRefused
from strongroom.verifier.policy_compose import Branch, CompositionRefused
from strongroom.verifier.result import NOT_JUDGED, Assessment, AttestationResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from strongroom.base.findings import Finding

__all__ = ["ASSUMED", "NOT_COVERED", "Explanation", "Standing", "Step", "clean", "explain"]

Subject = AttestationResult | Assessment | AppraisalRefused

ASSUMED: Final = (
    "the manufacturer keeps its root key, and what it states about its platforms is true",
    "the platform's keys have not been taken out of the hardware; no quote can show that they have",
    "the clock that gave the time of this appraisal is right",
)
"""What no step can prove and every step rests on."""

NOT_COVERED: Final = (
    "whether the accepted code does what you want and has no faults",
    "whether newer collateral exists that says something worse",
    "whether somebody with the machine in hand can read its memory",
)
"""What no appraisal looks at."""

_NO_SESSION: Final = "whether the evidence is recent and made for this connection"


class Standing(StrEnum):
    """How one step ended."""

    PROVED = "proved"
    SIMULATED = "simulated"
    REFUSED = "refused"
    UNSUPPORTED = "not established"
    OPEN = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the chain.

    ``statement`` says what is known if the step stands. ``rows`` are names and values, ``objections`` what was found.
    ``SIMULATED``: it holds, for a simulator. ``UNSUPPORTED``: nothing was found here, but the step rests on one that
    was refused, or its facts are not known.
    """

    name: str
    title: str
    standing: Standing
    statement: str
    rows: tuple[tuple[str, str], ...] = ()
    objections: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole: a verdict in one sentence, warnings first to be read, the chain, what is assumed and not covered."""

    verdict: str
    accepted: bool
    warnings: tuple[str, ...]
    steps: tuple[Step, ...]
    assumed: tuple[str, ...]
    not_covered: tuple[str, ...]
    appraised_at: datetime | None
    branch: Branch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A step before it is known how it ended; ``facts`` is ``None`` where they could not be found out."""

    name: str
    title: str
    statement: str
    rows: Callable[[Assessment | AttestationResult], tuple[tuple[str, str], ...] | None]


def explain(
    subject: Subject, *, assessment: Assessment | None = None, session: Mapping[str, str] | None = None
) -> Explanation:
    """Explain an appraisal.

    ``assessment`` gives a refusal the facts that it does not carry. ``session`` holds what was proven about the
    connection, names and values; without it freshness is not covered.
    """
    facts = assessment if isinstance(subject, AppraisalRefused) else subject
    findings = () if isinstance(subject, AttestationResult) else subject.findings
    judged = not isinstance(subject, Assessment)
    judge = _Judge(facts=facts, findings=findings, policy_applied=judged, session=session)
    return Explanation(
        verdict=_verdict(subject),
        accepted=isinstance(subject, AttestationResult),
        warnings=_warnings(facts),
        steps=judge.chain(_CHAIN),
        assumed=ASSUMED,
        not_covered=_not_covered(session is not None, judged),
        appraised_at=None if facts is None else facts.appraised_at,
        branch=subject.branch if isinstance(subject, CompositionRefused) else None,
    )


_HOLDING: Final = (Standing.PROVED, Standing.SIMULATED, Standing.OPEN)


class _Judge:
    """Turns the plan into steps."""

    def __init__(
        self,
        *,
        facts: Assessment | AttestationResult | None,
        findings: Sequence[Finding],
        policy_applied: bool,
        session: Mapping[str, str] | None,
    ) -> None:
        self.facts = facts
        self.policy_applied = policy_applied
        self.session = session
        self.objections: dict[str, list[Finding]] = {}
        for finding in findings:
            self.objections.setdefault(_place(finding), []).append(finding)

    def chain(self, plans: Sequence[_Plan]) -> tuple[Step, ...]:
        steps: list[Step] = []
        for plan in plans:
            supported = all(step.standing in _HOLDING for step in steps)
            rows = self._rows(plan)
            objections = tuple(self.objections.get(plan.name, ()))
            step = Step(
                name=plan.name,
                title=plan.title,
                standing=self._standing(plan, objections, supported=supported and rows is not None),
                statement=plan.statement,
                rows=tuple((name, clean(value)) for name, value in rows or ()),
                objections=tuple(_cleaned(item) for item in objections),
            )
            steps.append(step)
        return tuple(steps)

    def _standing(self, plan: _Plan, objections: Sequence[Finding], *, supported: bool) -> Standing:
        if objections:
            return Standing.REFUSED
        if (plan.name == "policy" and not self.policy_applied) or (plan.name == "session" and self.session is None):
            return Standing.OPEN
        if not supported:
            return Standing.UNSUPPORTED
        if self.facts is not None and self.facts.simulated and plan.name not in {"policy", "session"}:
            return Standing.SIMULATED
        return Standing.PROVED

    def _rows(self, plan: _Plan) -> tuple[tuple[str, str], ...] | None:
        if plan.name == "session":
            return tuple(self.session.items()) if self.session is not None else ()
        return None if self.facts is None else plan.rows(self.facts)


def _place(finding: Finding) -> str:
    """Give the step that a finding belongs to, by its section of the specification."""
    document, _, section = finding.section.partition(" ")
    if document != "appraisal":
        return "session"
    if section in _BY_SECTION:
        return _BY_SECTION[section]
    return _BY_CHAPTER.get(section.partition(".")[0], "policy")


_BY_CHAPTER: Final = {
    "1": "platform",
    "2": "platform",
    "3": "collateral",
    "4": "collateral",
    "5": "collateral",
    "6": "quoting-enclave",
    "7": "state",
}
_BY_SECTION: Final = {
    **dict.fromkeys(("2.2", "2.9"), "root"),
    "3.5": "platform",
    "6.6": "quote",
    **dict.fromkeys(("6.8", "6.9", "8.2", "8.3", "8.4", "8.10", "8.11", "8.12", "8.13"), "code"),
    **dict.fromkeys(("8.5", "8.6", "8.14", "8.15"), "state"),
}
"""Where a section's finding stands, if not where its chapter's do; the rest of chapter 8 is the policy's."""


def _root_rows(facts: Assessment | AttestationResult) -> tuple[tuple[str, str], ...] | None:
    if facts.anchor is None:
        return None
    kind = "SIMULATED: proves no hardware" if facts.simulated else "pinned by its public key"
    return (("root", facts.anchor), ("kind", kind))


def _platform_rows(facts: Assessment | AttestationResult) -> tuple[tuple[str, str], ...] | None:
    if facts.platform is None:
        return None
    return (
        ("FMSPC", facts.platform.fmspc.hex()),
        ("PPID", facts.platform.ppid.hex()),
        ("SGX type", facts.platform.sgx_type.name.lower().replace("_", " ")),
    )


def _collateral_rows(facts: Assessment | AttestationResult) -> tuple[tuple[str, str], ...] | None:
    collateral = facts.collateral
    if collateral is None:
        return None
    return (
        ("evaluation", str(collateral.tcb_evaluation_data_number)),
        ("issued", f"{collateral.earliest_issue:%Y-%m-%d} to {collateral.latest_issue:%Y-%m-%d}"),
        ("good until", f"{collateral.expires_at:%Y-%m-%d %H:%M} UTC"),
    )


def _state_rows(facts: Assessment | AttestationResult) -> tuple[tuple[str, str], ...] | None:
    tcb = facts.tcb
    if tcb is None:
        return None
    advisories = [f"{item.id} ({' and '.join(item.sources)})" for item in tcb.advisories]
    return (
        ("TCB status", tcb.status.value),
        ("level of", f"{tcb.date:%Y-%m-%d}"),
        *((("advisory" if i == 0 else "", text) for i, text in enumerate(advisories)) if advisories else ()),
        *(("behind", text) for text in tcb.shortfalls),
    )


_CODE: Final = {
    "mr_enclave": "MRENCLAVE",
    "mr_td": "MRTD",
    "rtmrs": "RTMR",
    "mr_signer": "MRSIGNER",
    "mr_config_id": "MRCONFIGID",
    "mr_owner": "MROWNER",
    "mr_owner_config": "MROWNERCONFIG",
    "mr_seam": "MRSEAM",
    "mr_service_td": "MRSERVICETD",
    "isv_prod_id": "product",
    "isv_svn": "version",
    "debug": "debug",
    "td_attributes": "attributes",
    "report_data": "report data",
}


def _code_rows(facts: Assessment | AttestationResult) -> tuple[tuple[str, str], ...]:
    claims = facts.claims.to_json_object()
    rows: list[tuple[str, str]] = []
    for name, label in _CODE.items():
        match claims.get(name):
            case None:
                continue
            case bool() as flag:
                rows.append((label, "yes" if flag else "no"))
            case list() as items if name == "rtmrs":
                rows += [(f"{label} {number}", str(item)) for number, item in enumerate(items)]
            case list() as items:
                rows.append((label, ", ".join(map(str, items)) or "none"))
            case value:
                rows.append((label, str(value)))
    return tuple(rows)


def _policy_rows(facts: Assessment | AttestationResult) -> tuple[tuple[str, str], ...]:
    if isinstance(facts, AttestationResult):
        return (("policy", facts.policy_digest.hex()),)
    return ()


def _nothing(_: Assessment | AttestationResult) -> tuple[tuple[str, str], ...]:
    return ()


_CHAIN: Final = (
    _Plan(
        name="root",
        title="The manufacturer's root",
        statement="All certificates end in one root key that you accept.",
        rows=_root_rows,
    ),
    _Plan(
        name="collateral",
        title="What the manufacturer says today",
        statement="Revocation lists, TCB info and QE identity are signed below this root and in time.",
        rows=_collateral_rows,
    ),
    _Plan(
        name="platform",
        title="The platform's certificate",
        statement="The manufacturer certified the key of this platform and has not revoked it.",
        rows=_platform_rows,
    ),
    _Plan(
        name="state",
        title="The platform's state",
        statement="Microcode, firmware and quoting enclave have the versions that this status stands for.",
        rows=_state_rows,
    ),
    _Plan(
        name="quoting-enclave",
        title="The quoting enclave",
        statement="The platform's key vouches for an enclave of the manufacturer and for its signing key.",
        rows=_nothing,
    ),
    _Plan(
        name="quote",
        title="The quote",
        statement="That key signed the report below, so the platform measured what it says.",
        rows=_nothing,
    ),
    _Plan(
        name="code",
        title="The measured code",
        statement="This code was loaded, and the report data is its own choice.",
        rows=_code_rows,
    ),
    _Plan(
        name="policy",
        title="Your policy",
        statement="Code, state and platform are among those that you accept.",
        rows=_policy_rows,
    ),
    _Plan(
        name="session",
        title="This connection",
        statement="The evidence was made for this connection, and only its maker can read it.",
        rows=_nothing,
    ),
)


def _verdict(subject: Subject) -> str:
    match subject:
        case AttestationResult(simulated=True):
            return "ACCEPTED, from a simulated platform that proves no hardware."
        case AttestationResult():
            return "ACCEPTED: the evidence is genuine and your policy accepts it."
        case Assessment(genuine=True, simulated=True):
            return "CONSISTENT, but from a simulated platform that proves no hardware; no policy was applied."
        case Assessment(genuine=True):
            return "GENUINE, but no policy was applied: nobody has said whether this code is the right one."
        case _:
            count = len(subject.findings)
            return f"REFUSED, for {count} reason{'s' if count > 1 else ''}."


def _warnings(facts: Assessment | AttestationResult | None) -> tuple[str, ...]:
    if facts is None:
        return ()
    if isinstance(facts, AttestationResult):
        return tuple(map(clean, facts.confessions))
    warnings = []
    if facts.simulated:
        warnings.append("the evidence comes from a simulated platform: no hardware is proven")
    if facts.claims.debug:
        warnings.append("the code runs in debug mode: its host can read and change it")
    return tuple(warnings)


def _not_covered(session: bool, judged: bool) -> tuple[str, ...]:
    own = () if judged else tuple(text for text in NOT_JUDGED if "fresh" not in text)
    return (*own, *(() if session else (_NO_SESSION,)), *NOT_COVERED)


def clean(text: str) -> str:
    """Keep what prints; a terminal takes commands from the rest."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _cleaned(finding: Finding) -> Finding:
    return replace(
        finding, message=clean(finding.message), expected=clean(finding.expected), actual=clean(finding.actual)
    )
