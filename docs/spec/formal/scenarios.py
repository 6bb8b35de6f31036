"""The choices of locks and powers that are checked, and what each is expected to give.

A scenario without ``breaks`` must hold: every query, for any number of sessions. One with ``breaks`` must fail at
least those queries, and the checker must show how. A lock whose removal alone breaks nothing is listed too: the
model says then that another lock does the same work.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange_locks import BASE, QUERIES, Lock, Power
from exchange_rules import rules as exchange
from horn import Clause, Rule, Saturation, saturate

__all__ = ["SCENARIOS", "Outcome", "Scenario", "check"]

_READS_ALL = frozenset({"bad_user_data", "bad_answer", "bad_session_secret", "end_agree"})
_SECRETS = frozenset({"bad_user_data", "bad_answer", "bad_session_secret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One choice. ``title`` says what a reader should think of."""

    name: str
    title: str
    without: frozenset[Lock] = frozenset()
    powers: frozenset[Power] = BASE
    breaks: frozenset[str] = frozenset()

    def rules(self) -> list[Rule]:
        """Write the rules of this choice."""
        return exchange(self.without, self.powers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out: the broken queries with a clause that shows each, and whether honest runs were possible."""

    scenario: Scenario
    saturation: Saturation
    broken: dict[str, Clause]
    reachable: bool

    @property
    def as_expected(self) -> bool:
        """Tell whether this is what the scenario expects."""
        if self.scenario.breaks:
            return self.scenario.breaks <= self.broken.keys()
        return not self.broken and self.saturation.complete and self.reachable


def check(scenario: Scenario, *, limit: int = 100_000) -> Outcome:
    """Saturate the rules of a scenario; where it must break, stop at the last of the expected breaks."""
    broken: dict[str, Clause] = {}

    def enough(clause: Clause) -> bool:
        query = _broken_by(clause)
        if query is not None:
            broken.setdefault(query, clause)
        return bool(scenario.breaks) and scenario.breaks <= broken.keys()

    saturation = saturate(scenario.rules(), enough=enough, limit=limit)
    agreements = [query for query in QUERIES if query.startswith("end_")]
    return Outcome(
        scenario=scenario,
        saturation=saturation,
        broken=broken,
        reachable=all(saturation.concluding(query) for query in agreements),
    )


def _broken_by(clause: Clause) -> str | None:
    """Name the query that a derived clause breaks: a secret is known, or an end comes without its beginning."""
    predicate: str = clause.conclusion[0]
    arguments = clause.conclusion[1:]
    if predicate.startswith("bad_"):
        return predicate
    if predicate.startswith("end_"):
        begin = (predicate.replace("end_", "begin_", 1), *arguments)
        return None if begin in clause.premises else predicate
    return None


def _lock(name: str, title: str, *locks: Lock, breaks: frozenset[str] = frozenset()) -> Scenario:
    return Scenario(name=name, title=title, without=frozenset(locks), breaks=breaks)


def _power(
    name: str, title: str, *powers: Power, locks: tuple[Lock, ...] = (), breaks: frozenset[str] = frozenset()
) -> Scenario:
    return Scenario(name=name, title=title, without=frozenset(locks), powers=BASE | set(powers), breaks=breaks)


SCENARIOS = (
    # The exchange as specified.
    Scenario(name="as-specified", title="every lock on, every long-term key of another accepted enclave leaked"),
    Scenario(name="no-leaks", title="every lock on, nothing leaked", powers=frozenset()),
    _power("later-leaks", "afterwards every long-term key leaks", Power.ALL_LATER),
    _power("weak-sealing", "HPKE that commits to neither key nor info", Power.WEAK_SEALING),
    # Attacks that the design names.
    _lock("key-bound", "relay: evidence bound to the instance key, another instance's key leaked",
          Lock.SESSION_BINDING, breaks=_READS_ALL),
    Scenario(name="key-bound-no-leaks", title="evidence bound to the instance key, nothing leaked",
             without=frozenset({Lock.SESSION_BINDING}), powers=frozenset()),
    _lock("no-inclusion", "relay: the client does not look for its own binder", Lock.INCLUSION, breaks=_READS_ALL),
    _lock("foreign-leaves", "relay: the enclave puts other people's leaves into its batch",
          Lock.OWN_LEAVES, breaks=_READS_ALL),
    _lock("no-possession", "forged quote: nobody asks for the deployment key's signature",
          Lock.CERTIFICATE_SIGNATURE, Lock.CLAIMS_SIGNATURE, breaks=_READS_ALL),
    _lock("no-pin", "diversion: any deployment of the same code will do", Lock.PIN, breaks=_READS_ALL),
    Scenario(name="no-pin-genuine", title="diversion: to a genuine enclave of the other deployment, no platform lost",
             without=frozenset({Lock.PIN}), powers=frozenset({Power.OTHER_DEPLOYMENT}),
             breaks=frozenset({"end_agree"})),
    _lock("no-roles", "reflection: both sides attest alike, and one's own evidence is taken",
          Lock.ROLE_LABELS, Lock.OWN_EVIDENCE_REFUSED, breaks=frozenset({"end_device"})),
    _lock("no-directions", "reflection: a request is taken for an answer",
          Lock.DIRECTION_KEYS, Lock.DIRECTION_LABELS, breaks=frozenset({"end_answer"})),
    _power("splice", "splice: h without the client's key, and a sealing that does not commit to it",
           Power.WEAK_SEALING, locks=(Lock.KEM_KEY_IN_H,), breaks=_SECRETS),
    _lock("splice-resealed", "splice: h with neither the client's key nor the sealed secret",
          Lock.KEM_KEY_IN_H, Lock.SEALED_IN_H, breaks=_SECRETS),
    # One lock off at a time: attacks.
    _lock("no-report-data", "6.1 off", Lock.REPORT_DATA, breaks=_READS_ALL),
    _lock("no-certificate-signature", "6.6 off: signature", Lock.CERTIFICATE_SIGNATURE, breaks=_READS_ALL),
    _lock("no-claims-instance", "6.7 off: name", Lock.CLAIMS_INSTANCE, breaks=frozenset({"end_agree"})),
    _lock("no-claims-signature", "6.7 off: signature", Lock.CLAIMS_SIGNATURE, breaks=_READS_ALL),
    _lock("no-expiry", "6.9 off", Lock.EXPIRY, breaks=_READS_ALL),
    _lock("no-machine", "6.10 off", Lock.MACHINE, breaks=_READS_ALL),
    _lock("any-code", "6.11 off", Lock.CODE, breaks=_READS_ALL),
    _lock("one-data-key", "one key for both directions: nonces are used twice",
          Lock.DIRECTION_KEYS, breaks=frozenset({"bad_user_data"})),
    _lock("no-request-number", "an answer is shown for another request",
          Lock.REQUEST_NUMBER, breaks=frozenset({"end_answer"})),
    _lock("any-device", "mutual: a device on a machine that is not listed", Lock.DEVICE_MACHINES,
          breaks=frozenset({"end_device"})),
    _lock("device-not-bound", "mutual: a device's evidence is relayed", Lock.DEVICE_BINDING,
          breaks=frozenset({"end_device"})),
    # One lock off at a time: another lock does the same work.
    _lock("no-info", "3: HPKE's info", Lock.HPKE_INFO),
    _lock("no-nonce", "3: nonce not in h", Lock.NONCE_IN_H),
    _lock("no-kem-key", "3: client's key not in h", Lock.KEM_KEY_IN_H),
    _lock("no-wish", "3: wanted deployment not in h", Lock.WISH_IN_H),
    _lock("no-sealed", "3: sealed secret not in h", Lock.SEALED_IN_H),
    _lock("no-deployment", "3: deployment key not in h", Lock.DEPLOYMENT_IN_H),
    _lock("no-confirmation", "6: server's confirmation", Lock.CONFIRMATION),
    _lock("no-claims-deployment", "6.5 off", Lock.CLAIMS_DEPLOYMENT),
    _lock("no-certificate-deployment", "6.6 off: name", Lock.CERTIFICATE_DEPLOYMENT),
    _lock("no-direction-labels", "7: labels in associated data", Lock.DIRECTION_LABELS),
    _lock("no-role-labels", "mutual: both sides attest alike", Lock.ROLE_LABELS),
    _lock("own-evidence", "mutual: one's own evidence is not refused", Lock.OWN_EVIDENCE_REFUSED),
    # What nothing here can stop.
    _power("whole-instance", "residual: an instance's machine and its key both lost",
           Power.WHOLE_INSTANCE, breaks=_READS_ALL),
    _power("deployment-key", "residual: this deployment's key lost, and any attestation key",
           Power.DEPLOYMENT_KEY, breaks=_READS_ALL),
    _power("one-time-key-kept", "residual: the client keeps its one-time key and loses it later",
           Power.KEM_KEY_KEPT, breaks=frozenset({"bad_later"})),
)  # fmt: skip
"""Everything that is checked, in the order of the table in docs/spec/formal/README.md."""
