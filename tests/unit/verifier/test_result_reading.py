"""A result read back from its JSON: the very same one, or malformed by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.base.errors import MalformedToken
from strongroom.verifier.result import AttestationResult
from strongroom.verifier.result_reading import read_result
from tokens import RESULT, details

TRUE: dict[str, Any] = json.loads(json.dumps(RESULT.to_json_object()))


def read(value: dict[str, Any]) -> AttestationResult:
    return read_result(value, policy_digest=RESULT.policy_digest, appraised_at=RESULT.appraised_at)


def test_a_result_comes_back_as_it_went() -> None:
    assert read(TRUE) == RESULT
    assert read({**TRUE, "something new": 1}) == RESULT


PATHS = [(part, name) for part in ("claims", "tcb", "platform", "collateral") for name in TRUE[part]]
OPTIONAL = {"tdx_module_status", "launch_status", "current_status", "root_crl_number", "pck_crl_number"}


@pytest.mark.parametrize(("part", "name"), PATHS)
@pytest.mark.parametrize("value", [None, [], "zz", 1.5, -1], ids=["null", "list", "text", "fraction", "negative"])
def test_a_field_of_another_kind_is_malformed(part: str, name: str, value: object) -> None:
    changed = {**TRUE, part: {**TRUE[part], name: value}}
    if name in {"tdx_module_status", "launch_status", "current_status"}:  # of trust domains, and not looked at
        assert read(changed) == RESULT
        return
    if (value == [] and isinstance(TRUE[part][name], list)) or (value is None and name in OPTIONAL):
        if name == "components":
            with pytest.raises(MalformedToken):
                read(changed)
        else:
            read(changed)
        return
    if value is None and name == "platform_instance_id":
        assert read(changed).platform.platform_instance_id is None
        return
    with pytest.raises(MalformedToken):
        read(changed)


@pytest.mark.parametrize(
    "name", ["kind", "anchor", "simulated", "claims", "tcb", "platform", "collateral", "confessions"]
)
def test_a_part_that_is_missing_is_malformed(name: str) -> None:
    with pytest.raises(MalformedToken):
        read({key: value for key, value in TRUE.items() if key != name})


@settings(max_examples=100, deadline=None)
@given(details, st.lists(st.sampled_from(PATHS), max_size=3), st.data())
def test_any_details_are_a_result_or_malformed(more: dict[str, Any], where: list[tuple[str, str]], data: Any) -> None:
    value = json.loads(json.dumps({**TRUE, **more}))
    for part, name in where:
        if isinstance(value.get(part), dict):
            value[part][name] = data.draw(st.sampled_from([None, "", 7, {}, [1], "00", True]))
    try:
        read(value)
    except MalformedToken:
        return
