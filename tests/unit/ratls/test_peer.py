"""Appraisal of certificates: what another implementation makes is accepted, and each fault is its own finding."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import strongroom
from attested import AT, IDENTITY, findings_of, new_platform, policy
from ratls_second import DICE, GRAMINE, Plan, raw_map, verify
from strongroom.attesters.simulated import EnclaveIdentity, SimulatedPlatform
from strongroom.base.errors import AppraisalRefused, MalformedCollateral, MalformedQuote
from strongroom.crypto.certificates import parse_pem_chain, pem
from strongroom.crypto.hashing import sha256
from strongroom.formats.collateral import Collateral
from strongroom.formats.measurements import MrEnclave
from strongroom.formats.tagged_evidence import EvidenceClaims, TaggedEvidence
from strongroom.ratls.binding import Profile, attest_key
from strongroom.ratls.issuing import issue_certificate
from strongroom.ratls.peer import CAVEAT, KeyBoundPeer, RaTlsTerms, appraise_certificate
from strongroom.verifier.binding import AttestedPeer
from strongroom.verifier.policy import ANY

HOUR = timedelta(hours=1)
GRAMINES_OWN_FORM = bytes.fromhex("06092a864886f84d8a3906")


class World:
    """A platform, an enclave on it, and a client's terms for that enclave."""

    def __init__(self, directory: Path) -> None:
        self.platform: SimulatedPlatform = new_platform(directory)
        self.attester = self.platform.enclave(IDENTITY)
        self.collateral: Collateral = self.platform.collateral(AT)
        self.terms = RaTlsTerms(
            policy=policy(self.platform),
            maximum_lifetime=timedelta(days=1),
            accept_older_gramine=False,
            accept_unknown_claims=False,
        )

    def plan(self, **changes: Any) -> Plan:
        return Plan(quote=self.attester.evidence, at=AT, **changes)

    def judge(
        self, der: bytes, *, evidence: bytes | None = None, host: str | None = None, **changes: Any
    ) -> KeyBoundPeer:
        terms = replace(self.terms, **changes)
        return appraise_certificate(der, self.collateral, terms, at=AT, host=host, evidence=evidence)

    def objections(self, der: bytes, **changes: Any) -> list[tuple[str, str]]:
        with pytest.raises(AppraisalRefused) as refused:
            self.judge(der, **changes)
        return findings_of(refused.value)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("platform"))


@pytest.mark.parametrize(
    ("key", "number"),
    [
        (ec.generate_private_key(ec.SECP256R1()), 1),
        (ec.generate_private_key(ec.SECP384R1()), 7),
        (rsa.generate_private_key(65537, 3072), 8),
    ],
)
def test_a_certificate_of_the_second_implementation_is_accepted(world: World, key: Any, number: int) -> None:
    plan = world.plan(key=key, hash_number=number)
    peer = world.judge(plan.der())
    assert peer.profile is Profile.TAGGED_EVIDENCE
    assert peer.public_key_hash == sha256(plan.spki)
    assert peer.result.claims.mr_enclave == IDENTITY.mr_enclave
    assert peer.expires_at == AT - timedelta(minutes=1) + HOUR
    assert not peer.certified


def test_our_certificate_is_accepted_by_the_second_implementation(world: World) -> None:
    certificate = issue_certificate(world.attester, at=AT, names=["a.example"])
    seen = verify(certificate.chain[0])
    assert set(seen["claims"]) == {"pubkey-hash"}
    assert seen["lifetime"] <= timedelta(hours=5)
    assert cbor2.loads(certificate.evidence).value[0] == seen["quote"]
    assert world.judge(certificate.chain[0]).nonce is None


def test_a_verdict_says_what_it_does_not_exclude_and_is_no_attested_peer(world: World) -> None:
    peer = world.judge(world.plan().der())
    assert peer.caveat == CAVEAT == "key-bound: safe unless a channel key leaks"
    assert peer.to_json_object()["caveat"] == CAVEAT
    assert peer.to_json_object()["binding"] == "key"
    assert not isinstance(peer, AttestedPeer)


def test_only_one_place_makes_a_key_bound_peer() -> None:
    root = Path(strongroom.__file__).parent
    made = [path.name for path in root.rglob("*.py") if "KeyBoundPeer(\n" in path.read_text()]
    assert made == ["peer.py"]


def test_a_nonce_in_the_claims_is_shown_and_not_judged(world: World) -> None:
    plan = world.plan()
    hashed = cbor2.dumps([1, hashlib.sha256(plan.spki).digest()])
    plan.claims = cbor2.dumps({"pubkey-hash": hashed, "nonce": b"n" * 8})
    assert world.judge(plan.der()).nonce == b"n" * 8


@pytest.mark.parametrize("oids", [[GRAMINE, DICE], [DICE, GRAMINE]])
def test_beside_tagged_evidence_the_older_extension_is_not_looked_at(world: World, oids: Sequence[Any]) -> None:
    der = world.plan(oids=oids).der()
    assert world.judge(der).profile is Profile.TAGGED_EVIDENCE


def test_both_forms_of_the_older_extension_are_read_where_they_are_accepted(world: World) -> None:
    der = world.plan(oids=[GRAMINE]).der()
    assert world.judge(der, accept_older_gramine=True).profile is Profile.OLDER_GRAMINE
    assert world.objections(der) == [("key-binding", "ra-tls 2.3")]
    plan = world.plan(oids=[])
    plan.extra = [("0.6.9.42.840.113741.1337.6", plan.bare(), False)]
    assert GRAMINES_OWN_FORM in plan.der()
    assert world.judge(plan.der(), accept_older_gramine=True).profile is Profile.OLDER_GRAMINE
    plan.oids = [GRAMINE]
    assert world.objections(plan.der(), accept_older_gramine=True) == [("key-binding", "ra-tls 2.2")]


def test_older_gramine_peers_read_our_certificate_too(world: World) -> None:
    certificate = issue_certificate(world.attester, at=AT, for_older_gramine=True)
    der = certificate.chain[0]
    at = der.index(GRAMINES_OWN_FORM) + len(GRAMINES_OWN_FORM)  # it searches for these bytes, then wants 04 82
    assert der[at : at + 2] == b"\x04\x82"
    length = int.from_bytes(der[at + 2 : at + 4], "big")
    quote = der[at + 4 : at + 4 + length]
    assert quote[368:432] == sha256(certificate.key.spki) + bytes(32)


def test_an_unknown_claim_is_accepted_only_when_the_terms_say_so(world: World) -> None:
    plan = world.plan()
    plan.claims = cbor2.dumps({"pubkey-hash": cbor2.dumps([1, sha256(plan.spki)]), "key_0": b"value_0\0"})
    assert world.objections(plan.der()) == [("key-binding", "ra-tls 3.5")]
    assert world.judge(plan.der(), accept_unknown_claims=True).unknown_claims == ("key_0",)


OTHER = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"lifetime": timedelta(seconds=30)}, ("expiry", "ra-tls 1.1")),
        ({"lifetime": timedelta(days=2)}, ("expiry", "ra-tls 1.2")),
        ({"signer": OTHER}, ("signature", "ra-tls 1.3")),
        ({"extra": [("1.2.3.4", b"", True)]}, ("chain", "ra-tls 1.6")),
        ({"oids": []}, ("key-binding", "ra-tls 2.1")),
        ({"claims": cbor2.dumps({})}, ("key-binding", "ra-tls 3.1")),
        ({"hash_number": 2}, ("key-binding", "ra-tls 3.3")),
        ({"hash_number": 7, "hashed_key": bytes(48)}, ("key-binding", "ra-tls 3.4")),
        ({"hashed_key": bytes(32)}, ("key-binding", "ra-tls 3.4")),
        ({"hashed_key": b""}, ("key-binding", "ra-tls 3.4")),
        ({"report_hash": bytes(32)}, ("key-binding", "ra-tls 4.1")),
        ({"tail": bytes(31) + b"\x01"}, ("key-binding", "ra-tls 4.2")),
    ],
)
def test_each_fault_is_a_finding_of_its_own(world: World, changes: dict[str, Any], finding: tuple[str, str]) -> None:
    if "hashed_key" in changes and not changes["hashed_key"]:
        plan = world.plan()
        plan.claims = cbor2.dumps({"pubkey-hash": cbor2.dumps([1, b""])})
    else:
        plan = world.plan(**changes)
    assert world.objections(plan.der()) == [finding]


def test_a_certificate_that_is_not_valid_yet_is_refused(world: World) -> None:
    plan = world.plan()
    plan.at = AT + timedelta(minutes=2)
    assert world.objections(plan.der()) == [("expiry", "ra-tls 1.1")]


def test_any_lifetime_is_taken_only_when_it_is_spelled_out(world: World) -> None:
    der = world.plan(lifetime=timedelta(days=3650)).der()
    assert world.judge(der, maximum_lifetime=ANY).not_after > AT + timedelta(days=3000)


@pytest.mark.parametrize("second_is_right", [True, False])
def test_a_public_key_named_twice_is_refused_even_where_both_are_right(world: World, second_is_right: bool) -> None:
    plan = world.plan()
    right = cbor2.dumps([1, sha256(plan.spki)])
    plan.claims = raw_map(("pubkey-hash", right), ("pubkey-hash", right if second_is_right else cbor2.dumps([1, b"x"])))
    expected = [("key-binding", "ra-tls 3.2")] + ([] if second_is_right else [("key-binding", "ra-tls 3.4")])
    assert world.objections(plan.der()) == expected


def test_a_nonce_named_twice_is_refused(world: World) -> None:
    plan = world.plan()
    right = cbor2.dumps([1, sha256(plan.spki)])
    plan.claims = raw_map(("nonce", b"a"), ("pubkey-hash", right), ("nonce", b"b"))
    assert world.objections(plan.der()) == [("key-binding", "ra-tls 3.6")]


def test_two_evidence_extensions_are_refused_even_where_both_are_right(world: World) -> None:
    der = world.plan().der()
    assert world.objections(with_extension_twice(der, DICE.dotted_string)) == [
        ("signature", "ra-tls 1.3"),
        ("key-binding", "ra-tls 2.2"),
    ]


def test_another_extension_twice_is_refused(world: World) -> None:
    der = world.plan(extra=[("1.2.3.4", b"x", False)]).der()
    assert world.objections(with_extension_twice(der, "1.2.3.4")) == [
        ("signature", "ra-tls 1.3"),
        ("chain", "ra-tls 1.7"),
    ]


def test_evidence_inside_another_extension_is_no_evidence(world: World) -> None:
    """A search for the identifier's bytes would find this, as it does in Gramine."""
    plan = world.plan()
    inner = bytes.fromhex("0606678105050409") + b"\x04\x82" + len(plan.tagged()).to_bytes(2, "big") + plan.tagged()
    plan.oids, plan.extra = [], [("1.2.3.4", inner, False)]
    assert world.objections(plan.der()) == [("key-binding", "ra-tls 2.1")]
    plan.oids = [DICE]
    plan.evidence = lambda right: right
    assert world.judge(plan.der()).profile is Profile.TAGGED_EVIDENCE


def test_everything_that_is_wrong_is_listed_at_once(world: World) -> None:
    other = EnclaveIdentity(mr_enclave=MrEnclave(b"x" * 32), mr_signer=IDENTITY.mr_signer, isv_prod_id=1, isv_svn=2)
    plan = Plan(
        quote=world.platform.enclave(other).evidence,
        at=AT,
        signer=OTHER,
        lifetime=timedelta(days=9),
        tail=b"t" * 32,
        hashed_key=bytes(32),
    )
    assert world.objections(plan.der()) == [
        ("expiry", "ra-tls 1.2"),
        ("signature", "ra-tls 1.3"),
        ("key-binding", "ra-tls 3.4"),
        ("key-binding", "ra-tls 4.2"),
        ("measurement", "appraisal 8.3"),
    ]


def test_malformed_tagged_evidence_never_falls_back_to_the_older_extension(world: World) -> None:
    plan = world.plan(oids=[DICE, GRAMINE], evidence=lambda right: right[:-1])
    with pytest.raises(MalformedQuote):
        world.judge(plan.der(), accept_older_gramine=True)


def test_what_cannot_be_read_is_malformed(world: World) -> None:
    with pytest.raises(MalformedCollateral):
        world.judge(b"no certificate")
    with pytest.raises(MalformedQuote):
        world.judge(world.plan(evidence=lambda right: b"").der())
    plan = world.plan(oids=[], extra=[(GRAMINE.dotted_string, b"no quote", False)])
    with pytest.raises(MalformedQuote):
        world.judge(plan.der(), accept_older_gramine=True)


def test_evidence_too_large_to_be_read_is_malformed(world: World) -> None:
    plan = world.plan(oids=[], extra=[(GRAMINE.dotted_string, bytes(48 * 1024 + 1), False)])
    with pytest.raises(MalformedQuote, match="at most"):
        world.judge(plan.der(), accept_older_gramine=True)


def test_ordinary_certificates_need_the_pinned_authority_the_right_name_and_evidence_beside_them(world: World) -> None:
    authority, server, stranger = world.plan(), world.plan(oids=[]), world.plan()
    server.signer = authority.key
    server.extra = [
        ("2.5.29.17", bytes.fromhex("300f8209612e6578616d706c6587027f01"), False)
    ]  # a.example, half an address
    beside = {"evidence": server.tagged(), "host": "a.example", "authority": authority.der()}
    assert world.judge(server.der(), **beside).certified
    without = {**beside, "evidence": None}
    assert world.objections(server.der(), **without) == [("key-binding", "ra-tls 2.1")]
    elsewhere = {**beside, "host": "b.example"}
    assert world.objections(server.der(), **elsewhere) == [("deployment", "ra-tls 1.8")]
    nowhere = {**beside, "host": None}
    assert world.objections(server.der(), **nowhere) == [("deployment", "ra-tls 1.8")]
    of_another = {**beside, "authority": stranger.der()}
    assert world.objections(server.der(), **of_another) == [("chain", "ra-tls 1.4")]
    of_another_key = {**beside, "evidence": stranger.tagged()}
    assert world.objections(server.der(), **of_another_key) == [("key-binding", "ra-tls 3.4")]
    assert world.objections(server.der()) == [("signature", "ra-tls 1.3"), ("key-binding", "ra-tls 2.1")]
    authority.lifetime = timedelta(seconds=30)
    ended = {**beside, "authority": authority.der()}
    assert world.objections(server.der(), **ended) == [("expiry", "ra-tls 1.5")]


def test_evidence_with_a_nonce_is_made_as_it_is_read(world: World) -> None:
    tagged = TaggedEvidence.from_bytes(attest_key(world.attester, b"key", nonce=b"n" * 32))
    claims = EvidenceClaims.from_bytes(tagged.claims)
    assert claims.named("nonce") == (b"n" * 32,)
    assert cbor2.loads(claims.named("pubkey-hash")[0]) == [1, sha256(b"key")]


def test_a_certificate_lives_for_a_day_at_most(world: World) -> None:
    for lifetime in (timedelta(0), timedelta(hours=25)):
        with pytest.raises(ValueError, match="lives at most"):
            issue_certificate(world.attester, at=AT, lifetime=lifetime)


def with_extension_twice(der_bytes: bytes, dotted: str) -> bytes:
    """Repeat an extension by hand, as the library would refuse to; the signature is spoiled by it."""
    from strongroom.crypto import der
    from strongroom.crypto.der import DerReader

    assert parse_pem_chain(pem([der_bytes]), path="")
    outer = DerReader(der_bytes, path="", error=MalformedCollateral).enter(der.SEQUENCE, "certificate")
    tbs = outer.enter(der.SEQUENCE, "tbs")
    rest = b"".join(outer.take_whole(tag, "rest") for tag in (0x30, 0x03))
    parts = []
    while tbs.next_tag() not in (None, 0xA3):
        parts.append(tbs.take_whole(tbs.next_tag() or 0, "part"))
    sequence = tbs.enter(0xA3, "extensions").enter(der.SEQUENCE, "extensions")
    extensions = []
    while sequence.remaining:
        one = sequence.take_whole(der.SEQUENCE, "extension")
        extensions += [one, one] if der.element(der.OBJECT_IDENTIFIER, der.oid(dotted)) in one[:20] else [one]
    whole = der.element(der.SEQUENCE, *parts, der.element(0xA3, der.element(der.SEQUENCE, *extensions)))
    return der.element(der.SEQUENCE, whole, rest)
