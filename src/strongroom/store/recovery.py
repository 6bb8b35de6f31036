"""Recovery: the root key in shares that people hold, for the day on which every instance is gone.

Who may be given shares, and how many are needed, is in the charter since the deployment was made, so that nobody can
ask for the root key in one share later. Recovering begins a new epoch, which clients see (docs/spec/instances.md 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.base.errors import Conflict, Malformed, Misconfigured
from strongroom.crypto.aead import OpenFailed
from strongroom.crypto.hpke import HpkePrivateKey, seal_to
from strongroom.crypto.kdf import KEY_BYTES
from strongroom.crypto.shares import Share, SharesDoNotFit, combine, split
from strongroom.formats.instance_certificate import machine_id
from strongroom.store.deployment import Deployment
from strongroom.store.joins import JoinEvent, JoinRecord
from strongroom.store.root import Root, Sealer
from strongroom.store.transactions import transact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.store.ports import RecordStore, WriteTransaction

__all__ = ["issue_shares", "open_share", "recover_deployment"]

_INFO: Final = b"strongroom v1 recovery share"
_MOST_EPOCHS: Final = 256


def issue_shares(deployment: Deployment, *, time_ms: int) -> list[bytes]:
    """Give the shares of the newest root key: each sealed to its holder, or, where none are named, words in clear.

    In clear they are given once. ``Misconfigured`` when the charter names no recovery, ``Conflict`` the second time.
    """
    with deployment.storage.read() as transaction:
        rule = deployment.charter(transaction).recovery
    if rule is None:
        raise Misconfigured("this deployment was made without recovery", hint="see `strongroom init --recovery`")
    words = [
        share.to_words().encode() for share in split(deployment.root.key, threshold=rule.threshold, count=rule.shares)
    ]

    def note(transaction: WriteTransaction) -> None:
        if not rule.holders and deployment.shares_issued(transaction):
            raise Conflict("the shares were handed out already", hint="make a deployment with --recovery-holder")
        deployment.note_shares(transaction, in_clear=not rule.holders, time_ms=time_ms)

    transact(deployment.storage, note)  # logged before anybody has them
    if not rule.holders:
        return words
    return [seal_to(holder, line, _INFO) for holder, line in zip(rule.holders, words, strict=True)]


def open_share(sealed: bytes, holder: HpkePrivateKey) -> str:
    """Open a holder's share; ``Malformed`` when it is somebody else's."""
    try:
        return holder.open(sealed, _INFO).decode("ascii")
    except (OpenFailed, UnicodeDecodeError):
        raise Malformed("this share is sealed to another holder, or was altered", path="share") from None


def recover_deployment(storage: RecordStore, sealer: Sealer, lines: Sequence[str], *, time_ms: int) -> Deployment:
    """Become an instance with the root key that the shares give, in a new epoch, and seal it for this code here.

    ``SharesDoNotFit`` names what is wrong with the shares; ``Misconfigured`` when they are of another deployment.
    """
    Deployment.require(storage)
    key = combine([Share.from_words(line) for line in lines])
    if len(key) != KEY_BYTES:
        raise SharesDoNotFit("the shares give no root key", path="shares")
    record = JoinRecord(event=JoinEvent.RECOVERY, time_ms=time_ms, machine=machine_id(sealer.platform_id))
    for epoch in range(1, _MOST_EPOCHS + 1):  # the shares do not say of which key epoch they are; the database does
        try:
            return Deployment.take_over(storage, sealer, Root(key=key, epoch=epoch), recovered=record)
        except Misconfigured:
            continue
    raise Misconfigured("the shares are of another deployment, or of an earlier key epoch", setting="shares")
