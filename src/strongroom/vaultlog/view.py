"""A device's view: how far it has read a vault's log, and the store's signed word that it read it under.

docs/spec/vault-log.md section 5. A view only ever moves forward, and only by proof.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import ForkDetected, MalformedEntry, RecordTampered, RollbackDetected
from strongroom.base.fields import Fields
from strongroom.vaultlog.chain import ChainState, extend
from strongroom.vaultlog.head import MAX_HEAD_BYTES, SignedHead
from strongroom.vaultlog.proof import ProofKind, make_proof

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from strongroom.vaultlog.entry import Step
    from strongroom.vaultlog.head import Head, VerifiedHead

__all__ = ["View", "advance"]

_MAX_VIEW_BYTES: Final = 512 << 10
_FORMAT: Final = "strongroom view"
_VERSION: Final = 1
_PATH: Final = "view"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one device knows of a vault's log.

    ``chain`` is the state after the last entry that was read. ``head`` is the last signed head that this device
    reached, ``shown`` the last that it was shown: longer than ``chain`` while a long log is being read, otherwise
    the same. Both are the signed bytes, which the device verified when they came in.
    """

    chain: ChainState
    head: bytes | None = None
    shown: bytes | None = None

    @classmethod
    def empty(cls, *, vault: bytes, account_key: bytes) -> View:
        """Give the view of a device that knows the account's key and nothing of the log."""
        return cls(chain=ChainState.genesis(vault=vault, account_key=account_key))

    @property
    def complete(self) -> bool:
        """Whether every entry of the last head shown has been read."""
        return self.shown is not None and self.shown == self.head

    @property
    def last_head(self) -> Head | None:
        """The last head reached, for people and for ``head_code``."""
        return None if self.head is None else SignedHead.from_bytes(self.head).head

    def to_bytes(self) -> bytes:
        """Encode for the device's own store."""
        return canonical.encode(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "chain": self.chain.to_bytes(),
                "head": self.head,
                "shown": self.shown,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> View:
        """Decode, or raise ``MalformedEntry``."""
        fields = Fields.decode(data, path=_PATH, error=MalformedEntry, max_bytes=_MAX_VIEW_BYTES)
        fields.exactly("format", _FORMAT)
        fields.exactly("version", _VERSION)
        view = cls(
            chain=ChainState.from_bytes(fields.byte_string("chain")),
            head=fields.optional_byte_string("head", at_most=MAX_HEAD_BYTES),
            shown=fields.optional_byte_string("shown", at_most=MAX_HEAD_BYTES),
        )
        fields.done()
        for signed in (view.head, view.shown):
            if signed is not None:
                SignedHead.from_bytes(signed)
        return view


def advance(
    view: View, head: VerifiedHead, steps: Sequence[Step], *, version_of: Callable[[bytes], int] | None = None
) -> View:
    """Read ``steps``, which follow ``view.chain``, under a head that the store has just shown.

    The steps may be a part of what leads to the head: then the result is not ``complete`` and reading goes on. An
    unchanged log gives the same chain under the newer head. ``RollbackDetected``, ``ForkDetected`` and
    ``RecordTampered`` carry proofs; after any of them the view must not be used to go on. ``version_of`` is as in
    ``extend``.
    """
    for known in (view.head, view.shown):
        if known is not None:
            _compare(known, head)
    if head.head.length < view.chain.length + len(steps):
        # each entry is genuine, yet the head leaves it out: at best an answer mixed from two times
        raise _rollback("the head leaves out entries that the store has shown", view, head)
    try:
        chain = extend(view.chain, steps, version_of=version_of)
    except ForkDetected as error:
        raise ForkDetected(error.message, proof=_fork_proof(view, head, steps)) from error
    except RecordTampered as error:
        raise RecordTampered(error.message, proof=_tampered_proof(head, steps)) from error
    if chain.length < head.head.length:
        return replace(view, chain=chain, shown=head.signed)
    if (chain.chain_hash, chain.root) != (head.head.chain_hash, head.head.root):
        raise ForkDetected(
            f"the entries do not lead to the head of length {chain.length}", proof=_fork_proof(view, head, steps)
        )
    return View(chain=chain, head=head.signed, shown=head.signed)


def _compare(known: bytes, head: VerifiedHead) -> None:
    """Hold two signed heads of one vault against each other."""
    old, new = SignedHead.from_bytes(known).head, head.head
    if new.length < old.length:
        raise RollbackDetected(
            f"the store shows a head of length {new.length} after one of length {old.length}",
            proof=make_proof(ProofKind.ROLLBACK, earlier=known, later=head.signed),
        )
    if new.length == old.length and (new.chain_hash, new.root) != (old.chain_hash, old.root):
        raise ForkDetected(
            f"the store signed two histories of length {new.length}",
            proof=make_proof(ProofKind.FORK, earlier=known, later=head.signed),
        )


def _rollback(message: str, view: View, head: VerifiedHead) -> RollbackDetected:
    earlier = view.shown or head.signed
    return RollbackDetected(message, proof=make_proof(ProofKind.ROLLBACK, earlier=earlier, later=head.signed))


def _fork_proof(view: View, head: VerifiedHead, steps: Sequence[Step]) -> bytes:
    return make_proof(
        ProofKind.FORK, earlier=view.head or head.signed, later=head.signed, entries=[step.entry for step in steps]
    )


def _tampered_proof(head: VerifiedHead, steps: Sequence[Step]) -> bytes:
    """Begin with the first entry that its author did not sign or that is of another vault, if there is one."""
    entries = [step.entry for step in steps]
    for position, signed in enumerate(entries):
        if signed.entry.vault != head.head.vault or not signed.is_authentic():
            return make_proof(ProofKind.TAMPERED, earlier=None, later=head.signed, entries=entries[position:])
    return make_proof(ProofKind.TAMPERED, earlier=None, later=head.signed)
