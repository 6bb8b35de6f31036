from __future__ import annotations

import pytest

from strongroom.records.keys import FIRST_EPOCH, AccountRootKey, new_record_id

ROOT = AccountRootKey(bytes(32))


def test_every_key_is_another():
    vault = ROOT.vault_key(b"v" * 16, epoch=1)
    keys = {
        ROOT.secret,
        ROOT.signing_key().seed,
        ROOT.signing_key(epoch=2).seed,
        ROOT.local_store_key(b"a"),
        ROOT.local_store_key(b"b"),
        vault.record_key(b"r" * 16),
        vault.record_key(b"s" * 16),
        ROOT.vault_key(b"v" * 16, epoch=2).record_key(b"r" * 16),
        ROOT.vault_key(b"w" * 16, epoch=1).record_key(b"r" * 16),
        AccountRootKey.generate().vault_key(b"v" * 16, epoch=1).record_key(b"r" * 16),
    }
    assert len(keys) == 10
    assert ROOT.signing_key(epoch=FIRST_EPOCH).public == ROOT.signing_key().public


def test_keys_show_nothing_of_themselves():
    shown = repr([ROOT, ROOT.vault_key(b"v" * 16, epoch=1)])
    assert "\\x00" not in shown
    assert "00000000000000000000" not in shown


def test_a_root_key_has_32_bytes():
    with pytest.raises(ValueError, match="32 bytes"):
        AccountRootKey(bytes(31))


def test_identifiers_are_drawn():
    assert len(new_record_id()) == 16
    assert new_record_id() != new_record_id()


def test_the_first_vault_s_identifier_follows_from_the_root_key() -> None:
    root = AccountRootKey.generate()
    assert root.first_vault() == AccountRootKey(root.secret).first_vault()
    assert len(root.first_vault()) == 16
    assert root.first_vault() != AccountRootKey.generate().first_vault()
