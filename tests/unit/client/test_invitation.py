"""Invitations: whatever was damaged on the way is malformed, and nothing else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.client.invitation import Invitation

invitations = st.builds(
    Invitation,
    url=st.text(st.characters(codec="utf-8"), max_size=100),
    deployment=st.binary(min_size=32, max_size=32),
    simulated_root=st.none() | st.binary(max_size=256),
    policy_digest=st.none() | st.binary(min_size=32, max_size=32),
    machines=st.lists(st.binary(min_size=32, max_size=32), max_size=16).map(tuple),
    notice_key=st.none() | st.binary(min_size=32, max_size=32),
    tenant=st.none() | st.binary(min_size=16, max_size=16),
)


@given(invitations)
def test_what_is_written_is_read(invitation: Invitation) -> None:
    text = invitation.to_text()
    assert Invitation.from_text(text) == invitation
    assert Invitation.from_text(f"  {text}\n") == invitation


@given(st.text() | st.text().map("strongroom1:".__add__) | st.binary().map(lambda raw: "strongroom1:" + as_text(raw)))
def test_any_text_is_an_invitation_or_malformed(text: str) -> None:
    try:
        assert Invitation.from_text(text).deployment
    except Malformed as error:
        assert str(error).startswith("invitation: ")  # noqa: PT017 - either outcome is right


def as_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@given(invitations, st.data())
def test_a_damaged_invitation_is_another_one_or_malformed(invitation: Invitation, data: st.DataObject) -> None:
    text = invitation.to_text()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.text(max_size=2)) + text[at + 1 :]
    try:
        found = Invitation.from_text(changed)
    except Malformed:
        return
    assert changed.strip() == text or found != invitation or found.to_text() == text


@pytest.mark.parametrize(
    "content",
    [
        {"url": "", "deployment": bytes(31), "simulated_root": None},
        {"url": "", "deployment": bytes(32)},
        {"url": "x" * 513, "deployment": bytes(32), "simulated_root": None},
        {"url": "", "deployment": bytes(32), "simulated_root": None, "more": 1},
        {"url": 1, "deployment": bytes(32), "simulated_root": None},
        {"url": "", "deployment": bytes(32), "simulated_root": None, "policy": None},
        {"url": "", "deployment": bytes(32), "simulated_root": None, "policy": bytes(31)},
        {"url": "", "deployment": bytes(32), "simulated_root": None, "machines": []},
        {"url": "", "deployment": bytes(32), "simulated_root": None, "machines": [bytes(31)]},
        {"url": "", "deployment": bytes(32), "simulated_root": None, "machines": [bytes(32)] * 17},
        {"url": "", "deployment": bytes(32), "simulated_root": None, "notice_key": bytes(33)},
    ],
)
def test_contents_that_do_not_fit_are_malformed(content: dict[str, object]) -> None:
    with pytest.raises(Malformed, match="invitation"):
        Invitation.from_text("strongroom1:" + as_text(canonical.encode(content)))


def test_long_texts_are_not_even_decoded() -> None:
    with pytest.raises(Malformed, match="begins with"):
        Invitation.from_text("strongroom1:" + "A" * 3000)


def test_an_invitation_of_before_is_still_read_and_still_written() -> None:
    content = {"url": "https://vault.example", "deployment": b"d" * 32, "simulated_root": b"root"}
    text = "strongroom1:" + as_text(canonical.encode(content))
    invitation = Invitation.from_text(text)
    assert invitation == Invitation(url="https://vault.example", deployment=b"d" * 32, simulated_root=b"root")
    assert (invitation.policy_digest, invitation.machines, invitation.notice_key) == (None, (), None)
    assert invitation.to_text() == text
