from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.base.errors import Misconfigured
from strongroom.formats.measurements import MrEnclave, MrSeam, MrSigner, MrTd
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.testing.intel_pki import IntelPki
from strongroom.verifier import ANY, INTEL_SGX_ROOT, Anchor, AppraisalPolicy, SignerRule, TcbRule, TdAttributes, TdRule
from strongroom.verifier.policy import TD_MEASUREMENTS
from strongroom.verifier.policy_file import from_toml, to_toml

POLICY = IntelPki().policy()
digests = st.binary(min_size=32, max_size=32)
td_digests = st.binary(min_size=48, max_size=48)
seconds = st.integers(0, 10**8).map(lambda seconds: timedelta(seconds=seconds))
flags = st.sampled_from([ANY, True, False])
TD_RULE = TdRule(
    **dict.fromkeys(TD_MEASUREMENTS, ANY),  # type: ignore[arg-type]
    mr_seam=ANY,
    accepted_attributes=TdAttributes(0),
    require_sept_ve_disable=True,
    accept_seam_attributes=False,
)
td_rules = st.builds(
    TdRule,
    **dict.fromkeys(TD_MEASUREMENTS, st.just(ANY) | td_digests),
    mr_seam=st.just(ANY) | st.frozensets(td_digests.map(MrSeam), max_size=2),
    accepted_attributes=st.frozensets(st.sampled_from(list(TdAttributes))).map(lambda items: TdAttributes(sum(items))),
    require_sept_ve_disable=st.booleans(),
    accept_seam_attributes=st.booleans(),
)
policies = st.builds(
    AppraisalPolicy,
    anchors=st.lists(
        st.just(INTEL_SGX_ROOT)
        | st.builds(
            Anchor,
            name=st.text(max_size=10),
            spki=st.binary(min_size=91, max_size=91),
            simulated=st.booleans(),
            vendor=st.text(st.characters(codec="utf-8"), max_size=10),
        ),
        max_size=2,
    ).map(tuple),
    accept_simulated_platform=st.booleans(),
    accept_debug_enclaves=st.booleans(),
    mr_enclaves=st.frozensets(digests.map(MrEnclave), max_size=3),
    signers=st.lists(
        st.builds(
            SignerRule,
            mr_signer=digests.map(MrSigner),
            isv_prod_id=st.integers(0, 0xFFFF),
            minimum_isv_svn=st.integers(0, 0xFFFF),
        ),
        max_size=2,
    ).map(tuple),
    trust_domains=st.lists(td_rules, max_size=2).map(tuple),
    tcb=st.lists(
        st.builds(
            TcbRule,
            status=st.sampled_from([status for status in TcbStatus if status is not TcbStatus.REVOKED]),
            measurement=st.just(ANY) | digests.map(MrEnclave) | td_digests.map(MrTd),
            advisories=st.just(ANY) | st.frozensets(st.text(st.characters(codec="utf-8"), max_size=10), max_size=3),
            maximum_tcb_age=st.just(ANY) | seconds,
        ),
        max_size=2,
    ).map(tuple),
    minimum_tcb_evaluation_data_number=st.integers(0, 0xFFFFFFFF),
    maximum_collateral_age=st.just(ANY) | seconds,
    expired_collateral_grace=seconds,
    platforms=st.just(ANY) | st.frozensets(st.binary(min_size=16, max_size=16), max_size=2),
    smt_enabled=flags,
    dynamic_platform=flags,
    cached_keys=flags,
)


@settings(deadline=None)
@given(policies)
def test_a_policy_file_reads_back_as_the_same_policy(policy: AppraisalPolicy) -> None:
    again = from_toml(to_toml(policy))
    assert again == policy
    assert again.digest == policy.digest


def test_no_field_has_a_default() -> None:
    for kind in (AppraisalPolicy, TcbRule, SignerRule, TdRule, Anchor):
        for field in dataclasses.fields(kind):
            assert field.default is dataclasses.MISSING
            assert field.default_factory is dataclasses.MISSING


def test_every_field_is_in_the_digest() -> None:
    changes: dict[str, object] = {
        "anchors": (),
        "accept_simulated_platform": True,
        "accept_debug_enclaves": True,
        "mr_enclaves": frozenset(),
        "signers": (SignerRule(mr_signer=MrSigner(bytes(32)), isv_prod_id=0, minimum_isv_svn=0),),
        "trust_domains": (TD_RULE,),
        "tcb": (),
        "minimum_tcb_evaluation_data_number": 1,
        "maximum_collateral_age": timedelta(1),
        "expired_collateral_grace": timedelta(1),
        "platforms": frozenset[bytes](),
        "smt_enabled": False,
        "dynamic_platform": False,
        "cached_keys": False,
    }
    assert set(changes) == {field.name for field in dataclasses.fields(AppraisalPolicy)}
    digests = {replace(POLICY, **{name: value}).digest for name, value in changes.items()}  # type: ignore[arg-type]
    assert len(digests | {POLICY.digest}) == len(changes) + 1


def test_every_field_of_a_rule_is_in_the_digest() -> None:
    value = b"\x01" * 48
    for_domains: dict[str, object] = dict.fromkeys(TD_MEASUREMENTS, value) | {
        "mr_seam": frozenset({value}),
        "accepted_attributes": TdAttributes.PKS,
        "require_sept_ve_disable": False,
        "accept_seam_attributes": True,
    }
    assert set(for_domains) == {field.name for field in dataclasses.fields(TdRule)}
    rules = [TD_RULE] + [replace(TD_RULE, **{name: item}) for name, item in for_domains.items()]  # type: ignore[arg-type]
    assert len({replace(POLICY, trust_domains=(rule,)).digest for rule in rules}) == len(rules)
    (rule,) = POLICY.tcb
    for_status: dict[str, object] = {
        "status": TcbStatus.OUT_OF_DATE,
        "measurement": MrTd(value),
        "advisories": frozenset[str](),
        "maximum_tcb_age": timedelta(0),
    }
    assert set(for_status) == {field.name for field in dataclasses.fields(TcbRule)}
    statuses = [rule] + [replace(rule, **{name: item}) for name, item in for_status.items()]  # type: ignore[arg-type]
    assert len({replace(POLICY, tcb=(item,)).digest for item in statuses}) == len(statuses)


@pytest.mark.parametrize(
    "change",
    [
        {"mr_enclaves": frozenset({b"short"})},
        {"platforms": frozenset({b"short"})},
        {"expired_collateral_grace": timedelta(days=-1)},
        {"tcb": (replace(POLICY.tcb[0], measurement=b"short"),)},
        {"tcb": (replace(POLICY.tcb[0], maximum_tcb_age=timedelta(days=-1)),)},
    ],
)
def test_values_of_a_wrong_size_are_misconfigured(change: dict[str, object]) -> None:
    with pytest.raises(Misconfigured):
        replace(POLICY, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        *({name: bytes(32)} for name in TD_MEASUREMENTS),
        {"mr_seam": frozenset({bytes(32)})},
        {"accepted_attributes": TdAttributes(1 << 39)},
    ],
)
def test_values_of_a_wrong_size_in_a_rule_for_trust_domains_are_misconfigured(change: dict[str, object]) -> None:
    with pytest.raises(Misconfigured):
        replace(TD_RULE, **change)  # type: ignore[arg-type]


TEXT = to_toml(replace(POLICY, trust_domains=(TD_RULE,))).decode()
LINES = [line.split(" = ")[0] for line in TEXT.splitlines() if " = " in line]


@pytest.mark.parametrize("name", sorted(set(LINES)))
def test_every_setting_is_needed(name: str) -> None:
    lines = TEXT.splitlines()
    missing = [line for line in lines if not line.startswith(f"{name} = ")]
    assert len(missing) < len(lines)
    with pytest.raises(Misconfigured, match=name):
        from_toml("\n".join(missing).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1", "version = 2"),
        ("version = 1", "version = 1\nmore = 1"),
        ("simulated = false", "simulated = false\nmore = 1"),
        ("accept_debug_enclaves = false", "accept_debug_enclaves = 0"),
        ("accept_debug_enclaves = false", 'accept_debug_enclaves = "no"'),
        ("minimum_tcb_evaluation_data_number = 18", "minimum_tcb_evaluation_data_number = true"),
        ("minimum_tcb_evaluation_data_number = 18", "minimum_tcb_evaluation_data_number = -1"),
        ('maximum_collateral_age_seconds = "any"', 'maximum_collateral_age_seconds = "all"'),
        ('status = "UpToDate"', 'status = "uptodate"'),
        ('status = "UpToDate"', 'status = "Revoked"'),
        ('advisories = "any"', "advisories = [1]"),
        ('advisories = "any"', 'advisories = "none"'),
        ('measurement = "any"', 'measurement = "00"'),
        ('maximum_tcb_age_seconds = "any"', "maximum_tcb_age_seconds = -1"),
        ('smt_enabled = "any"', 'smt_enabled = "no"'),
        ('cached_keys = "any"', "cached_keys = 0"),
        ('mr_td = "any"', 'mr_td = "00"'),
        ('mr_seam = "any"', 'mr_seam = ["00"]'),
        ("accepted_attributes = []", 'accepted_attributes = ["bit 39"]'),
        ("accepted_attributes = []", 'accepted_attributes = "DEBUG"'),
        ("accept_seam_attributes = false", "accept_seam_attributes = false\nmore = 1"),
        ("signers = []", 'signers = ["x"]'),
        ('platforms = "any"', 'platforms = ["00"]'),
        ("version = 1", "version = 1\nversion = 1"),
        ("version = 1", "not toml"),
        ("[[anchors]]", "[anchors]"),
    ],
)
def test_unknown_and_ill_typed_settings_are_misconfigured(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(Misconfigured):
        from_toml(TEXT.replace(old, new, 1).encode())


def test_the_built_in_anchor_has_a_name() -> None:
    start = TEXT.index("[[anchors]]")
    text = 'anchors = ["intel-sgx"]\n' + TEXT[:start] + TEXT[TEXT.index("[[trust_domains]]") :]
    assert from_toml(text.encode()).anchors == (INTEL_SGX_ROOT,)
    with pytest.raises(Misconfigured, match="built-in"):
        from_toml(text.replace("intel-sgx", "amd").encode())


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_give_a_policy_or_misconfigured(data: bytes) -> None:
    with pytest.raises(Misconfigured):
        from_toml(data)


def test_too_much_is_not_read() -> None:
    with pytest.raises(Misconfigured, match="at most"):
        from_toml(b"#" * (1024 * 1024 + 1))
