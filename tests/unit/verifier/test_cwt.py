from __future__ import annotations

from datetime import timedelta

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import damaged
from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, MalformedToken
from strongroom.base.findings import Check
from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.crypto.eddsa import EddsaPrivateKey
from strongroom.testing.intel_pki import AT
from strongroom.verifier import ANY
from strongroom.verifier.cwt import TYPE, open_sign1, sign_cwt, sign_sign1, verify_cwt
from strongroom.verifier.eat import Ear
from strongroom.verifier.token_keys import Algorithm, IssuerKey, PinnedKey
from tokens import EDDSA, ES256, KEYS, NONCE, ear, ears

# RFC 8392 appendix A.2.3 (key) and A.3 (signed CWT)
A3 = bytes.fromhex(
    "d28443a10126a104524173796d6d657472696345434453413235365850a70175636f61703a2f2f61732e6578616d706c652e636f6d"
    "02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610d9f0"
    "07420b7158405427c1ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd08c8d4d4f96131680c429a01f859"
    "51ecee743a52b9b63632c57209120e1c9e30"
)
A3_KEY = PinnedKey(
    algorithm=Algorithm.ES256,
    public=bytes.fromhex(
        "143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f"
        "60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9"
    ),
)
# the COSE working group's examples: the key named "11", its vectors sign1-tests/*.json
KEY_11 = IssuerKey(
    EcdsaPrivateKey.from_scalar(
        (int("57c92077664146e876760c9520d054aa93c3afb04e306705db6090308507b4d3", 16) - 1).to_bytes(32, "big")
    )
)
CONTENT = b"This is the content."
GOOD = "EAE868ECC176883766C5DC5BA5B8DCA25DAB3C2E56A551CE5705B793914348E1"
S1 = GOOD + "9F43D6C6BA654472DA301B645B293C9BA939295B97C4BDB847782BFF384C5794"
# eddsa-examples/eddsa-sig-01.json: alg and content type 0 protected, kid 11; key of RFC 8032 test 1
EDDSA_01 = bytes.fromhex(
    "D28445A201270300A10442313154546869732069732074686520636F6E74656E742E58407142FD2FF96D56DB85BEE905A76BA1D0"
    "B7321A95C8C4D3607C5781932B7AFB8711497DFA751BF40B58B3BCC32300B1487F3DB34085EEF013BF08F4A44D6FEF0D"
)
EDDSA_01_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")


def verify(token: bytes, key: PinnedKey, **terms: object) -> Ear:
    return verify_cwt(token, key, **{"at": AT, "maximum_age": ANY, "nonce": NONCE, **terms})


def signed(key: IssuerKey, protected: object, *, unprotected: object = None, payload: bytes | None = None) -> bytes:
    """Sign with the right key whatever headers and payload, as another encoder writes them."""
    header = protected if isinstance(protected, bytes) else cbor2.dumps(protected, canonical=True)
    body = canonical.encode(ear().to_cbor_claims()) if payload is None else payload
    signature = key.sign(cbor2.dumps(["Signature1", header, b"", body]))
    return cbor2.dumps(cbor2.CBORTag(18, [header, {} if unprotected is None else unprotected, body, signature]))


def good(key: IssuerKey) -> dict[int, object]:
    return {1: key.algorithm.cose, 16: TYPE}


def test_the_vector_of_rfc_8392() -> None:
    payload, findings = open_sign1(A3, A3_KEY, typ=None)
    assert not findings
    assert cbor2.loads(payload)[1] == "coap://as.example.com"


def test_the_vectors_of_the_cose_working_group() -> None:
    sign_pass = bytes.fromhex("D28443A10126A10442313154546869732069732074686520636F6E74656E742E5840" + S1)
    assert open_sign1(sign_pass, KEY_11.pinned, typ=None) == (CONTENT, [])
    changed = sign_pass.replace(b"content.", b"content/")  # sign-fail-02
    assert [item.section for item in open_sign1(changed, KEY_11.pinned, typ=None)[1]] == ["attestation-results 3.2.4"]
    # sign-fail-03: another algorithm
    other = bytes.fromhex("D28445A1013903E6A10442313154546869732069732074686520636F6E74656E742E5840" + S1)
    assert len(open_sign1(other, KEY_11.pinned, typ=None)[1]) == 2
    # sign-pass-01: the algorithm is not protected, which is not taken here
    bare = bytes.fromhex(
        "D28441A0A201260442313154546869732069732074686520636F6E74656E742E5840"
        + GOOD
        + "1A02E5F0344BF2D4EE5C7FD75A68A9F5E0B3CC1F1FC1409C189566586FF9D610"
    )
    with pytest.raises(MalformedToken, match="unprotected"):
        open_sign1(bare, KEY_11.pinned, typ=None)


def test_the_eddsa_vector_of_the_cose_working_group_byte_for_byte() -> None:
    key = IssuerKey(EddsaPrivateKey.from_seed(EDDSA_01_SEED))
    header, unprotected, payload, signature = cbor2.loads(EDDSA_01).value
    assert key.sign(cbor2.dumps(["Signature1", header, b"", payload])) == signature
    ours = sign_sign1(CONTENT, key, protected={1: -8, 3: 0})
    assert ours == cbor2.dumps(cbor2.CBORTag(18, [header, {}, payload, signature]))
    assert unprotected == {4: b"11"}
    with pytest.raises(MalformedToken, match="nothing else"):  # a content type says what we do not ask
        open_sign1(EDDSA_01, key.pinned, typ=None)


@pytest.mark.parametrize("key", KEYS)
def test_a_result_reads_back_under_the_pinned_key_and_in_another_decoder(key: IssuerKey) -> None:
    token = sign_cwt(ear(), key)
    assert verify(token, key.pinned) == ear()
    decoded = cbor2.loads(token)
    assert decoded.tag == 18
    header, unprotected, payload, signature = decoded.value
    assert cbor2.loads(header) == good(key)
    assert unprotected == {}
    assert cbor2.loads(payload) == ear().to_cbor_claims()
    assert key.pinned.signed(cbor2.dumps(["Signature1", header, b"", payload]), signature)
    assert cbor2.dumps(decoded) == token


@settings(deadline=None, max_examples=50)
@given(ears(), st.sampled_from(KEYS))
def test_any_result_reads_back(claims: Ear, key: IssuerKey) -> None:
    payload, findings = open_sign1(sign_cwt(claims, key), key.pinned, typ=TYPE)
    assert not findings
    assert Ear.from_cbor_claims(cbor2.loads(payload)) == claims


def refused(token: bytes, key: PinnedKey, **terms: object) -> list[tuple[Check, str]]:
    with pytest.raises(AppraisalRefused) as refusal:
        verify(token, key, **terms)
    return [(item.check, item.section.removeprefix("attestation-results ")) for item in refusal.value.findings]


def test_the_key_chooses_the_algorithm_and_not_the_token() -> None:
    both = [(Check.SIGNATURE, "3.2.3"), (Check.SIGNATURE, "3.2.4")]
    assert refused(sign_cwt(ear(), ES256), EDDSA.pinned) == both
    assert refused(sign_cwt(ear(), EDDSA), ES256.pinned) == both


@pytest.mark.parametrize("alg", [-8, -35, -19, -9, 5, 0, 26, "ES256", None, True, [-7]])
def test_a_token_that_names_another_algorithm_is_refused_though_its_signature_is_good(alg: object) -> None:
    assert refused(signed(ES256, {1: alg, 16: TYPE}), ES256.pinned) == [(Check.SIGNATURE, "3.2.3")]


def test_no_algorithm_is_refused() -> None:
    assert refused(signed(ES256, {16: TYPE}), ES256.pinned) == [(Check.SIGNATURE, "3.2.3")]


@pytest.mark.parametrize("key", KEYS)
def test_another_key_of_the_same_kind_is_refused(key: IssuerKey) -> None:
    other = IssuerKey(type(key.private).generate())
    assert refused(sign_cwt(ear(), other), key.pinned) == [(Check.SIGNATURE, "3.2.4")]


@pytest.mark.parametrize(
    "more", [{2: [1]}, {3: 0}, {5: b""}, {33: b"x5chain"}, {34: []}, {35: "https://attacker.example"}, {-70000: 1}]
)
def test_a_protected_header_that_says_more_is_malformed(more: dict[int, object]) -> None:
    with pytest.raises(MalformedToken, match="nothing else"):
        verify(signed(ES256, {**good(ES256), **more}), ES256.pinned)


@pytest.mark.parametrize("unprotected", [{1: -7}, {16: TYPE}, {33: b"x5chain"}, {2: []}, [], b""])
def test_nothing_but_a_key_id_is_unprotected(unprotected: object) -> None:
    with pytest.raises(MalformedToken, match="unprotected"):
        verify(signed(ES256, good(ES256), unprotected=unprotected), ES256.pinned)


def test_a_key_id_is_neither_used_nor_in_the_way() -> None:
    assert verify(signed(ES256, good(ES256), unprotected={4: b"11"}), ES256.pinned) == ear()


@pytest.mark.parametrize("typ", ["application/cwt", "eat+cwt", 263, None])
def test_another_type_of_token_is_malformed(typ: object) -> None:
    header = {1: -7} if typ is None else {1: -7, 16: typ}
    with pytest.raises(MalformedToken, match="type"):
        verify(signed(ES256, header), ES256.pinned)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + b"\x00",
        lambda token: token[1:],  # untagged
        lambda token: b"\xd8\x3d" + token,  # tagged as a CWT too
        lambda token: b"\xd8\x12" + token[1:],  # tag 18 in two bytes
        lambda token: b"\xd8\x62" + token[1:],  # COSE_Sign
        lambda token: token[:-1],
        lambda token: b"",
        lambda token: b"\xd2",
        lambda token: b"\xd2\x9f" + token[2:] + b"\xff",  # a list without its length
        lambda token: b"\xd2\x85" + token[2:] + b"\x00",
        lambda token: b"\xd2" + bytes(70_000),
    ],
)
def test_another_form_of_the_token_is_malformed(change: object) -> None:
    with pytest.raises(MalformedToken):
        verify(change(sign_cwt(ear(), ES256)), ES256.pinned)


def test_a_key_twice_in_header_or_claims_is_malformed() -> None:
    twice = bytes.fromhex("a3 01 27 01 26 10".replace(" ", "")) + cbor2.dumps(TYPE)
    with pytest.raises(MalformedToken, match="repeated"):
        verify(signed(ES256, twice), ES256.pinned)
    claims = canonical.encode(ear().to_cbor_claims())
    with pytest.raises(MalformedToken, match="repeated"):
        verify(signed(ES256, good(ES256), payload=bytes((claims[0] + 1,)) + b"\x04\x00" + claims[1:]), ES256.pinned)


def test_a_header_that_is_no_map_is_malformed() -> None:
    for header in (b"", cbor2.dumps([1, -7]), cbor2.dumps(-7), b"\xa1\x01\x26\x00"):
        with pytest.raises(MalformedToken):
            verify(signed(ES256, header), ES256.pinned)


def test_a_detached_payload_is_malformed() -> None:
    header = cbor2.dumps(good(ES256))
    with pytest.raises(MalformedToken):
        verify(cbor2.dumps(cbor2.CBORTag(18, [header, {}, None, bytes(64)])), ES256.pinned)


def test_a_statement_for_another_context_is_refused() -> None:
    header, body = cbor2.dumps(good(ES256)), canonical.encode(ear().to_cbor_claims())
    for context in (["Signature", header, b"", body], ["Signature1", header, b"x", body]):
        token = cbor2.CBORTag(18, [header, {}, body, ES256.sign(cbor2.dumps(context))])
        assert refused(cbor2.dumps(token), ES256.pinned) == [(Check.SIGNATURE, "3.2.4")]


def test_times_and_nonce_are_judged() -> None:
    token = sign_cwt(ear(), EDDSA)
    assert refused(token, EDDSA.pinned, at=AT + timedelta(hours=1), nonce=b"another one") == [
        (Check.EXPIRY, "3.3.2"),
        (Check.FRESHNESS, "3.3.4"),
    ]
    assert refused(token, EDDSA.pinned, at=AT - timedelta(hours=1)) == [(Check.EXPIRY, "3.3.1")]


TOKENS = [sign_cwt(ear(), key) for key in KEYS]


@settings(deadline=None, max_examples=200)
@given(damaged(TOKENS), st.sampled_from(KEYS))
def test_a_damaged_token_is_refused_or_malformed(token: bytes, key: IssuerKey) -> None:
    if token in TOKENS:
        return
    with pytest.raises((MalformedToken, AppraisalRefused)):
        verify(token, key.pinned)


@settings(deadline=None)
@given(st.binary(max_size=200).map(lambda data: b"\xd2" + data) | st.binary(max_size=100))
def test_any_bytes_are_malformed_or_refused(data: bytes) -> None:
    with pytest.raises((MalformedToken, AppraisalRefused)):
        verify(data, EDDSA.pinned)
