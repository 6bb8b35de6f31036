"""The JavaScript module beside the Python library: the same verdicts, and real stores attested from Node and Chromium.

Both judge the same cases: captured evidence, every fault that the verifier's own tests know, and damaged bytes. Then
Node and a page in Chromium attest services over HTTP on loopback and are refused by name what has to be refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import random
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

from attested import AT_MS, HOUR_MS, IDENTITY, Enclave, altered, new_platform, policy
from evidence_vectors import QUOTES, VERDICTS, case, read
from running import Deployment, free_port
from strongroom.attesters.simulated import SimulatedPlatform
from strongroom.base.errors import AppraisalRefused, Malformed, MalformedCollateral, MalformedQuote
from strongroom.cli.measured import measure_store
from strongroom.client.trust import standing_policy
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.claims import Claims
from strongroom.formats.collateral import Collateral
from strongroom.formats.measurements import MrEnclave
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.testing.loopback import Loopback
from strongroom.testing.relay import Relay, Wiretap
from strongroom.transport.asgi import EXCHANGE_PATH, MESSAGE_PATH
from strongroom.transport.cross_origin import cross_origin
from strongroom.verifier import ANY, INTEL_SGX_ROOT, AppraisalPolicy, TcbRule, appraise, assess
from strongroom.verifier.policy import SignerRule
from strongroom.verifier.policy_file import to_toml

ROOT = Path(__file__).resolve().parents[2]
JS = ROOT / "js"
PATIENCE_SECONDS = 300  # for a machine that has much else to do

NODE = shutil.which("node")
OLDEST_NODE = 20
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def node_version() -> int:
    """Give Node's major version, 0 where there is none."""
    if NODE is None:
        return 0
    shown = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    return int(shown.lstrip("v").partition(".")[0])


needs_node = pytest.mark.skipif(node_version() < OLDEST_NODE, reason=f"Node {OLDEST_NODE} or newer is not installed")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def node(script: str, *arguments: str, given: object = None) -> str:
    """Run a script of ``js/`` in Node, with a value as JSON for its standard input; gives what it wrote."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, script, *arguments],
        cwd=JS,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def table(of: AppraisalPolicy) -> dict[str, Any]:
    """Give the settings of a policy's file, which is what the module takes as well."""
    return tomllib.loads(to_toml(of).decode())


@needs_node
def test_the_module_passes_its_own_tests() -> None:
    assert "# fail 0" in node("--test", "--test-reporter=tap")


# the same verdicts


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to be judged by both."""

    evidence: bytes
    collateral: bytes
    policy: AppraisalPolicy
    at: datetime

    def to_json(self) -> dict[str, Any]:
        return {
            "evidence": self.evidence.hex(),
            "collateral": self.collateral.hex(),
            "policy": table(self.policy),
            "at_ms": round(self.at.timestamp() * 1000),
        }

    def judge(self) -> dict[str, Any]:
        """Judge it here, and tell what came of it as ``js/testing/judge.js`` does."""
        try:
            SgxQuote.from_bytes(self.evidence)  # other versions are not read there
            result = appraise(self.evidence, Collateral.from_json(self.collateral), self.policy, at=self.at)
        except AppraisalRefused as refusal:
            found = [[str(item.check), item.section] for item in refusal.findings]
            return {"verdict": "refused", "findings": sorted(found)}
        except Malformed as error:
            return {"verdict": "malformed", "findings": [], "error": type(error).__name__}
        facts = result.collateral
        return {
            "verdict": "accepted",
            "findings": [],
            "policy_digest": result.policy_digest.hex(),
            "status": str(result.tcb.status),
            "tcb_date_ms": round(result.tcb.date.timestamp() * 1000),
            "advisories": [[item.id, list(item.sources)] for item in result.tcb.advisories],
            "shortfalls": list(result.tcb.shortfalls),
            "expires_at_ms": round(result.expires_at.timestamp() * 1000),
            "numbers": [facts.tcb_evaluation_data_number, str(facts.root_crl_number), str(facts.pck_crl_number)],
            "ppid": result.platform.ppid.hex(),
            "simulated": result.simulated,
            "confessions": len(result.confessions),
        }


def judged_there(cases: list[Case]) -> list[dict[str, Any]]:
    verdicts: list[dict[str, Any]] = json.loads(node("testing/judge.js", given=[item.to_json() for item in cases]))
    for verdict in verdicts:
        verdict["findings"] = sorted([check, section] for check, section, _ in verdict["findings"])
        verdict.pop("message", None)
    return verdicts


def compare(cases: list[Case]) -> list[dict[str, Any]]:
    """Judge cases by both; every verdict, finding and fact has to be the same."""
    there = judged_there(cases)
    for item, verdict in zip(cases, there, strict=True):
        assert verdict == item.judge()
    return there


def policy_for(mr_enclave: MrEnclave, *statuses: TcbStatus, debug: bool = False) -> AppraisalPolicy:
    rules = [TcbRule(status=item, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY) for item in statuses]
    return replace(standing_policy(mr_enclave, simulated_root=None), tcb=tuple(rules), accept_debug_enclaves=debug)


@needs_node
def test_captured_evidence_gets_the_same_verdict_with_the_same_facts() -> None:
    cases = []
    for verdict in VERDICTS:
        evidence, _, at = case(verdict)
        collateral = read(verdict["collateral"])
        assessment = assess(evidence, Collateral.from_json(collateral), [INTEL_SGX_ROOT], at=at)
        assert assessment.tcb is not None
        code = SgxQuote.from_bytes(evidence).report.mr_enclave
        status = assessment.tcb.status
        for wanted in (
            policy_for(code, status, debug=True),
            policy_for(code, TcbStatus.UP_TO_DATE),
            replace(policy_for(code, status, debug=True), platforms=frozenset(), smt_enabled=False),
        ):
            cases += [
                Case(evidence=evidence, collateral=collateral, policy=wanted, at=at + timedelta(days=days))
                for days in (0, -45, 45)
            ]
    verdicts = compare(cases)
    assert sum(item["verdict"] == "accepted" for item in verdicts) >= len(VERDICTS)


@needs_node
def test_other_captured_quotes_are_refused_alike() -> None:
    _, _, at = case(VERDICTS[0])
    collateral = read(VERDICTS[0]["collateral"])
    wanted = policy_for(MrEnclave(bytes(32)), TcbStatus.UP_TO_DATE)
    verdicts = compare([Case(evidence=read(name), collateral=collateral, policy=wanted, at=at) for name in QUOTES])
    assert {item["verdict"] for item in verdicts} >= {"refused"}


def known_faults() -> list[Callable[[IntelPki], None]]:
    """Take the faults, each with its own findings, that the verifier's tests go through."""
    path = ROOT / "tests" / "unit" / "verifier" / "test_appraisal.py"
    spec = importlib.util.spec_from_file_location("verifier_test_appraisal", path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [fault for fault, _ in module.FAULTS]


def built(pki: IntelPki, wanted: AppraisalPolicy | None = None, at: datetime = AT) -> Case:
    evidence, collateral = pki.build()
    return Case(evidence=evidence, collateral=collateral.to_json(), policy=wanted or pki.policy(), at=at)


@needs_node
def test_every_known_fault_gives_the_same_findings() -> None:
    faults = known_faults()
    cases = [built(IntelPki())]
    for number, fault in enumerate(faults):
        pki = IntelPki()
        fault(pki)
        cases.append(built(pki))
        faults[number - 7](pki)
        with contextlib.suppress(ValueError):  # two faults that leave no certificate to be issued
            cases.append(built(pki))
    assert len(cases) > 1.8 * len(faults)
    verdicts = compare(cases)
    assert verdicts[0]["verdict"] == "accepted"
    found = {section for item in verdicts for _, section in item["findings"]}
    assert len(found) > 30
    assert all(item["verdict"] == "refused" for item in verdicts[1:])


@needs_node
def test_every_rule_of_a_policy_means_the_same() -> None:
    pki = IntelPki()
    base = pki.policy()
    rule = base.tcb[0]
    report = pki.report
    signer = SignerRule(mr_signer=report.mr_signer, isv_prod_id=report.isv_prod_id, minimum_isv_svn=report.isv_svn)
    wanted = [
        replace(base, signers=(signer,), mr_enclaves=frozenset()),
        replace(base, signers=(replace(signer, isv_prod_id=8),), mr_enclaves=frozenset()),
        replace(base, signers=(replace(signer, minimum_isv_svn=4),), mr_enclaves=frozenset({MrEnclave(bytes(32))})),
        replace(base, signers=(replace(signer, mr_signer=bytes(32)), signer), mr_enclaves=frozenset()),  # type: ignore[arg-type]
        replace(base, mr_enclaves=frozenset(MrEnclave(bytes([n]) * 32) for n in range(5))),
        replace(base, tcb=()),
        replace(base, tcb=(replace(rule, measurement=MrEnclave(bytes(32))),)),
        replace(base, tcb=(replace(rule, advisories=frozenset()), replace(rule, maximum_tcb_age=timedelta(days=1)))),
        replace(base, tcb=(replace(rule, maximum_tcb_age=timedelta(days=1)),)),
        replace(base, tcb=(replace(rule, maximum_tcb_age=timedelta(days=3650)),)),
        replace(base, minimum_tcb_evaluation_data_number=19),
        replace(base, maximum_collateral_age=timedelta(days=1)),
        replace(base, maximum_collateral_age=timedelta(days=3)),
        replace(base, expired_collateral_grace=timedelta(days=3)),
        replace(base, platforms=frozenset({bytes(range(16))})),
        replace(base, platforms=frozenset({bytes(16)})),
        replace(base, smt_enabled=True, cached_keys=False),
        replace(base, dynamic_platform=True),
        replace(base, anchors=(INTEL_SGX_ROOT,)),
        replace(base, anchors=(INTEL_SGX_ROOT, *base.anchors)),
    ]
    late = AT + timedelta(days=29)
    older = IntelPki()
    older.set_components(*(6, *pki.extension.tcb.components[1:]))
    takes_older = [
        replace(policy, tcb=(replace(rule, status=TcbStatus.OUT_OF_DATE, advisories=advisories),))
        for policy in wanted[:2]
        for advisories in (ANY, frozenset({"EXAMPLE-SA-1"}), frozenset[str]())
    ]
    cases = [built(pki, item, at) for item in wanted for at in (AT, late)]
    cases += [built(older, item) for item in [*wanted, *takes_older]]
    verdicts = compare(cases)
    assert {item["verdict"] for item in verdicts} == {"accepted", "refused"}


def damaged(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    match draw.randrange(5):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + draw.randbytes(draw.randrange(1, 4)) + data[at:]
        case 2:
            return data[:at] + data[at + draw.randrange(1, 4) :]
        case 3:
            return data[:at] + b"\xff" * 4 + data[at + 4 :]
        case _:
            return data[:at]


def damaged_set(collateral: bytes, draw: random.Random) -> bytes:
    """Damage one part of a set, behind its hexadecimal or its JSON text."""
    parts = json.loads(collateral)
    name = draw.choice(sorted(set(parts) - {"pck_certificate_chain"}))
    value: str = parts[name]
    if name.endswith(("crl", "signature")):
        parts[name] = damaged(bytes.fromhex(value), draw).hex()
    else:
        parts[name] = damaged(value.encode(), draw).decode("utf-8", "replace")
    return json.dumps(parts).encode()


@needs_node
def test_damaged_bytes_get_the_same_verdict() -> None:
    """Where one finds that a damaged certificate cannot be read, the other may read it and refuse its signature."""
    draw = random.Random(2026)  # noqa: S311 - no secret
    originals = [built(IntelPki())]
    for verdict in VERDICTS[::8]:
        evidence, _, at = case(verdict)
        collateral = read(verdict["collateral"])
        code = SgxQuote.from_bytes(evidence).report.mr_enclave
        wanted = policy_for(code, *(item for item in TcbStatus if item in known_statuses()), debug=True)
        originals.append(Case(evidence=evidence, collateral=collateral, policy=wanted, at=at))
    cases = []
    for number in range(1500):
        original = draw.choice(originals)
        if number % 2:
            cases.append(replace(original, evidence=damaged(original.evidence, draw)))
        else:
            cases.append(replace(original, collateral=damaged_set(original.collateral, draw)))
    there = judged_there(cases)
    here = [item.judge() for item in cases]
    different = [(a, b) for a, b in zip(there, here, strict=True) if a != b]
    for a, b in different:
        assert {a["verdict"], b["verdict"]} == {"malformed", "refused"}, (a, b)
        assert {a.get("error"), b.get("error")} & {MalformedCollateral.__name__, MalformedQuote.__name__}
    assert len(different) < 0.04 * len(cases)
    assert {item["verdict"] for item in there} == {"malformed", "refused"} | {item["verdict"] for item in here}


def known_statuses() -> set[TcbStatus]:
    return {item for item in TcbStatus if item is not TcbStatus.REVOKED and not item.value.startswith("TD")}


# services that run


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> SimulatedPlatform:
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform: SimulatedPlatform) -> Enclave:
    return Enclave(platform)


def task(enclave: Enclave, url: str, **changes: Any) -> dict[str, Any]:
    """Say what a client shall do: expect this very enclave, at the instant at which it says that it lives."""
    wanted = changes.pop("policy", policy(enclave.platform))
    return {
        "url": url,
        "policy": table(wanted),
        "deployment": enclave.deployment.hex(),
        "now_ms": AT_MS,
        **changes,
    }


def visit(given: dict[str, Any]) -> dict[str, Any]:
    """Let a client in Node attest a service and make requests."""
    outcome: dict[str, Any] = json.loads(node("testing/client.js", given=given))
    return outcome


def findings(outcome: dict[str, Any]) -> list[tuple[str, str]]:
    return [(check, section) for check, section, _ in outcome["findings"]]


def refused(given: dict[str, Any]) -> list[tuple[str, str]]:
    outcome = visit(given)
    assert outcome["verdict"] == "refused", outcome
    assert outcome["responses"] == []
    return findings(outcome)


REQUESTS = [
    {"path": "/echo?a=1&b=%20", "body": "hällo", "headers": {"x-one": "1"}},
    {"path": "/count", "method": "GET"},
    {"path": "/count", "method": "GET"},
    {"path": "/zeros/100000", "method": "GET"},
    {"path": "/fail"},
]


@needs_node
def test_node_attests_a_service_and_talks_to_it(enclave: Enclave) -> None:
    wiretap_requests = [{"path": "/login", "body": "the password of my bank is 4711"}]
    with Loopback(enclave.service()) as url:
        outcome = visit(task(enclave, url, requests=REQUESTS))
        wiretap = Wiretap(url)
        with wiretap.serve() as tapped:
            told = visit(task(enclave, tapped, requests=wiretap_requests))
    assert outcome["verdict"] == "attested"
    assert outcome["mr_enclave"] == IDENTITY.mr_enclave.hex()
    assert outcome["deployment"] == enclave.deployment.hex()
    assert outcome["deployment_pinned"]
    assert outcome["simulated"]
    assert outcome["confessions"] == ["a simulated platform is accepted: no hardware is proven"]
    assert outcome["policy_digest"] == policy(enclave.platform).digest.hex()
    assert [item["status"] for item in outcome["responses"]] == [200, 200, 200, 200, 500]
    echoed, first, second, zeros, _ = outcome["responses"]
    assert echoed["body"] == "hällo"
    assert ["x-query", "a=1&b=%20"] in echoed["headers"]
    assert ["x-echo-x-one", "1"] in echoed["headers"]
    assert ["x-session", outcome["session"]] in echoed["headers"], "both ends have one transcript"
    assert [first["body"], second["body"]] == ["1", "2"], "one channel for all requests"
    assert zeros["body"] == "\0" * 100_000
    assert told["responses"][0]["body"] == wiretap_requests[0]["body"]
    assert b"4711" not in b"".join(wiretap.seen)


@needs_node
def test_node_without_a_pinned_deployment_says_so_and_pins_it(enclave: Enclave) -> None:
    with Loopback(enclave.service()) as url:
        outcome = visit(task(enclave, url, deployment=None, repeat=1))
    assert outcome["verdict"] == "attested"
    assert outcome["deployment"] == enclave.deployment.hex()
    assert outcome["deployment_pinned"], "at the second exchange"


@needs_node
def test_node_refuses_each_wrong_thing_by_name(platform: SimulatedPlatform, enclave: Enclave) -> None:
    other = SigningKey.generate()
    accepted = policy(platform)
    with Loopback(enclave.service()) as url:
        assert refused(task(enclave, url, deployment="00" * 32)) == [("deployment", "attested-channel 6.4")]
        other_code = replace(accepted, mr_enclaves=frozenset({MrEnclave(bytes(32))}))
        assert refused(task(enclave, url, policy=other_code)) == [("measurement", "appraisal 8.3")]
        hardware_only = replace(accepted, anchors=(INTEL_SGX_ROOT,), accept_simulated_platform=False)
        assert refused(task(enclave, url, policy=hardware_only)) == [
            ("chain", "appraisal 2.2"),
            ("simulated", "appraisal 2.2"),
        ]
        strict = replace(accepted, accept_simulated_platform=False)
        assert refused(task(enclave, url, policy=strict)) == [("simulated", "appraisal 8.1")]
        assert refused(task(enclave, url, max_elapsed_seconds=1e-9)) == [("freshness", "attested-channel 6.3")]
        late = refused(task(enclave, url, now_ms=AT_MS + 25 * HOUR_MS))
        assert ("expiry", "attested-channel 6.9") in late
        both = refused(task(enclave, url, policy=other_code, deployment="00" * 32))
        assert both == [("measurement", "appraisal 8.3"), ("deployment", "attested-channel 6.4")]
    faults: list[tuple[dict[str, Any], str, str]] = [
        ({"certifier": other}, "deployment", "6.6"),
        ({"certificate": lambda right: replace(right, deployment=bytes(32))}, "deployment", "6.6"),
        ({"certificate": lambda right: replace(right, instance_key=other.public)}, "deployment", "6.7"),
        ({"certificate": lambda right: replace(right, epoch=2)}, "deployment", "6.8"),
        ({"certificate": lambda right: replace(right, not_after_ms=AT_MS)}, "expiry", "6.9"),
        ({"certificate": lambda right: replace(right, not_after_ms=AT_MS + 24 * HOUR_MS)}, "expiry", "6.9"),
        ({"certificate": lambda right: replace(right, machine=bytes(32))}, "platform", "6.10"),
    ]
    for change, check, section in faults:
        changed = Enclave(platform, **change)
        with Loopback(changed.service()) as url:
            assert refused(task(changed, url)) == [(check, f"attested-channel {section}")]


class Tampering(Wiretap):
    """Passes on everything, and answers of exchanges with changed parts."""

    def __init__(self, genuine_url: str, change: Callable[[bytes], bytes]) -> None:
        super().__init__(genuine_url)
        self._change = change

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        status, answer = await super().pass_on(path, body)
        return status, self._change(answer) if path == EXCHANGE_PATH and status == 200 else answer


@needs_node
def test_node_refuses_a_changed_answer_by_name(enclave: Enclave) -> None:
    claims = Claims(
        root=bytes(32), size=1, deployment=bytes(32), instance=bytes(32), head_key=bytes(32), epoch=1, release=bytes(32)
    ).to_bytes()
    other = [("key-binding", "attested-channel 6.1"), ("freshness", "attested-channel 6.2")]
    expected: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"index": 1}, [("freshness", "attested-channel 6.2")]),
        ({"path": (bytes(32),)}, [("freshness", "attested-channel 6.2")]),
        ({"claims_signature": bytes(64)}, [("deployment", "attested-channel 6.7")]),
        ({"claims": claims}, [*other, ("deployment", "attested-channel 6.5"), ("deployment", "attested-channel 6.7")]),
        ({"confirmation": bytes(32)}, [("key-binding", "attested-channel 3")]),
    ]
    with Loopback(enclave.service()) as url:
        for change, wanted in expected:
            with Tampering(url, lambda answer, change=change: altered(answer, **change)).serve() as address:
                assert refused(task(enclave, address)) == wanted
        for broken in (lambda answer: answer[:-1], lambda answer: answer + b"\0", lambda _: b"", lambda _: b"{}"):
            with Tampering(url, broken).serve() as address:
                outcome = visit(task(enclave, address))
                assert (outcome["verdict"], outcome["code"]) == ("failed", "malformed-message")


@needs_node
def test_node_tells_nothing_to_a_relay(enclave: Enclave) -> None:
    requests = [{"path": "/login", "body": "the password of my bank is 4711"}]
    with Loopback(enclave.service()) as url:
        relay = Relay(url)
        with relay.serve() as address:
            found = refused(task(enclave, address, requests=requests))
    assert found == [("freshness", "attested-channel 6.2")]
    assert relay.read == []
    assert len(relay.seen) == 2, "the hello and its answer"


class Forgetful(Wiretap):
    """Claims once that the service does not know the channel."""

    def __init__(self, genuine_url: str) -> None:
        super().__init__(genuine_url)
        self.forgot = 0

    async def pass_on(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path == MESSAGE_PATH and not self.forgot:
            self.forgot += 1
            return 421, b'{"error":"channel-unknown"}'
        return await super().pass_on(path, body)


@needs_node
def test_node_attests_again_when_the_channel_is_not_known_any_more(enclave: Enclave) -> None:
    with Loopback(enclave.service()) as url:
        forgetful = Forgetful(url)
        with forgetful.serve() as address:
            outcome = visit(task(enclave, address, requests=[{"path": "/count"}, {"path": "/count"}]))
    assert outcome["verdict"] == "attested", outcome
    assert [item["body"] for item in outcome["responses"]] == ["1", "2"]
    assert forgetful.forgot == 1


@needs_node
def test_node_says_when_nobody_is_there_or_somebody_else(enclave: Enclave) -> None:
    nobody = visit(task(enclave, "http://127.0.0.1:1"))
    assert (nobody["verdict"], nobody["code"]) == ("failed", "store-unreachable")

    async def stranger(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"7")]})
            await send({"type": "http.response.body", "body": b'{"message":"\x1b[31mgo away"}'})

    with Loopback(stranger) as url:
        outcome = visit(task(enclave, url))
    assert (outcome["verdict"], outcome["code"]) == ("failed", "store-unreachable")
    assert "\x1b" not in outcome["message"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A store as an operator runs one, in a process of its own."""
    deployment = Deployment.create(tmp_path_factory.mktemp("store"))
    with deployment.running():
        yield deployment


@pytest.fixture(scope="module")
def measured(store: Deployment) -> MrEnclave:
    """What the store's code measures, from when it started."""
    return measure_store()


def store_task(store: Deployment, measured: MrEnclave) -> dict[str, Any]:
    """Say what a client shall do that was invited to this store and accepts its simulated platform."""
    wanted = standing_policy(measured, simulated_root=store.trust.simulated_root)
    body = json.dumps({"username": "nobody@example.com", "ke1": "AAAA"})
    request = {"path": "/v1/sessions/login/start", "body": body, "headers": {"content-type": "application/json"}}
    assert store.trust.deployment is not None
    return {
        "url": store.url,
        "policy": table(wanted),
        "deployment": store.trust.deployment.hex(),
        "requests": [request],
    }


@needs_node
def test_node_attests_a_real_store(store: Deployment, measured: MrEnclave) -> None:
    outcome = visit({**store_task(store, measured), "repeat": 20})
    assert outcome["verdict"] == "attested", outcome
    assert outcome["mr_enclave"] == measured.hex()
    assert outcome["responses"][0]["status"] == 400
    assert json.loads(outcome["responses"][0]["body"])["error"] == "malformed-message"
    assert outcome["fresh_ms"]


@needs_node
def test_node_reads_the_invitation_of_a_real_store(store: Deployment) -> None:
    script = (
        "import('./index.js').then(async ({ readInvitation, readPolicy, standingPolicy }) => {"
        "const { url, deployment, simulatedRoot } = readInvitation(process.argv[1]);"
        "const policy = await readPolicy(standingPolicy(deployment, { simulatedRoot }));"
        "const hex = (bytes) => Buffer.from(bytes).toString('hex');"
        "console.log(JSON.stringify([url, hex(deployment), hex(simulatedRoot), hex(policy.digest)])); })"
    )
    trust = store.trust
    assert trust.deployment is not None
    assert trust.simulated_root is not None
    same = standing_policy(MrEnclave(trust.deployment), simulated_root=trust.simulated_root)
    expected = [trust.url, trust.deployment.hex(), trust.simulated_root.hex(), same.digest.hex()]
    assert json.loads(node("-e", script, store.invitation)) == expected


# a page in Chromium

FILE_TYPES = {".js": b"text/javascript", ".html": b"text/html; charset=utf-8"}


class Site:
    """Serves a page with the module, and the attested service under the same origin; waits for the page's word.

    ``/done`` is an image of the page that is answered when ``/result`` has come: until then the page is loading.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        # a page that goes to another origin is told so; else the service stands behind its own
        self._genuine: str = given["url"] if given.pop("direct", False) else given.pop("url")
        self._task = given
        self._over = asyncio.Event()
        self.result: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, kind, content = await self.answer(scope["path"], body)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": content})

    async def answer(self, path: str, body: bytes) -> tuple[int, bytes, bytes]:
        if path.startswith("/strongroom/"):
            async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
                answered = await http.post(self._genuine + path, content=body)
            return answered.status_code, b"application/octet-stream", answered.content
        if path == "/task":
            return 200, b"application/json", json.dumps(self._task).encode()
        if path == "/result":
            self.result = json.loads(body)
            self._over.set()
            return 200, b"text/plain", b""
        if path == "/done":
            await self._over.wait()
            return 404, b"text/plain", b""
        file = (JS / path.removeprefix("/js/")).resolve()
        if not path.startswith("/js/") or not file.is_relative_to(JS) or not file.is_file():
            return 404, b"text/plain", b""
        return 200, FILE_TYPES.get(file.suffix, b"text/plain"), file.read_bytes()


QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication,CertificateTransparencyComponentUpdater",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1000,700",
)


@contextmanager
def page(given: dict[str, Any], profile: Path, *arguments: str, port: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Open the page in Chromium; gives its document when it has loaded, and what it reported."""
    assert CHROMIUM is not None
    site = Site(given)
    with Loopback(site, port=port) as url:
        done = subprocess.run(
            [
                CHROMIUM,
                *QUIET,
                f"--user-data-dir={profile}",
                *(arguments or ("--dump-dom",)),
                f"{url}/js/testing/page.html",
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert site.result, done.stderr[-5000:]
        yield done.stdout, site.result


@needs_chromium
def test_a_page_in_chromium_attests_a_real_store_and_shows_the_verdict(
    store: Deployment, measured: MrEnclave, tmp_path: Path
) -> None:
    with page({**store_task(store, measured), "repeat": 10}, tmp_path) as (document, outcome):
        assert outcome["verdict"] == "attested", outcome
        assert '<p id="verdict" class="attested">attested</p>' in document
        assert f"<td>{measured.hex()}</td>" in document
        assert "<td>UpToDate</td>" in document
        assert store.trust.deployment is not None
        assert f"<td>{store.trust.deployment.hex()}</td>" in document
        assert "a simulated platform is accepted: no hardware is proven" in document
        assert "malformed-message" in document, "what the store answered inside the channel"


@needs_chromium
@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"deployment": "00" * 32}, "this is another deployment than the one expected (attested-channel 6.4)"),
        ({"now_ms": AT_MS + 25 * HOUR_MS}, "the instance certificate is not valid now (attested-channel 6.9)"),
    ],
)
def test_a_page_in_chromium_shows_why_it_refuses(
    enclave: Enclave, tmp_path: Path, changes: dict[str, Any], shown: str
) -> None:
    requests = [{"path": "/login", "body": "the password of my bank is 4711"}]
    with (
        Loopback(enclave.service()) as url,
        page(task(enclave, url, requests=requests, **changes), tmp_path) as (document, outcome),
    ):
        assert outcome["verdict"] == "refused"
        assert '<p id="verdict" class="refused">refused</p>' in document
        assert f"<td>{shown}</td>" in document
        assert "<td>200" not in document


@needs_chromium
def test_a_page_in_chromium_tells_nothing_to_a_relay(enclave: Enclave, tmp_path: Path) -> None:
    requests = [{"path": "/login", "body": "the password of my bank is 4711"}]
    with Loopback(enclave.service()) as url:
        relay = Relay(url)
        with (
            relay.serve() as address,
            page(task(enclave, address, requests=requests), tmp_path) as (document, outcome),
        ):
            assert outcome["verdict"] == "refused"
            assert "the evidence was not made for this session (attested-channel 6.2)" in document
        assert relay.read == []


@needs_chromium
def test_a_page_in_chromium_attests_again_when_the_channel_is_not_known_any_more(
    enclave: Enclave, tmp_path: Path
) -> None:
    given = {"requests": [{"path": "/count"}, {"path": "/count"}]}
    with Loopback(enclave.service()) as url:
        forgetful = Forgetful(url)
        with forgetful.serve() as address, page(task(enclave, address, **given), tmp_path) as (document, _):
            assert "<td>200 1 200 2</td>" in document
    assert forgetful.forgot


@needs_chromium
@pytest.mark.parametrize("listed", [True, False])
def test_a_page_of_another_origin_attests_a_service_that_lists_it_and_no_other(
    enclave: Enclave, tmp_path: Path, listed: bool
) -> None:
    port = free_port()
    origins = [f"http://127.0.0.1:{port}"] if listed else ["http://127.0.0.1:1"]
    with (
        Loopback(cross_origin(enclave.service(), origins)) as url,
        page({**task(enclave, url), "direct": True}, tmp_path, port=port) as (_, outcome),
    ):
        assert outcome.get("code", outcome["verdict"]) == ("attested" if listed else "store-unreachable"), outcome
