"""Device certificates: what is written comes back, and each thing that can be wrong with one is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import AppraisalRefused, MalformedMessage
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.device_certificate import (
    ATTESTED_LIFETIME_MS,
    SHOWN_LABEL,
    UNATTESTED_LIFETIME_MS,
    AttestedGrade,
    DeviceCertificate,
    SignedDeviceCertificate,
    shown_in,
)
from strongroom.verifier.device_certificate import CertificateRule, judge_certificate

VECTORS = Path(__file__).parents[2] / "vectors" / "strongroom" / "device-certificate.json"
NOW = 1_800_000_000_000
ISSUER = SigningKey.from_seed(b"i" * 32)
DEVICE = SigningKey.from_seed(b"d" * 32)
SESSION = b"h" * 32
GRADE = AttestedGrade(measurement=b"m" * 32, platform="simulated", attested_at_ms=NOW)
PLAIN = DeviceCertificate(
    deployment=b"D" * 32,
    epoch=3,
    tenant=bytes(16),
    account=b"a" * 16,
    device_key=DEVICE.public,
    attested=None,
    not_before_ms=NOW,
    not_after_ms=NOW + UNATTESTED_LIFETIME_MS,
    serial=b"s" * 16,
)
ATTESTED = replace(PLAIN, attested=GRADE, not_after_ms=NOW + ATTESTED_LIFETIME_MS)
RULE = CertificateRule(enrolment_key=ISSUER.public, deployment=b"D" * 32, epoch=3, tenant=bytes(16), measurements=None)
STRICT = replace(RULE, measurements={b"m" * 32})


def judged(
    certificate: DeviceCertificate = ATTESTED,
    rule: CertificateRule = RULE,
    *,
    issuer: SigningKey = ISSUER,
    device: SigningKey = DEVICE,
    signed_for: bytes = SESSION,
    at_ms: int = NOW + 1,
) -> Any:
    shown = certificate.sign(issuer).to_bytes()
    signature = device.sign(SHOWN_LABEL, shown_in(signed_for, shown))
    return judge_certificate(shown, signature, rule, session=SESSION, at_ms=at_ms)


def test_a_certificate_shown_by_its_device_counts() -> None:
    for certificate, rule in ((PLAIN, RULE), (ATTESTED, RULE), (ATTESTED, STRICT)):
        device = judged(certificate, rule)
        assert (device.certificate, device.session) == (certificate, SESSION)
    assert (PLAIN.grade, ATTESTED.grade) == ("none", "attested")
    assert ATTESTED.renew_from_ms() == NOW + ATTESTED_LIFETIME_MS // 2


@pytest.mark.parametrize(
    ("options", "section"),
    [
        ({"issuer": DEVICE}, "6.2.1"),
        ({"certificate": replace(ATTESTED, deployment=b"E" * 32)}, "6.2.2"),
        ({"certificate": replace(ATTESTED, epoch=2)}, "6.2.3"),
        ({"certificate": replace(ATTESTED, tenant=b"t" * 16)}, "6.2.4"),
        ({"at_ms": ATTESTED.not_after_ms}, "6.2.5"),
        ({"at_ms": NOW - 3_600_000}, "6.2.5"),
        ({"certificate": replace(ATTESTED, not_after_ms=ATTESTED.not_after_ms + 1)}, "6.2.6"),
        ({"certificate": replace(PLAIN, not_after_ms=PLAIN.not_after_ms + 1)}, "6.2.6"),
        ({"device": ISSUER}, "6.2.7"),
        ({"signed_for": b"another session".ljust(32)}, "6.2.7"),
        ({"certificate": PLAIN, "rule": STRICT}, "6.2.8"),
        ({"rule": replace(RULE, measurements=set())}, "6.2.8"),
        ({"rule": replace(RULE, measurements={b"x" * 32})}, "6.2.8"),
    ],
)
def test_each_objection_is_named(options: dict[str, Any], section: str) -> None:
    with pytest.raises(AppraisalRefused) as refused:
        judged(**options)
    assert [finding.section for finding in refused.value.findings] == [f"enrolment {section}"]


def test_all_objections_are_named_at_once() -> None:
    with pytest.raises(AppraisalRefused) as refused:
        judged(replace(PLAIN, epoch=9), STRICT, issuer=DEVICE, device=ISSUER, at_ms=0)
    assert len(refused.value.findings) == 5


def test_the_vectors_hold() -> None:
    vectors = json.loads(VECTORS.read_text())
    for name, certificate in (("none", PLAIN), ("attested", ATTESTED)):
        shown = certificate.sign(ISSUER).to_bytes()
        assert vectors[name] == {
            "certificate": certificate.to_bytes().hex(),
            "signed": shown.hex(),
            "shown": DEVICE.sign(SHOWN_LABEL, shown_in(SESSION, shown)).hex(),
        }
    assert vectors["enrolment_key"] == ISSUER.public.hex()
    assert vectors["session"] == SESSION.hex()


ids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, (1 << 63) - 1)
grades = st.builds(AttestedGrade, measurement=hashes, platform=st.just("sgx-dcap-3"), attested_at_ms=numbers)
certificates = st.builds(
    DeviceCertificate,
    deployment=hashes,
    epoch=numbers,
    tenant=ids,
    account=ids,
    device_key=hashes,
    attested=st.none() | grades,
    not_before_ms=numbers,
    not_after_ms=numbers,
    serial=ids,
)


@given(certificates)
def test_a_certificate_survives_being_written(certificate: DeviceCertificate) -> None:
    signed = certificate.sign(ISSUER)
    read = SignedDeviceCertificate.from_bytes(signed.to_bytes())
    assert read == signed
    assert read.is_signed_by(ISSUER.public)
    assert not read.is_signed_by(DEVICE.public)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_certificate_or_malformed(data: bytes) -> None:
    for kind in (DeviceCertificate, SignedDeviceCertificate):
        with pytest.raises(MalformedMessage):
            kind.from_bytes(data)


@pytest.mark.parametrize(
    "grade",
    [
        AttestedGrade(measurement=b"short", platform="simulated", attested_at_ms=1),
        AttestedGrade(measurement=b"m" * 32, platform="", attested_at_ms=1),
    ],
)
def test_half_a_grade_is_malformed(grade: AttestedGrade) -> None:
    with pytest.raises(MalformedMessage, match="attested grade"):
        DeviceCertificate.from_bytes(replace(PLAIN, attested=grade).to_bytes())
