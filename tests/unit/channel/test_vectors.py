"""The channel's vectors: the code writes them again bit for bit, and an independent computation gets the same.

The second half uses nothing of ours beyond the file: it follows docs/spec/attested-channel.md with cbor2 and the
standard library, so that the specification is enough to write another implementation from.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.base.errors import MalformedMessage
from strongroom.channel.bhttp import BinaryRequest, BinaryResponse
from strongroom.channel.keyed import KeyedCore, KeyedMode, KeyedRequest, keyed_schedule
from strongroom.channel.messages import ServerAnswer
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.secure import STREAM_HEAD_BYTES, ClientChannel, ServerChannel
from strongroom.channel.shared_key import SharedKey
from strongroom.channel.stream import FrameReader
from strongroom.crypto.hpke import HpkePrivateKey

ROOT = Path(__file__).resolve().parents[3]
V: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "strongroom" / "channel.json").read_text())


def raw(section: str, name: str) -> bytes:
    return bytes.fromhex(V[section][name])


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_channel_vectors", ROOT / "scripts" / "make_channel_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_code_writes_these_vectors() -> None:
    module = script()
    assert module.FILE.read_text() == module.text(module.recorded_secrets())
    assert module.main(["--check"]) == 0


def test_the_check_notices_a_difference(tmp_path, monkeypatch, capsys) -> None:
    module = script()
    other = tmp_path / "channel.json"
    other.write_text(module.FILE.read_text().replace('"epoch": 3', '"epoch": 4'))
    monkeypatch.setattr(module, "FILE", other)
    assert module.main(["--check"]) == 1
    assert "channel.json" in capsys.readouterr().err


def test_the_recorded_secret_opens() -> None:
    key = HpkePrivateKey.from_seeds(raw("client", "mlkem_seed"), raw("client", "x25519_private_key"))
    assert key.public == raw("client", "kem_key")
    assert key.open(raw("hpke", "sealed"), raw("hpke", "info")) == raw("hpke", "opened") == raw("keys", "s")


def test_the_recorded_messages_open() -> None:
    keys = KeySchedule.derive(raw("keys", "s"), raw("keys", "h"))
    client, server = ClientChannel(keys), ServerChannel(keys)
    for message in V["messages"]:
        number = message["request_number"]
        opened = server.open_request(bytes.fromhex(message["sealed_request"]))
        assert opened == (number, bytes.fromhex(message["request"]))
        assert BinaryRequest.from_bytes(opened[1]).path == b"/v1/vault/fetch"
        answer = client.open_answer(bytes.fromhex(message["sealed_answer"]), number)
        assert BinaryResponse.from_bytes(answer).status == 200


def test_the_recorded_stream_opens() -> None:
    shown = V["stream"]
    keys = KeySchedule.derive(raw("keys", "s"), raw("keys", "h"))
    client, server = ClientChannel(keys), ServerChannel(keys)
    request = raw("stream", "sealed_request")
    first, *others = FrameReader("request").feed(request[STREAM_HEAD_BYTES:])
    number, content, opener = server.open_stream(request[:STREAM_HEAD_BYTES], first)
    assert number == shown["request_number"]
    assert [content.hex(), *(opener.open(box).hex() for box in others)] == shown["contents"]
    opener.finish()
    opener = client.answer_stream(number)
    boxes = FrameReader("answer").feed(raw("stream", "sealed_answer"))
    assert [opener.open(box).hex() for box in boxes] == shown["answer_contents"]
    opener.finish()
    broken = shown["broken_off"]
    (box,) = FrameReader("answer").feed(bytes.fromhex(broken["sealed_answer"]))
    with pytest.raises(MalformedMessage, match="broke the stream off"):
        client.answer_stream(broken["request_number"]).open(box)


@pytest.mark.parametrize("section", ["resumption", "shared_key"])
def test_the_recorded_keyed_exchange_opens(section: str) -> None:
    key = HpkePrivateKey.from_seeds(raw(section, "mlkem_seed"), raw(section, "x25519_private_key"))
    request = KeyedRequest.from_bytes(raw(section, "request"))
    assert request.is_proven_by(raw(section, "key"))
    assert not request.is_proven_by(bytes(32))
    core = KeyedCore.from_bytes(raw(section, "core"))
    assert (core.mode, core.epoch) == (request.mode, V[section]["epoch"])
    secret = key.open(core.sealed_secret, raw(section, "info"))
    keys = keyed_schedule(raw(section, "key"), secret, raw(section, "request"), raw(section, "core"))
    assert keys.channel_id == raw(section, "channel_id")
    if request.mode is KeyedMode.SHARED_KEY:
        shared = SharedKey(
            label=V[section]["label"], deployment=core.deployment, epoch=core.epoch, secret=raw(section, "secret")
        )
        assert shared.derive() == (raw(section, "key_id"), raw(section, "key"))


def test_the_recorded_answer_reads() -> None:
    answer = ServerAnswer.from_bytes(raw("answer", "answer"))
    assert answer.core == raw("server", "core")
    assert answer.attestation.claims == raw("claims", "claims")


# from the specification alone


def encode(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


def hkdf(secret: bytes, info: bytes, length: int = 32) -> bytes:
    extracted = hmac.digest(bytes(32), secret, hashlib.sha256)
    block, okm = b"", b""
    for count in range(1, -(-length // 32) + 1):
        block = hmac.digest(extracted, block + info + bytes([count]), hashlib.sha256)
        okm += block
    return okm[:length]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def framed(label: bytes, message: bytes) -> bytes:
    return len(label).to_bytes(2, "big") + label + message


def test_section_2_hello() -> None:
    hello = cbor2.loads(raw("client", "hello"))
    assert hello == {
        "version": 1,
        "suites": [1],
        "evidence": ["sgx-dcap-3"],
        "deployment": sha256(raw("server", "deployment_key")),
        "nonce": raw("client", "nonce"),
        "kem_key": raw("client", "kem_key"),
        "known_collateral": [bytes.fromhex(digest) for digest in V["client"]["known_collateral"]],
    }
    assert encode(hello) == raw("client", "hello")


def test_section_3_keys() -> None:
    hello, core = raw("client", "hello"), raw("server", "core")
    assert raw("hpke", "info") == b"strongroom v1 hello" + sha256(hello)
    assert cbor2.loads(core) == {
        "version": 1,
        "suite": 1,
        "evidence": "sgx-dcap-3",
        "sealed_secret": raw("hpke", "sealed"),
        "deployment_key": raw("server", "deployment_key"),
        "collateral_digest": sha256(raw("server", "collateral")),
    }
    h = sha256(encode(["strongroom v1 transcript", hello, core]))
    assert h == raw("keys", "h")
    labels = {
        "server_binder": b"server attests",
        "client_binder": b"client attests",
        "server_confirmation": b"server confirms",
        "client_to_server": b"client to server",
        "server_to_client": b"server to client",
    }
    for name, label in labels.items():
        assert hkdf(raw("keys", "s"), b"strongroom v1 " + label + h) == raw("keys", name)
    assert hkdf(raw("keys", "s"), b"strongroom v1 channel id" + h, 16) == raw("keys", "channel_id")


def test_the_claims_of_a_client() -> None:
    role, context = V["client_evidence"]["role"], raw("client_evidence", "context")
    parts = (b"strongroom v1 client leaf", role.encode(), raw("keys", "client_binder"))
    leaf = sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts))
    claims = {"label": "strongroom client claims v1", "role": role, "leaf": leaf, "context": context}
    assert encode(claims) == raw("client_evidence", "claims")
    assert leaf == raw("client_evidence", "leaf")
    assert sha256(encode(claims)) + bytes(32) == raw("client_evidence", "report_data")


def root_of(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return sha256(b"\x01" + root_of(leaves[:split]) + root_of(leaves[split:]))


@pytest.mark.parametrize("tree", V["trees"], ids=lambda tree: str(tree["size"]))
def test_section_4_trees(tree: dict[str, Any]) -> None:
    leaves = [sha256(b"\x00strongroom leaf 1" + bytes.fromhex(binder)) for binder in tree["binders"]]
    assert [leaf.hex() for leaf in leaves] == tree["leaves"]
    assert tree["binders"][0] == V["keys"]["server_binder"]
    assert root_of(leaves).hex() == tree["root"]
    assert cbor2.loads(bytes.fromhex(tree["claims"])) == {
        "label": "strongroom claims v1",
        "root": root_of(leaves),
        "size": len(leaves),
        "deployment": raw("server", "deployment"),
        "instance": sha256(raw("server", "instance_key")),
        "head_key": cbor2.loads(raw("claims", "claims"))["head_key"],
        "epoch": V["instance_certificate"]["epoch"],
        "release": cbor2.loads(raw("claims", "claims"))["release"],
    }


def test_section_4_paths_of_five_leaves() -> None:
    tree = V["trees"][1]
    a, b, c, d, e = (bytes.fromhex(leaf) for leaf in tree["leaves"])
    ab, cd = sha256(b"\x01" + a + b), sha256(b"\x01" + c + d)
    paths = [[b, cd, e], [a, cd, e], [d, ab, e], [c, ab, e], [sha256(b"\x01" + ab + cd)]]
    assert tree["paths"] == [[node.hex() for node in path] for path in paths]
    assert V["trees"][0]["paths"] == [[]]


def test_section_4_claims() -> None:
    claims = raw("claims", "claims")
    assert claims.hex() == V["trees"][1]["claims"]
    assert encode(cbor2.loads(claims)) == claims
    assert raw("claims", "report_data") == sha256(claims) + bytes(32)
    message = framed(b"strongroom claims signature v1", claims)
    Ed25519PublicKey.from_public_bytes(raw("server", "instance_key")).verify(raw("claims", "signature"), message)
    seed = raw("server", "instance_key_seed")
    assert Ed25519PrivateKey.from_private_bytes(seed).sign(message) == raw("claims", "signature")


def test_section_5_instance_certificate() -> None:
    shown = V["instance_certificate"]
    platform_id = raw("instance_certificate", "platform_id")
    label = b"strongroom v1 machine"
    machine = sha256(len(label).to_bytes(8, "big") + label + len(platform_id).to_bytes(8, "big") + platform_id)
    statement = encode(
        {
            "label": "strongroom instance certificate v1",
            "deployment": raw("server", "deployment"),
            "instance_key": raw("server", "instance_key"),
            "epoch": shown["epoch"],
            "machine": machine,
            "not_before": shown["not_before"],
            "not_after": shown["not_after"],
        }
    )
    assert statement.hex() == shown["statement"]
    key = Ed25519PrivateKey.from_private_bytes(raw("server", "deployment_key_seed"))
    signature = key.sign(framed(b"strongroom instance certificate v1", statement))
    assert signature.hex() == shown["signature"]
    assert encode({"certificate": statement, "signature": signature}).hex() == shown["certificate"]


def test_section_3_answer() -> None:
    answer = {
        "core": raw("server", "core"),
        "confirmation": raw("keys", "server_confirmation"),
        "evidence": raw("answer", "evidence"),
        "claims": raw("claims", "claims"),
        "claims_signature": raw("claims", "signature"),
        "instance_certificate": raw("instance_certificate", "certificate"),
        "index": 0,
        "path": [bytes.fromhex(node) for node in V["trees"][1]["paths"][0]],
        "collateral": raw("server", "collateral"),
    }
    assert encode(answer) == raw("answer", "answer")


def test_section_7_messages() -> None:
    channel_id = raw("keys", "channel_id")
    numbers = [message["request_number"] for message in V["messages"]]
    assert numbers == [1, 0], "answers number 0 and 1 answer requests 1 and 0"
    for answer_number, message in enumerate(V["messages"]):
        number = message["request_number"].to_bytes(8, "big")
        box = AESGCM(raw("keys", "client_to_server")).encrypt(
            bytes(4) + number, bytes.fromhex(message["request"]), b"strongroom v1 request" + channel_id
        )
        assert (channel_id + number + box).hex() == message["sealed_request"]
        own_number = answer_number.to_bytes(8, "big")
        box = AESGCM(raw("keys", "server_to_client")).encrypt(
            bytes(4) + own_number, bytes.fromhex(message["answer"]), b"strongroom v1 answer" + channel_id + number
        )
        assert (own_number + box).hex() == message["sealed_answer"]
        assert len(bytes.fromhex(message["request"])) % 256 == len(bytes.fromhex(message["answer"])) % 256 == 0


def test_section_10_further_keys_and_streams() -> None:
    shown = V["stream"]
    further = hkdf(raw("keys", "s"), b"strongroom v1 further keys" + raw("keys", "h"))
    assert further == raw("stream", "further")
    number = shown["request_number"].to_bytes(8, "big")
    keys = {name: hkdf(further, f"strongroom v1 stream {name}".encode() + number) for name in ("request", "answer")}
    assert keys["request"] == raw("stream", "request_key")
    assert keys["answer"] == raw("stream", "answer_key")

    def frames(key: bytes, contents: list[bytes], last: bytes = b"\x01") -> bytes:
        stream = b""
        for place, content in enumerate(contents):
            inner = (last if place == len(contents) - 1 else b"\x00") + len(content).to_bytes(4, "big") + content
            inner += bytes(-len(inner) % 256)
            box = AESGCM(key).encrypt(place.to_bytes(12, "big"), inner, b"strongroom v1 frame")
            stream += len(box).to_bytes(4, "big") + box
        return stream

    contents = [bytes.fromhex(content) for content in shown["contents"]]
    assert raw("keys", "channel_id") + number + frames(keys["request"], contents) == raw("stream", "sealed_request")
    contents = [bytes.fromhex(content) for content in shown["answer_contents"]]
    assert frames(keys["answer"], contents) == raw("stream", "sealed_answer")
    broken = shown["broken_off"]
    key = hkdf(further, b"strongroom v1 stream answer" + broken["request_number"].to_bytes(8, "big"))
    assert frames(key, [b""], last=b"\x02").hex() == broken["sealed_answer"]


def salted(secret: bytes, info: bytes, salt: bytes) -> bytes:
    """HKDF-SHA-256 for one block, with a salt (RFC 5869)."""
    extracted = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)


@pytest.mark.parametrize(("section", "mode"), [("resumption", "resumption"), ("shared_key", "shared-key")])
def test_section_11_keyed_exchange(section: str, mode: str) -> None:
    key = HpkePrivateKey.from_seeds(raw(section, "mlkem_seed"), raw(section, "x25519_private_key"))
    hello = encode(
        {
            "version": 1,
            "mode": mode,
            "suites": [1],
            "key_id": raw(section, "key_id"),
            "nonce": raw(section, "nonce"),
            "kem_key": key.public,
        }
    )
    assert hello == raw(section, "hello")
    proof = hkdf(raw(section, "key"), b"strongroom v1 " + mode.encode() + b" asks" + sha256(hello))
    request = encode({"hello": hello, "proof": proof})
    assert request == raw(section, "request")
    assert len(request) <= 4096
    assert raw(section, "info") == b"strongroom v1 keyed hello" + sha256(request)
    core = encode(
        {
            "version": 1,
            "mode": mode,
            "suite": 1,
            "sealed_secret": raw(section, "sealed"),
            "deployment": raw("server", "deployment"),
            "epoch": V[section]["epoch"],
            "collateral_digest": raw("server", "collateral_digest") if mode == "resumption" else None,
        }
    )
    assert core == raw(section, "core")
    h = sha256(encode(["strongroom v1 keyed transcript", request, core]))
    assert h == raw(section, "h")
    mixed = salted(raw(section, "s"), b"strongroom v1 mix" + h, raw(section, "key"))
    labels = {
        "server_confirmation": b"server confirms",
        "client_to_server": b"client to server",
        "server_to_client": b"server to client",
        "further": b"further keys",
    }
    for name, label in labels.items():
        assert hkdf(mixed, b"strongroom v1 " + label + h) == raw(section, name)
    assert hkdf(mixed, b"strongroom v1 channel id" + h, 16) == raw(section, "channel_id")
    assert encode({"core": core, "confirmation": raw(section, "server_confirmation")}) == raw(section, "answer")


def test_section_12_key_of_a_session() -> None:
    both = hkdf(raw("stream", "further"), b"strongroom v1 resumption", 48)
    assert (both[:16], both[16:]) == (raw("resumption", "key_id"), raw("resumption", "key"))


def test_section_13_key_of_a_purpose() -> None:
    shown = V["shared_key"]
    context = encode([shown["label"], raw("server", "deployment"), shown["epoch"]])
    both = hkdf(raw("shared_key", "secret"), b"strongroom v1 shared key" + context, 48)
    assert (both[:16], both[16:]) == (raw("shared_key", "key_id"), raw("shared_key", "key"))
