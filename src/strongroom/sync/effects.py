"""What goes into the sync engine and what comes out (docs/spec/sync.md section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strongroom.records.keyring import Keyring
    from strongroom.sync.model import RecordState, SyncState

__all__ = [
    "Append",
    "Appended",
    "Apply",
    "Conflicted",
    "Effect",
    "Event",
    "Failed",
    "Fetch",
    "Finished",
    "KeysFetched",
    "Page",
    "Prove",
    "Proven",
    "Publish",
    "RenewKeys",
    "Started",
    "Summary",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The driver is ready."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Page:
    """The answer to ``Fetch``: a head signed now, and the next (entry, sealed record) pairs of the log.

    ``views`` are the other devices' signed statements; they come with the page that reaches the head.
    """

    head: bytes
    steps: tuple[tuple[bytes, bytes], ...]
    views: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """The answer to ``Prove``: a consistency path for each length that was asked for."""

    paths: Mapping[int, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Appended:
    """The answer to ``Append``: the store took all of it and signed the head that results."""

    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted:
    """The answer to ``Append``: somebody else's entries were first, nothing was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The last effect could not be carried out, or whether it was is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KeysFetched:
    """The answer to ``RenewKeys``: the account's keys as they are now, already written down."""

    keyring: Keyring


Event = Started | Page | Proven | KeysFetched | Appended | Conflicted | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Ask the store for the log after ``after_length`` entries, showing it this device's last signed statement.

    ``pause_ms`` is how long to wait before: more than 0 when the last answer was behind what is known, which an
    instance that lags puts right by itself.
    """

    after_length: int
    statement: bytes | None
    pause_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewKeys:
    """Get the account's keys up to this generation: another device renewed them when it removed one.

    ``account_key`` is the account's signing key of that generation, as the log names it.
    """

    generation: int
    account_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove:
    """Ask the store to show that the first ``lengths`` entries each are the beginning of the first ``size``."""

    size: int
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Apply:
    """Write these states in one transaction, and carry out nothing that follows before that is durable.

    ``steps`` are verified (entry, sealed record) pairs from index ``first`` on. A device that keeps them can hand them
    back to a store that lost them.
    """

    records: tuple[RecordState, ...]
    state: SyncState
    first: int = 0
    steps: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Publish:
    """Give the store this device's new statement. There is no answer to wait for; the next ``Fetch`` shows it again."""

    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Append:
    """Ask the store to append (entry, sealed record) pairs if its log ends at this length and chain hash."""

    expected_length: int
    expected_hash: bytes
    steps: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a sync did.

    ``pulled`` counts record versions of other devices, ``pushed`` those of this one that the store took, ``merged``
    records edited on both sides, ``conflicts`` values that lost and went into a history.
    """

    pulled: int = 0
    pushed: int = 0
    merged: int = 0
    conflicts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Nothing is left to do."""

    summary: Summary


Effect = Fetch | RenewKeys | Prove | Apply | Append | Publish | Finished
