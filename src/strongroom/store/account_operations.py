"""What an account's owner does beside logging in: second factors, another password, the log, deleting it all.

A session that has proven a device may do all of it: whoever holds an unlocked device holds the account's keys anyway,
and is not held back by somebody who burns the account's guesses. A session that has proven the password may, once it
has also shown a second factor where the account has one (docs/spec/accounts.md sections 5 to 9).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from strongroom.base.errors import Conflict, Malformed, NotAuthorised, StorageUnavailable
from strongroom.formats import account_api as api
from strongroom.formats.store_api import AccountView
from strongroom.store import webauthn
from strongroom.store.audit import AccountEvent
from strongroom.store.guess_gate import guess_name
from strongroom.store.ports import Table
from strongroom.store.second_factor import SECRET_BYTES, Factors, SecurityKey, Totp, new_factor_id
from strongroom.store.sessions import DeviceIdentity
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.base.clock import Clock
    from strongroom.store.account_index import AccountIndex
    from strongroom.store.accounts import Account, Accounts
    from strongroom.store.audit import AuditLog
    from strongroom.store.devices import Devices
    from strongroom.store.guess_gate import GuessGate
    from strongroom.store.keys import StoreKeys
    from strongroom.store.ports import ReadTransaction, RecordStore, WriteTransaction
    from strongroom.store.quotas import Allowance
    from strongroom.store.sealing import SealedRows
    from strongroom.store.sessions import ChannelSession
    from strongroom.store.vaults import Vaults

__all__ = ["AccountOperations", "Enrolment", "HalfProven", "Parts", "view_of"]

_T = TypeVar("_T")
_WRONG: Final = "that second factor does not hold"


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class HalfProven:
    """A password that was proven, and a second factor that is still to come. ``challenge`` is a security key's."""

    account: Account
    credential: bytes
    challenge: webauthn.Challenge | None = None


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Enrolment:
    """A factor that was begun in this session: a TOTP secret, or a security key's challenge."""

    name: str
    secret: bytes = b""
    rp_id: str = ""
    challenge: webauthn.Challenge | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the operations of one tenant work with."""

    storage: RecordStore
    rows: SealedRows
    keys: StoreKeys
    accounts: Accounts
    index: AccountIndex
    vaults: Vaults
    devices: Devices
    audit: AuditLog
    guesses: GuessGate
    allowance: Allowance
    clock: Clock


class AccountOperations:
    """The operations of one tenant."""

    def __init__(self, parts: Parts) -> None:
        self._ = parts

    def check(self, session: ChannelSession) -> None:
        """Look up whether what this session has proven still holds; it is nobody's after that when it does not.

        Another password ends every session that the old one opened, and deletion ends all.
        """
        if session.identity is None:
            return
        with self._.storage.read() as transaction:
            holds = self._holds(transaction, session.identity)
        if not holds:
            session.identity = None
            raise NotAuthorised("this session's account or password is no longer what it was", hint="log in again")

    def admit(self, session: ChannelSession, account: Account, credential: bytes) -> AccountView | None:
        """Take a proven password: the session is the account's, or ``None`` while a second factor is to come."""
        with self._.storage.read() as transaction:
            identity = _identity(account, credential)
            if not self._holds(transaction, identity):  # another password since KE2
                raise NotAuthorised("unknown account or wrong password")
            required = self.factors(transaction, account.account_id).required
        if required:
            session.half_proven = HalfProven(account=account, credential=credential)
            return None
        self._write(lambda transaction: self._logged_in(transaction, account.account_id, ""))
        session.identity = identity
        return view_of(account)

    def ask_factor(self, session: ChannelSession, body: api.AskFactor) -> api.FactorAsked:
        """Say which factors will do, with a challenge for security keys."""
        half = _half(session)
        with self._.storage.read() as transaction:
            factors = self.factors(transaction, half.account.account_id)
        options = ""
        if factors.keys:
            options, challenge = webauthn.asked_for_assertion(factors.keys[0].rp_id, factors.keys)
            session.half_proven = replace(half, challenge=challenge)
        return api.FactorAsked(kinds=factors.kinds, options=options)

    def prove_factor(self, session: ChannelSession, body: api.ProveFactor) -> AccountView:
        """Check a second factor, once the attempt is counted; the session then is the account's."""
        half = _half(session)
        if sum(given is not None for given in (body.totp, body.recovery, body.assertion)) != 1:
            raise Malformed("one second factor at a time", path="ProveFactor")
        session.half_proven = replace(half, challenge=None)  # a challenge is answered once
        account_id = half.account.account_id
        name = guess_name(self._.keys, "a second factor", account_id)
        self._.guesses.admit(name, lambda _: None)

        def prove(transaction: WriteTransaction) -> bool:
            if not self._holds(transaction, _identity(half.account, half.credential)):
                raise NotAuthorised("unknown account or wrong password")
            version, factors = self._factors(transaction, account_id)
            used = self._used(factors, half, body)
            if used is None:
                self._note(transaction, account_id, AccountEvent.FACTOR_WRONG)
                return False
            self._save(transaction, account_id, version, used)
            if body.recovery is not None:
                self._note(transaction, account_id, AccountEvent.RECOVERY_CODE_USED, f"{len(used.recovery)} left")
            self._logged_in(transaction, account_id, "with a second factor")
            return True

        # what was used is durable as used before the session gets anything for it
        if not self._write(prove):
            raise NotAuthorised(_WRONG)
        self._.guesses.give_back(name)
        session.half_proven = None
        session.identity = _identity(half.account, half.credential)
        return view_of(half.account)

    def list_factors(self, session: ChannelSession, body: api.ListFactors) -> api.FactorList:
        """Give the account's second factors."""
        with self._.storage.read() as transaction:
            factors = self.factors(transaction, session.require().account_id)
        lines = [("totp", each) for each in factors.codes] + [("key", each) for each in factors.keys]
        return api.FactorList(
            factors=[
                api.FactorLine(id=each.factor_id, kind=kind, name=each.name, added_ms=each.added_ms)
                for kind, each in lines
            ],
            recovery_codes=len(factors.recovery),
        )

    def add_totp(self, session: ChannelSession, body: api.AddTotp) -> api.TotpSecret:
        """Draw a TOTP secret. It is not the account's before a code has shown that the application has it."""
        session.require()
        secret = os.urandom(SECRET_BYTES)
        session.enrolment = Enrolment(name=body.name, secret=secret)
        return api.TotpSecret(secret=secret)

    def add_totp_finish(self, session: ChannelSession, body: api.AddTotpFinish) -> api.FactorAdded:
        """Take a TOTP secret whose code was shown; that code does not log in as well."""
        begun = _begun(session, totp=True)
        at_ms = self._time_ms()
        totp = Totp(factor_id=new_factor_id(), name=begun.name, added_ms=at_ms, secret=begun.secret)
        step = totp.step_of(body.code, at_ms)
        if step is None:
            raise NotAuthorised("that code is not the application's of now", hint="begin again with a new secret")
        return self._add(session, replace(totp, last_step=step))

    def add_key(self, session: ChannelSession, body: api.AddKey) -> api.KeyOptions:
        """Begin a security key; all keys of an account answer to one RP id."""
        identity = session.require()
        with self._.storage.read() as transaction:
            known = self.factors(transaction, identity.account_id).keys
        if known and known[0].rp_id != body.rp_id:
            raise Conflict("the account's security keys are for another RP id")
        options, challenge = webauthn.asked_for_registration(body.rp_id, identity.account_id, known)
        session.enrolment = Enrolment(name=body.name, rp_id=body.rp_id, challenge=challenge)
        return api.KeyOptions(options=options)

    def add_key_finish(self, session: ChannelSession, body: api.AddKeyFinish) -> api.FactorAdded:
        """Take a security key that has answered its challenge."""
        begun = _begun(session, totp=False)
        credential, count = webauthn.registered(begun.rp_id, begun.challenge or {}, body.response)
        key = SecurityKey(
            factor_id=new_factor_id(),
            name=begun.name,
            added_ms=self._time_ms(),
            rp_id=begun.rp_id,
            credential=credential,
            count=count,
        )
        return self._add(session, key)

    def remove_factor(self, session: ChannelSession, body: api.RemoveFactor) -> api.FactorRemoved:
        """Remove a second factor."""
        account_id = session.require().account_id

        def remove(transaction: WriteTransaction) -> None:
            version, factors = self._factors(transaction, account_id)
            fewer = factors.without(body.id)
            if fewer is None:
                raise Conflict("there is no second factor of this id")
            self._save(transaction, account_id, version, fewer)
            self._note(transaction, account_id, AccountEvent.FACTOR_REMOVED)

        self._write(remove)
        return api.FactorRemoved()

    def password_start(self, session: ChannelSession, body: api.PasswordStart) -> api.PasswordStarted:
        """Answer an OPAQUE registration request for another password, under an OPRF key of its own."""
        session.require()
        session.new_credential, response = self._.accounts.start_change(body.request)
        return api.PasswordStarted(response=response)

    def password_finish(self, session: ChannelSession, body: api.PasswordFinish) -> api.PasswordChanged:
        """Exchange record and wrapped root key in one step; the old password opens nothing from then on."""
        identity = session.require()
        credential, session.new_credential = session.new_credential, None
        if credential is None:
            raise NotAuthorised("no change of the password was started in this session")

        def change(transaction: WriteTransaction) -> None:
            if not self._holds(transaction, identity):
                raise NotAuthorised("this session's password is no longer what it was")
            # commit point: before it the old password, after it the new one; a root key is wrapped under either
            self._.accounts.change(
                transaction,
                identity.account_id,
                credential,
                record=body.record,
                wrapped=body.wrapped_root_key,
                generation=body.generation,
            )
            self._note(transaction, identity.account_id, AccountEvent.PASSWORD_CHANGED)

        self._write(change)
        if identity.credential is not None:
            session.identity = replace(identity, credential=credential)
        return api.PasswordChanged()

    def read_log(self, session: ChannelSession, body: api.ReadLog) -> api.AccountLog:
        """Give what is kept of what happened."""
        with self._.storage.read() as transaction:
            events, windows = self._.audit.read(transaction, session.require().account_id)
        return api.AccountLog(
            lines=[api.LogLine(at_ms=each.at_ms, event=each.event, detail=each.detail) for each in events],
            attempts=[api.Attempts(first_ms=each.first_ms, last_ms=each.last_ms, count=each.count) for each in windows],
        )

    def delete(self, session: ChannelSession, body: api.DeleteAccount) -> api.Deleted:
        """Remove every row of the account and its vault, in one transaction: all of it is gone, or none."""
        identity = session.require()
        account_id = identity.account_id
        if body.account_id != account_id:
            self._write(lambda transaction: self._note(transaction, account_id, AccountEvent.DELETION_REFUSED))
            raise NotAuthorised("this session is another account's")

        def erase(transaction: WriteTransaction) -> int:
            if not self._holds(transaction, identity):
                raise NotAuthorised("this session's account is no longer what it was")
            return self.erase(transaction, account_id=account_id, vault_id=identity.vault_id)

        size = self._write(erase)
        self._.allowance.used(size=-size, accounts=-1)
        session.identity = None
        return api.Deleted()

    def erase(self, transaction: WriteTransaction, *, account_id: bytes, vault_id: bytes) -> int:
        """Remove every row of an account and its vault; gives the bytes that its entries took."""
        size, devices = self._.vaults.erase(transaction, vault_id)
        self._.devices.forget(transaction, account_id, devices)
        self._.audit.erase(transaction, account_id)
        factors = transaction.get(Table.FACTORS, self._factors_key(account_id))
        if factors is not None:
            transaction.delete(Table.FACTORS, self._factors_key(account_id), expected_version=factors.version)
        self._.index.remove(transaction, account_id)
        self._.accounts.erase(transaction, account_id)
        return size

    def factors(self, transaction: ReadTransaction, account_id: bytes) -> Factors:
        """Give an account's second factors."""
        return self._factors(transaction, account_id)[1]

    def _holds(self, transaction: ReadTransaction, identity: DeviceIdentity) -> bool:
        return self._.accounts.is_current(transaction, identity.account_id, identity.credential)

    def _used(self, factors: Factors, half: HalfProven, body: api.ProveFactor) -> Factors | None:
        if body.totp is not None:
            return factors.by_code(body.totp, self._time_ms())
        if body.recovery is not None:
            return factors.by_recovery(body.recovery)
        if half.challenge is None or not factors.keys:
            return None
        try:
            key, count = webauthn.asserted(factors.keys[0].rp_id, factors.keys, half.challenge, body.assertion or "")
        except NotAuthorised:
            return None
        return factors.by_key(key, count)

    def _add(self, session: ChannelSession, factor: Totp | SecurityKey) -> api.FactorAdded:
        account_id = session.require().account_id

        def add(transaction: WriteTransaction) -> list[str]:
            version, factors = self._factors(transaction, account_id)
            if factors.is_full:
                raise Conflict("the account has as many second factors as it may")
            more, codes = factors.with_one_more(factor)
            self._save(transaction, account_id, version, more)
            self._note(transaction, account_id, AccountEvent.FACTOR_ADDED, factor.name)
            return codes

        return api.FactorAdded(recovery_codes=self._write(add))

    def _factors(self, transaction: ReadTransaction, account_id: bytes) -> tuple[int, Factors]:
        row = self._.rows.get(transaction, Table.FACTORS, self._factors_key(account_id))
        if row is None:
            return 0, Factors()
        try:
            return row.version, Factors.from_bytes(row.value)
        except Malformed as cause:
            raise StorageUnavailable("a row of second factors holds something else") from cause

    def _save(self, transaction: WriteTransaction, account_id: bytes, version: int, factors: Factors) -> None:
        key = self._factors_key(account_id)
        if version:
            self._.rows.replace(transaction, Table.FACTORS, key, expected_version=version, value=factors.to_bytes())
        else:
            self._.rows.insert(transaction, Table.FACTORS, key, factors.to_bytes())

    def _logged_in(self, transaction: WriteTransaction, account_id: bytes, detail: str) -> None:
        self._.audit.take_attempt_back(transaction, account_id)
        self._note(transaction, account_id, AccountEvent.LOGGED_IN, detail)

    def _note(self, transaction: WriteTransaction, account_id: bytes, event: AccountEvent, detail: str = "") -> None:
        self._.audit.note(transaction, account_id, event, at_ms=self._time_ms(), detail=detail)

    def _write(self, work: Callable[[WriteTransaction], _T]) -> _T:
        return transact(self._.storage, work)

    def _factors_key(self, account_id: bytes) -> bytes:
        return self._.keys.identifier("second factors", account_id)

    def _time_ms(self) -> int:
        return int(self._.clock.now().timestamp() * 1000)


def view_of(account: Account) -> AccountView:
    """Give an account as its owner gets to see it."""
    return AccountView(
        account_id=account.account_id,
        account_key=account.account_key,
        wrapped_root_key=account.wrapped_root_key,
        vault_id=account.vault_id,
        generation=account.generation,
    )


def _identity(account: Account, credential: bytes) -> DeviceIdentity:
    return DeviceIdentity(
        account_id=account.account_id, vault_id=account.vault_id, device_key=None, credential=credential
    )


def _half(session: ChannelSession) -> HalfProven:
    if session.half_proven is None:
        raise NotAuthorised("no password was proven in this session", hint="log in")
    return session.half_proven


def _begun(session: ChannelSession, *, totp: bool) -> Enrolment:
    begun, session.enrolment = session.enrolment, None
    if begun is None or bool(begun.secret) is not totp:
        raise NotAuthorised("no such second factor was begun in this session")
    return begun
