"""Contradictions and dangers in a policy, found without any evidence.

A contradiction is a setting that cannot do what it says: it accepts nothing, or has no effect. A danger is one that
accepts more than most people mean. A note is worth a look. docs/spec/attestation-results.md section 6 lists them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Final

from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdAttributes
from strongroom.verifier.anchors import INTEL_SGX_ROOT
from strongroom.verifier.policy import ANY, AnyValue, AppraisalPolicy
from strongroom.verifier.policy_compose import AllOf, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strongroom.verifier.policy import SignerRule, TcbRule
    from strongroom.verifier.policy_compose import Policy

__all__ = ["NEWEST_KNOWN_EVALUATION", "Problem", "Severity", "check_policy", "repeated_entries"]

NEWEST_KNOWN_EVALUATION: Final = 21
"""The greatest TCB evaluation data number in collateral of Intel's that has been seen, in June 2026."""

_FRESH: Final = timedelta(days=1)  # Intel signs TCB info and QE identity anew on every day, CRLs less often
_CRL_PERIOD: Final = timedelta(days=30)  # from thisUpdate to nextUpdate of Intel's PCK CRLs, and of its documents
_OF_TRUST_DOMAINS: Final = (TcbStatus.TD_RELAUNCH_ADVISED, TcbStatus.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED)
_BEHIND: Final = (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED, *_OF_TRUST_DOMAINS)
_OF_SOFTWARE: Final = (TcbStatus.SW_HARDENING_NEEDED, TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED)


class Severity(StrEnum):
    """How much a problem matters, the worst first."""

    CONTRADICTION = "contradiction"
    DANGER = "danger"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem: which setting, of which policy of a composition (``place``), what is wrong and what to do."""

    severity: Severity
    setting: str
    message: str
    remedy: str
    place: str = ""


def check_policy(policy: Policy, *, newest_evaluation: int = NEWEST_KNOWN_EVALUATION) -> tuple[Problem, ...]:
    """Find the problems of a policy and of every policy in it, the worst first.

    ``newest_evaluation`` is the greatest TCB evaluation data number that exists.
    """
    found = [
        replace(problem, place=place)
        for place, single in leaves(policy)
        for check in _CHECKS
        for problem in check(single, newest_evaluation)
    ]
    found += _composition(policy, "")
    order = list(Severity)
    return tuple(sorted(dict.fromkeys(found), key=lambda problem: order.index(problem.severity)))


def repeated_entries(data: bytes) -> tuple[Problem, ...]:
    """Find what a policy file, which must have been read as one, says twice; a policy itself holds sets."""

    def walk(value: object, setting: str) -> Iterator[Problem]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, f"{setting}.{name}" if setting else name)
        if isinstance(value, list):
            texts = [item.lower() for item in value if isinstance(item, str)]
            for text in sorted({text for text in texts if texts.count(text) > 1}):
                yield _contradiction(setting, f"{text!a} is listed twice", "list it once")
            for i, inner in enumerate(value):
                yield from walk(inner, f"{setting}[{i}]")

    return tuple(walk(tomllib.loads(data.decode()), ""))


def _contradiction(setting: str, message: str, remedy: str) -> Problem:
    return Problem(severity=Severity.CONTRADICTION, setting=setting, message=message, remedy=remedy)


def _danger(setting: str, message: str, remedy: str) -> Problem:
    return Problem(severity=Severity.DANGER, setting=setting, message=message, remedy=remedy)


def _note(setting: str, message: str, remedy: str) -> Problem:
    return Problem(severity=Severity.NOTE, setting=setting, message=message, remedy=remedy)


def _nothing_accepted(policy: AppraisalPolicy, _: int) -> Iterator[Problem]:
    if not policy.anchors:
        yield _contradiction("anchors", "no root is listed, so nothing is accepted", "list a root")
    if not (policy.mr_enclaves or policy.signers or policy.trust_domains):
        yield _contradiction("mr_enclaves", "no code is listed, so nothing is accepted", "list measurements or signers")
    if not policy.tcb:
        yield _contradiction("tcb", "no TCB status has a rule, so nothing is accepted", "add a rule for UpToDate")
    if policy.platforms == frozenset():
        yield _contradiction("platforms", "no platform is listed, so nothing is accepted", "list PPIDs or write 'any'")


def _roots(policy: AppraisalPolicy, _: int) -> Iterator[Problem]:
    simulated = [anchor for anchor in policy.anchors if anchor.simulated]
    if simulated and not policy.accept_simulated_platform:
        others = len(policy.anchors) > len(simulated)
        what = "its evidence is always refused" if others else "so nothing is accepted"
        message = f"a simulated root is listed, but simulated platforms are refused: {what}"
        yield _contradiction("accept_simulated_platform", message, "leave the root out, or accept simulated platforms")
    if policy.accept_simulated_platform and not simulated:
        message = "simulated platforms are accepted, but no simulated root is listed: it has no effect"
        yield _contradiction("accept_simulated_platform", message, "set it to false, or list the simulated root")
    if policy.accept_simulated_platform and simulated:
        message = "simulated platforms are accepted, which prove no hardware: whoever has the root's key signs anything"
        yield _danger("accept_simulated_platform", message, "for tests and demonstrations only")
        if len(simulated) < len(policy.anchors):
            message = "genuine and simulated platforms are accepted side by side"
            yield _danger("anchors", message, "use two policies, one for each")
    for anchor in policy.anchors:
        if anchor.simulated and anchor.spki == INTEL_SGX_ROOT.spki:
            yield _contradiction("anchors", "Intel's root key is declared simulated", "use the built-in 'intel-sgx'")
        if anchor.spki != INTEL_SGX_ROOT.spki and anchor.name == INTEL_SGX_ROOT.name:
            message = "a root has Intel's name and another key than Intel's"
            yield _danger("anchors", message, "use the built-in 'intel-sgx'")
    for one, other in combinations(policy.anchors, 2):
        if one.spki == other.spki:
            yield _contradiction("anchors", "one root key is listed twice", "keep one of the two")


def _code(policy: AppraisalPolicy, _: int) -> Iterator[Problem]:
    if policy.accept_debug_enclaves:
        message = "debug enclaves are accepted: their host reads and changes them"
        yield _danger("accept_debug_enclaves", message, "set it to false outside of development")
    if policy.signers and isinstance(policy.platforms, AnyValue):
        message = "any code of a signer is accepted from any machine: one extracted platform key forges all of it"
        yield _danger("platforms", message, "list the PPIDs of the machines that are expected")
    elif isinstance(policy.platforms, AnyValue):
        yield _note("platforms", "evidence of any machine is accepted", "list the PPIDs of the machines expected")
    for rule in policy.signers:
        if rule.minimum_isv_svn == 0:
            message = f"every version of product {rule.isv_prod_id} is accepted, its oldest too"
            yield _note("signers", message, "set minimum_isv_svn to the oldest version without known faults")
        if not any(rule.mr_signer):
            yield _danger("signers", "the signer is all zeros, which is no key", "write the signer's MRSIGNER")
    for one, other in combinations(policy.signers, 2):
        if _same_product(one, other):
            message = f"two rules for one signer and product {one.isv_prod_id}: the lower minimum version decides"
            yield _contradiction("signers", message, "keep one of the two")
    if any(not any(digest) for digest in policy.mr_enclaves):
        yield _danger("mr_enclaves", "a measurement is all zeros, which is no enclave's", "leave it out")


def _same_product(one: SignerRule, other: SignerRule) -> bool:
    return (one.mr_signer, one.isv_prod_id) == (other.mr_signer, other.isv_prod_id)


def _trust_domains(policy: AppraisalPolicy, _: int) -> Iterator[Problem]:
    for i, rule in enumerate(policy.trust_domains):
        setting = f"trust_domains[{i}]"
        if TdAttributes.DEBUG in rule.accepted_attributes:
            message = "trust domains in debug mode are accepted: their host reads and changes them"
            yield _danger(setting, message, "leave DEBUG out of the accepted attributes")
        if TdAttributes.MIGRATABLE in rule.accepted_attributes and rule.mr_service_td is ANY:
            message = "a trust domain may be moved by any service domain"
            yield _danger(setting, message, "name the service domain, or leave MIGRATABLE out")
        if rule.mr_td is ANY:
            yield _danger(setting, "MRTD is left open: any firmware may start the domain", "name the MRTD accepted")
        unread = [name for name in ("rtmr_1", "rtmr_2") if getattr(rule, name) is ANY]
        if unread and rule.mr_td is not ANY:
            message = f"{' and '.join(unread)} left open: any kernel and any programs may run on accepted firmware"
            yield _danger(setting, message, "name what the accepted system extends into these registers")
        if rule.mr_seam == frozenset():
            yield _contradiction(setting, "no TDX module is listed, so nothing is accepted", "list some or write 'any'")
        if not rule.require_sept_ve_disable:
            message = "SEPT_VE_DISABLE may be missing: the host can confuse a guest that is not prepared"
            yield _danger(setting, message, "require it")
    for (i, one), (j, other) in combinations(enumerate(policy.trust_domains), 2):
        if one == other:
            yield _contradiction(f"trust_domains[{j}]", f"the same as trust_domains[{i}]", "keep one of the two")


def _states(policy: AppraisalPolicy, _: int) -> Iterator[Problem]:
    ruled = {rule.status for rule in policy.tcb}
    if policy.tcb and TcbStatus.UP_TO_DATE not in ruled:
        message = "UpToDate has no rule: a platform that lacks nothing is refused"
        yield _contradiction("tcb", message, "add a rule for UpToDate")
    never = {TcbStatus.REVOKED, *(() if policy.trust_domains else _OF_TRUST_DOMAINS)}
    missing = [item.value for item in TcbStatus if item not in ruled | never]
    if policy.tcb and missing:
        yield _note("tcb", f"refused for want of a rule: {', '.join(missing)}", "right, if it is meant so")
    for i, rule in enumerate(policy.tcb):
        setting = f"tcb[{i}]"
        if rule.status in _BEHIND and rule.advisories is ANY:
            message = f"{rule.status.value} is accepted with any advisories: known holes stay open unnoticed"
            yield _danger(setting, message, "list the advisories that do not matter to the code")
        if rule.status in _BEHIND and rule.maximum_tcb_age is ANY:
            message = f"{rule.status.value} is accepted for ever"
            yield _note(setting, message, "set maximum_tcb_age to the time in which platforms are updated")
        if rule.status in _OF_SOFTWARE and rule.measurement is ANY:
            message = f"{rule.status.value} is accepted of any code, but only some code mitigates what it stands for"
            yield _danger(setting, message, "name the measurement that mitigates, and its advisories")
        if rule.maximum_tcb_age == timedelta(0):
            yield _contradiction(setting, "a TCB date of this very moment is wanted", "write a time, or 'any'")
        if not _reachable(rule, policy):
            message = "its measurement is not accepted as code, so the rule is never used"
            yield _contradiction(setting, message, "list the measurement, or leave the rule out")
    yield from _shadowed(policy)
    yield from _code_without_state(policy)


def _reachable(rule: TcbRule, policy: AppraisalPolicy) -> bool:
    if isinstance(rule.measurement, AnyValue) or rule.measurement in policy.mr_enclaves:
        return True
    if len(rule.measurement) == 32:
        return bool(policy.signers)  # a signer's code has whatever measurement
    return any(domain.mr_td in (ANY, rule.measurement) for domain in policy.trust_domains)


def _shadowed(policy: AppraisalPolicy) -> Iterator[Problem]:
    rules = list(enumerate(policy.tcb))
    for i, rule in rules:
        wider = [j for j, other in rules if j != i and _covers(other, rule) and not (_covers(rule, other) and j > i)]
        if wider:
            message = (
                f"whatever it accepts tcb[{wider[0]}] accepts too: rules are alternatives, a narrower one limits none"
            )
            yield _contradiction(f"tcb[{i}]", message, "leave one of the two out")


def _covers(wide: TcbRule, narrow: TcbRule) -> bool:
    """Tell whether a rule accepts whatever another one does."""
    age, other_age = wide.maximum_tcb_age, narrow.maximum_tcb_age
    by_age = isinstance(age, AnyValue) or (not isinstance(other_age, AnyValue) and other_age <= age)
    by_code = isinstance(wide.measurement, AnyValue) or wide.measurement == narrow.measurement
    by_advisory = isinstance(wide.advisories, AnyValue) or (
        not isinstance(narrow.advisories, AnyValue) and narrow.advisories <= wide.advisories
    )
    return wide.status is narrow.status and by_code and by_advisory and by_age


def _code_without_state(policy: AppraisalPolicy) -> Iterator[Problem]:
    if not policy.tcb or any(rule.measurement is ANY for rule in policy.tcb):
        return
    named = {rule.measurement for rule in policy.tcb}
    for digest in sorted(policy.mr_enclaves - named):
        message = f"no TCB rule is for the measurement {digest.hex()}, so it is never accepted"
        yield _contradiction("mr_enclaves", message, "add a TCB rule for it")
    if policy.signers:
        message = "no TCB rule is for any code, so of a signer's code only what the rules name is accepted"
        yield _contradiction("signers", message, "add a TCB rule for any code, or list measurements")


def _ages(policy: AppraisalPolicy, newest: int) -> Iterator[Problem]:
    number, age, grace = (
        policy.minimum_tcb_evaluation_data_number,
        policy.maximum_collateral_age,
        policy.expired_collateral_grace,
    )
    if number > newest:
        message = f"the least evaluation number is {number}, the newest that is known is {newest}: nothing is accepted"
        yield _contradiction("minimum_tcb_evaluation_data_number", message, "set a number that exists")
    if number == 0:
        message = "no least evaluation number: collateral of an old evaluation is taken until it expires"
        yield _note("minimum_tcb_evaluation_data_number", message, "set the number of today's collateral")
    if isinstance(age, AnyValue):
        message = "collateral is taken at any age until it expires, which is 30 days"
        yield _note("maximum_collateral_age", message, "set an age that the refreshing of collateral keeps")
    elif age == timedelta(0):
        message = "collateral of this very moment is wanted: nothing is accepted"
        yield _contradiction("maximum_collateral_age", message, "write a time, or 'any'")
    elif age < _FRESH:
        message = "collateral is refused before a day has passed, and PCK revocation lists are issued less often"
        yield _danger("maximum_collateral_age", message, "allow some days")
    if grace and not isinstance(age, AnyValue) and age <= _CRL_PERIOD:
        message = "the greatest age ends before collateral expires, so the grace is hardly ever of use"
        yield _note("expired_collateral_grace", message, "set it to zero")
    if grace > _CRL_PERIOD:
        message = "expired collateral is taken for more than 30 days: what was revoked meanwhile passes"
        yield _danger("expired_collateral_grace", message, "allow the time that an outage lasts")


_CHECKS: Final[tuple[Callable[[AppraisalPolicy, int], Iterator[Problem]], ...]] = (
    _nothing_accepted,
    _roots,
    _code,
    _trust_domains,
    _states,
    _ages,
)


def _composition(policy: Policy, place: str) -> Iterator[Problem]:
    if isinstance(policy, AppraisalPolicy):
        return
    parts = policy.policies
    setting = "all_of" if isinstance(policy, AllOf) else "any_of"
    if len(parts) == 1:
        yield replace(_note(setting, "a composition of one policy is that policy", "write it alone"), place=place)
    for (i, one), (j, other) in combinations(enumerate(parts, 1), 2):
        if one == other:
            message = f"parts {i} and {j} are the same"
            yield replace(_contradiction(setting, message, "keep one of the two"), place=place)
    single = [part for part in parts if isinstance(part, AppraisalPolicy)]
    checks = _never_together(single) if isinstance(policy, AllOf) else _odd_together(single)
    for problem in checks:
        yield replace(problem, setting=setting, place=place)
    for number, part in enumerate(parts, 1):
        yield from _composition(part, f"{place}.{number}" if place else str(number))


def _never_together(parts: list[AppraisalPolicy]) -> Iterator[Problem]:
    """Find what no evidence can satisfy in all of these policies."""

    def disjoint(sets: list[frozenset[object]]) -> bool:
        return len(sets) > 1 and not frozenset.intersection(*sets)

    remedy = "give the parts something in common"
    if disjoint([frozenset(anchor.spki for anchor in part.anchors) for part in parts]):
        yield _contradiction("all_of", "no root is accepted by all parts, so nothing is", remedy)
    if disjoint([frozenset(rule.status for rule in part.tcb) for part in parts]):
        yield _contradiction("all_of", "no TCB status is accepted by all parts, so nothing is", remedy)
    if disjoint([frozenset(part.platforms) for part in parts if not isinstance(part.platforms, AnyValue)]):
        yield _contradiction("all_of", "no machine is accepted by all parts, so nothing is", remedy)
    only_listed = [part for part in parts if not part.signers and not part.trust_domains]
    if disjoint([frozenset(part.mr_enclaves) for part in only_listed]):
        yield _contradiction("all_of", "no measurement is accepted by all parts, so nothing is", remedy)


def _odd_together(parts: list[AppraisalPolicy]) -> Iterator[Problem]:
    kinds = {any(anchor.simulated for anchor in part.anchors) for part in parts if part.accept_simulated_platform}
    if True in kinds and any(not part.accept_simulated_platform for part in parts):
        message = "one part accepts simulated platforms, so that the others' hardware proves nothing"
        yield _danger("any_of", message, "keep simulated platforms in a policy of their own")
    debugs = [part.accept_debug_enclaves for part in parts]
    if any(debugs) and not all(debugs):
        message = "one part accepts debug enclaves, whatever the others say"
        yield _danger("any_of", message, "keep debug enclaves in a policy of their own")
