from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence_vectors import damaged
from strongroom.base.errors import AppraisalRefused, MalformedToken
from strongroom.base.findings import Check
from strongroom.crypto.eddsa import EddsaPrivateKey
from strongroom.testing.intel_pki import AT
from strongroom.verifier import ANY
from strongroom.verifier.eat import Ear, base64url, from_base64url
from strongroom.verifier.jwt import open_jws, sign_jws, sign_jwt, verify_jwt
from strongroom.verifier.token_keys import Algorithm, IssuerKey, PinnedKey
from tokens import EDDSA, ES256, KEYS, NONCE, ear, ears

# RFC 7515 appendix A.3
A3 = (
    b"eyJhbGciOiJFUzI1NiJ9"
    b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    b".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
A3_KEY = PinnedKey(
    algorithm=Algorithm.ES256,
    public=from_base64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", path="x")
    + from_base64url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", path="y"),
)
# RFC 8037 appendix A.4 and A.5
A4 = (
    b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    b".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)
A4_KEY = IssuerKey(EddsaPrivateKey.from_seed(from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", path="d")))


def verify(token: bytes, key: PinnedKey, **terms: object) -> Ear:
    return verify_jwt(token, key, **{"at": AT, "maximum_age": ANY, "nonce": NONCE, **terms})


def signed(key: IssuerKey, header: dict[str, object] | bytes, payload: bytes | None = None) -> bytes:
    """Sign whatever header and payload with the right key."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = json.dumps(ear().to_json_claims()).encode() if payload is None else payload
    parts = f"{base64url(raw)}.{base64url(body)}".encode()
    return parts + b"." + base64url(key.sign(parts)).encode()


def test_the_vector_of_rfc_7515() -> None:
    payload, findings = open_jws(A3, A3_KEY, typ=None)
    assert not findings
    assert payload.startswith(b'{"iss":"joe"')


def test_the_vector_of_rfc_8037() -> None:
    assert open_jws(A4, A4_KEY.pinned, typ=None) == (b"Example of Ed25519 signing", [])
    assert A4_KEY.pinned.public == from_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", path="x")
    signed_part, _, signature = A4.rpartition(b".")
    assert base64url(A4_KEY.sign(signed_part)).encode() == signature


@pytest.mark.parametrize("key", KEYS)
def test_a_result_reads_back_under_the_pinned_key(key: IssuerKey) -> None:
    token = sign_jwt(ear(), key)
    assert verify(token, key.pinned) == ear()
    header = json.loads(from_base64url(token.split(b".")[0].decode(), path="h"))
    assert header == {"alg": key.algorithm.jose, "typ": "eat+jwt"}


@settings(deadline=None, max_examples=50)
@given(ears(), st.sampled_from(KEYS))
def test_any_result_reads_back(claims: Ear, key: IssuerKey) -> None:
    payload, findings = open_jws(sign_jwt(claims, key), key.pinned, typ="eat+jwt")
    assert not findings
    assert Ear.from_json_claims(json.loads(payload)) == claims


def refused(token: bytes, key: PinnedKey, **terms: object) -> list[tuple[Check, str]]:
    with pytest.raises(AppraisalRefused) as refusal:
        verify(token, key, **terms)
    return [(item.check, item.section.removeprefix("attestation-results ")) for item in refusal.value.findings]


@pytest.mark.parametrize("key", KEYS)
def test_another_key_of_the_same_kind_is_refused(key: IssuerKey) -> None:
    other = IssuerKey(type(key.private).generate())
    assert refused(sign_jwt(ear(), other), key.pinned) == [(Check.SIGNATURE, "3.1.4")]


def test_the_key_chooses_the_algorithm_and_not_the_token() -> None:
    both = [(Check.SIGNATURE, "3.1.3"), (Check.SIGNATURE, "3.1.4")]
    assert refused(sign_jwt(ear(), ES256), EDDSA.pinned) == both
    assert refused(sign_jwt(ear(), EDDSA), ES256.pinned) == both


@pytest.mark.parametrize(
    "alg", ["none", "None", "HS256", "ES384", "EdDSA", "Ed25519", "es256", "", None, 256, ["ES256"]]
)
def test_a_token_that_names_another_algorithm_is_refused_though_its_signature_is_good(alg: object) -> None:
    token = signed(ES256, {"alg": alg, "typ": "eat+jwt"})
    assert refused(token, ES256.pinned) == [(Check.SIGNATURE, "3.1.3")]


def test_no_algorithm_is_refused() -> None:
    assert refused(signed(ES256, {"typ": "eat+jwt"}), ES256.pinned) == [(Check.SIGNATURE, "3.1.3")]


def test_no_signature_is_refused() -> None:
    header = base64url(b'{"alg":"none","typ":"eat+jwt"}').encode()
    token = header + b"." + sign_jwt(ear(), ES256).split(b".")[1] + b"."
    assert refused(token, ES256.pinned) == [(Check.SIGNATURE, "3.1.3"), (Check.SIGNATURE, "3.1.4")]


def test_the_public_key_is_no_secret_of_hmac() -> None:
    import hashlib
    import hmac

    parts = sign_jwt(ear(), ES256).split(b".")
    forged = base64url(b'{"alg":"HS256","typ":"eat+jwt"}').encode() + b"." + parts[1]
    mac = hmac.digest(ES256.pinned.public, forged, hashlib.sha256)
    assert refused(forged + b"." + base64url(mac).encode(), ES256.pinned)


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["b64"]},
        {"crit": []},
        {"b64": False},
        {"jwk": {"kty": "EC"}},
        {"jku": "https://attacker.example/keys"},
        {"x5c": []},
        {"x5u": "https://attacker.example/chain"},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"cty": "JWT"},
        {"unheard-of": 1},
    ],
)
def test_a_header_that_says_more_is_malformed(more: dict[str, object]) -> None:
    with pytest.raises(MalformedToken, match="header"):
        verify(signed(ES256, {"alg": "ES256", "typ": "eat+jwt", **more}), ES256.pinned)


def test_a_key_id_is_neither_used_nor_in_the_way() -> None:
    assert verify(signed(ES256, {"alg": "ES256", "typ": "eat+jwt", "kid": "../../etc"}), ES256.pinned) == ear()


@pytest.mark.parametrize("typ", ["JWT", "eat+cwt", "EAT+JWT", "application/eat+jwt", None])
def test_another_type_of_token_is_malformed(typ: str | None) -> None:
    header = {"alg": "ES256"} if typ is None else {"alg": "ES256", "typ": typ}
    with pytest.raises(MalformedToken, match="typ"):
        verify(signed(ES256, header), ES256.pinned)


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none","alg":"ES256","typ":"eat+jwt"}',
        b'{"alg":"ES256","typ":"JWT","typ":"eat+jwt"}',
        b'{"alg":"ES256","typ":"eat+jwt"} x',
        b'["ES256"]',
        b'"ES256"',
        b"",
        b"\xff",
        b'\xef\xbb\xbf{"alg":"ES256","typ":"eat+jwt"}',
        '{"alg":"ES256","typ":"eat+jwt"}'.encode("utf-16"),
    ],
)
def test_a_header_that_is_not_one_object_with_each_key_once_is_malformed(header: bytes) -> None:
    with pytest.raises(MalformedToken):
        verify(signed(ES256, header), ES256.pinned)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"iat":', '"iat":1,"iat":', 1),
        lambda text: text.replace('"ear_status":', '"ear_status":"affirming","ear_status":', 1),
        lambda text: text.replace('"hardware":2', '"hardware":2.0', 1),
        lambda text: text.replace('"hardware":2', '"hardware":NaN', 1),
        lambda text: text.replace('"hardware":2', '"hardware":2e0', 1),
        lambda text: text + "{}",
        lambda text: text + "\x00",
        lambda text: text[:-1],
    ],
)
def test_claims_are_read_strictly(change: object) -> None:
    text = json.dumps(ear().to_json_claims(), separators=(",", ":"))
    assert change(text) != text
    with pytest.raises(MalformedToken):
        verify(signed(ES256, {"alg": "ES256", "typ": "eat+jwt"}, change(text).encode()), ES256.pinned)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + b"=",
        lambda token: token + b"\n",
        lambda token: token + b".",
        lambda token: token + b".AAAA",
        lambda token: b" " + token,
        lambda token: token.replace(b".", b"=.", 1),
        lambda token: token.replace(b".", b"..", 1),
        lambda token: token.rpartition(b".")[0],
        lambda token: b"",
        lambda token: b"..",
        lambda token: token + b"\xc3\xa9",
        lambda token: b"A" * 70_000,
        lambda token: json.dumps({"payload": "", "signatures": []}).encode(),
    ],
)
def test_another_form_of_the_token_is_malformed(change: object) -> None:
    with pytest.raises(MalformedToken):
        verify(change(sign_jwt(ear(), ES256)), ES256.pinned)


def test_a_signature_of_another_length_or_out_of_range_is_refused() -> None:
    token = sign_jwt(ear(), ES256).rpartition(b".")[0]
    for signature in (b"", bytes(63), bytes(64), b"\xff" * 64, bytes(65)):
        assert refused(token + b"." + base64url(signature).encode(), ES256.pinned) == [(Check.SIGNATURE, "3.1.4")]


def test_times_and_nonce_are_judged_and_all_objections_given() -> None:
    token = sign_jwt(ear(), EDDSA)
    late = AT + timedelta(hours=2)
    assert refused(token, EDDSA.pinned, at=late, maximum_age=timedelta(minutes=1), nonce=b"another one") == [
        (Check.EXPIRY, "3.3.2"),
        (Check.FRESHNESS, "3.3.3"),
        (Check.FRESHNESS, "3.3.4"),
    ]
    assert refused(token, EDDSA.pinned, at=AT - timedelta(hours=1)) == [(Check.EXPIRY, "3.3.1")]


def test_claims_that_nobody_signed_are_not_even_read() -> None:
    header, _, signature = sign_jwt(ear(), ES256).split(b".")
    assert refused(b".".join((header, base64url(b"not JSON").encode(), signature)), ES256.pinned)


TOKENS = [sign_jwt(ear(), key) for key in KEYS]


@settings(deadline=None, max_examples=200)
@given(damaged(TOKENS), st.sampled_from(KEYS))
def test_a_damaged_token_is_refused_or_malformed(token: bytes, key: IssuerKey) -> None:
    if token in TOKENS:
        return
    with pytest.raises((MalformedToken, AppraisalRefused)):
        verify(token, key.pinned)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.from_regex(rb"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_any_bytes_are_malformed_or_refused(data: bytes) -> None:
    with pytest.raises((MalformedToken, AppraisalRefused)):
        verify(data, EDDSA.pinned)


def test_any_signed_payload_is_a_result_or_malformed() -> None:
    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=60))
    def run(payload: bytes) -> None:
        with pytest.raises(MalformedToken):
            verify(sign_jws(payload, EDDSA, typ="eat+jwt"), EDDSA.pinned)

    run()


@pytest.mark.parametrize(
    ("algorithm", "public"),
    [(Algorithm.ES256, bytes(64)), (Algorithm.ES256, bytes(32)), (Algorithm.EDDSA, bytes(64)), (Algorithm.EDDSA, b"")],
)
def test_a_pinned_key_is_one_of_its_algorithm(algorithm: Algorithm, public: bytes) -> None:
    with pytest.raises(ValueError, match="not a public key"):
        PinnedKey(algorithm=algorithm, public=public)


@pytest.mark.parametrize("key", KEYS)
def test_an_issuer_s_key_reads_from_pem(key: IssuerKey) -> None:
    assert IssuerKey.from_pem(key.private.to_pem()).pinned == key.pinned


def test_another_kind_of_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match=r"."):
        IssuerKey.from_pem(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")
