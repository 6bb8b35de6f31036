from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base.errors import Malformed
from strongroom.records.account_secret import AccountSecret

secrets = st.binary(min_size=16, max_size=16).map(AccountSecret)
KNOWN = AccountSecret(bytes(range(16)))


@given(secrets)
def test_a_secret_survives_being_written_down(secret: AccountSecret):
    assert AccountSecret.parse(secret.text()) == secret


@given(secrets)
def test_reading_forgives_how_people_type(secret: AccountSecret):
    text = secret.text()
    for sloppy in (
        text.lower(),
        text.replace("-", " "),
        text.replace("-", ""),
        f"  {text}\n",
        text.replace("0", "O").replace("1", "I"),
        text.replace("0", "o").replace("1", "l"),
    ):
        assert AccountSecret.parse(sloppy) == secret


@given(secrets, st.integers(0, 29), st.sampled_from("23456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_one_wrong_character_is_noticed(secret: AccountSecret, place: int, character: str):
    plain = secret.text().replace("-", "")
    typed = plain[: 3 + place] + character + plain[4 + place :]
    if typed != plain:
        with pytest.raises(Malformed, match="mistyped"):
            AccountSecret.parse(typed)


@given(st.text(max_size=80))
def test_any_text_is_a_secret_or_malformed(text: str):
    with contextlib.suppress(Malformed):
        AccountSecret.parse(text)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "does not begin with SR1"),
        ("XY1-00000", "does not begin with SR1"),
        (KNOWN.text()[:-1], "29 characters after SR1, 30 are needed"),
        (KNOWN.text() + "0", "31 characters"),
        (KNOWN.text()[:-1] + "U", "group 6 is never used"),
        ("SR1" + " " * 300, "far too long"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_shown(text, match):
    with pytest.raises(Malformed, match=match) as refusal:
        AccountSecret.parse(text)
    assert "recovery kit" in refusal.value.hint
    assert KNOWN.text()[4:9] not in str(refusal.value)


def test_a_secret_looks_as_specified():
    assert [len(group) for group in KNOWN.text().split("-")] == [3, 5, 5, 5, 5, 5, 5]
    assert KNOWN.text().startswith("SR1-000G4-0R40M-30E20-9185G-R38E")


def test_secrets_show_nothing_and_have_128_bits():
    assert "SR1" not in repr(KNOWN)
    assert len(AccountSecret.generate().value) == 16
    with pytest.raises(ValueError, match="16 bytes"):
        AccountSecret(bytes(15))
