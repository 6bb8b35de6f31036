"""Collateral kept on disk (docs/spec/collateral.md section 3).

One file holds one set, under a name that says TEE, FMSPC, CA, TCB evaluation data number and the digest of the bytes.
A file is written once under a new name and never written again, so a reader sees a whole set or none, whoever writes
at the same time. What is held for a kind of platform is the newest of each part over all its files; a file goes only
after one that is at least as new in every part is there for good. Hence no lock, and no way back.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from strongroom.base.errors import CollateralUnavailable, Malformed, Misconfigured, StorageUnavailable, StrongroomError
from strongroom.collateral.bundle import CollateralBundle
from strongroom.collateral.checked import INTEL, CheckedCollateral, check_collateral
from strongroom.collateral.newest import newest_parts
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.crypto.hashing import sha256
from strongroom.verifier.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from strongroom.collateral.kinds import PlatformKind
    from strongroom.verifier.anchors import Anchor

__all__ = ["CollateralCache", "DamagedEntry", "PrivateFiles"]

MAX_ENTRY_BYTES: Final = 1024 * 1024  # a set has about 30 KB
_MAX_ENTRIES: Final = 512  # Intel has some hundred kinds of platforms
_MAX_UNFINISHED: Final = 16
_MAX_ATTEMPTS: Final = 100
_ENTRY: Final = re.compile(
    r"(?P<kind>(?:sgx|tdx)-[0-9A-F]{12}-(?:processor|platform))"
    r"-(?P<number>[0-9]{10})-(?P<digest>[0-9a-f]{32})\.collateral",
    re.ASCII,
)
_UNFINISHED: Final = re.compile(r"\..*\.collateral\.[0-9a-f]+\.new", re.ASCII)


class PrivateFiles(Protocol):
    """What the cache needs of the file system; the module ``strongroom.storage.files`` is one."""

    def write_private_file(self, path: Path, data: bytes) -> None:
        """Write a file whole or not at all, durably; raises ``StorageUnavailable``."""
        ...

    def read_private_file(self, path: Path, *, max_bytes: int) -> bytes | None:
        """Read a file, ``None`` when there is none; raises ``Malformed``, ``Misconfigured``, ``StorageUnavailable``."""
        ...

    def make_private_directory(self, path: Path) -> None:
        """Make a directory that no one else may write; raises ``Misconfigured``, ``StorageUnavailable``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedEntry:
    """A file of the cache that counts as absent, and why."""

    name: str
    reason: str


class _Gone(Exception):
    """Somebody removed the entry meanwhile."""


class _NotOurs:
    """An intact entry that does not end in our anchors."""


class CollateralCache:
    """The sets in one directory, which is made at the first write. Threads and processes may share it.

    It is a source, and gives what it holds as long as that is valid. What expired stays: as the mark behind which
    nothing goes back.
    """

    def __init__(
        self, directory: Path, files: PrivateFiles, *, anchors: Sequence[Anchor] = INTEL, name: str = "the cache"
    ) -> None:
        self._directory = directory
        self._files = files
        self.anchors = tuple(anchors)
        self.memo = Memo(capacity=512)
        self.name = name

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        """Give what is held for this kind, if it is valid at ``at``; else raise ``CollateralUnavailable``."""
        held = self.newest(kind)
        if held is None:
            raise ResourceUnavailable(f"holds nothing for {kind}", resource=self.name)
        return held.require(kind, at, resource=self.name)

    def newest(self, kind: PlatformKind) -> CheckedCollateral | None:
        """Give the newest parts seen for this kind, expired or not; ``None`` when none were seen.

        Raises ``StorageUnavailable``, and ``CollateralUnavailable`` when the newest parts do not fit together.
        """
        return self._newest(str(kind))

    def sets(self) -> tuple[CheckedCollateral, ...]:
        """Give what is held for every kind."""
        kinds = sorted({match["kind"] for name in self._names() if (match := _ENTRY.fullmatch(name))})
        return tuple(newest for kind in kinds if (newest := self._newest(kind)) is not None)

    def damaged(self) -> tuple[DamagedEntry, ...]:
        """Name the files that count as absent: cut short, altered, readable by others, or not genuine."""
        found = []
        for name in self._names():
            try:
                self._read(name)
            except StrongroomError as error:
                found.append(DamagedEntry(name=name, reason=error.message))
            except _Gone:
                continue
        return tuple(found)

    def put(self, offered: CheckedCollateral) -> CheckedCollateral:
        """Keep what is new in a set, and give the newest parts of all: those of the cache where they are newer.

        Raises ``StorageUnavailable`` when it cannot be written or the cache is full, ``Misconfigured`` when others
        may write the directory, ``CollateralUnavailable`` when its parts do not fit what is held.
        """
        self._files.make_private_directory(self._directory)
        names, read = self._entries(str(offered.kind))
        genuine = [entry for entry in read.values() if isinstance(entry, CheckedCollateral)]
        try:
            newest = newest_parts([*genuine, offered], anchors=self.anchors, memo=self.memo)
        except ResourceUnavailable:
            self._write(offered, names)  # seen all the same; a set that is newer in every part ends the misfit
            raise
        written = self._write(newest, names)
        # entries under other anchors stay: they are another reader's mark
        self._remove([name for name, entry in read.items() if name != written and not isinstance(entry, _NotOurs)])
        self._remove_unfinished()
        return newest

    def _write(self, checked: CheckedCollateral, names: Sequence[str]) -> str:
        data = CollateralBundle(sets=(checked.collateral,)).to_bytes()
        name = f"{checked.kind}-{checked.tcb_info.number:010d}-{sha256(data).hex()[:32]}.collateral"
        if len(data) > MAX_ENTRY_BYTES:
            raise StorageUnavailable(f"a set of {len(data)} bytes is not kept; at most {MAX_ENTRY_BYTES} are")
        if name in names and self._intact(name):
            return name
        if len(names) >= _MAX_ENTRIES and not any(other.startswith(f"{checked.kind}-") for other in names):
            # forgetting another kind would forget how far it had come
            raise StorageUnavailable("the cache is full", hint=f"delete {self._directory} to begin anew")
        # Commit point. A crash before it leaves everything as it was and perhaps a file ".….new" that nobody reads;
        # a crash after it leaves older files too many, which the next write removes.
        self._files.write_private_file(self._directory / name, data)
        return name

    def _newest(self, kind: str) -> CheckedCollateral | None:
        genuine = [entry for entry in self._entries(kind)[1].values() if isinstance(entry, CheckedCollateral)]
        return newest_parts(genuine, anchors=self.anchors, memo=self.memo) if genuine else None

    def _entries(self, kind: str) -> tuple[list[str], dict[str, CheckedCollateral | _NotOurs | None]]:
        """List all names, and read the entries of one kind; ``None`` stands for a damaged one."""
        for _ in range(_MAX_ATTEMPTS):
            names = self._names()
            try:
                return names, {name: self._try(name) for name in names if name.startswith(f"{kind}-")}
            except _Gone:
                continue  # a writer put a newer one in its place, which the next listing shows
        raise StorageUnavailable(f"{self._directory} changes while it is read", retry_after_seconds=1.0)

    def _names(self) -> list[str]:
        """List the entries by name, damaged or not."""
        try:
            with os.scandir(self._directory) as found:
                return sorted(item.name for item in found if _ENTRY.fullmatch(item.name))
        except FileNotFoundError:
            return []
        except OSError as cause:
            raise StorageUnavailable(f"{self._directory} cannot be read: {cause.strerror}") from cause

    def _intact(self, name: str) -> bool:
        try:
            return isinstance(self._try(name), CheckedCollateral)
        except _Gone:
            return False

    def _try(self, name: str) -> CheckedCollateral | _NotOurs | None:
        """Read an entry; ``None`` when it is damaged. Raises ``StorageUnavailable`` when it may be fine."""
        try:
            return self._read(name)
        except CollateralUnavailable:
            return _NotOurs()
        except (Malformed, Misconfigured):
            return None

    def _read(self, name: str) -> CheckedCollateral:
        """Read and check one entry; raises ``_Gone`` when there is none any more."""
        data = self._files.read_private_file(self._directory / name, max_bytes=MAX_ENTRY_BYTES)
        match = _ENTRY.fullmatch(name)
        if data is None or match is None:
            raise _Gone
        if sha256(data).hex()[:32] != match["digest"]:
            raise Malformed("its bytes are not those it is named after", path=name)
        sets = CollateralBundle.from_bytes(data).sets
        if len(sets) != 1:
            raise Malformed(f"holds {len(sets)} sets, not one", path=name)
        checked = check_collateral(sets[0], anchors=self.anchors, memo=self.memo, resource=name)
        if (str(checked.kind), checked.tcb_info.number) != (match["kind"], int(match["number"])):
            raise Malformed(f"holds number {checked.tcb_info.number} for {checked.kind}", path=name)
        return checked

    def _remove(self, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):  # a file too many does no harm
                (self._directory / name).unlink(missing_ok=True)

    def _remove_unfinished(self) -> None:
        """Remove what crashed writers left, but for the last few, which may be somebody's that is writing now."""
        with contextlib.suppress(OSError), os.scandir(self._directory) as found:
            unfinished = [item for item in found if _UNFINISHED.fullmatch(item.name)]
            unfinished.sort(key=lambda item: item.stat(follow_symlinks=False).st_mtime)
            self._remove([item.name for item in unfinished[:-_MAX_UNFINISHED]])
