"""Accounts: registration and login by OPAQUE (RFC 9807). The password never gets here, nor anything to guess it from.

An unknown account is answered as a known one is, from a record that belongs to nobody.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Conflict, Malformed, MalformedMessage, NotAuthorised, StorageUnavailable
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, equal
from strongroom.crypto.opaque import RegistrationRecord, ServerSetup, WrongPassword
from strongroom.crypto.opaque import server as opaque
from strongroom.store.guess_gate import guess_name
from strongroom.store.ports import Table

if TYPE_CHECKING:
    from strongroom.crypto.opaque.server import LoginState
    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction
    from strongroom.store.sealing import OpenedRow, SealedRows

__all__ = ["Account", "AccountExists", "Accounts", "PendingLogin", "PendingRegistration"]

_MAX_WRAPPED_BYTES: Final = 64 * 1024
_MAX_ROW_BYTES: Final = _MAX_WRAPPED_BYTES + 8192
_ID_BYTES: Final = 16


class AccountExists(Conflict):
    """The name is taken. Registration cannot hide this; login does."""

    code = "account-exists"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the store keeps of an account. ``wrapped_root_key`` opens only with the password and the account secret.

    ``generation`` is that of the newest of the keys in it, from which ``account_key`` comes.
    """

    account_id: bytes
    account_key: bytes
    wrapped_root_key: bytes
    vault_id: bytes
    generation: int = 1


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class PendingRegistration:
    """Between the two halves of a registration: the name's keyed hash and the credential identifier drawn for it."""

    name: bytes
    credential: bytes


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class PendingLogin:
    """Between KE2 and KE3. ``account`` is ``None`` for a name that nobody has."""

    guess_name: bytes
    credential: bytes
    state: LoginState
    account: Account | None


class Accounts:
    """The accounts of one tenant."""

    def __init__(self, storage: RecordStore, rows: SealedRows, keys: StoreKeys) -> None:
        self._storage = storage
        self._rows = rows
        self._keys = keys
        self._opaque = ServerSetup.from_secret(keys.opaque)
        nobody = Account(account_id=bytes(16), account_key=bytes(32), wrapped_root_key=bytes(96), vault_id=bytes(16))
        self._nobody_key = keys.identifier("account nobody")
        self._nobody = rows.seal(
            Table.ACCOUNTS, self._nobody_key, 1, _encode(_Credential(bytes(32), self._opaque.fake_record), nobody)
        )

    def start_registration(self, username: str, request: bytes) -> tuple[PendingRegistration, bytes]:
        """Answer an OPAQUE registration request. Tells nothing about whether the name is taken.

        Each registration has a credential identifier, and so an OPRF key, of its own. Under the key of an existing
        account a registration would answer guesses of that account's password for whoever asks.
        """
        pending = PendingRegistration(name=self._name(username), credential=os.urandom(DIGEST_BYTES))
        return pending, opaque.registration_response(self._opaque, pending.credential, request)

    def insert(
        self, transaction: WriteTransaction, pending: PendingRegistration, record: bytes, account: Account
    ) -> None:
        """Add an account within the transaction that also makes its vault; ``AccountExists`` when the name is taken."""
        RegistrationRecord.from_bytes(record)
        name = pending.name
        if transaction.get(Table.ACCOUNTS, name) is not None:
            raise AccountExists("an account of this name exists")
        self._rows.insert(transaction, Table.ACCOUNTS, name, _encode(_Credential(pending.credential, record), account))
        self._rows.insert(transaction, Table.ACCOUNTS, self._by_id(account.account_id), account.vault_id + name)

    def start_change(self, request: bytes) -> tuple[bytes, bytes]:
        """Answer an OPAQUE registration request for another password: its credential identifier, and the answer."""
        credential = os.urandom(DIGEST_BYTES)
        return credential, opaque.registration_response(self._opaque, credential, request)

    def change(
        self,
        transaction: WriteTransaction,
        account_id: bytes,
        credential: bytes,
        *,
        record: bytes,
        wrapped: bytes,
        generation: int,
    ) -> None:
        """Put another record, under its own credential identifier, and the root keys wrapped under it, in place.

        ``Conflict`` when the account's keys are not of this generation: newer ones would be lost.
        """
        RegistrationRecord.from_bytes(record)
        name, version, _, account = self._located(transaction, account_id)
        if generation != account.generation:
            raise Conflict(f"the account's keys are of generation {account.generation}")
        value = _encode(_Credential(credential, record), replace(account, wrapped_root_key=wrapped))
        self._rows.replace(transaction, Table.ACCOUNTS, name, expected_version=version, value=value)

    def is_current(self, transaction: ReadTransaction, account_id: bytes, credential: bytes | None) -> bool:
        """Tell whether an account is there and, where a credential is named, still has that one."""
        if credential is None:
            return self._by_id_row(transaction, account_id) is not None
        try:
            return equal(self._located(transaction, account_id)[2].identifier, credential)
        except NotAuthorised:
            return False

    def erase(self, transaction: WriteTransaction, account_id: bytes) -> None:
        """Remove an account's rows. Its name is free then."""
        name, version, _, _ = self._located(transaction, account_id)
        transaction.delete(Table.ACCOUNTS, name, expected_version=version)
        row = self._by_id_row(transaction, account_id)
        if row is not None:
            transaction.delete(Table.ACCOUNTS, self._by_id(account_id), expected_version=row.version)

    def renew(
        self,
        transaction: WriteTransaction,
        account_id: bytes,
        *,
        generation: int,
        wrapped_root_key: bytes,
        account_key: bytes,
    ) -> None:
        """Keep the root keys with a new generation; ``Conflict`` unless it is a newer one."""
        name, version, credential, account = self._located(transaction, account_id)
        if generation <= account.generation:
            raise Conflict(f"the account's keys are of generation {account.generation}")
        renewed = replace(account, generation=generation, wrapped_root_key=wrapped_root_key, account_key=account_key)
        value = _encode(credential, renewed)
        self._rows.replace(transaction, Table.ACCOUNTS, name, expected_version=version, value=value)

    def of(self, transaction: ReadTransaction, account_id: bytes) -> Account:
        """Give an account by its id; ``NotAuthorised`` when there is none any more."""
        return self._located(transaction, account_id)[3]

    def guess_name(self, username: str) -> bytes:
        """Give the 16 bytes under which attempts at a name are counted, whether anybody has it or not."""
        return guess_name(self._keys, "a password", self._name(username))

    def account_of(self, username: str) -> bytes | None:
        """Give the id of the account of a name, by the same work whether anybody has the name or not."""
        account = self._looked_up(self._name(username))[1]
        return None if account is None else account.account_id

    def start_login(self, username: str, ke1: bytes) -> tuple[PendingLogin, bytes]:
        """Answer KE1 with KE2; the same work for a name that exists and for one that does not."""
        stored, account = self._looked_up(self._name(username))
        state, ke2 = opaque.start_login(self._opaque, stored.identifier, stored.record, ke1)
        name = self.guess_name(username)
        return PendingLogin(guess_name=name, credential=stored.identifier, state=state, account=account), ke2

    def _looked_up(self, name: bytes) -> tuple[_Credential, Account | None]:
        with self._storage.read() as transaction:
            row = self._rows.get(transaction, Table.ACCOUNTS, name)
        if row is not None:
            return _decode(row.value)
        # a row is opened and read for a name that nobody has, too: what follows takes the same time
        _decode(self._rows.open(Table.ACCOUNTS, self._nobody_key, 1, self._nobody).value)
        return _Credential(self._keys.identifier("nobody's credential", name), self._opaque.fake_record), None

    @staticmethod
    def finish_login(pending: PendingLogin, ke3: bytes) -> Account:
        """Check KE3: the account, or ``NotAuthorised``, which does not say what was wrong."""
        try:
            opaque.finish_login(pending.state, ke3)
        except WrongPassword:
            raise NotAuthorised("unknown account or wrong password") from None
        if pending.account is None:  # nobody can make a tag for the record that belongs to nobody
            raise NotAuthorised("unknown account or wrong password")
        return pending.account

    def is_for(self, pending: PendingRegistration, username: str) -> bool:
        """Tell whether a registration was begun for this name."""
        return equal(pending.name, self._name(username))

    def vault_of(self, transaction: ReadTransaction, account_id: bytes) -> bytes | None:
        """Find the vault of an account by the account's id."""
        row = self._rows.get(transaction, Table.ACCOUNTS, self._by_id(account_id))
        return None if row is None else row.value[:_ID_BYTES]

    def _by_id_row(self, transaction: ReadTransaction, account_id: bytes) -> OpenedRow | None:
        return self._rows.get(transaction, Table.ACCOUNTS, self._by_id(account_id))

    def _located(self, transaction: ReadTransaction, account_id: bytes) -> tuple[bytes, int, _Credential, Account]:
        """Find an account by its id: its row's key and version, and what is in it; ``NotAuthorised`` for none."""
        place = self._by_id_row(transaction, account_id)
        name = b"" if place is None else place.value[_ID_BYTES:]
        row = None if place is None else self._rows.get(transaction, Table.ACCOUNTS, name)
        if row is None:
            raise NotAuthorised("the account is gone")
        return name, row.version, *_decode(row.value)

    def _name(self, username: str) -> bytes:
        return self._keys.identifier("account name", normalised(username).encode())

    def _by_id(self, account_id: bytes) -> bytes:
        return self._keys.identifier("account id", account_id)


def normalised(username: str) -> str:
    """Fold a name so that two spellings that look alike are one account (in the spirit of RFC 8265 section 3.3)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold()).strip()
    if not folded or any(unicodedata.category(character).startswith("C") for character in folded):
        raise MalformedMessage("a username is empty or holds control characters", path="username")
    return folded


@dataclass(frozen=True, slots=True, repr=False)
class _Credential:
    """What OPAQUE keeps of an account."""

    identifier: bytes
    record: bytes


def _encode(credential: _Credential, account: Account) -> bytes:
    return canonical.encode(
        {
            "credential": credential.identifier,
            "record": credential.record,
            "account_id": account.account_id,
            "account_key": account.account_key,
            "wrapped_root_key": account.wrapped_root_key,
            "vault_id": account.vault_id,
            "generation": account.generation,
        }
    )


def _decode(value: bytes) -> tuple[_Credential, Account]:
    try:
        fields = Fields.decode(value, path="account row", error=Malformed, max_bytes=_MAX_ROW_BYTES)
        credential = _Credential(
            fields.byte_string("credential", length=DIGEST_BYTES), fields.byte_string("record", at_most=1024)
        )
        account = Account(
            account_id=fields.byte_string("account_id", length=16),
            account_key=fields.byte_string("account_key", length=32),
            wrapped_root_key=fields.byte_string("wrapped_root_key", at_most=_MAX_WRAPPED_BYTES),
            vault_id=fields.byte_string("vault_id", length=16),
            generation=fields.number("generation"),
        )
        fields.done()
    except Malformed as cause:
        raise StorageUnavailable("an account's row holds something else than an account") from cause
    return credential, account
