"""Write the vectors of the vault's own formats to tests/vectors/strongroom: keys, sealed records, the log, merges.

Keys, identifiers, nonces and salts are fixed. Sealing is done here once more with the primitive itself, so that the
vectors hold the library to the specification and not to itself. A test runs this and compares.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from strongroom.base import canonical
from strongroom.crypto.hashing import sha256
from strongroom.crypto.kdf import derive
from strongroom.crypto.merkle import MerkleTree, consistency_path
from strongroom.crypto.signatures import SigningKey
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY, stretch
from strongroom.records.account_secret import AccountSecret
from strongroom.records.item import CustomField, Item, ItemType, PastValue, Uri, UriMatch
from strongroom.records.keys import AccountRootKey
from strongroom.records.sealed_record import RecordPlace, Suite, padded_length
from strongroom.sync.merge import merge
from strongroom.vaultlog.chain import ChainState, authorise_device, chain_leaf, extend, remove_device, renew_keys
from strongroom.vaultlog.entry import Entry, RecordWritten, SignedEntry, Step
from strongroom.vaultlog.head import SignedHead, head_code, sign_head
from strongroom.vaultlog.proof import ProofKind, make_proof, verify_proof
from strongroom.vaultlog.statement import state_view

if TYPE_CHECKING:
    from collections.abc import Callable

DIRECTORY = Path(__file__).parent.parent / "tests/vectors/strongroom"
ROOT = AccountRootKey(bytes(range(32)))
ACCOUNT = ROOT.signing_key()
VAULT = bytes(range(0x10, 0x20))
RECORD = bytes(range(0x20, 0x30))
DEVICE = SigningKey.from_seed(b"\x01" * 32)
HEAD_KEY = SigningKey.from_seed(b"\x02" * 32)
NONCE = bytes(range(12))
ITEM = Item(
    item_type=ItemType.LOGIN,
    fields={"title": "Post", "username": "jo@example.org", "password": "correct horse", "notes": "Schlüssel: grün"},
    uris=(Uri(value="https://mail.example.org/login", match=UriMatch.HOST),),
    custom=(CustomField(name="PIN", value="2468", hidden=True),),
    folder="Home",
    tags=("mail", "daily"),
    favourite=True,
    history=(PastValue(field="password", value="battery staple", changed_at=1_790_000_000_000),),
    created_at=1_780_000_000_000,
    changed_at=1_790_000_000_000,
)


def main() -> None:
    """Write all files."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, value in build().items():
        (DIRECTORY / name).write_text(render(value))


def render(value: object) -> str:
    """Write one file's contents."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def build() -> dict[str, object]:
    """Give the contents of every file."""
    return {
        "keys.json": keys(),
        "sealed-record.json": sealed_records(),
        "vault-log.json": vault_log(),
        "merge.json": merges(),
    }


def keys() -> object:
    """Derivations, the account secret and both wrappings."""
    secret = AccountSecret(bytes(range(0x40, 0x50)))
    export_key = bytes(range(64))
    account, generation = b"account-00000001", 1
    header = {"format": "strongroom wrapped root key", "version": 1}
    wrapping_key = derive(export_key + secret.value, "strongroom root wrapping key v1")
    data = canonical.encode({**header, "account": account, "generation": generation})
    stored = canonical.encode({**header, "sealed": box(wrapping_key, ROOT.secret, data)})

    password, device_secret, salt = b"correct horse", b"\x07" * 32, b"\x08" * 16
    profile = INSECURE_FOR_TESTS_ONLY
    local_header = {"format": "strongroom local root key", "version": 1, "profile": profile.name, "salt": salt}
    local_key = derive(stretch(password, salt, profile) + device_secret, "strongroom local wrapping key v1")
    local_data = canonical.encode({**local_header, "account": account})
    local = canonical.encode({**local_header, "sealed": box(local_key, ROOT.secret, local_data)})
    vault_key = derive(ROOT.secret, "strongroom vault key v1", VAULT, number(1))
    return {
        "account_root_key": ROOT.secret.hex(),
        "account_signing_seed_epoch_1": derive(ROOT.secret, "strongroom account signing key v1", number(1)).hex(),
        "account_signing_public_epoch_1": ACCOUNT.public.hex(),
        "vault": VAULT.hex(),
        "vault_key_epoch_1": vault_key.hex(),
        "record": RECORD.hex(),
        "record_key": derive(vault_key, "strongroom record key v1", RECORD).hex(),
        "local_store_key": derive(ROOT.secret, "strongroom local store key v1", DEVICE.public).hex(),
        "device": DEVICE.public.hex(),
        "account_secret": {"value": secret.value.hex(), "text": secret.text()},
        "stored": {
            "account": account.hex(),
            "generation": generation,
            "export_key": export_key.hex(),
            "wrapping_key": wrapping_key.hex(),
            "associated_data": data.hex(),
            "wrapped": stored.hex(),
        },
        "local": {
            "account": account.hex(),
            "password": password.hex(),
            "device_secret": device_secret.hex(),
            "profile": profile.name,
            "wrapping_key": local_key.hex(),
            "associated_data": local_data.hex(),
            "wrapped": local.hex(),
        },
    }


def sealed_records() -> object:
    """An item, its padding and its box, and the length classes."""
    item = ITEM.to_bytes()
    place = RecordPlace(vault=VAULT, record=RECORD, version=3, author=DEVICE.public, epoch=1)
    padded = (item + b"\x80").ljust(padded_length(len(item) + 1), b"\x00")
    data = place.associated_data(Suite.AES_256_GCM_SIV_PADME)
    return {
        "root_key": ROOT.secret.hex(),
        "place": {
            "vault": VAULT.hex(),
            "record": RECORD.hex(),
            "version": 3,
            "author": DEVICE.public.hex(),
            "epoch": 1,
        },
        "item": item.hex(),
        "item_length": len(item),
        "padded_length": len(padded),
        "associated_data": data.hex(),
        "nonce": NONCE.hex(),
        "sealed": seal(item, place).hex(),
        "length_classes": {
            str(n): padded_length(n) for n in (1, 511, 512, 513, 544, 545, 1000, 1025, 5000, 65537, 100_001, 524_289)
        },
    }


def vault_log() -> object:
    """Three entries, the states after each, heads, a code and three proofs."""
    state = ChainState.genesis(vault=VAULT, account_key=ACCOUNT.public)
    genesis = state.chain_hash
    steps, states, heads = [], [], []
    for version in range(3):
        if version == 0:
            step = Step(entry=authorise_device(ACCOUNT, DEVICE.public, state, epoch=1), sealed=b"")
        else:
            step = write(state, version)
        state = extend(state, [step])
        steps.append(step)
        states.append(state)
        heads.append(head(state, 1_790_000_000_000 + version))
    branch = [write(states[1], 2, title="Branch")]
    branch.append(write(extend(states[1], branch), 3, title="Branch"))
    branch_states = [extend(states[1], branch[:1]), extend(states[1], branch)]
    forged = SignedEntry.of(write(states[2], 3).entry.body, bytes(64))
    proofs = {
        "rollback": make_proof(ProofKind.ROLLBACK, earlier=heads[2], later=head(states[1], 1_790_000_000_010)),
        "fork of one length": make_proof(
            ProofKind.FORK, earlier=heads[2], later=head(branch_states[0], 1_790_000_000_010)
        ),
        "fork of two lengths": make_proof(
            ProofKind.FORK,
            earlier=heads[2],
            later=head(branch_states[1], 1_790_000_000_010),
            entries=[branch[1].entry],
        ),
        "fork shown by a path": make_proof(
            ProofKind.FORK,
            earlier=heads[2],
            later=head(branch_states[1], 1_790_000_000_010),
            path=consistency_path(3, 4, subtrees([*steps[:2], *branch])),
        ),
        "tampered": make_proof(
            ProofKind.TAMPERED,
            earlier=None,
            later=head(replace(states[2], length=4, chain_hash=forged.chain_hash), 1_790_000_000_010),
            entries=[forged],
        ),
        "not conclusive": make_proof(ProofKind.ROLLBACK, earlier=heads[2], later=heads[1]),
    }
    second = SigningKey.from_seed(b"\x03" * 32)
    approval = Step(entry=authorise_device(DEVICE, second.public, states[2], epoch=1), sealed=b"")
    approved = extend(states[2], [approval])
    removal = Step(entry=remove_device(second, DEVICE.public, approved, epoch=1), sealed=b"")
    renewal = renew_keys(second, ROOT.signing_key(epoch=2).public, extend(approved, [removal]))
    return {
        "vault": VAULT.hex(),
        "account_seed": ACCOUNT.seed.hex(),
        "account_key": ACCOUNT.public.hex(),
        "device_seed": DEVICE.seed.hex(),
        "head_seed": HEAD_KEY.seed.hex(),
        "head_key_hash": sha256(HEAD_KEY.public).hex(),
        "genesis": genesis.hex(),
        "devices": {
            "second_device_seed": second.seed.hex(),
            "approval": approval.to_bytes()[0].hex(),
            "removal": removal.to_bytes()[0].hex(),
            "renewal": renewal.to_bytes().hex(),
            "state": extend(approved, [removal]).to_bytes().hex(),
        },
        "steps": [
            {
                "body": step.entry.body.hex(),
                "entry": step.to_bytes()[0].hex(),
                "sealed": step.sealed.hex(),
                "chain_hash": after.chain_hash.hex(),
                "root": after.root.hex(),
                "head": signed.hex(),
                "head_code": head_code(SignedHead.from_bytes(signed).head),
            }
            for step, after, signed in zip(steps, states, heads, strict=True)
        ],
        "path_from_2_to_3": [node.hex() for node in consistency_path(2, 3, subtrees(steps))],
        "statement": state_view(heads[2], device_key=DEVICE, at_ms=1_790_000_000_020).hex(),
        "proofs": {
            name: {
                "proof": proof.hex(),
                "kind": str(verify_proof(proof).kind),
                "conclusive": verify_proof(proof).conclusive,
            }
            for name, proof in proofs.items()
        },
    }


def merges() -> object:
    """Three-way merges: base, two sides in either order, result."""
    at = 1_790_000_000_001
    one = ITEM.edited(at=at, fields={"password": "one", "username": "joe"}, tags=("mail", "work"))
    two = ITEM.edited(
        at=at + 5,
        fields={"password": "two"},
        uris=(*ITEM.uris, Uri(value="https://example.org")),
        custom=(CustomField(name="PIN", value="1357", hidden=True),),
    )
    cases = {
        "both changed the password, each something else too": (ITEM, one, two),
        "a tie is broken by content": (ITEM, replace(one, changed_at=at), replace(two, changed_at=at)),
        "an edit and a delete": (ITEM, one, ITEM.trashed(at=at + 9)),
        "an edit and a purge": (ITEM, one, ITEM.purged(at=at + 9)),
        "a touch and a delete": (ITEM, replace(ITEM, changed_at=at + 9), ITEM.trashed(at=at)),
        "no common base": (None, one, two),
    }
    return [
        {
            "case": name,
            "base": None if base is None else base.to_bytes().hex(),
            "left": left.to_bytes().hex(),
            "right": right.to_bytes().hex(),
            "merged": merge(base, left, right).item.to_bytes().hex(),
            "conflicts": merge(base, left, right).conflicts,
        }
        for name, (base, left, right) in cases.items()
    ]


def write(state: ChainState, version: int, title: str = "Post") -> Step:
    """Make the step that writes a version of the record."""
    item = ITEM.edited(at=ITEM.changed_at + version, fields={"title": title})
    place = RecordPlace(vault=VAULT, record=RECORD, version=version, author=DEVICE.public, epoch=1)
    sealed = seal(item.to_bytes(), place)
    entry = Entry(
        vault=VAULT,
        epoch=1,
        index=state.length,
        previous=state.chain_hash,
        author=DEVICE.public,
        change=RecordWritten(record=RECORD, version=version, sealed_digest=sha256(sealed)),
    )
    return Step(entry=entry.signed_by(DEVICE), sealed=sealed)


def subtrees(steps: list[Step]) -> Callable[[int, int], bytes]:
    """Give the complete subtrees over the steps' chain hashes."""
    return MerkleTree([chain_leaf(step.entry.chain_hash) for step in steps]).complete


def head(state: ChainState, time_ms: int) -> bytes:
    """Sign a head."""
    return sign_head(state, epoch=1, time_ms=time_ms, key=HEAD_KEY)


def seal(item: bytes, place: RecordPlace) -> bytes:
    """Seal as the specification says, with a fixed nonce."""
    vault_key = derive(ROOT.secret, "strongroom vault key v1", place.vault, number(place.epoch))
    record_key = derive(vault_key, "strongroom record key v1", place.record)
    padded = (item + b"\x80").ljust(padded_length(len(item) + 1), b"\x00")
    data = canonical.encode(
        {
            "label": "strongroom sealed record v1",
            "suite": 1,
            "vault": place.vault,
            "record": place.record,
            "version": place.version,
            "author": place.author,
            "epoch": place.epoch,
        }
    )
    return canonical.encode({"format": "strongroom sealed record", "suite": 1, "box": box(record_key, padded, data)})


def box(key: bytes, plaintext: bytes, data: bytes) -> bytes:
    """AES-256-GCM-SIV with a fixed nonce, nonce first."""
    return NONCE + AESGCMSIV(key).encrypt(NONCE, plaintext, data)


def number(value: int) -> bytes:
    """Eight bytes, big-endian."""
    return value.to_bytes(8, "big")


if __name__ == "__main__":
    main()
