from __future__ import annotations

import pytest

from strongroom.records.keyring import MAX_GENERATIONS, Keyring
from strongroom.records.keys import AccountRootKey

ROOTS = (AccountRootKey(b"1" * 32), AccountRootKey(b"2" * 32))
VAULT = b"v" * 16


def test_each_epoch_has_the_key_of_its_generation():
    keyring = Keyring(ROOTS)
    assert keyring.generation == 2
    assert keyring.first == ROOTS[0]
    for epoch, root in enumerate(ROOTS, start=1):
        assert keyring.vault_key(VAULT, epoch=epoch) == root.vault_key(VAULT, epoch=epoch)
        assert keyring.signing_key(epoch).public == root.signing_key(epoch=epoch).public
    assert keyring.signing_key().public == keyring.signing_key(2).public


@pytest.mark.parametrize("epoch", [0, 3])
def test_an_epoch_beyond_the_keyring_has_no_key(epoch):
    with pytest.raises(KeyError):
        Keyring(ROOTS).vault_key(VAULT, epoch=epoch)


def test_a_renewed_keyring_extends_the_old_one():
    old = Keyring.generate()
    new = old.renewed()
    assert new.extends(old)
    assert new.generation == 2
    assert not old.extends(new)
    assert not Keyring(ROOTS).extends(old)
    assert new.signing_key().public != old.signing_key().public


def test_a_keyring_survives_being_written_and_shows_nothing():
    keyring = Keyring(ROOTS)
    assert Keyring.from_secret(keyring.secret) == keyring
    assert "1111" not in repr(keyring)


@pytest.mark.parametrize("secret", [b"", b"1" * 31, b"1" * 33, b"1" * 32 * (MAX_GENERATIONS + 1)])
def test_what_is_no_keyring(secret):
    with pytest.raises(ValueError, match="keyring"):
        Keyring.from_secret(secret)
