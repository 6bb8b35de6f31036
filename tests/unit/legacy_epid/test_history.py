"""Ten captured reports, each authentic at its own time and usable for nothing, and every way to be refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from evidence_vectors import VECTORS
from running import strongroom
from strongroom.base.errors import AppraisalRefused, Malformed, MalformedCollateral, MalformedQuote
from strongroom.crypto.rsa_certificates import RsaCertificate, parse_rsa_chain
from strongroom.legacy_epid.history import INTEL_REPORT_CA, verify_history
from strongroom.legacy_epid.quote_body import EpidQuoteBody, SignType
from strongroom.legacy_epid.report import AttestationReport, EpidStatus

IAS = VECTORS / "ias"
BODIES = sorted(IAS.glob("*/*.body.json"))
NOW = datetime(2026, 11, 24, tzinfo=UTC)
PEM = (IAS / "intel/AttestationReportSigning.pem").read_bytes() + (
    IAS / "intel/AttestationReportSigningCA.pem"
).read_bytes()
CHAIN = parse_rsa_chain(PEM, path="chain")
# status, API version, time, linkable, debug: from the vectors' index
FACTS = {
    "crust/avr_v3_group_out_of_date_2020-06-22": ("GROUP_OUT_OF_DATE", 3, "2020-06-22T11:34:54", True, True),
    "crust/avr_v3_group_out_of_date_2020-10-27": ("GROUP_OUT_OF_DATE", 3, "2020-10-27T07:26:53", True, True),
    "crust/avr_v3_group_out_of_date_2021-03-17": ("GROUP_OUT_OF_DATE", 3, "2021-03-17T03:35:36", False, False),
    "oasis-core/avr_v2_group_out_of_date": ("GROUP_OUT_OF_DATE", 2, "2018-03-30T22:02:25", True, True),
    "oasis-core/avr_v4_sw_hardening_needed": ("SW_HARDENING_NEEDED", 4, "2020-05-11T09:21:15", True, True),
    "oasis-core/avr_v4_sw_hardening_needed_2022": ("SW_HARDENING_NEEDED", 4, "2022-07-29T08:53:30", True, False),
    "oasis-core/avr_v5_sw_hardening_needed": ("SW_HARDENING_NEEDED", 5, "2023-09-27T15:51:58", True, True),
    "phala-blockchain/avr_v4_ok": ("OK", 4, "2020-07-30T22:46:12", True, True),
    "phala-blockchain/avr_v4_sw_hardening_needed": ("SW_HARDENING_NEEDED", 4, "2021-09-12T18:06:20", True, False),
    "private-data-objects/avr_v2_group_out_of_date_nonce": ("GROUP_OUT_OF_DATE", 2, "2018-07-11T19:30:35", True, True),
}
OK = IAS / "phala-blockchain/avr_v4_ok.body.json"


def signature_of(body: Path) -> bytes:
    return base64.b64decode(body.with_name(body.name.replace(".body.json", ".sig.b64")).read_text())


def name_of(body: Path) -> str:
    return str(body.relative_to(IAS)).removesuffix(".body.json")


def verify(body: bytes, signature: bytes, chain=CHAIN, at: datetime = NOW):
    return verify_history(body, signature, chain, at=at, authority=INTEL_REPORT_CA)


def refused(check: str, section: str, *arguments, **settings) -> None:
    with pytest.raises(AppraisalRefused) as refusal:
        verify(*arguments, **settings)
    assert (check, f"legacy-reports {section}") in {
        (str(finding.check), finding.section) for finding in refusal.value.findings
    }


def test_all_captured_reports_are_here():
    assert {name_of(body) for body in BODIES} == set(FACTS)


@pytest.mark.parametrize("body", BODIES, ids=name_of)
def test_a_captured_report_is_authentic_at_its_time_and_never_usable(body: Path):
    found = verify(body.read_bytes(), signature_of(body))
    status, version, time, linkable, debug = FACTS[name_of(body)]
    report = found.report
    assert (report.status, report.api_version) == (EpidStatus(status), version)
    assert f"{found.authentic_at:%Y-%m-%dT%H:%M:%S}" == time
    assert (report.quote.sign_type is SignType.LINKABLE, report.quote.report.attributes.debug) == (linkable, debug)
    assert bool(report.nonce) == ("nonce" in json.loads(body.read_bytes()))
    assert found.usable_now is False
    assert any("expired on 2026-11-20" in reason for reason in found.why_not)
    # while its certificate was valid, the end of the service was the reason
    assert len(verify(body.read_bytes(), signature_of(body), at=datetime(2026, 1, 1, tzinfo=UTC)).why_not) == 1


@pytest.mark.parametrize("body", BODIES, ids=name_of)
def test_one_flipped_byte_anywhere_is_refused(body: Path):
    data, signature = body.read_bytes(), signature_of(body)
    for place in range(0, len(data), 97):
        changed = bytearray(data)
        changed[place] ^= 1
        refused("signature", "3.1", bytes(changed), signature)
    for place in range(0, len(signature), 17):
        changed = bytearray(signature)
        changed[place] ^= 1
        refused("signature", "3.1", data, bytes(changed))


def test_swapped_signatures_are_refused():
    refused("signature", "3.1", BODIES[0].read_bytes(), signature_of(BODIES[1]))


def test_the_chain_is_two_certificates_in_their_order():
    body, signature = OK.read_bytes(), signature_of(OK)
    refused("chain", "2.1", body, signature, CHAIN[:1])
    refused("chain", "2.1", body, signature, (*CHAIN, CHAIN[1]))
    refused("chain", "2.2", body, signature, CHAIN[::-1])


class Authority:
    """An authority and its signing certificate, with one thing wrong."""

    def __init__(self, *, is_ca: bool = True, leaf_is_ca: bool = False, signs: bool = True, bits: int = 3072) -> None:
        self.key = rsa.generate_private_key(65537, bits)
        self.leaf_key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An authority of a test")])
        leaf_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A signer of a test")])
        self.issuer = self._certificate(name, name, self.key, is_ca=is_ca, signs=True)
        self.leaf = self._certificate(leaf_name, name, self.leaf_key, is_ca=leaf_is_ca, signs=signs)

    def _certificate(self, subject, issuer, key, *, is_ca: bool, signs: bool) -> RsaCertificate:
        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
        certificate = (
            builder.serial_number(1)
            .not_valid_before(datetime(2016, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2030, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=signs, key_cert_sign=True, **usage), critical=True)
            .sign(self.key, SHA256())
        )
        return RsaCertificate.from_der(certificate.public_bytes(Encoding.DER), path="made")

    def verify(self, body: bytes, at: datetime = NOW):
        signature = self.leaf_key.sign(body, PKCS1v15(), SHA256())
        chain = (self.leaf, self.issuer)
        return verify_history(body, signature, chain, at=at, authority=self.issuer.fingerprint)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.mark.parametrize(
    ("fault", "section"),
    [({"is_ca": False}, "2.3"), ({"bits": 2048}, "2.3"), ({"leaf_is_ca": True}, "2.5"), ({"signs": False}, "2.6")],
)
def test_certificates_that_are_not_what_they_should_be(fault, section):
    with pytest.raises(AppraisalRefused) as refusal:
        Authority(**fault).verify(OK.read_bytes())
    assert [finding.section for finding in refusal.value.findings] == [f"legacy-reports {section}"]


def test_another_issuer_of_the_same_name_did_not_sign(authority):
    other = Authority()
    with pytest.raises(AppraisalRefused) as refusal:
        verify_history(b"", b"", (other.leaf, authority.issuer), at=NOW, authority=authority.issuer.fingerprint)
    assert [finding.section for finding in refusal.value.findings] == ["legacy-reports 2.4"]


def changed(**fields) -> bytes:
    body = json.loads(OK.read_bytes())
    body.update(fields)
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("fields", "check", "section"),
    [
        ({"timestamp": "2015-06-01T00:00:00.0"}, "expiry", "4.1"),
        ({"timestamp": "2015-06-01T00:00:00.0"}, "expiry", "4.2"),
        ({"timestamp": "2028-01-01T00:00:00.0"}, "freshness", "4.3"),
    ],
)
def test_times_that_do_not_fit(authority, fields, check, section):
    with pytest.raises(AppraisalRefused) as refusal:
        authority.verify(changed(**fields))
    found = {(str(finding.check), finding.section) for finding in refusal.value.findings}
    assert (check, f"legacy-reports {section}") in found


INFO = json.loads((IAS / "crust/avr_v3_group_out_of_date_2020-06-22.body.json").read_bytes())["platformInfoBlob"]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"isvEnclaveQuoteStatus": "FINE"}, "unknown status"),
        ({"something": 1}, "unknown field"),
        ({"id": "0x1"}, "decimal"),
        ({"timestamp": "2020-07-30T22:46:12Z"}, "without a zone"),
        ({"timestamp": "2020-13-30T22:46:12.0"}, "not an instant"),
        ({"version": 2}, "does not name itself"),
        ({"nonce": "n" * 33}, "at most 32"),
        ({"epidPseudonym": None}, "belongs to linkable"),
        ({"epidPseudonym": "AAAA"}, "128 bytes"),
        ({"isvEnclaveQuoteStatus": "GROUP_REVOKED", "platformInfoBlob": INFO}, "reason of revocation"),
        ({"revocationReason": 1}, "reason of revocation"),
        ({"isvEnclaveQuoteStatus": "GROUP_OUT_OF_DATE"}, "comes with platform information"),
        ({"platformInfoBlob": INFO}, "another EPID group"),
        ({"platformInfoBlob": "00" + INFO[2:]}, "begin as platform information"),
        ({"platformInfoBlob": "00"}, "105 bytes"),
    ],
)
def test_bodies_that_are_no_reports(authority, fields, match):
    with pytest.raises(MalformedCollateral, match=match):
        authority.verify(changed(**fields))


def test_a_key_that_occurs_twice_is_malformed(authority):
    body = OK.read_bytes()
    with pytest.raises(MalformedCollateral):
        authority.verify(body[:-1] + b',"isvEnclaveQuoteStatus":"OK"}')


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda quote: b"\x03" + quote[1:], "version 3"),
        (lambda quote: quote[:2] + b"\x02" + quote[3:], "signature type 2"),
        (lambda quote: quote[:-1], "432 bytes"),
    ],
)
def test_bodies_whose_quote_is_none(authority, change, match):
    quote = base64.b64decode(json.loads(OK.read_bytes())["isvEnclaveQuoteBody"])
    with pytest.raises(MalformedQuote, match=match):
        authority.verify(changed(isvEnclaveQuoteBody=base64.b64encode(change(quote)).decode()))


@given(st.binary(max_size=500))
def test_any_bytes_are_a_report_or_malformed(data: bytes):
    with pytest.raises(Malformed):
        AttestationReport.from_body(data)
    with pytest.raises(MalformedQuote):
        EpidQuoteBody.from_bytes(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_certificates_or_malformed(data: bytes):
    with pytest.raises(Malformed):
        parse_rsa_chain(data, path="chain")
    with pytest.raises(Malformed):
        RsaCertificate.from_der(data, path="certificate")


def test_the_command_says_both_verdicts(tmp_path: Path):
    chain = tmp_path / "chain.pem"
    chain.write_bytes(PEM)
    signature = OK.with_name("avr_v4_ok.sig.b64")
    ran = strongroom("legacy", "verify-report", OK, "--signature", signature, "--chain", chain)
    assert ran.code == 0
    assert "authentic   yes, at 2020-07-30 22:46:12 UTC" in ran.out
    assert "usable now  no: Intel's attestation service ended" in ran.out
    told = strongroom("legacy", "verify-report", OK, "--signature", signature, "--chain", chain, "--json").json
    assert (told["usable_now"], told["status"], told["debug"]) == (False, "OK", True)
    encoded = IAS / "oasis-core/avr_certificates_urlencoded.pem"
    assert strongroom("legacy", "verify-report", OK, "--signature", signature, "--chain", encoded).code == 0
    wrong = BODIES[0].with_name(BODIES[0].name.replace(".body.json", ".sig.b64"))
    ran = strongroom("legacy", "verify-report", OK, "--signature", wrong, "--chain", chain)
    assert ran.code == 3
    assert "signature: the report is not signed by this certificate's key" in ran.err


def test_reports_of_a_future_are_not_history():
    found = AttestationReport.from_body(OK.read_bytes())
    refused("freshness", "4.3", OK.read_bytes(), signature_of(OK), at=found.timestamp - timedelta(seconds=1))
