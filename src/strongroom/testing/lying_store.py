"""A store in memory, and one that lies with everything a broken store has: the log, the head key and the clock.

It has no device's key and no account's, so each of its lies has to end in the error that names it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import HeadMoved
from strongroom.crypto.hashing import sha256
from strongroom.crypto.merkle import MerkleTree, consistency_path, grow_frontier
from strongroom.vaultlog.chain import ChainState, chain_leaf, extend
from strongroom.vaultlog.entry import DeviceAdded, Entry, RecordWritten, SignedEntry, Step
from strongroom.vaultlog.head import sign_head
from strongroom.vaultlog.statement import SignedStatement

if TYPE_CHECKING:
    from strongroom.crypto.signatures import SigningKey

__all__ = ["LyingStore", "MemoryStore"]

_START_MS: Final = 1_790_000_000_000


class MemoryStore:
    """One vault's log, kept honestly. Every answer is signed a millisecond after the one before."""

    def __init__(self, *, vault: bytes, account_key: bytes, head_key: SigningKey, page_size: int = 500) -> None:
        self.head_key = head_key
        self.page_size = page_size
        self.time_ms = _START_MS
        self.epoch = 1
        self.log: list[Step] = []
        self.views: dict[bytes, bytes] = {}
        self._state = ChainState.genesis(vault=vault, account_key=account_key)

    @property
    def head_key_hash(self) -> bytes:
        """What the attested claims say of the head key."""
        return sha256(self.head_key.public)

    def head(self) -> bytes:
        """Sign the head as it is now."""
        self.time_ms += 1
        return sign_head(self._state, epoch=self.epoch, time_ms=self.time_ms, key=self.head_key)

    def fetch(
        self, after_length: int, statement: bytes | None = None
    ) -> tuple[bytes, tuple[tuple[bytes, bytes], ...], tuple[bytes, ...]]:
        """Answer a fetch: a head, one page of (entry, sealed record), and the views if the page reaches the head."""
        if statement is not None:
            self.publish(statement)
        page = self.log[after_length : after_length + self.page_size]
        complete = after_length + len(page) >= self._state.length
        views = tuple(self.views.values()) if complete else ()
        return self.head(), tuple(step.to_bytes() for step in page), views

    def publish(self, statement: bytes) -> None:
        """Keep what a device states to have seen."""
        self.views[SignedStatement.from_bytes(statement).statement.device] = statement

    def prove(self, size: int, lengths: tuple[int, ...]) -> dict[int, tuple[bytes, ...]]:
        """Answer with a consistency path for each length."""
        tree = MerkleTree([chain_leaf(step.entry.chain_hash) for step in self.log[:size]])
        return {length: consistency_path(length, size, tree.complete) for length in lengths}

    def append(self, expected_length: int, expected_hash: bytes, steps: tuple[tuple[bytes, bytes], ...]) -> bytes:
        """Answer an append: the new head, or ``HeadMoved``."""
        if (expected_length, expected_hash) != (self._state.length, self._state.chain_hash):
            raise HeadMoved(f"the log has {self._state.length} entries")
        parsed = [Step.from_bytes(entry, sealed) for entry, sealed in steps]
        self._state = extend(self._state, parsed)
        self.log += parsed
        return self.head()


class LyingStore(MemoryStore):
    """A store that tells lies when told to. After a lie it signs whatever its log has become."""

    @classmethod
    def of(cls, store: MemoryStore) -> LyingStore:
        """Take over an honest store's log and keys: from here on the operator is in control of it."""
        taken = cls(
            vault=store._state.vault,
            account_key=store._state.account_key,
            head_key=store.head_key,
            page_size=store.page_size,
        )
        taken.log, taken.time_ms, taken._state = list(store.log), store.time_ms, store._state
        taken.views = dict(store.views)
        return taken

    def branch(self, length: int) -> LyingStore:
        """Give a second store that shares the first ``length`` entries and the clock: one side of a fork.

        What devices have seen of the other side it keeps to itself.
        """
        other = LyingStore.of(self)
        other.roll_back(length)
        other.views = {
            device: view
            for device, view in self.views.items()
            if SignedStatement.from_bytes(view).head.length <= length
        }
        return other

    def roll_back(self, length: int) -> None:
        """Forget everything after ``length`` entries, and go on honestly from there."""
        self.log = self.log[:length]
        genesis = ChainState.genesis(vault=self._state.vault, account_key=self._state.account_key)
        self._state = extend(genesis, self.log)

    def withhold(self, count: int) -> None:
        """Keep the last ``count`` entries to itself while signing the head that they lead to."""
        self.log = self.log[: len(self.log) - count]

    def swap_sealed(self, left: int, right: int) -> None:
        """Exchange the sealed records of two entries."""
        first, second = self.log[left], self.log[right]
        self.log[left] = replace(first, sealed=second.sealed)
        self.log[right] = replace(second, sealed=first.sealed)

    def replay_sealed(self, old: int, new: int) -> None:
        """Answer with the sealed record of an older version under the entry of a newer one."""
        self.log[new] = replace(self.log[new], sealed=self.log[old].sealed)

    def reorder(self, left: int, right: int) -> None:
        """Exchange two entries."""
        self.log[left], self.log[right] = self.log[right], self.log[left]

    def splice(self, step: Step) -> None:
        """Put a step from elsewhere at the end, and sign the head that results."""
        self.log.append(step)
        self._sign_log()

    def repeat(self, index: int) -> None:
        """Put an old step at the end a second time."""
        self.splice(self.log[index])

    def forge_record(self, author: bytes, key: SigningKey, record: bytes, version: int, sealed: bytes) -> None:
        """Write a record in the name of ``author``, signed by ``key``: of a stranger, or of one who did not sign."""
        self._forge(author, key, RecordWritten(record=record, version=version, sealed_digest=sha256(sealed)), sealed)

    def forge_device(self, author: bytes, key: SigningKey, device: bytes) -> None:
        """Admit a device in the name of ``author``, signed by ``key``."""
        self._forge(author, key, DeviceAdded(device=device), b"")

    def _forge(self, author: bytes, key: SigningKey, change: DeviceAdded | RecordWritten, sealed: bytes) -> None:
        entry = Entry(
            vault=self._state.vault,
            epoch=1,
            index=len(self.log),
            previous=self._state.chain_hash,
            author=key.public,
            change=change,
        )
        signature = entry.signed_by(key).signature
        body = replace(entry, author=author).to_bytes()
        self.splice(Step(entry=SignedEntry.of(body, signature), sealed=sealed))

    def _sign_log(self) -> None:
        leaves = [chain_leaf(step.entry.chain_hash) for step in self.log]
        self._state = replace(
            self._state,
            length=len(self.log),
            chain_hash=self.log[-1].entry.chain_hash,
            frontier=grow_frontier((), 0, leaves),
        )
