"""The store's interface as client and store both read it: JSON bodies inside the attested channel's requests.

Byte strings travel as base64 (RFC 4648 section 4). Unknown fields are refused. docs/spec/store-api.md lists the
routes; sizes are bounded here once for both sides.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec

from strongroom.base.errors import MalformedMessage

__all__ = [
    "DEVICE_PROOF_LABEL",
    "MAX_ENTRIES_PER_APPEND",
    "MAX_ENTRIES_PER_PAGE",
    "MAX_LENGTHS_PER_PROOF",
    "MAX_SEALED_BYTES",
    "MAX_VIEWS",
    "TENANT_BYTES",
    "TENANT_HEADER",
    "AccountView",
    "Append",
    "Appended",
    "AskRestores",
    "Body",
    "DeviceProven",
    "DeviceSession",
    "EntryPair",
    "ErrorBody",
    "FetchPage",
    "HandBack",
    "HistoryProven",
    "LoginFinish",
    "LoginStart",
    "LoginStarted",
    "Page",
    "ProveHistory",
    "PublishView",
    "ReadAccount",
    "RegisterFinish",
    "RegisterStart",
    "RegisterStarted",
    "RenewKeys",
    "Restores",
    "ViewKept",
    "decode",
    "device_proof",
    "encode",
]

DEVICE_PROOF_LABEL: Final = "strongroom device session v1"
"""What a device signs to prove itself in a session: this label, over the transcript hash and the account id."""

TENANT_BYTES: Final = 16

TENANT_HEADER: Final = "strongroom-tenant"
"""The header, inside the channel, by which a request names its tenant in 32 hexadecimal digits; without it, none."""

MAX_ENTRIES_PER_APPEND: Final = 256
MAX_ENTRIES_PER_PAGE: Final = 1024
MAX_SEALED_BYTES: Final = 1024 * 1024
MAX_LENGTHS_PER_PROOF: Final = 64
MAX_VIEWS: Final = 1000

Username = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Id16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Key32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
Wrapped = Annotated[bytes, msgspec.Meta(max_length=64 * 1024)]
Small = Annotated[bytes, msgspec.Meta(max_length=2048)]
EntryBytes = Annotated[bytes, msgspec.Meta(max_length=1024)]
SealedBytes = Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED_BYTES)]
DeviceName = Annotated[str, msgspec.Meta(max_length=64)]
Length = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
Path = Annotated[list[Key32], msgspec.Meta(max_length=128)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all bodies have in common: frozen, closed to unknown fields, silent in logs."""

    def __repr__(self) -> str:
        # bodies hold what belongs in no log
        return f"<{type(self).__name__}>"


class EntryPair(Body, frozen=True, array_like=True):
    """An entry and the sealed record it announces (empty for an entry that announces none)."""

    entry: EntryBytes
    sealed: SealedBytes


class RegisterStart(Body, frozen=True):
    """``POST /v1/accounts/register/start``: an OPAQUE registration request."""

    username: Username
    request: Small


class RegisterStarted(Body, frozen=True):
    """Its answer: an OPAQUE registration response."""

    response: Small


class RegisterFinish(Body, frozen=True):
    """``POST /v1/accounts/register/finish``: the OPAQUE record, the account's public key and wrapped root key.

    ``first`` is the vault's first entry, which adds the registering device.
    """

    username: Username
    record: Small
    account_id: Id16
    account_key: Key32
    wrapped_root_key: Small
    vault_id: Id16
    first: EntryPair


class ReadAccount(Body, frozen=True):
    """``POST /v1/accounts/view``: the account as it is now, for a device of it; answered by ``AccountView``."""


class RenewKeys(Body, frozen=True):
    """``POST /v1/accounts/renew-keys``: the root keys with a new generation, and the entries that begin it.

    ``entries`` go on exactly the named head; one of them renews the keys and names ``account_key``. There are none when
    the log renews them already and only the account's copy was lost.
    """

    generation: Annotated[int, msgspec.Meta(ge=2, le=1001)]
    wrapped_root_key: Wrapped
    account_key: Key32
    expected_length: Length
    expected_chain: Key32
    entries: Annotated[list[EntryPair], msgspec.Meta(max_length=MAX_ENTRIES_PER_APPEND)]


class LoginStart(Body, frozen=True):
    """``POST /v1/sessions/login/start``: OPAQUE KE1."""

    username: Username
    ke1: Small


class LoginStarted(Body, frozen=True):
    """Its answer: OPAQUE KE2. The rest of the login's state stays with the channel."""

    ke2: Small


class LoginFinish(Body, frozen=True):
    """``POST /v1/sessions/login/finish``: OPAQUE KE3."""

    ke3: Small


class AccountView(Body, frozen=True):
    """What an account's owner gets to see after a login or a registration.

    ``generation`` is that of the newest of the wrapped root keys, whose account key ``account_key`` is.
    """

    account_id: Id16
    account_key: Key32
    wrapped_root_key: Wrapped
    vault_id: Id16
    generation: Length = 1


class DeviceSession(Body, frozen=True):
    """``POST /v1/sessions/device``: a device of the account proves itself in this session.

    ``name`` is what the account's devices are to see it called; empty for what it was called before.
    """

    account_id: Id16
    device_key: Key32
    signature: Signature
    name: DeviceName = ""


class DeviceProven(Body, frozen=True):
    """Its answer: which vault the device belongs to."""

    vault_id: Id16


class FetchPage(Body, frozen=True):
    """``POST /v1/vault/fetch``: the entries from index ``after`` on, at most ``limit``.

    ``view`` is the device's last signed statement (docs/spec/vault-log.md section 6), or empty.
    """

    after: Length
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_ENTRIES_PER_PAGE)]
    view: Small = b""


class Page(Body, frozen=True):
    """Its answer: the signed head of now, and entries in order. There may be more than fit.

    ``views`` are the signed statements of the vault's devices; they come with the page that reaches the head.
    """

    head: Small
    entries: Annotated[list[EntryPair], msgspec.Meta(max_length=MAX_ENTRIES_PER_PAGE)]
    views: Annotated[list[Small], msgspec.Meta(max_length=MAX_VIEWS)] = []


class ProveHistory(Body, frozen=True):
    """``POST /v1/vault/prove``: show that the first ``lengths`` entries each begin the first ``size``."""

    size: Length
    lengths: Annotated[list[Length], msgspec.Meta(min_length=1, max_length=MAX_LENGTHS_PER_PROOF)]


class HistoryProven(Body, frozen=True):
    """Its answer: a consistency path for each length, in their order."""

    paths: Annotated[list[Path], msgspec.Meta(max_length=MAX_LENGTHS_PER_PROOF)]


class AskRestores(Body, frozen=True):
    """``POST /v1/restores``: what the deployment has signed about restores of its database."""


class Restores(Body, frozen=True):
    """Its answer: signed restore notices (docs/spec/restores.md), the oldest first."""

    notices: Annotated[list[Small], msgspec.Meta(max_length=8)]


class PublishView(Body, frozen=True):
    """``POST /v1/vault/view``: this device's newest signed statement, for its sisters."""

    view: Small


class ViewKept(Body, frozen=True):
    """Its answer."""


class HandBack(Body, frozen=True):
    """``POST /v1/vault/hand-back``: entries that the store has lost, on exactly this length and chain hash.

    ``target`` is the longest head that the store signed for this vault; ``path`` shows that the log with these
    entries is the beginning of the target's, and is empty when it is the whole. ``views`` are statements of devices
    that the store may have lost as well.
    """

    target: Small
    expected_length: Length
    expected_chain: Key32
    entries: Annotated[list[EntryPair], msgspec.Meta(max_length=MAX_ENTRIES_PER_APPEND)]
    path: Path
    views: Annotated[list[Small], msgspec.Meta(max_length=MAX_VIEWS)] = []


class Append(Body, frozen=True):
    """``POST /v1/vault/append``: new entries on exactly this head, or none of them."""

    expected_length: Length
    expected_chain: Key32
    entries: Annotated[list[EntryPair], msgspec.Meta(min_length=1, max_length=MAX_ENTRIES_PER_APPEND)]


class Appended(Body, frozen=True):
    """Its answer: the signed head after them."""

    head: Small


class ErrorBody(Body, frozen=True):
    """What goes with a status of 400 and above: the family's code, one sentence, what to do."""

    error: str
    message: str = ""
    hint: str = ""


T = TypeVar("T", bound=Body)


def encode(body: Body) -> bytes:
    """Encode a body as JSON."""
    return msgspec.json.encode(body)


def decode(content: bytes, kind: type[T]) -> T:
    """Decode JSON into a body, or raise ``MalformedMessage`` that names the field and none of its contents."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, ValueError) as cause:
        # msgspec's messages name a path and a rule, never a value
        raise MalformedMessage(str(cause)[:200], path=kind.__name__) from None


def device_proof(session: bytes, account_id: bytes) -> bytes:
    """Give the bytes that a device signs under ``DEVICE_PROOF_LABEL``: the session's hash, then the account's id."""
    return session + account_id
