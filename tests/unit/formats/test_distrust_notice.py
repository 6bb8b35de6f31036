"""Distrust notices: read back as written, malformed or nothing, and signed for one purpose."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.crypto.signatures import SigningKey, verify
from strongroom.formats.distrust_notice import DistrustNotice, Effect, SignedDistrustNotice, Subject

KEY = SigningKey.from_seed(b"k" * 32)
times = st.integers(0, 2**63 - 1)


@st.composite
def notices(draw: st.DrawFn) -> DistrustNotice:
    subject = draw(st.sampled_from(Subject))
    lengths = [32, 48] if subject is Subject.MEASUREMENT else [32]
    length = draw(st.sampled_from(lengths))
    return DistrustNotice(
        deployment=draw(st.binary(min_size=32, max_size=32)),
        subject=subject,
        value=draw(st.binary(min_size=length, max_size=length)),
        effect=draw(st.sampled_from(Effect)),
        since_ms=draw(times),
        issued_ms=draw(times),
        reason=draw(st.text(max_size=200).filter(str.isprintable)),
    )


@given(notices())
def test_what_is_written_is_read(notice: DistrustNotice) -> None:
    signed = notice.sign(KEY)
    assert DistrustNotice.from_bytes(notice.to_bytes()) == notice
    assert SignedDistrustNotice.from_bytes(signed.to_bytes()) == signed
    assert SignedDistrustNotice.from_text(f" {signed.to_text()}\n") == signed
    assert signed.is_signed
    assert signed.key == KEY.public


@given(st.binary())
def test_any_bytes_are_a_notice_or_malformed(data: bytes) -> None:
    for read in (DistrustNotice.from_bytes, SignedDistrustNotice.from_bytes):
        with pytest.raises(Malformed, match="notice"):
            read(data)


@given(st.text() | st.text().map("strongroom-notice1:".__add__))
def test_any_text_is_a_notice_or_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="notice"):
        SignedDistrustNotice.from_text(text)


@given(notices(), st.data())
def test_an_altered_notice_is_malformed_or_not_signed(notice: DistrustNotice, data: st.DataObject) -> None:
    raw = bytearray(notice.sign(KEY).to_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        signed = SignedDistrustNotice.from_bytes(bytes(raw))
    except Malformed:
        return
    assert not signed.is_signed


def example(**changes: object) -> DistrustNotice:
    notice = DistrustNotice(
        deployment=bytes(32),
        subject=Subject.MACHINE,
        value=b"m" * 32,
        effect=Effect.DISTRUST,
        since_ms=1,
        issued_ms=2,
        reason="stolen",
    )
    return dataclasses.replace(notice, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"value": b""},
        {"value": bytes(31)},
        {"value": bytes(48)},
        {"subject": Subject.INSTANCE, "value": bytes(48)},
        {"subject": Subject.MEASUREMENT, "value": bytes(33)},
        {"reason": "x" * 201},
        {"reason": "two\nlines"},
        {"reason": "\x1b[31m"},
    ],
)
def test_what_a_notice_cannot_say(changes: dict[str, object]) -> None:
    with pytest.raises(Malformed, match="notice"):
        example(**changes)


@pytest.mark.parametrize("field", ["subject", "effect", "label"])
def test_unknown_words_and_fields_are_malformed(field: str) -> None:
    content = canonical.decode(example().to_bytes(), path="", max_bytes=1024)
    assert isinstance(content, dict)
    with pytest.raises(Malformed):
        DistrustNotice.from_bytes(canonical.encode({**content, field: "surprise"}))
    with pytest.raises(Malformed):
        DistrustNotice.from_bytes(canonical.encode({**content, "more": 1}))


def test_a_signature_is_for_this_purpose_alone() -> None:
    notice = example()
    signed = notice.sign(KEY)
    assert verify(KEY.public, "strongroom distrust notice v1", notice.to_bytes(), signed.signature)
    elsewhere = KEY.sign("strongroom instance certificate v1", notice.to_bytes())
    assert not dataclasses.replace(signed, signature=elsewhere).is_signed
    assert not dataclasses.replace(signed, key=SigningKey.generate().public).is_signed
