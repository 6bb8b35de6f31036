"""What an account's owner asks of the store beside logging in: second factors, another password, the log, the end.

Bodies like those of ``formats.store_api``; docs/spec/store-api.md lists the routes, docs/spec/accounts.md says why.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from strongroom.formats.store_api import Body, Id16, Small, Wrapped

__all__ = [
    "MAX_FACTORS",
    "AccountLog",
    "AddKey",
    "AddKeyFinish",
    "AddTotp",
    "AddTotpFinish",
    "AskFactor",
    "Attempts",
    "DeleteAccount",
    "Deleted",
    "FactorAdded",
    "FactorAsked",
    "FactorLine",
    "FactorList",
    "FactorRemoved",
    "KeyOptions",
    "ListFactors",
    "LogLine",
    "PasswordChanged",
    "PasswordFinish",
    "PasswordStart",
    "PasswordStarted",
    "ProveFactor",
    "ReadLog",
    "RemoveFactor",
    "TotpSecret",
]

MAX_FACTORS: Final = 8

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
Document = Annotated[str, msgspec.Meta(max_length=8192)]
Id8 = Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]


class AskFactor(Body, frozen=True):
    """``POST /v1/sessions/factor/start``: which second factors will do, after a password that needs one."""


class FactorAsked(Body, frozen=True):
    """Its answer: ``totp``, ``key`` and ``recovery`` as far as there are any, and a key's WebAuthn options (JSON)."""

    kinds: Annotated[list[str], msgspec.Meta(max_length=3)]
    options: Document = ""


class ProveFactor(Body, frozen=True):
    """``POST /v1/sessions/factor``: one of a TOTP code, a recovery code, a WebAuthn assertion (JSON)."""

    totp: Code | None = None
    recovery: Code | None = None
    assertion: Document | None = None


class ListFactors(Body, frozen=True):
    """``POST /v1/account/factors/list``."""


class FactorLine(Body, frozen=True):
    """One second factor. ``kind`` is ``totp`` or ``key``."""

    id: Id8
    kind: str
    name: Name
    added_ms: int


class FactorList(Body, frozen=True):
    """The account's second factors, and how many recovery codes are left."""

    factors: Annotated[list[FactorLine], msgspec.Meta(max_length=MAX_FACTORS)]
    recovery_codes: int


class AddTotp(Body, frozen=True):
    """``POST /v1/account/factors/totp/start``."""

    name: Name


class TotpSecret(Body, frozen=True):
    """Its answer: the secret to put into an authenticator application. It counts once a code has been shown."""

    secret: Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]


class AddTotpFinish(Body, frozen=True):
    """``POST /v1/account/factors/totp/finish``: a code made with the secret."""

    code: Code


class AddKey(Body, frozen=True):
    """``POST /v1/account/factors/key/start``: a security key, for pages of ``rp_id``."""

    name: Name
    rp_id: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]


class KeyOptions(Body, frozen=True):
    """Its answer: WebAuthn's creation options (JSON)."""

    options: Document


class AddKeyFinish(Body, frozen=True):
    """``POST /v1/account/factors/key/finish``: what the key answered (JSON)."""

    response: Document


class FactorAdded(Body, frozen=True):
    """A factor counts from now on. With the first come recovery codes, shown this once."""

    recovery_codes: Annotated[list[str], msgspec.Meta(max_length=16)]


class RemoveFactor(Body, frozen=True):
    """``POST /v1/account/factors/remove``."""

    id: Id8


class FactorRemoved(Body, frozen=True):
    """It is gone; with the last one the recovery codes are, too."""


class PasswordStart(Body, frozen=True):
    """``POST /v1/account/password/start``: an OPAQUE registration request for the new password."""

    request: Small


class PasswordStarted(Body, frozen=True):
    """Its answer: an OPAQUE registration response."""

    response: Small


class PasswordFinish(Body, frozen=True):
    """``POST /v1/account/password/finish``: the new record, and the root keys wrapped under the new password.

    ``generation`` is that of the newest of these keys; it has to be the account's.
    """

    record: Small
    wrapped_root_key: Wrapped
    generation: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]


class PasswordChanged(Body, frozen=True):
    """The old password opens nothing any more."""


class ReadLog(Body, frozen=True):
    """``POST /v1/account/log``."""


class LogLine(Body, frozen=True):
    """Something that happened, at a time of the store's clock (Unix milliseconds)."""

    at_ms: int
    event: str
    detail: str = ""


class Attempts(Body, frozen=True):
    """Attempts at the password that did not end in a login, within about an hour."""

    first_ms: int
    last_ms: int
    count: int


class AccountLog(Body, frozen=True):
    """The newest lines, oldest first, and the newest attempts."""

    lines: Annotated[list[LogLine], msgspec.Meta(max_length=256)]
    attempts: Annotated[list[Attempts], msgspec.Meta(max_length=8)]


class DeleteAccount(Body, frozen=True):
    """``POST /v1/account/delete``: the account's id, so that nobody deletes another than they mean."""

    account_id: Id16


class Deleted(Body, frozen=True):
    """All rows of the account and its vault are gone."""
