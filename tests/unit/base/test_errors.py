"""The families: exit codes and HTTP statuses as documented, messages that compose."""

from __future__ import annotations

import inspect
from contextlib import contextmanager

import pytest

from strongroom.base import errors
from strongroom.base.findings import Check, Finding

FAMILIES = [
    (errors.Misconfigured, 1, 500),
    (errors.Malformed, 2, 400),
    (errors.AppraisalRefused, 3, 403),
    (errors.Misbehaviour, 4, 500),
    (errors.Denied, 5, 403),
    (errors.NotAuthorised, 5, 401),
    (errors.Conflict, 6, 409),
    (errors.Unavailable, 7, 503),
]


@pytest.mark.parametrize(("family", "exit_code", "http_status"), FAMILIES)
def test_a_family_has_its_exit_code_and_status(family, exit_code, http_status):
    assert (family.exit_code, family.http_status) == (exit_code, http_status)


def classes() -> list[type[errors.StrongroomError]]:
    members = (getattr(errors, name) for name in errors.__all__)
    return [member for member in members if inspect.isclass(member)]


def test_every_error_belongs_to_one_family_and_has_its_own_code():
    assert all(issubclass(member, errors.StrongroomError) for member in classes())
    codes = [member.code for member in classes()]
    assert len(set(codes)) == len(codes)
    families = {family for family, _, _ in FAMILIES} - {errors.NotAuthorised}
    for member in set(classes()) - {errors.StrongroomError}:
        assert sum(issubclass(member, family) for family in families) == 1


def test_a_refusal_carries_every_finding():
    findings = [
        Finding(check=Check.DEBUG, message="debug", section="8.2"),
        Finding(check=Check.EXPIRY, message="expired", section="3.1", expected="a", actual="b"),
    ]
    error = errors.AppraisalRefused(findings)
    assert error.findings == tuple(findings)
    assert str(error) == "refused: debug: debug; expiry: expired"


def test_a_refusal_without_a_finding_is_a_mistake():
    with pytest.raises(ValueError, match="explains nothing"):
        errors.AppraisalRefused([])


def test_an_error_can_pass_through_a_context_manager():
    @contextmanager
    def block():
        yield

    with pytest.raises(errors.HeadMoved), block():
        raise errors.HeadMoved("moved")


def test_particulars_are_kept():
    assert errors.Misconfigured("m", setting="s", hint="h").setting == "s"
    assert errors.Misconfigured("m", hint="h").hint == "h"
    assert errors.ForkDetected("m", proof=b"p").proof == b"p"
    assert errors.StoreUnreachable("m", retry_after_seconds=2.5).retry_after_seconds == 2.5
    assert str(errors.Malformed("rule", path="a.b", offset=0)) == "a.b: rule (at byte 0)"
    assert str(errors.Malformed("rule")) == "rule"
