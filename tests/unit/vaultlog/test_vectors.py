"""The vectors in tests/vectors/strongroom say what the specifications say, and are what the script writes."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from strongroom.crypto.merkle import consistency_roots
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.records.account_secret import AccountSecret
from strongroom.records.item import Item
from strongroom.records.keyring import Keyring
from strongroom.records.keys import AccountRootKey
from strongroom.records.sealed_record import RecordPlace, open_record, padded_length
from strongroom.records.wrapping import unwrap_keyring, unwrap_locally
from strongroom.sync.merge import merge
from strongroom.vaultlog.entry import Step
from strongroom.vaultlog.head import head_code, verify_head
from strongroom.vaultlog.proof import verify_proof
from strongroom.vaultlog.statement import SignedStatement
from strongroom.vaultlog.view import View, advance

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors/strongroom"


def load(name: str):
    return json.loads((VECTORS / name).read_text())


def test_the_script_writes_these_vectors():
    script = runpy.run_path(str(ROOT / "scripts/make_vault_vectors.py"))
    for name, value in script["build"]().items():
        assert (VECTORS / name).read_text() == script["render"](value), name


def test_keys():
    vector = load("keys.json")
    root = AccountRootKey(bytes.fromhex(vector["account_root_key"]))
    vault = bytes.fromhex(vector["vault"])
    assert root.signing_key().public.hex() == vector["account_signing_public_epoch_1"]
    assert root.signing_key().seed.hex() == vector["account_signing_seed_epoch_1"]
    record_key = root.vault_key(vault, epoch=1).record_key(bytes.fromhex(vector["record"]))
    assert record_key.hex() == vector["record_key"]
    assert root.local_store_key(bytes.fromhex(vector["device"])).hex() == vector["local_store_key"]
    secret = AccountSecret.parse(vector["account_secret"]["text"])
    assert secret.value.hex() == vector["account_secret"]["value"]
    stored, local = vector["stored"], vector["local"]
    unwrapped = unwrap_keyring(
        bytes.fromhex(stored["wrapped"]),
        export_key=bytes.fromhex(stored["export_key"]),
        account_secret=secret,
        account=bytes.fromhex(stored["account"]),
        generation=stored["generation"],
    )
    assert unwrapped == Keyring((root,))
    unlocked = unwrap_locally(
        bytes.fromhex(local["wrapped"]),
        password=bytes.fromhex(local["password"]),
        device_secret=bytes.fromhex(local["device_secret"]),
        account=bytes.fromhex(local["account"]),
        accepted=(INSECURE_FOR_TESTS_ONLY,),
    )
    assert unlocked == root


def test_sealed_record():
    vector = load("sealed-record.json")
    place = RecordPlace(
        **{name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in vector["place"].items()}
    )
    key = AccountRootKey(bytes.fromhex(vector["root_key"])).vault_key(place.vault, epoch=place.epoch)
    assert open_record(bytes.fromhex(vector["sealed"]), key, place).to_bytes().hex() == vector["item"]
    for length, padded in vector["length_classes"].items():
        assert padded_length(int(length)) == padded


def test_vault_log():
    vector = load("vault-log.json")
    vault = bytes.fromhex(vector["vault"])
    view = View.empty(vault=vault, account_key=bytes.fromhex(vector["account_key"]))
    assert view.chain.chain_hash.hex() == vector["genesis"]
    for row in vector["steps"]:
        head = verify_head(
            bytes.fromhex(row["head"]), head_key_hash=bytes.fromhex(vector["head_key_hash"]), vault=vault
        )
        step = Step.from_bytes(bytes.fromhex(row["entry"]), bytes.fromhex(row["sealed"]))
        view = advance(view, head, [step])
        assert view.complete
        assert view.chain.chain_hash.hex() == row["chain_hash"]
        assert view.chain.root.hex() == row["root"]
        assert head_code(head.head) == row["head_code"]
    roots = [bytes.fromhex(row["root"]) for row in vector["steps"]]
    path = [bytes.fromhex(node) for node in vector["path_from_2_to_3"]]
    assert consistency_roots(2, 3, path) == (roots[1], roots[2])
    statement = SignedStatement.from_bytes(bytes.fromhex(vector["statement"]))
    assert statement.is_authentic()
    assert statement.head.root == roots[2]


@pytest.mark.parametrize("row", load("vault-log.json")["proofs"].values(), ids=load("vault-log.json")["proofs"])
def test_proofs(row):
    verdict = verify_proof(bytes.fromhex(row["proof"]))
    assert (verdict.kind, verdict.conclusive) == (row["kind"], row["conclusive"])


@pytest.mark.parametrize("row", load("merge.json"), ids=lambda row: row["case"])
def test_merge(row):
    base = None if row["base"] is None else Item.from_bytes(bytes.fromhex(row["base"]))
    left, right = (Item.from_bytes(bytes.fromhex(row[side])) for side in ("left", "right"))
    for merged in (merge(base, left, right), merge(base, right, left)):
        assert merged.item.to_bytes().hex() == row["merged"]
        assert merged.conflicts == row["conflicts"]
