from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import VECTORS, damaged, instants, read
from strongroom.base.errors import MalformedCollateral
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.signed_json import SignedJson
from strongroom.formats.tcb_levels import ENCLAVE_STATUSES, LEVEL_STATUSES, IsvSvnLevel

PATHS = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("*/_pcs/*-identity-*.json"))
BODIES = {path: SignedJson.from_bytes(read(path), name="enclaveIdentity").body for path in PATHS}
REAL = BODIES["sgx/_pcs/qe-identity-v2-ev17-20250815T0436.json"]

level = st.builds(
    IsvSvnLevel,
    isv_svn=st.integers(0, 0xFFFF),
    tcb_date=instants,
    status=st.sampled_from(ENCLAVE_STATUSES),
    advisory_ids=st.lists(st.just("INTEL-SA-00001"), max_size=1).map(tuple),
)
identities = st.builds(
    QeIdentity,
    id=st.sampled_from(["QE", "TD_QE", "QVE"]),
    issue_date=instants,
    next_update=instants,
    tcb_evaluation_data_number=st.integers(0, 1000),
    misc_select=st.integers(0, 0xFFFFFFFF),
    misc_select_mask=st.integers(0, 0xFFFFFFFF),
    attributes=st.binary(min_size=16, max_size=16),
    attributes_mask=st.binary(min_size=16, max_size=16),
    mr_signer=st.binary(min_size=32, max_size=32),
    isv_prod_id=st.integers(0, 0xFFFF),
    levels=st.lists(level, min_size=1, max_size=3, unique_by=lambda item: item.isv_svn).map(tuple),
)


@settings(deadline=None)
@given(identities)
def test_what_is_written_is_read_back(value: QeIdentity) -> None:
    assert QeIdentity.from_bytes(value.to_bytes()) == value


@pytest.mark.parametrize("path", PATHS)
def test_every_captured_identity_is_read(path: str) -> None:
    identity = QeIdentity.from_bytes(BODIES[path])
    assert identity.to_bytes().lower() == BODIES[path].lower()
    assert identity.misc_select_mask == 0xFFFFFFFF


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200) | damaged(list(BODIES.values())))
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    try:
        identity = QeIdentity.from_bytes(data)
    except MalformedCollateral:
        return
    assert QeIdentity.from_bytes(identity.to_bytes()) == identity


@pytest.mark.parametrize(
    "field",
    [
        b'"id"',
        b'"version"',
        b'"issueDate"',
        b'"nextUpdate"',
        b'"tcbEvaluationDataNumber"',
        b'"miscselect"',
        b'"miscselectMask"',
        b'"attributes"',
        b'"attributesMask"',
        b'"mrsigner"',
        b'"isvprodid"',
        b'"tcbLevels"',
        b'"isvsvn"',
        b'"tcbDate"',
        b'"tcbStatus"',
    ],
)
def test_each_field_is_needed(field: bytes) -> None:
    assert field in REAL
    with pytest.raises(MalformedCollateral):
        QeIdentity.from_bytes(REAL.replace(field, b'"x"', 1))


def test_an_empty_signer_another_version_and_odd_levels_are_malformed() -> None:
    identity = QeIdentity.from_bytes(REAL)
    for data in (
        REAL.replace(identity.mr_signer.hex().upper().encode(), b""),
        REAL.replace(b'"version":2', b'"version":3'),
        replace(identity, levels=()).to_bytes(),
        replace(identity, levels=(identity.levels[0], identity.levels[0])).to_bytes(),
    ):
        assert data != REAL
        with pytest.raises(MalformedCollateral):
            QeIdentity.from_bytes(data)


NEGATIVE = sorted(path.name for path in VECTORS.glob("sgx/openenclave/negative/qeidentity-*.json"))


@pytest.mark.parametrize("name", NEGATIVE)
def test_open_enclaves_hand_made_identities(name: str) -> None:
    data = read(f"sgx/openenclave/negative/{name}")
    if name.endswith("_ok.json") or "with_advisoryids" in name:
        QeIdentity.from_bytes(SignedJson.from_bytes(data, name="enclaveIdentity").body)
        return
    with pytest.raises(MalformedCollateral):
        QeIdentity.from_bytes(SignedJson.from_bytes(data, name="enclaveIdentity").body)


@pytest.mark.parametrize("status", sorted(set(LEVEL_STATUSES) - set(ENCLAVE_STATUSES)))
def test_a_status_of_platforms_is_none_of_an_enclave(status: str) -> None:
    body = REAL.replace(b'"tcbStatus":"UpToDate"', f'"tcbStatus":"{status}"'.encode())
    assert body != REAL
    with pytest.raises(MalformedCollateral, match="is of platforms, not of enclaves"):
        QeIdentity.from_bytes(body)
