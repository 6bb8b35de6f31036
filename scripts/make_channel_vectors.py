"""Write the vectors of the attested channel: tests/vectors/strongroom/channel.json (docs/spec/attested-channel.md).

Everything is drawn from fixed seeds, and written by the code that runs, with one exception: HPKE draws its own
randomness, so the sealed secret is recorded once and only opened after that. ``--renew-sealed-secret`` records
another one; ``--check`` compares the file with what would be written and ends with 1 when they differ.

All byte strings are hexadecimal. Every key in here is public and protects nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from strongroom.channel.bhttp import BinaryRequest, BinaryResponse
from strongroom.channel.messages import EVIDENCE_SGX_DCAP_3, SUITE_1, AnswerCore, Attestation, ClientHello, ServerAnswer
from strongroom.channel.schedule import KeySchedule, hpke_info, transcript_hash
from strongroom.channel.secure import ClientChannel, ServerChannel
from strongroom.crypto.hashing import sha256
from strongroom.crypto.hpke import HpkePrivateKey, seal_to
from strongroom.crypto.merkle import MerkleTree
from strongroom.crypto.signatures import SigningKey
from strongroom.formats.claims import Claims, report_data
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


def vectors(sealed_secret: bytes | None) -> dict[str, object]:
    """Compute every vector. Without ``sealed_secret`` a new one is sealed."""
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
    if sealed_secret is None:
        sealed_secret = seal_to(client_key.public, secret, hpke_info(hello))
    if client_key.open(sealed_secret, hpke_info(hello)) != secret:
        raise SystemExit("the recorded secret is not the one of these vectors")
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
            "server_confirmation": keys.server_confirmation.hex(),
            "client_to_server": keys.client_to_server.hex(),
            "server_to_client": keys.server_to_client.hex(),
            "channel_id": keys.channel_id.hex(),
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
    }


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


def recorded_secret() -> bytes | None:
    """Give the sealed secret in the file, if there is a file."""
    if not FILE.exists():
        return None
    return bytes.fromhex(json.loads(FILE.read_text())["hpke"]["sealed"])


def text(sealed_secret: bytes | None) -> str:
    """Give what the file has to hold."""
    return json.dumps(vectors(sealed_secret), indent=1) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write or check the file."""
    expected = text(None if "--renew-sealed-secret" in arguments else recorded_secret())
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
