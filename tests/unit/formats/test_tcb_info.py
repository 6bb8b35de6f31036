from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import VECTORS, damaged, instants, read
from strongroom.base.errors import MalformedCollateral
from strongroom.formats.signed_json import SignedJson
from strongroom.formats.tcb_info import TcbComponent, TcbInfo, TcbLevel, TdxModule, TdxModuleIdentity
from strongroom.formats.tcb_levels import ENCLAVE_STATUSES, LEVEL_STATUSES, IsvSvnLevel

PATHS = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("*/_pcs/tcbinfo-*.json"))
BODIES = {path: SignedJson.from_bytes(read(path), name="tcbInfo").body for path in PATHS}
V3 = BODIES["sgx/_pcs/tcbinfo-00906ED50000-v3-ev19-20250527T1931.json"]
TDX = next(body for path, body in BODIES.items() if path.startswith("tdx"))

texts = st.sampled_from(["", "BIOS", "OS/VMM", "é ≥", "TDX_03"])
components = st.builds(
    lambda svns, category, kind: tuple(TcbComponent(svn=svn, category=category, kind=kind) for svn in svns),
    st.binary(min_size=16, max_size=16),
    st.none() | texts,
    st.none() | texts,
)
advisories = st.sampled_from([(), ("INTEL-SA-00001",), ("INTEL-SA-00001", "INTEL-SA-00002")])
statuses = st.sampled_from(LEVEL_STATUSES)
of_enclaves = st.sampled_from(ENCLAVE_STATUSES)
isv_levels = st.lists(
    st.builds(
        IsvSvnLevel, isv_svn=st.integers(0, 0xFFFF), tcb_date=instants, status=of_enclaves, advisory_ids=advisories
    ),
    max_size=2,
    unique_by=lambda item: item.isv_svn,
).map(tuple)
modules = st.builds(
    TdxModule,
    mr_signer=st.binary(min_size=48, max_size=48),
    attributes=st.binary(min_size=8, max_size=8),
    attributes_mask=st.binary(min_size=8, max_size=8),
)


def levels(tdx: bool) -> st.SearchStrategy[tuple[TcbLevel, ...]]:
    level = st.builds(
        TcbLevel,
        components=components,
        pce_svn=st.integers(0, 0xFFFF),
        tcb_date=instants,
        status=statuses,
        advisory_ids=advisories,
        tdx_components=components if tdx else st.none(),
    )
    return st.lists(level, min_size=1, max_size=2, unique_by=lambda item: item.order).map(tuple)


def infos(version: int, name: str) -> st.SearchStrategy[TcbInfo]:
    tdx = name == "TDX"
    identities = st.lists(
        st.builds(TdxModuleIdentity, id=texts, module=modules, levels=isv_levels),
        min_size=1,
        max_size=2,
        unique_by=lambda item: item.id.upper(),
    )
    return st.builds(
        TcbInfo,
        version=st.just(version),
        id=st.just(name),
        issue_date=instants,
        next_update=instants,
        fmspc=st.binary(min_size=6, max_size=6),
        pce_id=st.binary(min_size=2, max_size=2),
        tcb_evaluation_data_number=st.integers(0, 1000),
        levels=levels(tdx),
        tdx_module=modules if tdx else st.none(),
        tdx_module_identities=(st.none() | identities.map(tuple)) if tdx else st.none(),
    )


@settings(deadline=None, max_examples=40)
@given(infos(3, "SGX") | infos(3, "TDX"))
def test_what_is_written_is_read_back(value: TcbInfo) -> None:
    assert TcbInfo.from_bytes(value.to_bytes()) == value


@settings(deadline=None, max_examples=25)
@given(infos(2, "SGX"))
def test_version_two_keeps_the_numbers(value: TcbInfo) -> None:
    plain = replace(
        value,
        levels=tuple(
            replace(level, components=tuple(TcbComponent(svn=item.svn) for item in level.components))
            for level in value.levels
        ),
    )
    assert TcbInfo.from_bytes(plain.to_bytes()) == plain


@pytest.mark.parametrize("path", PATHS)
def test_every_document_of_versions_two_and_three_is_read(path: str) -> None:
    if "-v1-" in path:
        with pytest.raises(MalformedCollateral, match="version 1 is not read"):
            TcbInfo.from_bytes(BODIES[path])
        return
    info = TcbInfo.from_bytes(BODIES[path])
    assert TcbInfo.from_bytes(info.to_bytes()) == info
    assert info.id == path[:3].upper()
    assert (info.tdx_module is not None) is (info.id == "TDX")
    assert [level.order for level in info.levels] == sorted((level.order for level in info.levels), reverse=True)
    if path.startswith("sgx"):
        assert info.to_bytes().lower() == BODIES[path].lower()


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200) | damaged(list(BODIES.values())))
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    try:
        info = TcbInfo.from_bytes(data)
    except MalformedCollateral:
        return
    assert TcbInfo.from_bytes(info.to_bytes()) == info


COMPONENT = b'{"svn":0}'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":3', b'"version":4'),
        (b'"version":3', b'"version":1'),
        (b'"id":"SGX"', b'"id":"TDX"'),
        (b'"id":"SGX"', b'"id":"XYZ"'),
        (b'"tcbType":0', b'"tcbType":1'),
        (b'"pceId":"0000"', b'"pceId":"000"'),
        (b'"fmspc":"00906ED50000"', b'"fmspc":"00906ED5000"'),
        (b'"tcbStatus":"OutOfDate"', b'"tcbStatus":"outofdate"'),
        (b'"tcbStatus":"OutOfDate"', b'"tcbStatus":"Fine"'),
        (b'"issueDate":"', b'"issueDate":"x'),
        (b'"advisoryIDs":["', b'"advisoryIDs":["<b>'),
        (b'"tcbEvaluationDataNumber":19', b'"tcbEvaluationDataNumber":-1'),
        (b'"pcesvn":13', b'"pcesvn":65536'),
    ],
)
def test_fields_out_of_their_range_are_malformed(old: bytes, new: bytes) -> None:
    assert old in V3
    with pytest.raises(MalformedCollateral):
        TcbInfo.from_bytes(V3.replace(old, new, 1))


def test_seventeen_and_fifteen_components_are_malformed() -> None:
    assert COMPONENT in V3
    with pytest.raises(MalformedCollateral, match="list of at most 16"):
        TcbInfo.from_bytes(V3.replace(COMPONENT, COMPONENT + b"," + COMPONENT, 1))
    with pytest.raises(MalformedCollateral, match="15 components"):
        TcbInfo.from_bytes(V3.replace(COMPONENT + b",", b"", 1))
    start = V3.index(b'"sgxtcbcomponents":[') + len(b'"sgxtcbcomponents":[')
    with pytest.raises(MalformedCollateral, match="0 components"):
        TcbInfo.from_bytes(V3[:start] + V3[V3.index(b"]", start) :])


def test_no_level_and_a_level_twice_are_malformed() -> None:
    info = TcbInfo.from_bytes(V3)
    with pytest.raises(MalformedCollateral, match="no TCB level"):
        TcbInfo.from_bytes(replace(info, levels=()).to_bytes())
    with pytest.raises(MalformedCollateral, match="twice"):
        TcbInfo.from_bytes(replace(info, levels=(*info.levels, info.levels[0])).to_bytes())


def test_a_tdx_module_belongs_to_tdx() -> None:
    with pytest.raises(MalformedCollateral, match="TDX module"):
        TcbInfo.from_bytes(V3.replace(b'"tcbType":0', b'"tcbType":0,"tdxModule":{}', 1))
    with pytest.raises(MalformedCollateral, match="tdxModule"):
        TcbInfo.from_bytes(TDX.replace(b'"tdxModule":', b'"tdxmodule":', 1))
    info = TcbInfo.from_bytes(TDX)
    with pytest.raises(MalformedCollateral, match="empty list"):
        TcbInfo.from_bytes(replace(info, tdx_module_identities=()).to_bytes())
