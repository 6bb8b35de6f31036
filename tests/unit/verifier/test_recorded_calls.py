"""The recorded calls of Intel's own library: the same answers, or a stricter rule with a name.

The differences are the table of docs/spec/appraisal.md section 10.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from qvl_calls import CALLS, has_null, replay

OK = 0
STRICTER = {
    # the library's tests make signing certificates that may certify and may not sign
    ("VerifyTCBInfo", "2.5"): 3,
    ("VerifyEnclaveIdentity", "2.5"): 2,
}
MADE = [call for call in CALLS if not has_null(call)]
IDS = [call["test"].split(".")[1] for call in MADE]


def test_all_calls_are_there() -> None:
    assert len(CALLS) == 69
    assert len(MADE) == 44
    assert all(call["status"] != OK for call in CALLS if has_null(call))


@pytest.mark.parametrize("call", MADE, ids=IDS)
def test_every_call_gives_the_librarys_answer_or_a_stricter_one(call: dict[str, Any]) -> None:
    ours = replay(call)
    if call["status"] == OK and not ours.accepted:
        assert not ours.malformed
        assert {(call["fn"], step) for _, step in ours.findings} <= set(STRICTER)
    else:
        assert ours.accepted is (call["status"] == OK)


def test_the_stricter_answers_are_those_of_the_specification() -> None:
    stricter = [(call["fn"], step) for call in MADE if call["status"] == OK for _, step in replay(call).findings]
    assert Counter(stricter) == STRICTER
