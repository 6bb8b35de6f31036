"""Why other verifiers answer otherwise to generated cases, and the table of docs/spec/conformance.md that says so.

``python tests/generated_cases_reasons.py`` writes the table into the document, between its two marks.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generated_cases import CASES
from generated_cases_base import ours
from generated_cases_peers import HAS_QVL, accepted, of_dcap_qvl, of_intel
from generated_cases_pki import Sgx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from generated_cases_base import Case

__all__ = ["PEERS", "REASONS", "Disagreement", "disagreements", "reason_of", "rows"]

DOCUMENT = Path(__file__).parents[1] / "docs/spec/conformance.md"
BEGIN, END = "<!-- disagreements: begin -->", "<!-- disagreements: end -->"
PEERS = ("Intel QVL", "dcap-qvl")


@dataclass(frozen=True)
class Disagreement:
    """One case on which a verifier is of another opinion: accepted or refused, or another status."""

    peer: str
    here: str
    there: str
    case: str


def disagreements(cases: Iterable[Case] = CASES.values()) -> Iterator[Disagreement]:
    """Run the cases here and in the other verifiers, as far as they are installed and read such quotes."""
    for case in cases:
        pki, evidence, collateral = case.build()
        found = ours(pki, evidence, collateral, case.at)
        theirs = {"dcap-qvl": of_dcap_qvl(pki, evidence, collateral, case.at)}
        if HAS_QVL and case.plan is Sgx:
            theirs["Intel QVL"] = of_intel(pki, evidence, collateral, case.at)
        for peer, verdict in theirs.items():
            there = verdict if accepted(verdict) else "refused"
            here = "refused" if found.findings else found.status
            if here != there:
                shown = found.short if found.findings else found.status
                yield Disagreement(
                    peer=peer, here=re.sub("malformed .*", "malformed", shown), there=there, case=case.name
                )


@dataclass(frozen=True)
class Reason:
    """A reason, for disagreements whose peer, verdict and name fit (regular expressions over the whole)."""

    text: str
    here: str
    case: str = ".*"
    peer: str = ".*"

    def fits(self, item: Disagreement) -> bool:
        verdict, name = item.here, item.case.partition(": ")[2]
        return all(
            re.fullmatch(pattern, text)
            for pattern, text in ((self.peer, item.peer), (self.here, verdict), (self.case, name))
        )


QVL, DQ = PEERS
GOOD = "[A-Z].*"
"""A TCB status; findings begin with a small letter."""

REASONS = (
    # Refused here only.
    Reason(
        "the wheel does not get this part: it takes certificates apart from quote and collateral",
        "chain (1.2|2.1|2.2).*|malformed",
        "(certification data|PCK chain|QE identity (chain|signed)|PCK CRL chain).*",
        QVL,
    ),
    Reason(
        "this library does not test when a certificate begins",
        "expiry 2.4",
        ".*(not valid yet|from the next second.*)",
        QVL,
    ),
    Reason(
        "this library takes the root by itself and does not look at what it says",
        "(expiry 2.4|signature 2.3|chain 2.5|chain 2.6.*|chain 2.7|malformed|chain 2.1)",
        "root .*",
        DQ,
    ),
    Reason(
        "keyUsage, basicConstraints and path length say what a certificate may do; all are tested here",
        "chain 2.5",
    ),
    Reason("a critical extension that is not understood is a reason to refuse (RFC 5280 section 4.2)", "chain 2.8"),
    Reason("every office has a name, so that one does not do another one's work", "chain 2.7"),
    Reason(
        "a chain is the certificates that are needed, in one chain from the root, and no others",
        "chain 2.1.*|chain 2.2, chain 2.9",
    ),
    Reason("only the algorithm of Intel's profile is taken, in a CRL too", "signature 3.2", ".*SHA-384"),
    Reason("a list of the future is not valid yet", "expiry 3.3"),
    Reason(
        "a list without number or key identifier, or a part of a list, could hide a revocation",
        "revocation 3.4",
    ),
    Reason("a root that has revoked itself is no root", "revocation 3.5", "root revoked"),
    Reason(
        "the bytes as served are what is signed; this library verifies its own rewriting of the JSON",
        "signature [45].1",
        ".*",
        QVL,
    ),
    Reason("a document of the future is not valid yet", "expiry [45].2"),
    Reason("nothing but the attestation key's hash may be vouched for", "key-binding 6.2"),
    Reason(
        "an identity with bits outside its own mask fits no enclave; masking both sides hides that",
        "qe-identity 6.3",
    ),
    Reason("a debug quoting enclave hands its keys to the host, whatever the mask leaves out", "qe-identity 6.4"),
    Reason("the PCEID is part of what TCB info is for", "platform 4.5"),
    Reason(
        "two accounts of the platform's versions that differ are a fault; the others read one each",
        "platform 7.1",
    ),
    Reason("an attribute that has no meaning yet may get one", "configuration 6.8"),
    Reason(
        "bits of XFAM that do not exist, and always-on bits that are off, are no real domain's",
        "configuration 6.9",
    ),
    Reason(
        "version, serial number and end of a certificate are as in RFC 5280 section 4.1.2",
        "malformed",
        "(PCK CA|PCK certificate|TCB signer|root) .*",
    ),
    Reason("nothing may be appended to something signed", "malformed", ".* CRL with a byte after its end"),
    Reason(
        "a chain's text is certificates and white space; what else stands there nobody checked",
        "malformed",
        ".*chain .*",
    ),
    Reason(
        "a number that is not whole, or nesting deeper than 32, has no place in these documents",
        "malformed",
        ".* with a number that is not whole|.* nested a hundred deep",
    ),
    Reason(
        "a field that is present has its type, its size and a value it can have",
        "malformed",
        "(TCB info|QE identity): .*|.*advisory.*|TCB info (with \\d+ (TDX )?components|of SGX with a TDX module)",
    ),
    Reason(
        "of two levels for one version nobody can say which holds",
        "malformed",
        ".* with a level twice|a module identity twice|a level of a module twice",
    ),
    Reason(
        "Intel's extension has each element once, of its type and size, and nothing else",
        "malformed",
        "PCK extension .*|SGX type .*|component \\d+ in the PCK certificate negative",
    ),
    Reason(
        "only zeros may follow the quote: nobody should be able to append to evidence",
        "malformed",
        "a byte after the quote|zeros and a byte.*|quote twice",
    ),
    Reason("sizes and types of the frame have to add up", "malformed", "size of .*|outer certification data .*"),
    # Accepted here only, or with another status.
    Reason(
        "issuers are found by name and proven by key; identifiers and distribution points are hints",
        GOOD,
        ".* without (subject key identifier|authority key identifier|CRL distribution point)",
        QVL,
    ),
    Reason(
        "the bytes as served are what is signed; this library verifies its own rewriting of the JSON",
        GOOD,
        "(TCB info|QE identity) with (spaces between|an escaped field name)",
        QVL,
    ),
    Reason(
        "the highest level reached holds; the others take the first, and Intel sorts its documents",
        GOOD,
        "QE identity with its levels in reverse order",
    ),
    Reason(
        "no document of Intel's has this status for an enclave or a module, and nobody can tell what it would permit",
        "malformed",
        "(quoting enclave|TDX module) [A-Za-z]+",
    ),
    Reason(
        "no document of Intel's has this status for an enclave or a module; here the table of 7.3 holds",
        GOOD,
        "(quoting enclave|TDX module) [A-Za-z]+",
    ),
    Reason("kernels and clouds pad quotes with zeros; they are removed explicitly", GOOD, "zeros after the quote", QVL),
    Reason("both ends of a period belong to it, as with certificates", GOOD, ".* valid until this second", DQ),
    Reason("the order of the certificates in the text carries nothing", GOOD, ".* chain in reverse order", DQ),
    Reason("archived evidence comes with TCB info of version 2", GOOD, "TCB info of version 2", DQ),
    Reason("authentication data is hashed whatever its length is", GOOD, "QE authentication data of \\d+ bytes", DQ),
    Reason(
        "no fault of the evidence: the policy decides (8.2, 8.10 to 8.12), by name",
        GOOD,
        "debug enclave|TD attribute bit (0|29) set|TD without SEPT_VE_DISABLE|other service domain",
        DQ,
    ),
)


def reason_of(item: Disagreement) -> Reason | None:
    """Give the first reason that fits."""
    return next((reason for reason in REASONS if reason.fits(item)), None)


def rows(found: Iterable[Disagreement]) -> list[str]:
    """Write the table's rows: one for each reason, verifier and direction."""
    groups: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for item in found:
        reason = reason_of(item)
        number = REASONS.index(reason) if reason is not None else len(REASONS)
        direction = f"{'refused' if item.here[0].islower() else item.here} | {item.there}"
        groups[number, item.peer, direction].append(item.case)
    texts = [*(reason.text for reason in REASONS), "not explained"]
    return [
        f"| {peer} | {direction} | {texts[number]} | {len(names)} | {_listed(names)} |"
        for (number, peer, direction), names in sorted(groups.items())
    ]


def _listed(names: list[str]) -> str:
    """Write names shortly: kinds of plan behind the name, and names that differ in one number together."""
    return "; ".join(_merge(_merge(names, r"^(\w+): (.*)$", _kinds), r"^(.*?\b)(\d+)(\b.*)$", _numbers))


def _merge(names: list[str], pattern: str, write: Callable[[str, list[str]], str]) -> list[str]:
    merged: dict[str, list[str]] = {}
    for name in names:
        match = re.match(pattern, name)
        if match is None:
            merged.setdefault(name, [])
        elif len(match.groups()) == 2:
            merged.setdefault(match[2], []).append(match[1])
        else:
            merged.setdefault(f"{match[1]}#{match[3]}", []).append(match[2])
    return [write(name, parts) if parts else name for name, parts in merged.items()]


def _kinds(name: str, kinds: list[str]) -> str:
    return f"{name} ({', '.join(kinds)})"


def _numbers(name: str, numbers: list[str]) -> str:
    return name.replace("#", ", ".join(numbers), 1)


def main() -> int:
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    header = "| verifier | here | there | why | cases | which |\n|---|---|---|---|---|---|"
    table = "\n".join([header, *rows(disagreements())])
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
