"""Sources of collateral, and sources made of sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from strongroom.base.errors import CollateralUnavailable, MalformedCollateral, StorageUnavailable
from strongroom.collateral.bundle import CollateralBundle
from strongroom.collateral.checked import INTEL, CheckedCollateral, check_collateral
from strongroom.collateral.newest import newest_parts, require_forward
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.formats.collateral import Collateral

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.collateral.cache import CollateralCache
    from strongroom.collateral.kinds import PlatformKind
    from strongroom.verifier.anchors import Anchor

__all__ = ["BundleSource", "CachingSource", "CollateralSource", "SourceChain", "StapledSource"]


class CollateralSource(Protocol):
    """Knows collateral for some kinds of platforms."""

    @property
    def name(self) -> str:
        """Name the source for people."""
        ...

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        """Give a genuine set of this kind that is valid at ``at``.

        Raises ``CollateralUnavailable`` when there is none and ``MalformedCollateral`` when what there is, is none.
        """
        ...


class StapledSource:
    """A set that somebody handed over, as JSON of nine keys. It is checked when it is asked for."""

    def __init__(self, data: bytes, *, anchors: Sequence[Anchor] = INTEL, name: str = "the set handed over") -> None:
        self._data = data
        self._anchors = tuple(anchors)
        self.name = name

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        """Check the set and give it."""
        checked = check_collateral(Collateral.from_json(self._data), anchors=self._anchors, resource=self.name)
        return checked.require(kind, at, resource=self.name)


class BundleSource:
    """A bundle in memory; every set in it is checked here, at once."""

    def __init__(self, data: bytes, *, anchors: Sequence[Anchor] = INTEL, name: str = "the bundle") -> None:
        """Raises ``MalformedCollateral`` for bytes that are no bundle, ``CollateralUnavailable`` for a forged set."""
        self.name = name
        self.sets = tuple(
            check_collateral(item, anchors=anchors, resource=f"set {index} of {name}")
            for index, item in enumerate(CollateralBundle.from_bytes(data).sets)
        )

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        """Give the newest set of this kind that is valid at ``at``."""
        sets = [item for item in self.sets if item.kind == kind]
        if not sets:
            raise ResourceUnavailable(f"holds nothing for {kind}", resource=self.name)
        sets.sort(key=lambda item: (item.valid_at(at), item.tcb_info, item.pck_crl))
        return sets[-1].require(kind, at, resource=self.name)


class SourceChain:
    """Several sources in order: the first that has a set valid at the instant asked for."""

    def __init__(self, sources: Sequence[CollateralSource]) -> None:
        if not sources:
            raise ValueError("a chain without sources has nothing to give")
        self._sources = tuple(sources)
        self.name = ", then ".join(source.name for source in sources)

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        """Ask one source after another; ``CollateralUnavailable`` says what each of them answered."""
        reasons: list[str] = []
        waits: list[float] = []
        for source in self._sources:
            try:
                return source.collateral(kind, at).require(kind, at, resource=source.name)
            except (CollateralUnavailable, MalformedCollateral, StorageUnavailable) as error:
                reasons.append(error.message if isinstance(error, ResourceUnavailable) else f"{source.name}: {error}")
                if not isinstance(error, MalformedCollateral) and error.retry_after_seconds is not None:
                    waits.append(error.retry_after_seconds)
        raise ResourceUnavailable(
            "; ".join(reasons), resource=f"collateral for {kind}", retry_after_seconds=min(waits, default=None)
        )


class CachingSource:
    """A source whose answers are kept: it is asked each time, and never takes us back behind what the cache has seen.

    It fails when the source does; put the cache before or after it in a ``SourceChain``. ``storage_failure`` says why
    the last answer could not be kept, or is empty: a full disk costs the memory of what was seen, not the service.
    """

    def __init__(self, source: CollateralSource, cache: CollateralCache) -> None:
        self._source = source
        self._cache = cache
        self.name = source.name
        self.storage_failure = ""

    def collateral(self, kind: PlatformKind, at: datetime) -> CheckedCollateral:
        """Ask the source, keep the answer, give the newest parts of all.

        Raises ``StorageUnavailable`` when what the cache has seen cannot be read: then nothing says how far back an
        answer would lead.
        """
        offered = self._source.collateral(kind, at).require(kind, at, resource=self.name)
        held = self._cache.newest(kind)
        try:
            newest = self._cache.put(offered)
            self.storage_failure = ""
        except StorageUnavailable as error:
            self.storage_failure = error.message
            seen = (held, offered) if held is not None else (offered,)
            newest = newest_parts(seen, anchors=self._cache.anchors, memo=self._cache.memo)
        return require_forward(held, offered, newest, at, source=self.name)
