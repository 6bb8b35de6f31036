"""Certificates that Gramine, rats-tls and Intel's SDK made on real machines."""

import json
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from attested import findings_of
from evidence_vectors import VECTORS
from strongroom.base.errors import AppraisalRefused
from strongroom.crypto import der
from strongroom.crypto.tls_certificates import PeerCertificate
from strongroom.formats.collateral import Collateral
from strongroom.formats.quote import parse_quote
from strongroom.formats.sgx_report import SgxReport
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.ratls.binding import KeyEvidence, Profile, judge_key
from strongroom.ratls.peer import RaTlsTerms, appraise_certificate
from strongroom.verifier.policy import ANY, INTEL_SGX_ROOT, AppraisalPolicy, TcbRule

COLLATERAL = Collateral.from_json(
    (VECTORS / "sgx/_collateral/SGX-00606A000000-platform-v3-ev15-20230621.json").read_bytes()
)
ISSUED = json.loads(COLLATERAL.tcb_info)["issueDate"]
AT = datetime.fromisoformat(ISSUED) + timedelta(days=1)
TAGGED = der.oid("2.23.133.5.4.9")


def captured(name: str) -> bytes:
    data = (VECTORS / "ratls" / name).read_bytes()
    return data if name.endswith(".der") else ssl.PEM_cert_to_DER_cert(data.decode())


def evidence_in(name: str) -> tuple[KeyEvidence, bytes]:
    certificate = PeerCertificate.from_der(captured(name))
    return KeyEvidence.from_tagged(certificate.find(TAGGED)[0].value), certificate.spki


def terms_for(name: str) -> RaTlsTerms:
    """Terms that take this debug enclave on a machine behind on updates."""
    report = parse_quote(evidence_in(name)[0].quote).report
    assert isinstance(report, SgxReport)
    accepted = AppraisalPolicy(
        anchors=(INTEL_SGX_ROOT,),
        accept_simulated_platform=False,
        accept_debug_enclaves=True,
        mr_enclaves=frozenset({report.mr_enclave}),
        signers=(),
        trust_domains=(),
        tcb=tuple(
            TcbRule(status=status, measurement=ANY, advisories=ANY, maximum_tcb_age=ANY)
            for status in TcbStatus
            if status is not TcbStatus.REVOKED
        ),
        minimum_tcb_evaluation_data_number=0,
        maximum_collateral_age=ANY,
        expired_collateral_grace=timedelta(0),
        platforms=ANY,
        smt_enabled=ANY,
        dynamic_platform=ANY,
        cached_keys=ANY,
    )
    return RaTlsTerms(
        policy=accepted, maximum_lifetime=ANY, accept_older_gramine=False, accept_unknown_claims=True, authority=None
    )


def objections(name: str, **changes: Any) -> list[tuple[str, str]]:
    terms = replace(terms_for("rats-tls-cert.pem"), **changes)
    with pytest.raises(AppraisalRefused) as refused:
        appraise_certificate(captured(name), COLLATERAL, terms, at=AT)
    return findings_of(refused.value)


@pytest.mark.parametrize("name", ["gramine-cert.pem", "rats-tls-cert.pem"])
def test_a_genuine_peer_is_accepted_under_terms_that_spell_its_weaknesses_out(name: str) -> None:
    peer = appraise_certificate(captured(name), COLLATERAL, terms_for(name), at=AT)
    assert peer.profile is Profile.TAGGED_EVIDENCE
    assert peer.result.claims.debug
    assert not peer.result.simulated
    assert peer.unknown_claims == (("key_0", "key_1") if name.startswith("rats") else ())


def test_an_older_gramine_peer_is_read_by_its_own_extension() -> None:
    certificate = PeerCertificate.from_der(captured("gramine-cert.pem"))
    older = certificate.find(der.element(der.OBJECT_IDENTIFIER, der.oid("1.2.840.113741.1337.6")))
    evidence = KeyEvidence.from_older_gramine(older[0].value)
    assert judge_key(evidence, certificate.spki, expected_nonce=None, accept_unknown_claims=False) == []
    other = judge_key(evidence, evidence_in("rats-tls-cert.pem")[1], expected_nonce=None, accept_unknown_claims=False)
    assert [finding.section for finding in other] == ["ra-tls 4.1"]


def test_intels_sdk_names_its_key_as_the_specification_says() -> None:
    evidence, spki = evidence_in("intel-sgxsdk-cert.pem")
    assert judge_key(evidence, spki, expected_nonce=None, accept_unknown_claims=False) == []


def test_thirty_years_and_claims_of_its_own_are_leniencies() -> None:
    day = timedelta(days=1)
    gramine = replace(terms_for("gramine-cert.pem"), maximum_lifetime=day)
    with pytest.raises(AppraisalRefused) as refused:
        appraise_certificate(captured("gramine-cert.pem"), COLLATERAL, gramine, at=AT)
    assert findings_of(refused.value) == [("expiry", "ra-tls 1.2")]
    assert objections("rats-tls-cert.pem", maximum_lifetime=day, accept_unknown_claims=False) == [
        ("expiry", "ra-tls 1.2"),
        ("key-binding", "ra-tls 3.5"),
    ]


def test_what_others_call_ra_tls_has_no_evidence_that_counts() -> None:
    for name in ("sgx_cert_ec_bad.der", "sgx_cert_rsa_bad.der"):
        assert objections(name) == [("signature", "ra-tls 1.3"), ("key-binding", "ra-tls 2.1")]
    assert objections("ecdsa-ratls.der") == [
        ("expiry", "ra-tls 1.1"),
        ("signature", "ra-tls 1.3"),
        ("key-binding", "ra-tls 2.3"),
    ]


def test_the_certificates_dates_count_although_its_quote_would_still_do() -> None:
    with pytest.raises(AppraisalRefused) as refused:
        appraise_certificate(
            captured("rats-tls-cert.pem"),
            COLLATERAL,
            terms_for("rats-tls-cert.pem"),
            at=datetime(2031, 1, 1, tzinfo=UTC),
        )
    assert ("expiry", "ra-tls 1.1") in findings_of(refused.value)
