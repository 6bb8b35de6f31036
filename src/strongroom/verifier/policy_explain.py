"""What a policy accepts, in sentences: complete, so that two policies that differ read differently.

Every setting has its sentence, also where it leaves something open, and what is checked under every policy is said too.
A setting that has no sentence yet is shown as it is, so that nothing is ever left out in silence.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from strongroom.crypto.hashing import sha256
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import NO_SERVICE_TD, TdAttributes
from strongroom.verifier.policy import ANY, PLATFORM_FLAGS, TD_MEASUREMENTS, AnyValue, AppraisalPolicy
from strongroom.verifier.policy_compose import AllOf, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from strongroom.verifier.policy import Anchor, TcbRule, TdRule

__all__ = ["ALWAYS", "PolicyExplanation", "Section", "explain_policy", "policy_text"]

ALWAYS: Final = (
    "The certificate chains, both revocation lists, TCB info and QE identity are genuine and fit together.",
    "Each of them is in time, as said above.",
    "No certificate is revoked, and the platform's TCB level is not.",
    "The quoting enclave is the manufacturer's, and its key signed the report.",
)
"""What is checked under every policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Sentences about one matter. Those that begin with a dash belong to the sentence above them."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyExplanation:
    """One policy with its sections, or a composition with its parts. ``place`` is its number, ``""`` at the top."""

    place: str
    headline: str
    sections: tuple[Section, ...] = ()
    parts: tuple[PolicyExplanation, ...] = ()


def explain_policy(policy: Policy, *, place: str = "") -> PolicyExplanation:
    """Say what a policy accepts."""
    name = f"Policy {place}" if place else "This policy"
    if isinstance(policy, AppraisalPolicy):
        return PolicyExplanation(
            place=place,
            headline=f"{name} accepts evidence when everything below holds.",
            sections=tuple(Section(title=title, sentences=tuple(lines)) for title, lines in _sections(policy)),
        )
    count = len(policy.policies)
    how = "every one" if isinstance(policy, AllOf) else "at least one"
    return PolicyExplanation(
        place=place,
        headline=f"{name} accepts evidence when {how} of its {count} parts accepts it.",
        parts=tuple(
            explain_policy(part, place=f"{place}.{number}" if place else str(number))
            for number, part in enumerate(policy.policies, 1)
        ),
    )


def policy_text(explanation: PolicyExplanation, *, width: int = 80) -> str:
    """Write an explanation as plain text; digests are never cut."""
    lines = _wrap(explanation.headline, width, "", "")
    for section in explanation.sections:
        lines += ["", section.title]
        for sentence in section.sentences:
            first, hang = ("    ", "      ") if sentence.startswith("- ") else ("  ", "  ")
            lines += _wrap(sentence, width, first, hang)
    for part in explanation.parts:
        lines += ["", *policy_text(part, width=width).rstrip("\n").split("\n")]
    return "\n".join(lines) + "\n"


def _sections(policy: AppraisalPolicy) -> Iterator[tuple[str, Iterable[str]]]:
    yield "Hardware root", _anchors(policy)
    yield "SGX enclaves", _enclaves(policy)
    yield "Trust domains (TDX)", _trust_domains(policy)
    yield "State of the platform", _state(policy)
    yield "Age of what the manufacturer says", _collateral(policy)
    yield "Machines", _machines(policy)
    others = [item.name for item in fields(policy) if item.name not in _TOLD]
    if others:
        yield "Other settings", [f"{name}: {getattr(policy, name)!a}." for name in others]
    yield "Checked under every policy", ALWAYS
    yield "Left open", _open(policy)


_TOLD: Final = frozenset(
    {
        "anchors",
        "accept_simulated_platform",
        "accept_debug_enclaves",
        "mr_enclaves",
        "signers",
        "trust_domains",
        "tcb",
        "minimum_tcb_evaluation_data_number",
        "maximum_collateral_age",
        "expired_collateral_grace",
        "platforms",
        *PLATFORM_FLAGS,
    }
)


def _anchors(policy: AppraisalPolicy) -> Iterator[str]:
    if policy.anchors:
        yield "The certificate chains end in one of these roots, by key and by name:"
        yield from map(_anchor, policy.anchors)
    else:
        yield "No root is accepted, so nothing is."
    if policy.accept_simulated_platform:
        yield "A simulated platform is accepted; it proves no hardware."
    else:
        yield "A simulated platform is refused, whatever root it has."


def _anchor(anchor: Anchor) -> str:
    kind = "a simulated platform's" if anchor.simulated else "genuine hardware's"
    names = f"the names of its certificates begin with {anchor.vendor!a}"
    return f"- {anchor.name!a}, {kind}, key with SHA-256 {sha256(anchor.spki).hex()}; {names}."


def _enclaves(policy: AppraisalPolicy) -> Iterator[str]:
    if policy.mr_enclaves or policy.signers:
        yield "An enclave is accepted when one of these fits:"
    else:
        yield "No enclave is accepted."
    for digest in sorted(policy.mr_enclaves):
        yield f"- MRENCLAVE is {digest.hex()}."
    for rule in policy.signers:
        yield (
            f"- MRSIGNER is {rule.mr_signer.hex()}, the product is {rule.isv_prod_id} "
            f"and the version {rule.minimum_isv_svn} or later: any code that this signer signs so, now or later."
        )
    if policy.accept_debug_enclaves:
        yield "A debug enclave is accepted; its host can read and change it."
    else:
        yield "A debug enclave is refused."


def _trust_domains(policy: AppraisalPolicy) -> Iterator[str]:
    if not policy.trust_domains:
        yield "No trust domain is accepted."
        return
    yield "A trust domain is accepted when one of these fits:"
    for rule in policy.trust_domains:
        yield f"- {'; '.join(_trust_domain(rule))}."


def _trust_domain(rule: TdRule) -> Iterator[str]:
    for name in TD_MEASUREMENTS:
        value: bytes | AnyValue = getattr(rule, name)
        if isinstance(value, AnyValue):
            yield f"any {_register(name)}"
        elif name == "mr_service_td" and value == NO_SERVICE_TD:
            yield "no service domain is bound"
        else:
            yield f"{_register(name)} is {value.hex()}"
    if isinstance(rule.mr_seam, AnyValue):
        yield "any TDX module that the TCB info vouches for"
    else:
        yield f"MRSEAM is one of {_list(item.hex() for item in sorted(rule.mr_seam))}"
    yield f"attributes beside SEPT_VE_DISABLE that may be set: {_list(rule.accepted_attributes.names)}"
    yield "SEPT_VE_DISABLE must be set" if rule.require_sept_ve_disable else "SEPT_VE_DISABLE may be missing"
    if rule.accept_seam_attributes:
        yield "the attributes of the TDX module may be whatever the TCB info allows"
    else:
        yield "the attributes of the TDX module are all zero"


def _register(name: str) -> str:
    return name.replace("mr_", "MR", 1).replace("rtmr_", "RTMR ").replace("_", "").upper()


def _state(policy: AppraisalPolicy) -> Iterator[str]:
    if policy.tcb:
        yield "The TCB status is accepted when one of these fits:"
        yield from map(_rule, policy.tcb)
    else:
        yield "No TCB status is accepted, so nothing is."
    ruled = {rule.status for rule in policy.tcb}
    yield f"Refused whatever else holds: {_list(item.value for item in TcbStatus if item not in ruled)}."
    for name in PLATFORM_FLAGS:
        value: bool | AnyValue = getattr(policy, name)
        if not isinstance(value, AnyValue):
            yield f"The platform's certificate says that {_FLAGS[name]} {'on' if value else 'off'}."


_FLAGS: Final = {
    "smt_enabled": "simultaneous multithreading is",
    "dynamic_platform": "adding and removing processor packages (dynamic platform) is",
    "cached_keys": "caching of the platform's keys is",
}


def _rule(rule: TcbRule) -> str:
    code = "any code" if isinstance(rule.measurement, AnyValue) else f"the code {rule.measurement.hex()}"
    if isinstance(rule.advisories, AnyValue):
        advisories = "with any advisories"
    elif rule.advisories:
        advisories = f"with no advisories but {_list(ascii(item) for item in sorted(rule.advisories))}"
    else:
        advisories = "with no advisory"
    age = rule.maximum_tcb_age
    since = "of any date" if isinstance(age, AnyValue) else f"with a TCB date at most {_duration(age)} ago"
    return f"- {rule.status.value}, for {code}, {advisories}, {since}."


def _collateral(policy: AppraisalPolicy) -> Iterator[str]:
    number = policy.minimum_tcb_evaluation_data_number
    yield f"The TCB evaluation data number is {number} or greater." if number else "Any TCB evaluation data number."
    age = policy.maximum_collateral_age
    if isinstance(age, AnyValue):
        yield "TCB info, QE identity and PCK revocation list may be of any age until they expire."
    else:
        yield f"TCB info, QE identity and PCK revocation list were issued at most {_duration(age)} ago."
    grace = policy.expired_collateral_grace
    if grace:
        yield f"Revocation lists and documents are taken for {_duration(grace)} after they have expired."
    else:
        yield "Nothing is taken that has expired."


def _machines(policy: AppraisalPolicy) -> Iterator[str]:
    if isinstance(policy.platforms, AnyValue):
        yield "Any machine."
    elif policy.platforms:
        yield "The machine is one of these:"
        for ppid in sorted(policy.platforms):
            yield f"- PPID {ppid.hex()}."
    else:
        yield "No machine is accepted, so nothing is."


def _open(policy: AppraisalPolicy) -> Iterator[str]:
    if isinstance(policy.platforms, AnyValue):
        yield "Which machine it is: one platform's extracted key signs evidence of any code."
    for signer in policy.signers:
        yield f"What the code of signer {signer.mr_signer.hex()[:16]}… does: its signer decides, now and later."
    for i, domain in enumerate(policy.trust_domains, 1):
        unread = [_register(name) for name in TD_MEASUREMENTS if getattr(domain, name) is ANY]
        if unread:
            yield f"In trust domain rule {i}: {_list(unread)}."
        if TdAttributes.DEBUG in domain.accepted_attributes:
            yield f"In trust domain rule {i}: what the host does with a domain in debug mode."
    for rule in policy.tcb:
        if isinstance(rule.advisories, AnyValue):
            yield f"Which known vulnerabilities a platform with the status {rule.status.value} has."
    for name in PLATFORM_FLAGS:
        if getattr(policy, name) is ANY:
            yield f"Whether {_FLAGS[name]} on or off."
    if isinstance(policy.maximum_collateral_age, AnyValue) or not policy.minimum_tcb_evaluation_data_number:
        yield "Whether newer collateral exists: an older set can be shown until it expires."
    yield "Whether the evidence is recent and made for a connection; that is not a policy's matter."
    yield "Whether the accepted code is free of faults."


def _list(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "none"


def _duration(value: timedelta) -> str:
    rest, parts = value, []
    for name, unit in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    if rest or not parts:
        parts.append(f"{rest.total_seconds():g} seconds")
    return " ".join(parts)


def _wrap(text: str, width: int, first: str, hang: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
