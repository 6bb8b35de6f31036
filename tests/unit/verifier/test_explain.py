from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_vectors import VECTORS
from strongroom.base.errors import AppraisalRefused
from strongroom.base.findings import Check, Finding
from strongroom.formats.measurements import MrEnclave
from strongroom.formats.quote import parse_quote
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import AllOf, AnyOf, Assessment, appraise, assess
from strongroom.verifier.explain import Explanation, Standing, Step, explain
from strongroom.verifier.explain_html import STYLE, to_html
from strongroom.verifier.explain_text import to_text
from strongroom.verifier.result import NOT_JUDGED, TdxClaims
from tokens import RESULT

CHAIN = ["root", "collateral", "platform", "state", "quoting-enclave", "quote", "code", "policy", "session"]


def assessed(pki: IntelPki) -> Assessment:
    return assess(pki.quote().to_bytes(), pki.collateral(), pki.policy().anchors, at=AT)


def refusal(*findings: Finding) -> AppraisalRefused:
    return AppraisalRefused(findings or [finding("8.3", Check.MEASUREMENT)])


def finding(section: str, check: Check, **texts: str) -> Finding:
    return Finding(check=check, message=texts.pop("message", "an objection"), section=f"appraisal {section}", **texts)


def standings(explanation: Explanation) -> dict[str, Standing]:
    return {step.name: step.standing for step in explanation.steps}


def step(explanation: Explanation, name: str) -> Step:
    return next(step for step in explanation.steps if step.name == name)


def test_the_chain_leads_from_the_root_to_the_code() -> None:
    assert [step.name for step in explain(RESULT).steps] == CHAIN


def test_an_accepted_result_proves_everything_but_the_connection() -> None:
    explanation = explain(RESULT)
    assert explanation.accepted
    assert standings(explanation) == {name: Standing.OPEN if name == "session" else Standing.PROVED for name in CHAIN}
    assert ("MRENCLAVE", RESULT.claims.mr_enclave.hex()) in step(explanation, "code").rows
    assert ("policy", RESULT.policy_digest.hex()) in step(explanation, "policy").rows
    assert any("made for this connection" in text for text in explanation.not_covered)


def test_a_session_that_was_proven_is_covered() -> None:
    explanation = explain(RESULT, session={"session": "aa"})
    assert standings(explanation)["session"] is Standing.PROVED
    assert step(explanation, "session").rows == (("session", "aa"),)
    assert not any("made for this connection" in text for text in explanation.not_covered)


def test_an_assessment_judges_no_policy_and_says_what_is_open() -> None:
    explanation = explain(assessed(IntelPki()))
    assert not explanation.accepted
    assert "no policy was applied" in explanation.verdict
    assert standings(explanation)["policy"] is Standing.OPEN
    assert {text for text in NOT_JUDGED if "fresh" not in text} <= set(explanation.not_covered)


def test_below_a_refused_step_nothing_is_established() -> None:
    pki = IntelPki()
    pki.leaf.not_after = AT - timedelta(days=1)
    found = standings(explain(assessed(pki)))
    assert found["root"] is Standing.PROVED
    assert found["collateral"] is Standing.PROVED
    assert found["platform"] is Standing.REFUSED
    for name in ("state", "quoting-enclave", "quote", "code"):
        assert found[name] is Standing.UNSUPPORTED


def test_what_could_not_be_found_out_is_not_established() -> None:
    explanation = explain(refusal())
    assert standings(explanation)["code"] is Standing.REFUSED
    assert standings(explanation)["root"] is Standing.UNSUPPORTED
    assert explanation.appraised_at is None
    with_facts = standings(explain(refusal(), assessment=assessed(IntelPki())))
    assert with_facts["root"] is Standing.PROVED
    assert with_facts["code"] is Standing.REFUSED


@pytest.mark.parametrize(
    ("part", "name"), [("anchor", "root"), ("collateral", "collateral"), ("platform", "platform"), ("tcb", "state")]
)
def test_a_part_that_is_missing_establishes_nothing(part: str, name: str) -> None:
    explanation = explain(replace(assessed(IntelPki()), **{part: None}))
    assert standings(explanation)[name] is Standing.UNSUPPORTED
    assert step(explanation, name).rows == ()
    assert standings(explanation)["code"] is Standing.UNSUPPORTED


@pytest.mark.parametrize(
    ("section", "check", "name"),
    [
        ("1.2", Check.CHAIN, "platform"),
        ("2.2", Check.CHAIN, "root"),
        ("2.4", Check.EXPIRY, "platform"),
        ("3.2", Check.SIGNATURE, "collateral"),
        ("3.5", Check.REVOCATION, "platform"),
        ("4.1", Check.SIGNATURE, "collateral"),
        ("5.3", Check.QE_IDENTITY, "collateral"),
        ("6.1", Check.SIGNATURE, "quoting-enclave"),
        ("6.6", Check.SIGNATURE, "quote"),
        ("7.2", Check.TCB_STATUS, "state"),
        ("8.1", Check.SIMULATED, "policy"),
        ("8.2", Check.DEBUG, "code"),
        ("8.4", Check.SIGNER, "code"),
        ("8.5", Check.TCB_STATUS, "state"),
        ("8.6", Check.ADVISORY, "state"),
        ("8.7", Check.FRESHNESS, "policy"),
        ("8.9", Check.PLATFORM, "policy"),
        ("6.8", Check.CONFIGURATION, "code"),
        ("7.7", Check.TDX_MODULE, "state"),
        ("8.10", Check.MEASUREMENT, "code"),
        ("8.13", Check.TDX_MODULE, "code"),
        ("8.14", Check.CONFIGURATION, "state"),
        ("8.15", Check.TCB_STATUS, "state"),
        ("9.9", Check.CHAIN, "policy"),
    ],
)
def test_a_finding_stands_at_its_step(section: str, check: Check, name: str) -> None:
    explanation = explain(refusal(finding(section, check)), assessment=assessed(IntelPki()))
    assert [step.name for step in explanation.steps if step.objections] == [name]
    assert standings(explanation)[name] is Standing.REFUSED


def test_a_finding_about_the_session_stands_there() -> None:
    found = Finding(check=Check.KEY_BINDING, message="m", section="attested-channel 6.2")
    assert step(explain(refusal(found)), "session").objections == (found,)


@given(
    st.lists(st.builds(finding, st.from_regex(r"[0-9a-z.]{0,6}", fullmatch=True), st.sampled_from(Check)), min_size=1)
)
def test_no_finding_gets_lost(findings: list[Finding]) -> None:
    explanation = explain(refusal(*findings))
    shown = [item for step in explanation.steps for item in step.objections]
    assert sorted(map(str, shown)) == sorted(map(str, findings))
    assert to_text(explanation, width=10_000).count("an objection") == len(findings)
    assert to_html(explanation).count("an objection") == len(findings)


def test_a_simulated_platform_proves_nothing_and_says_so_first() -> None:
    result = replace(RESULT, simulated=True, confessions=("a simulated platform is accepted: no hardware is proven",))
    explanation = explain(result)
    assert "proves no hardware" in explanation.verdict
    assert explanation.warnings == result.confessions
    assert set(standings(explanation).values()) == {Standing.SIMULATED, Standing.PROVED, Standing.OPEN}
    assert {name for name, found in standings(explanation).items() if found is Standing.PROVED} == {"policy"}
    assert to_text(explanation).splitlines()[1].startswith("! a simulated platform")
    assert "proves no hardware" in explain(replace(assessed(IntelPki()), simulated=True)).verdict


def test_debug_is_a_warning_without_a_policy_too() -> None:
    genuine = assessed(IntelPki())
    assert explain(genuine).warnings == ()
    assert explain(replace(genuine, claims=replace(genuine.claims, debug=True))).warnings


def test_a_trust_domain_s_registers_are_shown() -> None:
    quote = next(path for path in sorted(VECTORS.glob("tdx/**/*.quote.bin")))
    claims = TdxClaims.of(parse_quote(quote.read_bytes()).report)
    rows = dict(step(explain(replace(RESULT, claims=claims)), "code").rows)
    assert rows["MRTD"] == claims.mr_td.hex()
    assert rows["RTMR 3"] == claims.rtmr_3.hex()
    assert rows["debug"] in {"yes", "no"}
    assert "attributes" in rows
    assert "MRENCLAVE" not in rows


def test_a_composition_is_shown_nested() -> None:
    pki = IntelPki()
    other = replace(pki.policy(), mr_enclaves=frozenset({MrEnclave(bytes(32))}))
    elsewhere = replace(pki.policy(), platforms=frozenset({bytes(16)}))
    policy = AnyOf((other, AllOf((pki.policy(), elsewhere))))
    with pytest.raises(AppraisalRefused) as refused:
        appraise(pki.quote().to_bytes(), pki.collateral(), policy, at=AT)
    text = to_text(explain(refused.value))
    for line in (
        "  the policy refuses: any of 2 policies must accept",
        "    policy 1 refuses",
        "    policy 2 refuses: all of 2 policies must accept",
        "      policy 2.1 accepts",
        "      policy 2.2 refuses",
    ):
        assert line in text.splitlines()
    assert "policy 2.1 accepts" in to_html(explain(refused.value))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_text_keeps_to_its_width(width: int) -> None:
    pki = IntelPki()
    pki.leaf.not_after = AT - timedelta(days=1)
    for subject in (RESULT, assessed(pki), refusal()):
        for line in to_text(explain(subject), width=width).splitlines():
            assert len(line) <= width, line


def test_a_digest_stays_in_one_piece_on_80_columns() -> None:
    assert re.search(rf"^│ MRENCLAVE +{RESULT.claims.mr_enclave.hex()}$", to_text(explain(RESULT)), re.MULTILINE)


def test_the_text_of_an_accepted_result() -> None:
    lines = to_text(explain(RESULT)).splitlines()
    assert lines[0] == "ACCEPTED: the evidence is genuine and your policy accepts it."
    assert lines[2] == "The manufacturer's root  [proved]"
    assert lines[6] == "▼"
    assert lines[7] == "What the manufacturer says today  [proved]"
    assert "This connection  [not judged]" in lines


HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\"'&"


def hostile() -> Explanation:
    return explain(
        refusal(finding("8.3", Check.MEASUREMENT, message=HOSTILE, expected=HOSTILE, actual=HOSTILE)),
        assessment=replace(assessed(IntelPki()), anchor=HOSTILE),
        session={"session": HOSTILE},
    )


def test_foreign_text_commands_no_terminal() -> None:
    text = to_text(hostile())
    assert all(character.isprintable() for line in text.splitlines() for character in line)
    assert "\\x1b[31m\\u202e" in text.replace("\n", "")


class Tags(HTMLParser):
    """Collects what a browser would see, and fails on a tag that is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_escaped_and_fetches_nothing() -> None:
    for explanation in (hostile(), explain(RESULT)):
        html = to_html(explanation)
        tags = Tags()
        tags.feed(html)
        assert not tags.open
        assert {tag for tag, _ in tags.seen} <= {
            "section",
            "style",
            "div",
            "h2",
            "h3",
            "p",
            "ol",
            "ul",
            "li",
            "span",
            "dl",
            "dt",
            "dd",
        }
        assert {name for _, attributes in tags.seen for name, _ in attributes} <= {"class"}
        assert not re.search(r"url\(|@import|https?:|javascript|<script|\x1b|expression", html)
    assert "&lt;script&gt;" in to_html(hostile())


def test_a_page_can_bring_the_style_itself() -> None:
    assert STYLE in to_html(explain(RESULT))
    assert "<style>" not in to_html(explain(RESULT), style=False)
    selectors = re.sub(r"\{[^{}]*\}", "", STYLE)
    assert all(name.startswith("sr-") for name in re.findall(r"\.([a-z-]+)", selectors))


@pytest.mark.parametrize(
    ("subject", "name"), [("accepted", "sr-proved"), ("refused", "sr-refused"), ("assessed", "sr-unsupported")]
)
def test_the_verdict_looks_like_what_it_is(subject: str, name: str) -> None:
    explanation = {
        "accepted": explain(RESULT),
        "refused": explain(refusal()),
        "assessed": explain(assessed(IntelPki())),
    }[subject]
    assert f'<div class="sr-verdict {name}">' in to_html(explanation)
