"""What is fuzzed. The first line of each target's docstring is the invariant that it holds its parser to.

A target takes any bytes. It returns for bytes that are refused in the way that the parser documents, and raises for
everything else: another exception, or an invariant that does not hold.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from strongroom.base import canonical
from strongroom.base.errors import (
    AppraisalRefused,
    Malformed,
    MalformedCollateral,
    MalformedEntry,
    MalformedMessage,
    MalformedQuote,
    MalformedRecord,
    MalformedToken,
    Misconfigured,
    RecordTampered,
)
from strongroom.channel import keyed, messages
from strongroom.channel.bhttp import BinaryRequest, BinaryResponse
from strongroom.crypto.certificates import Certificate, parse_pem_chain
from strongroom.crypto.der import DerReader
from strongroom.crypto.ecdsa import EcdsaPrivateKey
from strongroom.crypto.tls_certificates import PeerCertificate
from strongroom.formats import store_api
from strongroom.formats.claims import Claims
from strongroom.formats.collateral import Collateral
from strongroom.formats.crl import parse_crl
from strongroom.formats.instance_certificate import SignedInstanceCertificate
from strongroom.formats.pck_extension import PCK_EXTENSION_OID, PckExtension
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.quote import parse_quote
from strongroom.formats.remote_appraisal import AppraisalProof, AppraisalRequest
from strongroom.formats.signed_json import SignedJson
from strongroom.formats.tagged_evidence import EvidenceClaims, HashEntry, TaggedEvidence
from strongroom.formats.tcb_info import TcbInfo
from strongroom.records.item import Item
from strongroom.records.keys import VaultKey
from strongroom.records.sealed_record import RecordPlace, open_record
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.testing.tdx_pki import TdxPki
from strongroom.vaultlog.entry import SignedEntry
from strongroom.vaultlog.head import SignedHead
from strongroom.vaultlog.proof import verify_proof
from strongroom.vaultlog.view import View
from strongroom.verifier import ANY, INTEL_SGX_ROOT, Memo, appraise, assess
from strongroom.verifier.cwt import sign_cwt, verify_cwt
from strongroom.verifier.eat import Ear, VerifierId, ear_of_result
from strongroom.verifier.jwt import TYPE, sign_jws, sign_jwt, verify_jwt
from strongroom.verifier.lie import Outcome, check_proof
from strongroom.verifier.policy_file import from_toml, to_toml
from strongroom.verifier.remote import appraise_for
from strongroom.verifier.token_keys import IssuerKey

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TARGETS", "seeds"]

VECTORS: Final = Path(__file__).parents[1] / "tests/vectors"
_VERDICTS: Final[list[dict[str, Any]]] = json.loads((VECTORS / "verdicts.json").read_text())
_SETS: Final = [
    next(item for item in _VERDICTS if mark in item["quote"] and "status" in item)
    for mark in ("sgx_quote-f8b810", "tdx_quote-f1c850", "quote_v5_sample-cf77a6")
]
_FOREVER: Final = timedelta(days=365 * 200)
_KEY: Final = IssuerKey(EcdsaPrivateKey.from_scalar(bytes(31) + b"\x07"))

TARGETS: Final[dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]]] = {}


def seeds(name: str) -> list[bytes]:
    """Give good inputs of one target, from which fuzzing begins."""
    return TARGETS[name][1]()


def target(give: Callable[[], list[bytes]]) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """List a target with its seeds."""

    def note(function: Callable[[bytes], None]) -> Callable[[bytes], None]:
        TARGETS[function.__name__] = (function, give)
        return function

    return note


def _case(verdict: dict[str, Any]) -> tuple[bytes, bytes, datetime]:
    evidence = (VECTORS / verdict["quote"]).read_bytes()
    return evidence, (VECTORS / verdict["collateral"]).read_bytes(), datetime.fromtimestamp(verdict["unix_time"], UTC)


def _pkis() -> list[IntelPki]:
    newer = TdxPki()
    newer.become_td_15()
    return [IntelPki(), TdxPki(), newer]


def _collaterals() -> list[Collateral]:
    return [pki.collateral() for pki in _pkis()]


def _vector(name: str, *paths: str) -> list[bytes]:
    found = []
    for path in paths:
        value: Any = json.loads((VECTORS / f"strongroom/{name}.json").read_text())
        for step in path.split("/"):
            value = value[int(step)] if isinstance(value, list) else value[step]
        found.append(bytes.fromhex(value))
    return found


def _same_again(read: Callable[[bytes], Any], data: bytes, refused: type[Exception]) -> None:
    """Hold a codec of one form to it: what is read is written as the same bytes."""
    try:
        value = read(data)
    except refused:
        return
    assert value.to_bytes() == data


def _same_value(read: Callable[[bytes], Any], data: bytes, refused: type[Exception]) -> None:
    """Hold a reader of several forms to it: what is written is read as the same value."""
    try:
        value = read(data)
    except refused:
        return
    assert read(value.to_bytes()) == value


# Evidence and collateral.


@target(lambda: [pki.build()[0] for pki in _pkis()])
def quote(data: bytes) -> None:
    """Any bytes are ``MalformedQuote``, or a quote that is written back as the same bytes."""
    _same_again(parse_quote, data, MalformedQuote)


@target(lambda: [IntelPki().extension.to_bytes(), replace(_processor(), ppid=bytes(16)).to_bytes()])
def pck_extension(data: bytes) -> None:
    """Any bytes are ``MalformedCollateral``, or an extension that is the same value when written and read again."""
    _same_value(PckExtension.from_bytes, data, MalformedCollateral)


def _processor() -> PckExtension:
    return replace(IntelPki().extension, platform_instance_id=None, configuration=None)


@target(lambda: [IntelPki().extension.to_bytes(), IntelPki().root.der()])
def der(data: bytes) -> None:
    """Walking any bytes as DER ends, never reads an element beyond its parent, and raises ``Malformed`` only."""
    readers = [DerReader(data, path="fuzz", error=Malformed)]
    try:
        while readers:
            reader = readers.pop()
            while (tag := reader.next_tag()) is not None:
                before = reader.remaining
                inner = reader.enter(tag, "element")
                assert inner.remaining < before
                assert reader.remaining < before
                if tag & 0x20:
                    readers.append(inner)
    except Malformed:
        return


def _certificates() -> list[bytes]:
    pki = IntelPki()
    pki.build()
    return [plan.der() for plan in (pki.root, pki.intermediate, pki.leaf, pki.tcb_signer)]


@target(_certificates)
def certificate(data: bytes) -> None:
    """Any bytes are ``MalformedCollateral``, or a certificate whose extension of Intel is read or malformed."""
    try:
        value = Certificate.from_der(data)
        if (extension := value.extensions.get(PCK_EXTENSION_OID)) is not None:
            PckExtension.from_bytes(extension)
    except MalformedCollateral:
        return
    assert value.der == data


@target(lambda: [item.tcb_info_issuer_chain for item in _collaterals()[:1]])
def certificate_chain(data: bytes) -> None:
    """Any text is ``MalformedCollateral``, or a chain of at least one certificate, each of which is in the text."""
    try:
        chain = parse_pem_chain(data, path="fuzz")
    except MalformedCollateral:
        return
    assert len(chain) == data.count(b"-----BEGIN CERTIFICATE-----") >= 1


@target(lambda: [IntelPki().root_crl.der(), IntelPki().pck_crl.der(), IntelPki().pck_crl.der().hex().encode()])
def crl(data: bytes) -> None:
    """Any bytes are ``MalformedCollateral``, or a list whose DER gives the same list again."""
    try:
        value = parse_crl(data)
    except MalformedCollateral:
        return
    assert parse_crl(value.der) == value


@target(lambda: [item.tcb_info for item in _collaterals()[:2]])
def tcb_info(data: bytes) -> None:
    """Any bytes are ``MalformedCollateral``, or a TCB info that is the same value when written and read again."""
    _same_value(TcbInfo.from_bytes, data, MalformedCollateral)


@target(lambda: [item.qe_identity for item in _collaterals()[:2]])
def qe_identity(data: bytes) -> None:
    """Any bytes are ``MalformedCollateral``, or a QE identity that is the same value when written and read again."""
    _same_value(QeIdentity.from_bytes, data, MalformedCollateral)


@target(lambda: [SignedJson(name="tcbInfo", body=IntelPki().tcb_info.to_bytes(), signature=bytes(64)).to_bytes()])
def signed_json(data: bytes) -> None:
    """Any bytes are ``MalformedCollateral``, or a document whose body stands in the bytes as it is signed."""
    try:
        value = SignedJson.from_bytes(data, name="tcbInfo")
    except MalformedCollateral:
        return
    assert value.body in data
    assert SignedJson.from_bytes(value.to_bytes(), name="tcbInfo") == value


@target(lambda: [item.to_json() for item in _collaterals()[:2]])
def collateral_json(data: bytes) -> None:
    """Any bytes are ``MalformedCollateral``, or a set that is the same value when written and read again."""
    try:
        value = Collateral.from_json(data)
    except MalformedCollateral:
        return
    assert Collateral.from_json(value.to_json()) == value


@target(lambda: [(VECTORS / "ratls/ecdsa-ratls.der").read_bytes(), IntelPki().root.der()])
def tls_certificate(data: bytes) -> None:
    """Any bytes are ``Malformed``, or a peer's certificate."""
    try:
        PeerCertificate.from_der(data)
    except Malformed:
        return


_ENTRIES: Final = EvidenceClaims(entries=(("pubkey-hash", bytes(32)), ("nonce", bytes(16)))).to_bytes()


@target(lambda: [TaggedEvidence(quote=bytes(99), claims=_ENTRIES).to_bytes(), _ENTRIES])
def tagged_evidence(data: bytes) -> None:
    """Any bytes are ``MalformedQuote`` as each part of tagged evidence, or the same value written and read again."""
    for kind in (TaggedEvidence, EvidenceClaims, HashEntry):
        _same_value(kind.from_bytes, data, MalformedQuote)


# Appraisal: a good set of which one part is changed, and the instant.

_PARTS: Final = tuple(Collateral.__dataclass_fields__)
_MEMO: Final = Memo(capacity=100)


class _Good:
    """A set that is accepted, with its assessment."""

    def __init__(self, verdict: dict[str, Any]) -> None:
        self.evidence, text, self.at = _case(verdict)
        self.collateral = Collateral.from_json(text)
        self.parts = [self.evidence, *(getattr(self.collateral, name) for name in _PARTS)]
        self.assessment = assess(self.evidence, self.collateral, [INTEL_SGX_ROOT], at=self.at)
        assert self.assessment.genuine


_GOOD: Final = [_Good(verdict) for verdict in _SETS]


@target(lambda: [bytes((which, part, 0, 0, 4, 1, 1, 0, 7)) for which in range(3) for part in range(10)])
def one_part_changed(data: bytes) -> None:
    """A captured set with one part and the instant changed is malformed, has findings, or means exactly the same."""
    if len(data) < 5:
        return
    good = _GOOD[data[0] % len(_GOOD)]
    part = data[1] % len(good.parts)
    at = good.at + timedelta(hours=int.from_bytes(data[2:4], "big", signed=True))
    changed = _changed(good.parts[part], data[4:])
    evidence = changed if not part else good.evidence
    collateral = replace(good.collateral, **{_PARTS[part - 1]: changed}) if part else good.collateral
    try:
        found = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at, memo=_MEMO)
    except MalformedQuote:
        assert not part
        return
    except MalformedCollateral:
        assert part
        return
    if found.genuine:
        assert replace(found, appraised_at=good.at) == good.assessment


def _changed(original: bytes, script: bytes) -> bytes:
    """Run a script of edits of four bytes or more: what, where (2 bytes), a value or a length."""
    out = bytearray(original)
    while len(script) >= 4 and out:
        what, place, value = script[0] % 5, int.from_bytes(script[1:3], "big") % len(out), script[3]
        script = script[4:]
        match what:
            case 0:
                out[place] ^= value
            case 1:
                out[place] = value
            case 2:
                del out[place : place + value]
            case 3:
                out[place:place] = script[:value]
                script = script[value:]
            case _:
                out[place:place] = out[max(0, place - value) : place]
    return bytes(out)


@target(lambda: [bytes((which, part, 4, 1, 1, 0, 7)) for which in range(3) for part in range(10)])
def resigned(data: bytes) -> None:
    """A document changed before it is signed is malformed, refused, or gives a result with the claims of the quote."""
    if len(data) < 5:
        return
    pki = _pkis()[data[0] % 3]
    match data[1] % 4:
        case 0:
            pki.tcb_info_body = _changed(pki.tcb_info.to_bytes(), data[2:])
        case 1:
            pki.qe_identity_body = _changed(pki.qe_identity.to_bytes(), data[2:])
        case 2:
            pki.extension_bytes = _changed(pki.extension.to_bytes(), data[2:])
        case _:
            pki.qe_auth_data = _changed(pki.qe_auth_data, data[2:])
    evidence, collateral = pki.build()
    try:
        result = appraise(evidence, collateral, pki.policy(), at=AT)
    except (MalformedQuote, MalformedCollateral, AppraisalRefused):
        return
    assert result.claims.report_data == bytes(64)


# Our own formats.


@target(lambda: _vector("channel", "client/hello", "server/core", "claims/claims"))
def canonical_cbor(data: bytes) -> None:
    """Any bytes are ``Malformed``, or a value whose only encoding they are."""
    try:
        value = canonical.decode(data, path="fuzz", max_bytes=1 << 20)
    except Malformed:
        return
    assert canonical.encode(value) == data


@target(lambda: _vector("channel", "client/hello", "resumption/request", "shared_key/request"))
def hello(data: bytes) -> None:
    """Any bytes are ``MalformedMessage``, or a hello that is written back as the same bytes."""
    _same_again(messages.ClientHello.from_bytes, data, MalformedMessage)
    try:
        keyed.KeyedRequest.from_bytes(data)
    except MalformedMessage:
        return


@target(lambda: _vector("channel", "answer/answer", "server/core", "resumption/core"))
def answer(data: bytes) -> None:
    """Any bytes are ``MalformedMessage``, or an answer that is written back as the same bytes."""
    _same_again(messages.ServerAnswer.from_bytes, data, MalformedMessage)
    _same_again(messages.AnswerCore.from_bytes, data, MalformedMessage)
    _same_again(keyed.KeyedCore.from_bytes, data, MalformedMessage)


@target(lambda: _vector("channel", "claims/claims", "trees/0/claims"))
def claims(data: bytes) -> None:
    """Any bytes are ``MalformedMessage``, or claims that are written back as the same bytes."""
    _same_again(Claims.from_bytes, data, MalformedMessage)


@target(lambda: _vector("channel", "instance_certificate/certificate"))
def instance_certificate(data: bytes) -> None:
    """Any bytes are ``MalformedMessage``, or an instance certificate that is written back as the same bytes."""
    _same_again(SignedInstanceCertificate.from_bytes, data, MalformedMessage)


@target(lambda: _vector("channel", "messages/0/request", "messages/0/answer"))
def bhttp(data: bytes) -> None:
    """Any bytes are ``MalformedMessage``, or a message that is the same value when written and read again."""
    _same_value(BinaryRequest.from_bytes, data, MalformedMessage)
    _same_value(BinaryResponse.from_bytes, data, MalformedMessage)


@target(lambda: _vector("vault-log", "steps/0/entry", "steps/1/entry", "steps/2/entry"))
def entry(data: bytes) -> None:
    """Any bytes are ``MalformedEntry``, or an entry that is written back as the same bytes."""
    _same_again(SignedEntry.from_bytes, data, MalformedEntry)


@target(lambda: _vector("vault-log", "steps/0/head", "steps/1/head", "steps/2/head"))
def head(data: bytes) -> None:
    """Any bytes are ``MalformedEntry``, or a head that is written back as the same bytes."""
    _same_again(SignedHead.from_bytes, data, MalformedEntry)


@target(lambda: [View.empty(vault=bytes(16), account_key=bytes(32)).to_bytes()])
def view(data: bytes) -> None:
    """Any bytes are ``MalformedEntry``, or a view that is written back as the same bytes."""
    _same_again(View.from_bytes, data, MalformedEntry)


@target(
    lambda: _vector(
        "vault-log",
        *(f"proofs/{kind}/proof" for kind in ("rollback", "fork of one length", "fork of two lengths", "tampered")),
    )
)
def proof(data: bytes) -> None:
    """Any bytes are ``MalformedEntry``, or a proof with a verdict and a reason."""
    try:
        verdict = verify_proof(data)
    except MalformedEntry:
        return
    assert verdict.reason


_PLACE: Final = RecordPlace(vault=bytes(16), record=bytes(16), version=1, author=bytes(32), epoch=1)


@target(lambda: _vector("sealed-record", "sealed"))
def sealed_record(data: bytes) -> None:
    """Any bytes are ``MalformedRecord`` or ``RecordTampered``: nobody makes a sealed record without the key."""
    try:
        open_record(data, VaultKey(bytes(32)), _PLACE)
    except (MalformedRecord, RecordTampered):
        return
    raise AssertionError("opened")


@target(lambda: _vector("sealed-record", "item"))
def item(data: bytes) -> None:
    """Any bytes are ``MalformedRecord``, or an item that is written back as the same bytes."""
    _same_again(Item.from_bytes, data, MalformedRecord)


_BODIES: Final = [
    kind
    for kind in vars(store_api).values()
    if isinstance(kind, type) and issubclass(kind, store_api.Body) and kind is not store_api.Body
]


@target(lambda: [b'{"error":"denied","message":"no"}', b'{"head":"AAAA"}', b'{"from_index":0,"limit":1}'])
def store_messages(data: bytes) -> None:
    """Any bytes are ``MalformedMessage`` as each message of the store, or a value that is the same when sent again."""
    for kind in _BODIES:
        try:
            value = store_api.decode(data, kind)
        except MalformedMessage:
            continue
        assert store_api.decode(store_api.encode(value), kind) == value


@target(lambda: [to_toml(pki.policy()) for pki in _pkis()])
def policy_file(data: bytes) -> None:
    """Any bytes are ``Misconfigured``, or a policy that is the same when written and read again."""
    try:
        policy = from_toml(data)
    except Misconfigured:
        return
    assert from_toml(to_toml(policy)) == policy


def _ear() -> Ear:
    pki = IntelPki()
    result = appraise(*pki.build(), pki.policy(), at=AT)
    verifier = VerifierId(developer="https://verifier.example", build="strongroom 0.1.0")
    return ear_of_result(result, pki.policy(), verifier=verifier, at=AT, lifetime=timedelta(hours=1), nonce=b"8 bytes.")


_EAR: Final = _ear()


@target(lambda: [sign_jwt(_EAR, _KEY)])
def eat_jwt(data: bytes) -> None:
    """Any bytes are ``MalformedToken`` or refused, or a token with exactly the claims that were signed."""
    try:
        assert verify_jwt(data, _KEY.pinned, at=AT, maximum_age=ANY, nonce=ANY) == _EAR
    except (MalformedToken, AppraisalRefused):
        return


@target(lambda: [sign_cwt(_EAR, _KEY)])
def eat_cwt(data: bytes) -> None:
    """Any bytes are ``MalformedToken`` or refused, or a token with exactly the claims that were signed."""
    try:
        assert verify_cwt(data, _KEY.pinned, at=AT, maximum_age=ANY, nonce=ANY) == _EAR
    except (MalformedToken, AppraisalRefused):
        return


def _statements() -> list[bytes]:
    pki = IntelPki()
    request = AppraisalRequest(
        evidence=pki.quote().to_bytes(), collateral=pki.collateral().to_json(), nonce=bytes(range(32))
    )
    policies = (pki.policy(), replace(pki.policy(), mr_enclaves=frozenset(), signers=()))
    answers = [
        appraise_for(request, item, _KEY, verifier=VerifierId(developer="d", build="b"), at=AT) for item in policies
    ]
    return [
        answer.proof(_KEY.pinned.to_text(), token=token).to_bytes()
        for answer in answers
        for token in (answer.cwt, answer.jwt)
    ]


@target(_statements)
def appraisal_proof(data: bytes) -> None:
    """Any bytes are ``MalformedMessage`` or a proof, and no altered one convicts a verifier that told the truth."""
    try:
        proof = AppraisalProof.from_bytes(data)
        verdict = check_proof(proof)
    except MalformedMessage:
        return
    assert proof.to_bytes() == data
    assert verdict.outcome is not Outcome.LIE or verdict.key != _KEY.pinned


@target(lambda: [sign_jwt(_EAR, _KEY).split(b".")[0], json.dumps(_EAR.to_json_claims()).encode()])
def eat_claims(data: bytes) -> None:
    """Claims that somebody with the key signed are ``MalformedToken``, refused, or the same when written again."""
    try:
        signed = sign_jws(data, _KEY, typ=TYPE)
        ear = verify_jwt(signed, _KEY.pinned, at=AT, maximum_age=_FOREVER, nonce=ANY)
    except (MalformedToken, AppraisalRefused):
        return
    assert verify_jwt(sign_jwt(ear, _KEY), _KEY.pinned, at=AT, maximum_age=_FOREVER, nonce=ANY) == ear
