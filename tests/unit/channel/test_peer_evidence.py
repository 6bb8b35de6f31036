"""Evidence of a session's client: accepted for one session, one role and one request, and refused for any other."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attested import AT, IDENTITY, Enclave, findings_of, judge, new_platform, policy
from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, Malformed, MalformedMessage
from strongroom.channel.peer_evidence import ClientClaim, judge_client
from strongroom.channel.server import Batch
from strongroom.crypto.hashing import sha256
from strongroom.formats.client_claims import ClientClaims, ClientRole
from strongroom.formats.instance_certificate import machine_id
from strongroom.formats.measurements import MrEnclave
from strongroom.verifier.binding import batch_leaf

REQUEST = b"a request"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    return new_platform(tmp_path_factory.mktemp("platform") / "state")


@pytest.fixture(scope="module")
def collateral(platform) -> bytes:
    return platform.collateral(AT).to_json()


class Session:
    """Both ends of one channel to an enclave."""

    def __init__(self, enclave: Enclave) -> None:
        exchanges = []

        def respond(hello: bytes) -> bytes:
            exchange = enclave.begin(hello)
            exchanges.append(exchange)
            batch = Batch([exchange.leaf], enclave.identity(AT))
            return exchange.answer(batch.attestation(0, enclave.evidence(batch.report_data)))

        self.client = judge(enclave.terms(), respond).channel
        self.server = exchanges[0].channel()


@pytest.fixture(scope="module")
def sessions(platform) -> tuple[Session, Session]:
    enclave = Enclave(platform)
    return Session(enclave), Session(enclave)


def shown(platform, collateral: bytes, session: Session, **changes: Any) -> bytes:
    code = changes.pop("code", IDENTITY)
    claim = ClientClaim(
        **{"role": ClientRole.INSTANCE, "binder": session.client.client_binder, "context": sha256(REQUEST)} | changes
    )
    return claim.shown(platform.enclave(code).evidence(claim.report_data), collateral)


def judged(evidence: bytes, platform, session: Session, **changes: Any):
    demands = {"role": ClientRole.INSTANCE, "context": sha256(REQUEST), "at": AT, "session": session.server.session}
    return judge_client(
        evidence,
        changes.pop("policy", policy(platform)),
        binder=session.server.client_binder,
        **demands | changes,
    )


def objections(*arguments: Any, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(AppraisalRefused) as refused:
        judged(*arguments, **options)
    return findings_of(refused.value)


def test_both_ends_have_one_binder_and_it_is_not_the_servers(sessions) -> None:
    here, other = sessions
    assert here.client.client_binder == here.server.client_binder != other.server.client_binder


def test_a_client_proves_its_code_and_machine_in_this_session(platform, collateral, sessions) -> None:
    here, _ = sessions
    client = judged(shown(platform, collateral, here), platform, here)
    assert client.result.claims.measurement == IDENTITY.mr_enclave
    assert client.machine == machine_id(platform.platform_id)
    assert client.session == here.server.session
    assert client.role is ClientRole.INSTANCE
    assert client.result.simulated


def test_evidence_relayed_from_another_session_is_refused(platform, collateral, sessions) -> None:
    here, other = sessions
    assert objections(shown(platform, collateral, other), platform, here) == [("freshness", "attested-channel 14.3")]


def test_evidence_for_another_role_is_refused(platform, collateral, sessions) -> None:
    here, _ = sessions
    found = objections(shown(platform, collateral, here, role=ClientRole.DEVICE), platform, here)
    assert found == [("key-binding", "attested-channel 14.2"), ("freshness", "attested-channel 14.3")]


def test_evidence_beside_another_request_is_refused(platform, collateral, sessions) -> None:
    here, _ = sessions
    evidence = shown(platform, collateral, here)
    assert objections(evidence, platform, here, context=sha256(b"another")) == [
        ("key-binding", "attested-channel 14.4")
    ]


def test_other_claims_than_the_quoted_ones_are_refused(platform, collateral, sessions) -> None:
    here, _ = sessions
    parts = canonical.decode(shown(platform, collateral, here), path="x", error=Malformed, max_bytes=1 << 20)
    claims = replace(ClientClaims.from_bytes(parts["claims"]), context=sha256(b"another"))
    evidence = canonical.encode(parts | {"claims": claims.to_bytes()})
    found = objections(evidence, platform, here, context=sha256(b"another"))
    assert found == [("key-binding", "attested-channel 14.1")]


def test_the_servers_own_evidence_reflected_is_refused(platform, collateral, sessions) -> None:
    here, _ = sessions
    enclave = Enclave(platform)
    batch = Batch([batch_leaf(here.server.client_binder)], enclave.identity(AT))
    own = batch.attestation(0, enclave.evidence(batch.report_data))
    # with its own claims it is no client's evidence at all
    with pytest.raises(MalformedMessage, match="client claims"):
        judged(
            canonical.encode({"claims": own.claims, "evidence": own.evidence, "collateral": collateral}),
            platform,
            here,
        )
    # with a client's claims its report data does not fit
    claim = ClientClaim(role=ClientRole.INSTANCE, binder=here.client.client_binder, context=sha256(REQUEST))
    assert objections(claim.shown(own.evidence, collateral), platform, here) == [
        ("key-binding", "attested-channel 14.1")
    ]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (replace(IDENTITY, mr_enclave=MrEnclave(b"x" * 32)), ("measurement", "appraisal 8.3")),
        (replace(IDENTITY, debug=True), ("debug", "appraisal 8.2")),
    ],
)
def test_code_that_the_policy_does_not_accept_is_refused(platform, collateral, sessions, code, found) -> None:
    here, _ = sessions
    assert objections(shown(platform, collateral, here, code=code), platform, here) == [found]


@settings(max_examples=50)
@given(data=st.binary(max_size=600))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    try:
        claims = ClientClaims.from_bytes(data)
    except MalformedMessage:
        return
    assert claims.to_bytes() == data


@given(role=st.sampled_from(ClientRole), leaf=st.binary(min_size=32, max_size=32))
def test_claims_come_back_as_they_went(role: ClientRole, leaf: bytes) -> None:
    claims = ClientClaims(role=role, leaf=leaf, context=leaf)
    assert ClientClaims.from_bytes(claims.to_bytes()) == claims
