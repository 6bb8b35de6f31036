from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collateral_sets import ANCHORS, KIND, SGX_17, SGX_17_OLDER, SGX_19, checked, generated, real
from strongroom.collateral.checked import INTEL, check_collateral
from strongroom.collateral.newest import newest_parts, older_parts, require_forward
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.testing.intel_pki import AT, key

if TYPE_CHECKING:
    from random import Random

    from strongroom.testing.intel_pki import IntelPki


def test_the_newer_set_wins_whole() -> None:
    old, new = checked(generated()), checked(generated(number=19, days=1, pck_crl=2, root_crl=2))
    assert newest_parts([old, new], anchors=ANCHORS) is new
    assert newest_parts([new, old], anchors=ANCHORS) is new


def test_equal_sets_leave_the_first() -> None:
    first, second = checked(generated()), checked(generated())
    assert newest_parts([first, second], anchors=ANCHORS) is first


@pytest.mark.parametrize("order", [1, -1])
def test_each_part_goes_its_own_way(order: int) -> None:
    crls = checked(generated(pck_crl=9, root_crl=8))
    documents = checked(generated(number=19))
    newest = newest_parts([crls, documents][::order], anchors=ANCHORS)
    assert newest.tcb_info.number == newest.qe_identity.number == 19
    assert (newest.pck_crl.number, newest.root_ca_crl.number) == (9, 8)
    assert check_collateral(newest.collateral, anchors=ANCHORS).kind == KIND


def test_of_one_number_the_later_issue_is_newer() -> None:
    """Intel gives all of its CRLs the number 1, so the date is what tells them apart."""
    old, new = check_collateral(real(SGX_17_OLDER)), check_collateral(real(SGX_17))
    assert (old.pck_crl.number, new.pck_crl.number) == (1, 1)
    assert newest_parts([new, old], anchors=INTEL) is new


def test_a_higher_number_is_newer_though_issued_earlier() -> None:
    higher, later = checked(generated(number=19, days=-1)), checked(generated(number=18, days=1))
    newest = newest_parts([higher, later], anchors=ANCHORS)
    assert newest.tcb_info == higher.tcb_info
    assert newest.pck_crl == later.pck_crl


def test_real_sets_of_two_evaluations() -> None:
    both = [check_collateral(real(name)) for name in (SGX_17, SGX_19)]
    assert newest_parts(both, anchors=INTEL).tcb_info.number == 19


def test_what_is_older_is_named() -> None:
    new, old = checked(generated(number=19)), checked(generated(number=17, crl_days=-1))
    told = " ".join(older_parts(new, old))
    assert "TCB info number 17" in told
    assert "is older than number 19" in told
    assert "PCK CRL" in told
    assert older_parts(old, new) == ()


def test_parts_that_do_not_fit_are_refused() -> None:
    def revoke(pki: IntelPki) -> None:
        revoked = pki.tcb_signer.serial
        pki.tcb_signer.serial, pki.tcb_signer.key = 40, key("another signer")
        pki.root_crl.revoked = [revoked]

    held = checked(generated(number=19))
    revoking = checked(generated(number=18, root_crl=2, change=revoke))
    with pytest.raises(ResourceUnavailable, match="is revoked"):
        newest_parts([held, revoking], anchors=ANCHORS)


def test_two_kinds_have_no_newest() -> None:
    with pytest.raises(ValueError, match="several kinds"):
        newest_parts([checked(generated()), check_collateral(real(SGX_17))], anchors=ANCHORS)
    with pytest.raises(ValueError, match="or none"):
        newest_parts([], anchors=ANCHORS)


def test_a_valid_but_older_set_does_not_stand_in_for_a_newer_that_expired() -> None:
    at = AT + timedelta(days=27)
    held = checked(generated(number=19, days=-10))
    offered = checked(generated(number=18))
    newest = newest_parts([held, offered], anchors=ANCHORS)
    with pytest.raises(ResourceUnavailable, match=r"pcs goes backwards: TCB info number 18.*QE identity number 18"):
        require_forward(held, offered, newest, at, source="pcs")


_PLANS = st.tuples(st.integers(17, 19), st.integers(0, 2), st.integers(1, 2), st.integers(1, 2))


@settings(max_examples=25)
@given(st.lists(_PLANS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_nothing_goes_backwards_and_the_order_does_not_matter(
    plans: list[tuple[int, int, int, int]], random: Random
) -> None:
    sets = [checked(generated(number=n, days=d, pck_crl=p, root_crl=r)) for n, d, p, r in plans]
    newest = newest_parts(sets, anchors=ANCHORS)
    random.shuffle(sets)
    again = newest_parts(sets, anchors=ANCHORS)
    for part in ("tcb_info", "qe_identity", "pck_crl", "root_ca_crl"):
        assert getattr(newest, part) == getattr(again, part) == max(getattr(item, part) for item in sets)
