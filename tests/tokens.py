"""Attestation results and keys for the tests of tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.crypto.eddsa import EddsaPrivateKey
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.verifier import appraise
from strongroom.verifier.eat import Ear, VerifierId, ear_of_result
from strongroom.verifier.token_keys import IssuerKey
from strongroom.verifier.trustworthiness import Tier, TrustworthinessVector

NONCE = b"sixteen bytes of"
VERIFIER = VerifierId(developer="https://verifier.example", build="strongroom 0.1.0")
ES256 = IssuerKey(EcdsaPrivateKey.from_scalar(bytes(31) + b"\x07"))
EDDSA = IssuerKey(EddsaPrivateKey.from_seed(bytes(31) + b"\x07"))
KEYS = [ES256, EDDSA]


PKI = IntelPki()
POLICY = PKI.policy()
RESULT = appraise(PKI.quote().to_bytes(), PKI.collateral(), POLICY, at=AT)


def ear(nonce: bytes | None = NONCE) -> Ear:
    return ear_of_result(RESULT, POLICY, verifier=VERIFIER, at=AT, lifetime=timedelta(hours=1), nonce=nonce)


texts = st.text(st.characters(codec="utf-8"), max_size=12)
vectors = st.builds(
    TrustworthinessVector, hardware=st.integers(-128, 127), executables=st.integers(-128, 127), sourced_data=st.just(2)
)
instants = st.integers(0, 253_402_300_799).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
details = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@st.composite
def ears(draw: st.DrawFn) -> Ear:
    vector = draw(vectors)
    return Ear(
        verifier=VerifierId(developer=draw(texts), build=draw(texts)),
        issued_at=draw(instants),
        expires_at=draw(instants),
        nonce=draw(st.none() | st.binary(min_size=8, max_size=64)),
        attester=draw(st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)),
        status=max(vector.tier, draw(st.sampled_from(Tier))),
        vector=vector,
        policy_ids=tuple(draw(st.lists(texts, min_size=1, max_size=3))),
        details=draw(details),
    )
