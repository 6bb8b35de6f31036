"""Write the vectors of the attested channel: tests/vectors/strongroom/channel.json (docs/spec/attested-channel.md).

Everything is drawn from fixed seeds, and written by the code that runs, with one exception: HPKE draws its own
randomness, so sealed secrets are recorded once and only opened after that. ``--renew-sealed-secrets`` records others;
``--check`` compares the file with what would be written and ends with 1 when they differ.

All byte strings are hexadecimal. Every key in here is public and protects nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from strongroom.base import canonical
from strongroom.channel.bhttp import BinaryRequest, BinaryResponse
from strongroom.channel.keyed import KeyedCore, KeyedMode, KeyedRequest, hpke_info_of, keyed_schedule, proof_of
from strongroom.channel.messages import EVIDENCE_SGX_DCAP_3, SUITE_1, AnswerCore, Attestation, ClientHello, ServerAnswer
from strongroom.channel.schedule import KeySchedule, hpke_info, transcript_hash
from strongroom.channel.secure import ClientChannel, ServerChannel
from strongroom.channel.shared_key import SharedKey
from strongroom.crypto.hashing import sha256
from strongroom.crypto.hpke import HpkePrivateKey, seal_to
from strongroom.crypto.merkle import MerkleTree
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.claims import Claims, report_data
from strongroom.formats.client_claims import ClientClaims, ClientRole, client_leaf
from strongroom.formats.instance_certificate import MAX_LIFETIME_MS, InstanceCertificate, machine_id
from strongroom.verifier.binding import CLAIMS_SIGNATURE_LABEL, batch_leaf

FILE = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "strongroom" / "channel.json"

NOT_BEFORE_MS = 1_790_000_000_000
PLATFORM_ID = bytes(range(16))
EPOCH = 3
COLLATERAL = b'{"the nine parts":"of a set of collateral"}'
EVIDENCE = b"the evidence stands here; docs/spec/appraisal.md says what it is"


def seed(name: str, length: int = 32) -> bytes:
    """Give fixed bytes for a name: SHA-256 of the name and a counter, as often as needed."""
    blocks = (sha256(f"strongroom test vector: {name} {block}".encode()) for block in range(-(-length // 32)))
    return b"".join(blocks)[:length]


Recorded = dict[str, bytes]
"""The sealed secrets that are in the file already, by the section that they are of."""


def vectors(recorded: Recorded) -> dict[str, object]:
    """Compute every vector. Secrets that are not ``recorded`` are sealed anew."""
    mlkem_seed, x25519_key = seed("ML-KEM-768 seed", 64), seed("X25519 private key")
    client_key = HpkePrivateKey.from_seeds(mlkem_seed, x25519_key)
    deployment_key = SigningKey.from_seed(seed("deployment key"))
    instance_key = SigningKey.from_seed(seed("instance key"))
    secret = seed("s")

    fields = ClientHello(
        suites=(SUITE_1,),
        evidence_kinds=(EVIDENCE_SGX_DCAP_3,),
        deployment=sha256(deployment_key.public),
        nonce=seed("nonce"),
        kem_key=client_key.public,
        known_collateral=(seed("known collateral"),),
    )
    hello = fields.to_bytes()
    sealed_secret = _sealed(recorded.get("hpke"), client_key, secret, hpke_info(hello))
    core = AnswerCore(
        suite=SUITE_1,
        evidence_kind=EVIDENCE_SGX_DCAP_3,
        sealed_secret=sealed_secret,
        deployment_key=deployment_key.public,
        collateral_digest=sha256(COLLATERAL),
    ).to_bytes()
    keys = KeySchedule.derive(secret, transcript_hash(hello, core))

    binders = [keys.server_binder, *(seed(f"binder {number}") for number in range(1, 5))]
    leaves = [batch_leaf(binder) for binder in binders]
    batches = {size: _claims(deployment_key, instance_key, leaves[:size]) for size in (1, 5)}
    claims = batches[5].to_bytes()
    client_claims = ClientClaims(
        role=ClientRole.DEVICE,
        leaf=client_leaf(ClientRole.DEVICE, keys.client_binder),
        context=seed("client context"),
    )
    signature = instance_key.sign(CLAIMS_SIGNATURE_LABEL, claims)
    certificate = InstanceCertificate(
        deployment=sha256(deployment_key.public),
        instance_key=instance_key.public,
        epoch=EPOCH,
        machine=machine_id(PLATFORM_ID),
        not_before_ms=NOT_BEFORE_MS,
        not_after_ms=NOT_BEFORE_MS + MAX_LIFETIME_MS,
    ).sign(deployment_key)
    answer = ServerAnswer(
        core=core,
        confirmation=keys.server_confirmation,
        attestation=Attestation(
            evidence=EVIDENCE,
            claims=claims,
            claims_signature=signature,
            instance_certificate=certificate.to_bytes(),
            index=0,
            path=MerkleTree(leaves).path(0),
        ),
        collateral=COLLATERAL,
    )
    return {
        "about": "Made by scripts/make_channel_vectors.py for docs/spec/attested-channel.md, version 1.",
        "client": {
            "mlkem_seed": mlkem_seed.hex(),
            "x25519_private_key": x25519_key.hex(),
            "kem_key": client_key.public.hex(),
            "nonce": fields.nonce.hex(),
            "known_collateral": [digest.hex() for digest in fields.known_collateral],
            "hello": hello.hex(),
        },
        "hpke": {"info": hpke_info(hello).hex(), "sealed": sealed_secret.hex(), "opened": secret.hex()},
        "server": {
            "deployment_key_seed": deployment_key.seed.hex(),
            "deployment_key": deployment_key.public.hex(),
            "deployment": sha256(deployment_key.public).hex(),
            "instance_key_seed": instance_key.seed.hex(),
            "instance_key": instance_key.public.hex(),
            "collateral": COLLATERAL.hex(),
            "collateral_digest": sha256(COLLATERAL).hex(),
            "core": core.hex(),
        },
        "keys": {
            "s": secret.hex(),
            "h": keys.transcript.hex(),
            "server_binder": keys.server_binder.hex(),
            "client_binder": keys.client_binder.hex(),
            "server_confirmation": keys.server_confirmation.hex(),
            "client_to_server": keys.client_to_server.hex(),
            "server_to_client": keys.server_to_client.hex(),
            "channel_id": keys.channel_id.hex(),
        },
        "client_evidence": {
            "role": str(client_claims.role),
            "context": client_claims.context.hex(),
            "leaf": client_claims.leaf.hex(),
            "claims": client_claims.to_bytes().hex(),
            "report_data": report_data(client_claims.to_bytes()).hex(),
        },
        "trees": [_tree(binders[:size], leaves[:size], batches[size]) for size in (1, 5)],
        "claims": {
            "of_tree": 5,
            "claims": claims.hex(),
            "report_data": report_data(claims).hex(),
            "signature": signature.hex(),
        },
        "instance_certificate": {
            "platform_id": PLATFORM_ID.hex(),
            "machine": machine_id(PLATFORM_ID).hex(),
            "epoch": EPOCH,
            "not_before": NOT_BEFORE_MS,
            "not_after": NOT_BEFORE_MS + MAX_LIFETIME_MS,
            "statement": certificate.certificate.to_bytes().hex(),
            "signature": certificate.signature.hex(),
            "certificate": certificate.to_bytes().hex(),
        },
        "answer": {"evidence": EVIDENCE.hex(), "index": 0, "answer": answer.to_bytes().hex()},
        "messages": _messages(keys),
        "stream": _stream(keys),
        "resumption": _keyed(
            recorded.get("resumption"),
            KeyedMode.RESUMPTION,
            KeySchedule.resumption_of(keys.further),
            deployment=sha256(deployment_key.public),
            collateral_digest=sha256(COLLATERAL),
        ),
        "shared_key": _shared_key(recorded.get("shared_key"), sha256(deployment_key.public)),
    }


def _sealed(recorded: bytes | None, key: HpkePrivateKey, secret: bytes, info: bytes) -> bytes:
    sealed = seal_to(key.public, secret, info) if recorded is None else recorded
    if key.open(sealed, info) != secret:
        raise SystemExit("a recorded secret is not the one of these vectors")
    return sealed


def _stream(keys: KeySchedule) -> dict[str, object]:
    """Stream a request in three frames, answered by two; the next free number of the messages is 2."""
    client, server = ClientChannel(keys), ServerChannel(keys)
    for _ in range(2):
        client.seal_request(b"")
    number, head, sealer = client.begin_stream()
    request = BinaryRequest(
        method=b"PUT", scheme=b"https", authority=b"store.example", path=b"/v1/big", headers=(), content=b"one "
    ).to_bytes()
    contents = [request, b"two ", b"three"]
    frames = [sealer.frame(content, last=content is contents[-1]) for content in contents]
    response = BinaryResponse(status=200, headers=((b"x-size", b"13"),), content=b"").to_bytes()
    answering = server.answer_stream(number)
    answers = [answering.frame(response), answering.frame(b"", last=True)]
    broken = server.answer_stream(number + 1).broken_off()
    return {
        "further": keys.further.hex(),
        "request_number": number,
        "request_key": KeySchedule.stream_key(keys.further, "request", number).hex(),
        "answer_key": KeySchedule.stream_key(keys.further, "answer", number).hex(),
        "contents": [content.hex() for content in contents],
        "sealed_request": (head + b"".join(frames)).hex(),
        "answer_contents": [response.hex(), ""],
        "sealed_answer": b"".join(answers).hex(),
        "broken_off": {"request_number": number + 1, "sealed_answer": broken.hex()},
    }


def _keyed(
    recorded: bytes | None,
    mode: KeyedMode,
    key: tuple[bytes, bytes],
    *,
    deployment: bytes,
    collateral_digest: bytes | None,
) -> dict[str, object]:
    """Make a keyed exchange by hand: the code draws its own keys and secrets, these have to be the same each time."""
    key_id, secret_key = key
    mlkem_seed, x25519_key = seed(f"{mode} ML-KEM-768 seed", 64), seed(f"{mode} X25519 private key")
    private = HpkePrivateKey.from_seeds(mlkem_seed, x25519_key)
    hello = canonical.encode(
        {
            "version": 1,
            "mode": str(mode),
            "suites": [SUITE_1],
            "key_id": key_id,
            "nonce": seed(f"{mode} nonce"),
            "kem_key": private.public,
        }
    )
    request = canonical.encode({"hello": hello, "proof": proof_of(mode, secret_key, hello)})
    parsed = KeyedRequest.from_bytes(request)
    if not parsed.is_proven_by(secret_key):
        raise SystemExit("the request does not prove its key")
    secret = seed(f"{mode} s")
    sealed = _sealed(recorded, private, secret, hpke_info_of(request))
    core = KeyedCore(
        mode=mode,
        suite=SUITE_1,
        sealed_secret=sealed,
        deployment=deployment,
        epoch=EPOCH,
        collateral_digest=collateral_digest,
    ).to_bytes()
    keys = keyed_schedule(secret_key, secret, request, core)
    return {
        "key_id": key_id.hex(),
        "key": secret_key.hex(),
        "mlkem_seed": mlkem_seed.hex(),
        "x25519_private_key": x25519_key.hex(),
        "nonce": parsed.nonce.hex(),
        "hello": hello.hex(),
        "proof": parsed.proof.hex(),
        "request": request.hex(),
        "info": hpke_info_of(request).hex(),
        "sealed": sealed.hex(),
        "s": secret.hex(),
        "epoch": EPOCH,
        "core": core.hex(),
        "h": keys.transcript.hex(),
        "server_confirmation": keys.server_confirmation.hex(),
        "client_to_server": keys.client_to_server.hex(),
        "server_to_client": keys.server_to_client.hex(),
        "channel_id": keys.channel_id.hex(),
        "further": keys.further.hex(),
        "answer": canonical.encode({"core": core, "confirmation": keys.server_confirmation}).hex(),
    }


def _shared_key(recorded: bytes | None, deployment: bytes) -> dict[str, object]:
    key = SharedKey(label="backup of vaults", deployment=deployment, epoch=EPOCH, secret=seed("shared secret"))
    exchange = _keyed(recorded, KeyedMode.SHARED_KEY, key.derive(), deployment=deployment, collateral_digest=None)
    return {"label": key.label, "secret": key.secret.hex(), **exchange}


def _claims(deployment_key: SigningKey, instance_key: SigningKey, leaves: Sequence[bytes]) -> Claims:
    return Claims(
        root=MerkleTree(leaves).root,
        size=len(leaves),
        deployment=sha256(deployment_key.public),
        instance=sha256(instance_key.public),
        head_key=sha256(SigningKey.from_seed(seed("head key")).public),
        epoch=EPOCH,
        release=seed("release"),
    )


def _tree(binders: Sequence[bytes], leaves: Sequence[bytes], claims: Claims) -> dict[str, object]:
    tree = MerkleTree(leaves)
    return {
        "size": tree.size,
        "binders": [binder.hex() for binder in binders],
        "leaves": [leaf.hex() for leaf in leaves],
        "root": tree.root.hex(),
        "paths": [[node.hex() for node in tree.path(index)] for index in range(tree.size)],
        "claims": claims.to_bytes().hex(),
    }


def _messages(keys: KeySchedule) -> list[dict[str, object]]:
    """Seal two requests, answered in the other order, so that the numbers of request and answer differ."""
    client, server = ClientChannel(keys), ServerChannel(keys)
    requests = [
        BinaryRequest(
            method=b"POST",
            scheme=b"https",
            authority=b"store.example",
            path=b"/v1/vault/fetch",
            headers=((b"content-type", b"application/json"),),
            content=b'{"after":%d}' % number,
        ).to_bytes()
        for number in range(2)
    ]
    sealed = [client.seal_request(request) for request in requests]
    shown: list[dict[str, object]] = []
    for number, message in reversed(sealed):
        server.open_request(message)
        response = BinaryResponse(
            status=200, headers=((b"content-type", b"application/json"),), content=b'{"request":%d}' % number
        ).to_bytes()
        shown.append(
            {
                "request_number": number,
                "request": requests[number].hex(),
                "sealed_request": message.hex(),
                "answer": response.hex(),
                "sealed_answer": server.seal_answer(number, response).hex(),
            }
        )
    return shown


def recorded_secrets() -> Recorded:
    """Give the sealed secrets in the file, if there is a file."""
    if not FILE.exists():
        return {}
    shown = json.loads(FILE.read_text())
    sections = [name for name in ("hpke", "resumption", "shared_key") if name in shown]
    return {name: bytes.fromhex(shown[name]["sealed"]) for name in sections}


def text(recorded: Recorded) -> str:
    """Give what the file has to hold."""
    return json.dumps(vectors(recorded), indent=1) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write or check the file."""
    expected = text({} if "--renew-sealed-secrets" in arguments else recorded_secrets())
    if "--check" in arguments:
        if not FILE.exists() or FILE.read_text() != expected:
            print(f"{FILE.name} is not what this code writes", file=sys.stderr)
            return 1
        return 0
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(expected)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
