"""Sessions: what one attested channel has proven so far. They live as long as the channel and nowhere else.

A password proves the account (and lets a new device be added); a device's signature over this very session proves
the device. There are no bearer tokens: nothing that is sent could be used on another channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import NotAuthorised, TooManyGuesses
from strongroom.crypto.signatures import verify
from strongroom.formats.store_api import DEVICE_PROOF_LABEL, device_proof

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from strongroom.store.account_operations import Enrolment, HalfProven
    from strongroom.store.accounts import PendingLogin, PendingRegistration
    from strongroom.verifier.client_binding import AttestedClient

__all__ = ["MAX_GUESSES_PER_SESSION", "ChannelSession", "DeviceIdentity", "Grade"]

_KEY: Final = "strongroom.session"
MAX_GUESSES_PER_SESSION: Final = 10
"""A source of guesses is a channel: it has no name, but it costs its maker an exchange, and the store a quote."""


class Grade(StrEnum):
    """What a session has to have proven before a route answers."""

    NOTHING = "nothing"
    ACCOUNT = "account"
    DEVICE = "device"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """Who is at the other end: an account, its vault, and the device if one has proven itself."""

    account_id: bytes
    vault_id: bytes
    device_key: bytes | None
    credential: bytes | None = None
    """Which password was proven: the identifier of its OPAQUE credential. ``None`` where a device proved itself."""


@dataclass(slots=True, repr=False)
class ChannelSession:
    """One channel's state. ``transcript`` is the hash that both ends share.

    ``client`` is what the other end has proven of its own code, as of this request.
    """

    transcript: bytes
    tenant: bytes | None = None
    registration: PendingRegistration | None = None
    pending: PendingLogin | None = None
    identity: DeviceIdentity | None = None
    guesses: int = 0
    half_proven: HalfProven | None = None
    enrolment: Enrolment | None = None
    new_credential: bytes | None = None
    administrator: bytes | None = None
    client: AttestedClient | None = None

    @classmethod
    def of(cls, transcript: bytes, state: MutableMapping[str, object]) -> ChannelSession:
        """Find the session in a channel's state, or begin one."""
        session = state.get(_KEY)
        if not isinstance(session, cls):
            session = state[_KEY] = cls(transcript)
        return session

    def bind_tenant(self, tenant: bytes) -> None:
        """Make this session the tenant's that its first request named; ``NotAuthorised`` for another one after it.

        What was proven to one tenant must not count for another.
        """
        if self.tenant is None:
            self.tenant = tenant
        elif self.tenant != tenant:
            raise NotAuthorised("this session is another tenant's", hint="open a channel for each tenant")

    def count_guess(self) -> None:
        """Count an attempt of this channel's; ``TooManyGuesses`` when it has made all of its own."""
        if self.guesses >= MAX_GUESSES_PER_SESSION:
            raise TooManyGuesses("too many attempts in this session", hint="make a new session")
        self.guesses += 1

    def take_registration(self) -> PendingRegistration:
        """Take the registration that was answered; each can be finished once."""
        registration, self.registration = self.registration, None
        if registration is None:
            raise NotAuthorised("no registration was started in this session")
        return registration

    def take_pending(self) -> PendingLogin:
        """Take the login that KE2 answered; each can be finished once."""
        pending, self.pending = self.pending, None
        if pending is None:
            raise NotAuthorised("no login was started in this session")
        return pending

    def check(self, grade: Grade) -> None:
        """Raise ``NotAuthorised`` unless this much was proven. A device's session is its account's, too."""
        if grade is Grade.NOTHING:
            return
        if grade is Grade.ADMINISTRATOR:
            self.require_administrator()
            return
        if self.require().device_key is None and grade is Grade.DEVICE:
            raise NotAuthorised("this session has proven no device", hint="prove the device")

    def require_administrator(self) -> bytes:
        """Give the key of the administrator proven in this session, or raise ``NotAuthorised``."""
        if self.administrator is None:
            raise NotAuthorised("this session has proven no administrator")
        return self.administrator

    def require(self) -> DeviceIdentity:
        """Give the identity proven in this session, or raise ``NotAuthorised``."""
        if self.identity is None:
            raise NotAuthorised("this session has proven no account", hint="log in, or prove the device")
        return self.identity

    def check_device_proof(self, account_id: bytes, device_key: bytes, signature: bytes) -> None:
        """Check that a device signed this session; ``NotAuthorised`` otherwise."""
        if not verify(device_key, DEVICE_PROOF_LABEL, device_proof(self.transcript, account_id), signature):
            raise NotAuthorised("unknown or revoked device")
