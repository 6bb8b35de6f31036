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

from strongroom.channel.bhttp import BinaryRequest, BinaryResponse
from strongroom.channel.messages import ServerAnswer
from strongroom.channel.schedule import KeySchedule
from strongroom.channel.secure import ClientChannel, ServerChannel
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
    assert module.FILE.read_text() == module.text(module.recorded_secret())
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


def test_the_recorded_answer_reads() -> None:
    answer = ServerAnswer.from_bytes(raw("answer", "answer"))
    assert answer.core == raw("server", "core")
    assert answer.attestation.claims == raw("claims", "claims")


# from the specification alone


def encode(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


def hkdf(secret: bytes, info: bytes, length: int = 32) -> bytes:
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


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
        "server_confirmation": b"server confirms",
        "client_to_server": b"client to server",
        "server_to_client": b"server to client",
    }
    for name, label in labels.items():
        assert hkdf(raw("keys", "s"), b"strongroom v1 " + label + h) == raw("keys", name)
    assert hkdf(raw("keys", "s"), b"strongroom v1 channel id" + h, 16) == raw("keys", "channel_id")


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
