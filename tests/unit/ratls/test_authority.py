"""The attested authority's decision: each refusal by name, and what an approved request gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from attested import AT, IDENTITY, findings_of, new_platform, policy
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.base.errors import (
    AppraisalRefused,
    MalformedCollateral,
    MalformedMessage,
    MalformedQuote,
    Misconfigured,
    Unavailable,
)
from strongroom.crypto.tls_certificates import PeerCertificate, TlsKey, request_signature
from strongroom.formats.measurements import MrEnclave
from strongroom.formats.tagged_evidence import EvidenceClaims, TaggedEvidence
from strongroom.ratls.authority import Approval, Authority, AuthorityTerms, IssuingRule, NonceBook, decide
from strongroom.ratls.authority_messages import CertificateRequest
from strongroom.ratls.binding import attest_key, report_data_of
from strongroom.ratls.peer import RaTlsTerms, appraise_certificate

OTHER = EnclaveIdentity(mr_enclave=MrEnclave(b"o" * 32), mr_signer=IDENTITY.mr_signer, isv_prod_id=1, isv_svn=2)
NONCE = b"n" * 32


class World:
    """An authority on one platform, and enclaves that ask it."""

    def __init__(self, platform: SimulatedPlatform) -> None:
        self.platform = platform
        self.collateral = platform.collateral(AT).to_json()
        own = policy(platform)
        self.terms = AuthorityTerms(
            domains=("example",),
            rules=(
                IssuingRule(policy=own, names=frozenset({"vault.example", "www.vault.example"})),
                IssuingRule(
                    policy=replace(own, mr_enclaves=frozenset({OTHER.mr_enclave})), names=frozenset({"other.example"})
                ),
            ),
            lifetime=timedelta(hours=12),
        )

    def request(
        self,
        code: EnclaveIdentity = IDENTITY,
        names: tuple[str, ...] = ("vault.example",),
        *,
        attested_nonce: bytes | None = NONCE,
        attested_key: TlsKey | None = None,
    ) -> CertificateRequest:
        key = TlsKey.generate()
        attester = self.platform.enclave(code)
        return CertificateRequest(
            nonce=NONCE,
            signing_request=request_signature(key, names),
            evidence=attest_key(attester, (attested_key or key).spki, nonce=attested_nonce),
            collateral=self.collateral,
        )

    def decide(self, request: CertificateRequest, *, live: bool = True, at: datetime = AT) -> Approval:
        return decide(request, self.terms, nonce_is_live=live, at=at)

    def objections(self, request: CertificateRequest, **options: Any) -> list[tuple[str, str]]:
        with pytest.raises(AppraisalRefused) as refused:
            self.decide(request, **options)
        return findings_of(refused.value)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    return World(new_platform(tmp_path_factory.mktemp("platform")))


def test_an_enclave_that_a_rule_accepts_gets_its_names(world: World) -> None:
    approval = world.decide(world.request(names=("vault.example", "www.vault.example")))
    assert approval.names == ("vault.example", "www.vault.example")
    assert approval.result.claims.mr_enclave == IDENTITY.mr_enclave
    assert world.decide(world.request(OTHER, ("other.example",))).result.claims.mr_enclave == OTHER.mr_enclave


def test_another_measurement_is_refused(world: World) -> None:
    assert world.objections(world.request(OTHER)) == [("measurement", "appraisal 8.3")]


def test_accepted_code_gets_no_names_of_other_accepted_code(world: World) -> None:
    assert world.objections(world.request(names=("other.example",))) == [("measurement", "appraisal 8.3")]
    assert world.objections(world.request(names=("vault.example", "other.example"))) == [
        ("deployment", "attested-ca 3.2")
    ]


def test_a_nonce_that_is_not_live_is_refused(world: World) -> None:
    assert world.objections(world.request(), live=False) == [("freshness", "attested-ca 1.1")]


@pytest.mark.parametrize("attested", [None, b"m" * 32, b"n" * 31])
def test_evidence_for_another_nonce_or_none_is_refused(world: World, attested: bytes | None) -> None:
    assert world.objections(world.request(attested_nonce=attested)) == [("freshness", "ra-tls 3.7")]


def test_evidence_with_the_nonce_twice_is_refused(world: World) -> None:
    request = world.request()
    claims = EvidenceClaims.from_bytes(TaggedEvidence.from_bytes(request.evidence).claims)
    doubled = EvidenceClaims(entries=(*claims.entries, ("nonce", NONCE))).to_bytes()
    quote = world.platform.enclave(IDENTITY).evidence(report_data_of(doubled))
    evidence = TaggedEvidence(quote=quote, claims=doubled).to_bytes()
    assert world.objections(replace(request, evidence=evidence)) == [
        ("key-binding", "ra-tls 3.6"),
        ("freshness", "ra-tls 3.7"),
    ]


def test_evidence_about_another_key_is_refused(world: World) -> None:
    assert world.objections(world.request(attested_key=TlsKey.generate())) == [("key-binding", "ra-tls 3.4")]


def test_a_request_that_its_key_did_not_sign_is_refused(world: World) -> None:
    request = world.request()
    spoiled = request.signing_request[:-1] + bytes((request.signing_request[-1] ^ 1,))
    assert world.objections(replace(request, signing_request=spoiled)) == [("signature", "attested-ca 1.2")]


@pytest.mark.parametrize(
    "name", ["example.org", "*.example", "vault.example.", "notexample", "a..example", "-a.example", "127.0.0.1"]
)
def test_names_that_are_no_host_names_below_the_domains_are_refused(world: World, name: str) -> None:
    assert world.objections(world.request(names=(name,))) == [
        ("deployment", "attested-ca 3.1"),
        ("deployment", "attested-ca 3.2"),
    ]


def test_old_collateral_is_refused(world: World) -> None:
    sections = {section for _, section in world.objections(world.request(), at=AT + timedelta(days=90))}
    assert sections
    assert all(section.startswith("appraisal") for section in sections)


def test_everything_that_is_wrong_is_listed_at_once(world: World) -> None:
    request = world.request(OTHER, ("vault.example",), attested_nonce=None, attested_key=TlsKey.generate())
    assert world.objections(request, live=False) == [
        ("freshness", "attested-ca 1.1"),
        ("key-binding", "ra-tls 3.4"),
        ("freshness", "ra-tls 3.7"),
        ("measurement", "appraisal 8.3"),
    ]
    nameless = world.request(names=("nobody.example",), attested_nonce=None)
    assert world.objections(nameless) == [("deployment", "attested-ca 3.2"), ("freshness", "ra-tls 3.7")]


@pytest.mark.parametrize(
    ("part", "error"),
    [("signing_request", MalformedMessage), ("evidence", MalformedQuote), ("collateral", MalformedCollateral)],
)
def test_parts_that_cannot_be_read_are_malformed(world: World, part: str, error: type[Exception]) -> None:
    changes: dict[str, Any] = {part: b"nonsense"}
    with pytest.raises(error):
        world.decide(replace(world.request(), **changes))


def test_no_rule_refuses_everybody(world: World) -> None:
    with pytest.raises(AppraisalRefused) as refused:
        decide(world.request(), replace(world.terms, rules=()), nonce_is_live=True, at=AT)
    assert findings_of(refused.value) == [("deployment", "attested-ca 3.2")]


@pytest.mark.parametrize(
    "changes",
    [
        {"domains": ()},
        {"domains": ("EXAMPLE",)},
        {"domains": ("org",)},
        {"lifetime": timedelta(0)},
        {"lifetime": timedelta(days=8)},
    ],
)
def test_terms_that_would_mislead_are_misconfigured(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        replace(world.terms, **changes)


def authority(world: World, **options: Any) -> Authority:
    return Authority(world.platform.enclave(OTHER), world.terms, subject="Example authority", at=AT, **options)


def test_the_root_carries_evidence_that_its_key_was_born_in_an_enclave(world: World) -> None:
    root = authority(world)
    terms = RaTlsTerms(
        policy=replace(policy(world.platform), mr_enclaves=frozenset({OTHER.mr_enclave})),
        maximum_lifetime=timedelta(days=91),
        accept_older_gramine=False,
        accept_unknown_claims=False,
    )
    peer = appraise_certificate(root.certificate, world.platform.collateral(AT), terms, at=AT)
    assert peer.result.claims.mr_enclave == OTHER.mr_enclave
    with pytest.raises(AppraisalRefused):
        appraise_certificate(
            root.certificate, world.platform.collateral(AT), replace(terms, policy=policy(world.platform)), at=AT
        )


def test_two_authorities_have_two_keys(world: World) -> None:
    first, second = authority(world), authority(world)
    assert PeerCertificate.from_der(first.certificate).spki != PeerCertificate.from_der(second.certificate).spki


def test_a_certificate_ends_with_the_first_thing_it_rests_on(world: World) -> None:
    approval = world.decide(world.request())
    root = authority(world)
    issued = root.certify(approval, at=AT)
    assert issued.not_after == AT + world.terms.lifetime
    certificate = PeerCertificate.from_der(issued.certificate)
    assert certificate.signed_by(PeerCertificate.from_der(root.certificate).spki)
    assert (certificate.spki, certificate.names()) == (approval.spki, ("vault.example",))
    near = replace(approval.result.collateral, expires_at=AT + timedelta(hours=1))
    limited = replace(approval, result=replace(approval.result, collateral=near))
    assert root.certify(limited, at=AT).not_after == AT + timedelta(hours=1)
    brief = authority(world, lifetime=timedelta(hours=2))
    assert brief.certify(approval, at=AT).not_after == AT + timedelta(hours=2)
    assert x509.load_der_x509_certificate(issued.certificate).serial_number == issued.serial


def test_an_authority_lives_for_a_year_at_most(world: World) -> None:
    for lifetime in (timedelta(0), timedelta(days=367)):
        with pytest.raises(Misconfigured):
            authority(world, lifetime=lifetime)


def test_a_nonce_is_good_once_and_for_a_while() -> None:
    book = NonceBook(capacity=2, seconds=10)
    first, second = book.draw(0.0), book.draw(1.0)
    assert first != second
    with pytest.raises(Unavailable):
        book.draw(2.0)
    assert book.take(first, 5.0)
    assert not book.take(first, 5.0)
    assert not book.take(b"made up", 5.0)
    assert not book.take(second, 11.5)
    assert book.draw(12.0) not in (first, second)


requests = st.builds(
    CertificateRequest,
    nonce=st.binary(min_size=32, max_size=32),
    signing_request=st.binary(max_size=100),
    evidence=st.binary(max_size=100),
    collateral=st.binary(max_size=100),
)


@given(requests)
def test_a_request_comes_back(request: CertificateRequest) -> None:
    assert CertificateRequest.from_bytes(request.to_bytes()) == request


@given(st.one_of(st.binary(max_size=200), requests.map(lambda request: request.to_bytes()[:-1] + b"\0")))
def test_any_bytes_are_a_request_or_malformed(data: bytes) -> None:
    try:
        assert CertificateRequest.from_bytes(data).to_bytes() == data
    except MalformedMessage:
        return
