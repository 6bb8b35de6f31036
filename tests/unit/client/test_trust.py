"""From what a device trusts to the terms of an exchange."""

import msgspec
import pytest

from strongroom.base.errors import Misconfigured
from strongroom.client.profile import Trust
from strongroom.client.trust import standing_policy, terms_of
from strongroom.formats.measurements import MrEnclave
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.verifier.anchors import INTEL_SGX_ROOT, simulated_anchor
from strongroom.verifier.policy_file import to_toml

CODE = MrEnclave(b"c" * 32)


def trust(*, policy: str | None = None, simulated_root: bytes | None = None) -> Trust:
    return Trust(url="http://store.invalid", deployment=b"d" * 32, policy=policy, simulated_root=simulated_root)


def test_the_standing_policy_accepts_exactly_this_code_on_intels_hardware() -> None:
    policy = standing_policy(CODE, simulated_root=None)
    assert policy.anchors == (INTEL_SGX_ROOT,)
    assert policy.mr_enclaves == {CODE}
    assert policy.signers == ()
    assert not policy.accept_simulated_platform
    assert not policy.accept_debug_enclaves
    assert [rule.status for rule in policy.tcb] == [TcbStatus.UP_TO_DATE]
    assert terms_of(trust(), CODE).policy == policy


def test_with_a_simulated_root_only_that_platform_will_do() -> None:
    terms = terms_of(trust(simulated_root=b"root"), CODE)
    assert terms.policy.anchors == (simulated_anchor(b"root"),)
    assert terms.policy.anchors[0].simulated
    assert terms.policy.accept_simulated_platform
    assert terms.deployment == b"d" * 32


def test_a_policy_of_ones_own_takes_the_place_of_the_standing_one() -> None:
    policy = standing_policy(MrEnclave(b"o" * 32), simulated_root=None)
    assert terms_of(trust(policy=to_toml(policy).decode()), CODE).policy == policy


def test_a_policy_that_is_none_is_our_own_mistake() -> None:
    with pytest.raises(Misconfigured):
        terms_of(trust(policy="surprise = 1"), CODE)


def test_what_an_invitation_adds_is_kept_and_profiles_of_before_are_read() -> None:
    old = msgspec.json.encode(trust())
    assert b"machines" not in old
    assert msgspec.json.decode(old, type=Trust).machines == ()
    new = Trust(
        url="http://store.invalid",
        deployment=b"d" * 32,
        policy=None,
        simulated_root=None,
        machines=(b"m" * 32,),
        notice_key=b"n" * 32,
    )
    assert msgspec.json.decode(msgspec.json.encode(new), type=Trust) == new
