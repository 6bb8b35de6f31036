"""The exchange: what it gives when all is well, and the finding for each thing that is not (spec section 6)."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attested import (
    AT,
    AT_MS,
    HOUR_MS,
    IDENTITY,
    Enclave,
    altered,
    findings_of,
    judge,
    new_platform,
    objections,
    policy,
    signed,
    some_leaves,
)
from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, Malformed, MalformedMessage
from strongroom.channel.client import ClientExchange
from strongroom.channel.messages import AnswerCore, ClientHello, ServerAnswer
from strongroom.channel.schedule import SECRET_BYTES, KeySchedule, hpke_info, transcript_hash
from strongroom.channel.server import Batch, ServerExchange
from strongroom.crypto import hpke
from strongroom.crypto.certificates import Certificate, parse_pem_chain
from strongroom.crypto.hashing import sha256
from strongroom.crypto.hpke import seal_to
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.claims import MAX_BATCH, Claims
from strongroom.formats.collateral import Collateral
from strongroom.formats.instance_certificate import MAX_LIFETIME_MS, SignedInstanceCertificate, machine_id
from strongroom.formats.sgx_quote import SgxQuote
from strongroom.verifier.binding import SessionProof, attest_peer

KEY_BINDING = ("key-binding", "attested-channel 3")


def step(check: str, number: str) -> list[tuple[str, str]]:
    return [(check, f"attested-channel {number}")]


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture
def enclave(platform) -> Enclave:
    return Enclave(platform)


# what it gives


def test_both_ends_have_a_channel_and_the_client_knows_whose_it_is(enclave) -> None:
    server: list[ServerExchange] = []

    def respond(hello: bytes) -> bytes:
        exchange = enclave.begin(hello)
        batch = Batch([exchange.leaf], enclave.identity(AT))
        server.append(exchange)
        return exchange.answer(batch.attestation(0, enclave.evidence(batch.report_data)))

    attested = judge(enclave.terms(), respond)
    peer = attested.peer
    assert peer.deployment == enclave.deployment
    assert peer.deployment_pinned
    assert peer.machine == machine_id(enclave.platform.platform_id)
    assert (peer.epoch, peer.batch_size, peer.attested_at_ms) == (1, 1, AT_MS)
    assert (peer.head_key_hash, peer.release) == (sha256(b"head key"), sha256(b"release"))
    assert peer.result.claims.mr_enclave == IDENTITY.mr_enclave
    assert peer.result.simulated
    assert sha256(attested.collateral) == sha256(enclave.collateral(AT))

    inside = server[0].channel()
    assert inside.session == peer.session
    number, message = attested.channel.seal_request(b"question")
    assert inside.open_request(message) == (number, b"question")
    assert attested.channel.open_answer(inside.seal_answer(number, b"answer"), number) == b"answer"


def test_the_verdict_ends_with_the_certificate_or_with_the_collateral(enclave) -> None:
    assert judge(enclave.terms(), enclave.answer).peer.expires_at_ms == AT_MS - HOUR_MS + MAX_LIFETIME_MS
    at = AT + timedelta(days=29)  # the collateral, issued 29 days before, ends first

    def respond(hello: bytes) -> bytes:
        exchange = enclave.begin(hello, AT)
        batch = Batch([exchange.leaf], enclave.identity(at))
        return exchange.answer(batch.attestation(0, enclave.evidence(batch.report_data)))

    peer = judge(enclave.terms(), respond, at=at).peer
    assert (
        peer.expires_at_ms == int(peer.result.expires_at.timestamp() * 1000) < int(at.timestamp() * 1000) + 24 * HOUR_MS
    )


def test_a_client_without_a_pinned_deployment_is_told_so(enclave) -> None:
    peer = judge(enclave.terms(pinned=False), enclave.answer).peer
    assert not peer.deployment_pinned
    assert peer.deployment == enclave.deployment


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 0), (2, 2), (5, 7), (0, 12)])
def test_one_quote_proves_every_session_of_a_batch(enclave, before: int, after: int) -> None:
    leaves = some_leaves(before), some_leaves(after)
    peer = judge(enclave.terms(), lambda hello: enclave.answer(hello, before=leaves[0], after=leaves[1])).peer
    assert peer.batch_size == before + 1 + after
    assert enclave.quotes == 1


def test_a_batch_of_the_greatest_size_fits(enclave) -> None:
    others = [b"%032d" % number for number in range(MAX_BATCH - 1)]
    assert judge(enclave.terms(), lambda hello: enclave.answer(hello, before=others)).peer.batch_size == MAX_BATCH


def test_known_collateral_is_not_sent_again(enclave) -> None:
    collateral = enclave.collateral(AT)
    answers: list[bytes] = []

    def respond(hello: bytes) -> bytes:
        answers.append(enclave.answer(hello))
        return answers[-1]

    attested = judge(enclave.terms(), respond, collateral={sha256(collateral): collateral})
    assert attested.collateral == collateral
    assert ServerAnswer.from_bytes(answers[0]).collateral is None


def test_two_hellos_have_nothing_in_common_but_the_wishes(enclave) -> None:
    first, second = (ClientHello.from_bytes(ClientExchange(enclave.terms()).hello) for _ in range(2))
    assert first.nonce != second.nonce
    assert first.kem_key != second.kem_key
    assert replace(first, nonce=second.nonce, kem_key=second.kem_key) == second


# section 3: the keys


def forged_answer(
    enclave: Enclave, hello: bytes, *, sealed_for: bytes | None = None, secret: bytes | None = None
) -> bytes:
    """Answer as somebody would who speaks the protocol and seals what they like, for whichever hello."""
    secret = os.urandom(SECRET_BYTES) if secret is None else secret
    sealed = seal_to(ClientHello.from_bytes(hello).kem_key, secret, hpke_info(sealed_for or hello))
    core = replace(AnswerCore.from_bytes(ServerAnswer.from_bytes(enclave.answer(hello)).core), sealed_secret=sealed)
    keys = KeySchedule.derive(secret, transcript_hash(hello, core.to_bytes()))
    return altered(enclave.answer(hello), core=core.to_bytes(), confirmation=keys.server_confirmation)


def test_a_secret_sealed_for_another_hello_does_not_open(enclave) -> None:
    other = ClientExchange(enclave.terms()).hello
    assert objections(enclave.terms(), lambda hello: forged_answer(enclave, hello, sealed_for=other)) == [KEY_BINDING]


def test_a_damaged_secret_does_not_open(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        answer = enclave.answer(hello)
        core = AnswerCore.from_bytes(ServerAnswer.from_bytes(answer).core)
        damaged = bytes([core.sealed_secret[0] ^ 1]) + core.sealed_secret[1:]
        return altered(answer, core=replace(core, sealed_secret=damaged).to_bytes())

    assert objections(enclave.terms(), respond) == [KEY_BINDING]


def test_a_wrong_confirmation_is_refused(enclave) -> None:
    assert objections(enclave.terms(), lambda hello: altered(enclave.answer(hello), confirmation=bytes(32))) == [
        KEY_BINDING
    ]


@pytest.mark.parametrize("field", ["deployment_key", "collateral_digest"])
def test_a_core_that_was_altered_on_the_way_is_refused(enclave, field: str) -> None:
    def respond(hello: bytes) -> bytes:
        answer = enclave.answer(hello)
        core = AnswerCore.from_bytes(ServerAnswer.from_bytes(answer).core)
        return altered(answer, core=replace(core, **{field: bytes(32)}).to_bytes())

    assert objections(enclave.terms(), respond) == [KEY_BINDING]


def test_an_answer_to_another_clients_hello_is_refused(enclave) -> None:
    recorded = enclave.answer(ClientExchange(enclave.terms()).hello)
    assert objections(enclave.terms(), lambda _hello: recorded) == [KEY_BINDING]


def test_an_altered_hello_is_noticed(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        downgraded = replace(ClientHello.from_bytes(hello), deployment=None, nonce=bytes(32))
        return enclave.answer(downgraded.to_bytes())

    assert objections(enclave.terms(), respond) == [KEY_BINDING]


def test_an_exchange_takes_one_answer(enclave) -> None:
    exchange = ClientExchange(enclave.terms())
    answer = enclave.answer(exchange.hello)
    exchange.finish(answer, elapsed_seconds=0.0, at=AT)
    with pytest.raises(ValueError, match="has had its answer"):
        exchange.finish(answer, elapsed_seconds=0.0, at=AT)


def test_an_exchange_is_over_after_an_answer_that_was_none(enclave) -> None:
    exchange = ClientExchange(enclave.terms())
    with pytest.raises(MalformedMessage):
        exchange.finish(b"", elapsed_seconds=0.0, at=AT)
    with pytest.raises(ValueError, match="has had its answer"):
        exchange.finish(enclave.answer(exchange.hello), elapsed_seconds=0.0, at=AT)


@pytest.mark.parametrize("changes", [{"suite": 2}, {"evidence_kind": "tdx-5"}])
def test_a_choice_that_was_not_offered_is_malformed(enclave, changes: dict[str, Any]) -> None:
    def respond(hello: bytes) -> bytes:
        answer = enclave.answer(hello)
        core = replace(AnswerCore.from_bytes(ServerAnswer.from_bytes(answer).core), **changes)
        return altered(answer, core=core.to_bytes())

    with pytest.raises(MalformedMessage, match="not offered"):
        judge(enclave.terms(), respond)


# the collateral


def test_collateral_that_is_not_the_one_announced_is_malformed(enclave) -> None:
    later = enclave.collateral(AT + timedelta(days=1))
    with pytest.raises(MalformedMessage, match="not the one announced"):
        judge(enclave.terms(), lambda hello: altered(enclave.answer(hello), collateral=later))


def test_collateral_that_is_neither_stapled_nor_known_is_malformed(enclave) -> None:
    with pytest.raises(MalformedMessage, match="neither stapled nor known"):
        judge(enclave.terms(), lambda hello: altered(enclave.answer(hello), collateral=None))


def test_a_kept_copy_that_rotted_is_malformed(enclave) -> None:
    kept = {sha256(enclave.collateral(AT)): b"{}"}
    with pytest.raises(MalformedMessage, match="not the one announced"):
        judge(enclave.terms(), enclave.answer, collateral=kept)


def test_expired_collateral_is_refused(enclave) -> None:
    at = AT + timedelta(days=31)

    def respond(hello: bytes) -> bytes:
        exchange = enclave.begin(hello, AT)
        batch = Batch([exchange.leaf], enclave.identity(at))
        return exchange.answer(batch.attestation(0, enclave.evidence(batch.report_data)))

    found = objections(enclave.terms(), respond, at=at)
    assert {check for check, _ in found} == {"expiry"}
    assert all(section.startswith("appraisal") for _, section in found)


# steps 6.1 to 6.3


def test_6_1_evidence_over_other_claims(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        return altered(enclave.answer(hello), evidence=enclave.evidence(sha256(b"other claims") + bytes(32)))

    assert objections(enclave.terms(), respond) == step("key-binding", "6.1")


def test_6_1_report_data_with_something_behind_the_hash(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        answer = enclave.answer(hello)
        claims = ServerAnswer.from_bytes(answer).attestation.claims
        return altered(answer, evidence=enclave.evidence(sha256(claims) + b"\x01" + bytes(31)))

    assert objections(enclave.terms(), respond) == step("key-binding", "6.1")


@pytest.mark.parametrize("other", [0, 2, 3, 4, MAX_BATCH - 1])
def test_6_2_a_proof_for_another_index(enclave, other: int) -> None:
    def respond(hello: bytes) -> bytes:
        return altered(enclave.answer(hello, before=some_leaves(1), after=some_leaves(3)), index=other)

    assert objections(enclave.terms(), respond) == step("freshness", "6.2")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path[:-1],
        lambda path: (*path, bytes(32)),
        lambda path: path[::-1],
        lambda path: (bytes(32), *path[1:]),
        lambda _path: (),
    ],
    ids=["shorter", "longer", "turned round", "other sibling", "none"],
)
def test_6_2_a_path_that_leads_elsewhere(enclave, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> None:
    def respond(hello: bytes) -> bytes:
        answer = enclave.answer(hello, before=some_leaves(2), after=some_leaves(3))
        return altered(answer, path=change(ServerAnswer.from_bytes(answer).attestation.path))

    assert objections(enclave.terms(), respond) == step("freshness", "6.2")


@pytest.mark.parametrize("size", [1, 2, 5, 8, MAX_BATCH])
def test_6_2_a_proof_for_another_size(enclave, size: int) -> None:
    def respond(hello: bytes) -> bytes:
        return with_claims(enclave, enclave.answer(hello, after=some_leaves(3)), size=size)

    assert objections(enclave.terms(), respond) == step("freshness", "6.2")


def test_6_2_a_proof_for_another_root(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        return with_claims(enclave, enclave.answer(hello), root=bytes(32))

    assert objections(enclave.terms(), respond) == step("freshness", "6.2")


def test_6_2_fresh_evidence_of_another_session(enclave) -> None:
    elsewhere = ServerAnswer.from_bytes(enclave.answer(ClientExchange(enclave.terms()).hello)).attestation

    def respond(hello: bytes) -> bytes:
        return replace(ServerAnswer.from_bytes(enclave.answer(hello)), attestation=elsewhere).to_bytes()

    assert objections(enclave.terms(), respond) == step("freshness", "6.2")


def test_6_2_a_secret_of_somebody_in_the_middle(enclave) -> None:
    assert objections(enclave.terms(), lambda hello: forged_answer(enclave, hello)) == step("freshness", "6.2")


def test_6_3_an_answer_that_took_too_long(enclave) -> None:
    assert objections(enclave.terms(), enclave.answer, elapsed=60.1) == step("freshness", "6.3")
    assert judge(enclave.terms(), enclave.answer, elapsed=60.0).peer.deployment_pinned
    assert objections(enclave.terms(max_elapsed_seconds=1.0), enclave.answer, elapsed=1.5) == step("freshness", "6.3")


# steps 6.4 to 6.10


def test_6_4_another_deployment_of_the_same_code(enclave, platform) -> None:
    assert objections(enclave.terms(), Enclave(platform).answer) == step("deployment", "6.4")


def test_6_4_an_empty_pin_matches_nothing(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        return enclave.answer(replace(ClientHello.from_bytes(hello), deployment=None).to_bytes())

    with pytest.raises(MalformedMessage, match="deployment"):
        judge(replace(enclave.terms(), deployment=b""), respond)
    with pytest.raises(AppraisalRefused) as refused:
        attest(enclave, expected_deployment=b"")
    assert findings_of(refused.value) == step("deployment", "6.4")


def test_6_5_claims_that_name_another_deployment(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        return with_claims(enclave, enclave.answer(hello), deployment=sha256(b"another key"))

    assert objections(enclave.terms(), respond) == step("deployment", "6.5")


def test_6_6_a_certificate_signed_by_another_key(enclave) -> None:
    enclave.certifier = SigningKey.generate()
    assert objections(enclave.terms(), enclave.answer) == step("deployment", "6.6")


def test_6_6_a_certificate_that_names_another_deployment(enclave) -> None:
    enclave.certificate = lambda right: replace(right, deployment=sha256(b"another key"))
    assert objections(enclave.terms(), enclave.answer) == step("deployment", "6.6")


def test_6_6_the_certificate_of_another_deployments_instance(enclave, platform) -> None:
    other = Enclave(platform, instance_key=enclave.instance_key)

    def respond(hello: bytes) -> bytes:
        return altered(enclave.answer(hello), instance_certificate=other.identity(AT).certificate.to_bytes())

    assert objections(enclave.terms(), respond) == step("deployment", "6.6")


def test_6_6_a_signature_made_for_another_purpose(enclave) -> None:
    statement = enclave.identity(AT).certificate.certificate
    signature = enclave.deployment_key.sign("strongroom claims signature v1", statement.to_bytes())
    shown = SignedInstanceCertificate(certificate=statement, signature=signature).to_bytes()
    assert objections(
        enclave.terms(), lambda hello: altered(enclave.answer(hello), instance_certificate=shown)
    ) == step("deployment", "6.6")


def test_6_7_a_certificate_for_another_instance_key(enclave) -> None:
    enclave.certificate = lambda right: replace(right, instance_key=SigningKey.generate().public)
    assert objections(enclave.terms(), enclave.answer) == step("deployment", "6.7")


def test_6_7_claims_signed_by_another_key(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        return with_claims(enclave, enclave.answer(hello), signer=SigningKey.generate())

    assert objections(enclave.terms(), respond) == step("deployment", "6.7")


def test_6_7_claims_that_name_another_instance(enclave) -> None:
    def respond(hello: bytes) -> bytes:
        return with_claims(enclave, enclave.answer(hello), instance=sha256(b"another key"))

    assert objections(enclave.terms(), respond) == step("deployment", "6.7")


def test_6_8_a_certificate_of_another_epoch(enclave) -> None:
    enclave.certificate = lambda right: replace(right, epoch=right.epoch + 1)
    assert objections(enclave.terms(), enclave.answer) == step("deployment", "6.8")


@pytest.mark.parametrize(
    ("not_before_ms", "not_after_ms"),
    [
        (AT_MS - HOUR_MS, AT_MS),
        (AT_MS - 30 * HOUR_MS, AT_MS - 6 * HOUR_MS),
        (AT_MS + 1, AT_MS + HOUR_MS),
        (AT_MS - HOUR_MS, AT_MS - HOUR_MS + MAX_LIFETIME_MS + 1),
        (AT_MS - HOUR_MS, AT_MS + 365 * 24 * HOUR_MS),
        (AT_MS + HOUR_MS, AT_MS - HOUR_MS),
        (0, (1 << 63) - 1),
    ],
    ids=["ends now", "expired", "of the future", "a bit too long", "a year", "ends before it begins", "for ever"],
)
def test_6_9_a_certificate_that_is_not_valid_now_and_for_a_day_at_most(
    enclave, not_before_ms: int, not_after_ms: int
) -> None:
    enclave.certificate = lambda right: replace(right, not_before_ms=not_before_ms, not_after_ms=not_after_ms)
    assert objections(enclave.terms(), enclave.answer) == step("expiry", "6.9")


def test_6_9_the_first_and_the_last_millisecond_are_valid(enclave) -> None:
    for first, end in ((AT_MS, AT_MS + MAX_LIFETIME_MS), (AT_MS + 1 - MAX_LIFETIME_MS, AT_MS + 1)):
        enclave.certificate = lambda right, first=first, end=end: replace(right, not_before_ms=first, not_after_ms=end)
        assert judge(enclave.terms(), enclave.answer).peer.expires_at_ms == end


def test_6_10_a_certificate_of_another_machine(enclave) -> None:
    enclave.certificate = lambda right: replace(right, machine=machine_id(b"another machine!"))
    assert objections(enclave.terms(), enclave.answer) == step("platform", "6.10")


# section 6.11: the policy; and all of it together


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"mr_enclaves": frozenset()}, ("measurement", "appraisal 8.3")),
        ({"tcb": ()}, ("tcb-status", "appraisal 8.5")),
        ({"platforms": frozenset()}, ("platform", "appraisal 8.9")),
        ({"accept_simulated_platform": False}, ("simulated", "appraisal 8.1")),
    ],
)
def test_6_11_an_empty_list_accepts_nothing(enclave, changes: dict[str, Any], finding: tuple[str, str]) -> None:
    terms = enclave.terms(policy=policy(enclave.platform, **changes))
    assert objections(terms, enclave.answer) == [finding]


def test_6_11_without_an_anchor_nothing_is_accepted(enclave) -> None:
    found = objections(enclave.terms(policy=policy(enclave.platform, anchors=())), enclave.answer)
    assert {check for check, _ in found} == {"chain", "simulated"}


def test_everything_that_is_wrong_is_said_at_once(enclave, platform) -> None:
    enclave.code = replace(IDENTITY, debug=True, mr_enclave=IDENTITY.mr_signer)
    enclave.certifier = SigningKey.generate()
    enclave.certificate = lambda right: replace(right, epoch=9, not_after_ms=AT_MS - 1, machine=bytes(32))

    def respond(hello: bytes) -> bytes:
        answer = with_claims(enclave, enclave.answer(hello), signer=SigningKey.generate(), root=bytes(32))
        return altered(answer, evidence=enclave.evidence(bytes(64)))

    found = objections(Enclave(platform).terms(), respond, elapsed=99.0)
    assert found == [
        ("debug", "appraisal 8.2"),
        ("measurement", "appraisal 8.3"),
        *step("key-binding", "6.1"),
        *step("freshness", "6.2"),
        *step("freshness", "6.3"),
        *step("deployment", "6.4"),
        *step("deployment", "6.6"),
        *step("deployment", "6.7"),
        *step("deployment", "6.8"),
        *step("expiry", "6.9"),
    ]


def test_a_finding_says_what_was_expected_and_what_came(enclave, platform) -> None:
    other = Enclave(platform)
    with pytest.raises(AppraisalRefused) as refused:
        judge(enclave.terms(), other.answer)
    (finding,) = refused.value.findings
    assert (finding.expected, finding.actual) == (enclave.deployment.hex(), other.deployment.hex())
    enclave.certificate = lambda right: replace(right, epoch=7)
    with pytest.raises(AppraisalRefused) as refused:
        judge(enclave.terms(), enclave.answer)
    (finding,) = refused.value.findings
    assert (finding.expected, finding.actual) == ("1", "7")


# bad input


@pytest.mark.parametrize(
    "changes",
    [{"suites": (2,)}, {"suites": ()}, {"evidence_kinds": ("tdx-5",)}, {"kem_key": bytes(hpke.PUBLIC_KEY_BYTES)}],
)
def test_a_server_refuses_a_hello_it_cannot_answer(enclave, changes: dict[str, Any]) -> None:
    hello = replace(ClientHello.from_bytes(ClientExchange(enclave.terms()).hello), **changes)
    with pytest.raises(MalformedMessage):
        enclave.begin(hello.to_bytes())


@pytest.mark.parametrize("field", ["evidence", "claims", "instance_certificate"])
def test_a_part_that_is_none_is_malformed(enclave, field: str) -> None:
    with pytest.raises(Malformed):
        judge(enclave.terms(), lambda hello: altered(enclave.answer(hello), **{field: b"\x00"}))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_answer_is_malformed_or_refused_or_says_the_same(platform, data: st.DataObject) -> None:
    enclave = Enclave(platform)
    exchange = ClientExchange(enclave.terms())
    answer = bytearray(enclave.answer(exchange.hello, after=some_leaves(2)))
    place = data.draw(st.integers(0, len(answer) - 1))
    whole = bytes(answer)
    answer[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        exchange.finish(bytes(answer), elapsed_seconds=0.0, at=AT)
    except (Malformed, AppraisalRefused):
        return
    # what may differ is the text around the PCK chain: white space, and bits of base64 that stand for nothing
    assert without_chain(bytes(answer)) == without_chain(whole)


def without_chain(answer: bytes) -> tuple[ServerAnswer, SgxQuote, tuple[Certificate, ...]]:
    parsed = ServerAnswer.from_bytes(answer)
    quote = SgxQuote.from_bytes(parsed.attestation.evidence)
    chain = parse_pem_chain(quote.certification_data, path="chain")
    shown = replace(parsed.attestation, evidence=b"")
    return replace(parsed, attestation=shown), replace(quote, certification_data=b""), chain


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_truncated_answer_is_malformed(platform, data: st.DataObject) -> None:
    enclave = Enclave(platform)
    exchange = ClientExchange(enclave.terms())
    answer = enclave.answer(exchange.hello)
    with pytest.raises(Malformed):
        exchange.finish(answer[: data.draw(st.integers(0, len(answer) - 1))], elapsed_seconds=0.0, at=AT)


# helpers


def with_claims(enclave: Enclave, answer: bytes, *, signer: SigningKey | None = None, **changes: Any) -> bytes:
    """Change claims, and quote and sign them again, as an enclave would that lies."""
    claims = replace(Claims.from_bytes(ServerAnswer.from_bytes(answer).attestation.claims), **changes).to_bytes()
    return altered(
        answer,
        claims=claims,
        claims_signature=(signer or enclave.instance_key).sign("strongroom claims signature v1", claims),
        evidence=enclave.evidence(sha256(claims) + bytes(32)),
    )


def attest(enclave: Enclave, *, expected_deployment: bytes | None):
    """Call the verdict itself, with a session of one client."""
    exchange = ClientExchange(enclave.terms())
    answer = ServerAnswer.from_bytes(enclave.answer(exchange.hello))
    assert exchange._key is not None
    core = AnswerCore.from_bytes(answer.core)
    secret = exchange._key.open(core.sealed_secret, hpke_info(exchange.hello))
    keys = KeySchedule.derive(secret, transcript_hash(exchange.hello, answer.core))
    shown = answer.attestation
    proof = SessionProof(
        claims=shown.claims,
        claims_signature=shown.claims_signature,
        instance_certificate=shown.instance_certificate,
        deployment_key=core.deployment_key,
        index=shown.index,
        path=shown.path,
        binder=keys.server_binder,
        session=keys.transcript,
        elapsed_seconds=0.0,
    )
    return attest_peer(
        shown.evidence,
        Collateral.from_json(enclave.collateral(AT)),
        policy(enclave.platform),
        proof,
        expected_deployment=expected_deployment,
        max_elapsed_seconds=60.0,
        at=AT,
    )


def test_the_verdict_itself_accepts_what_the_exchange_accepts(enclave) -> None:
    assert attest(enclave, expected_deployment=enclave.deployment).deployment_pinned
    assert not attest(enclave, expected_deployment=None).deployment_pinned


def test_no_error_shows_a_certificates_unknown_field(enclave) -> None:
    fields = canonical.decode(enclave.identity(AT).certificate.certificate.to_bytes(), path="", max_bytes=1000)
    assert isinstance(fields, dict)
    body = canonical.encode({**fields, "extra": 1})
    shown = canonical.encode({"certificate": body, "signature": bytes(64)})
    with pytest.raises(MalformedMessage, match="unknown field 'extra'"):
        judge(enclave.terms(), lambda hello: altered(enclave.answer(hello), instance_certificate=shown))


def test_signed_by_any_key_is_not_signed_by_the_named_one(enclave) -> None:
    statement = enclave.identity(AT).certificate.certificate
    key = SigningKey.generate()
    assert signed(statement, key).is_signed_by(key.public)
    assert not signed(statement, key).is_signed_by(enclave.deployment_key.public)
    with pytest.raises(ValueError, match="names another deployment key"):
        statement.sign(key)
