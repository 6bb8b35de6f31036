"""Distrust notices that this client keeps, and what they refuse (docs/spec/floors-and-notices.md 4 to 6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import Denied, Malformed
from strongroom.base.fields import Fields
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import DIGEST_BYTES, sha256
from strongroom.formats.distrust_notice import Effect, SignedDistrustNotice, Subject
from strongroom.storage.file_lock import file_lock
from strongroom.storage.files import make_private_directory, read_private_file, write_private_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from strongroom.verifier.binding import AttestedPeer

__all__ = ["NoticeBook", "Notices"]

_FORMAT: Final = "strongroom notices"
_DIRECTORY: Final = "notices"
_MAX_KEPT: Final = 1024
_MAX_BYTES: Final = 2 * 1024 * 1024
_MAX_AHEAD: Final = timedelta(days=1)
"""How far a notice may be dated ahead of this client's clock: one from a far future could never be followed."""

_STEPS: Final = {
    Subject.MACHINE: ("6.1", Check.PLATFORM, "this machine"),
    Subject.INSTANCE: ("6.2", Check.DEPLOYMENT, "this instance"),
    Subject.MEASUREMENT: ("6.3", Check.MEASUREMENT, "this code"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """The notices kept about one deployment: the newest of each signer about each subject."""

    deployment: bytes
    kept: tuple[SignedDistrustNotice, ...] = ()

    def with_notice(self, new: SignedDistrustNotice) -> Notices:
        """Give the notices after one more. An older one changes nothing; of two of one time, distrust wins."""
        others = [signed for signed in self.kept if _slot(signed) != _slot(new)]
        same = [signed for signed in self.kept if _slot(signed) == _slot(new)]
        newest = max([*same, new], key=_rank)
        kept = sorted([*others, newest], key=lambda signed: (*_slot(signed),))
        return Notices(deployment=self.deployment, kept=tuple(kept))

    def objections(self, peer: AttestedPeer, *, at: datetime) -> list[Finding]:
        """Give a finding for everything about a peer that is distrusted at this time: steps 6.1 to 6.3."""
        names = {
            Subject.MACHINE: peer.machine,
            Subject.INSTANCE: peer.instance,
            Subject.MEASUREMENT: bytes(peer.result.claims.measurement),
        }
        at_ms = int(at.timestamp() * 1000)
        return [
            _objection(signed)
            for signed in self.kept
            if signed.notice.effect is Effect.DISTRUST
            and signed.notice.since_ms <= at_ms
            and names[signed.notice.subject] == signed.notice.value
        ]

    def to_bytes(self) -> bytes:
        """Encode them."""
        kept = [signed.to_bytes() for signed in self.kept]
        return canonical.encode({"format": _FORMAT, "version": 1, "deployment": self.deployment, "notices": kept})

    @classmethod
    def from_bytes(cls, data: bytes, *, deployment: bytes) -> Notices:
        """Decode the notices about a deployment, or raise ``Malformed``: also for a signature that does not fit."""
        fields = Fields.decode(data, path="notices", error=Malformed, max_bytes=_MAX_BYTES)
        fields.exactly("format", _FORMAT)
        fields.exactly("version", 1)
        if fields.byte_string("deployment", length=DIGEST_BYTES) != deployment:
            raise fields.fail("these are about another deployment")
        kept = tuple(map(SignedDistrustNotice.from_bytes, fields.byte_strings("notices", at_most=_MAX_KEPT)))
        fields.done()
        if not all(signed.is_signed and signed.notice.deployment == deployment for signed in kept):
            raise fields.fail("a notice that was altered, or about another deployment")
        return cls(deployment=deployment, kept=kept)


class NoticeBook:
    """The notices about every deployment, one file each in ``notices/`` of this client's directory."""

    def __init__(self, home: Path) -> None:
        self._directory = home / _DIRECTORY

    def load(self, deployment: bytes) -> Notices:
        """Read the notices about a deployment; ``Malformed`` when they are damaged."""
        return self._read(self._path(deployment), deployment)

    def every(self) -> Iterable[Notices]:
        """Read all that is kept."""
        for path in sorted(self._directory.glob("*.cbor")):
            try:
                deployment = bytes.fromhex(path.stem)
            except ValueError:
                raise Malformed("not named for a deployment", path=str(path)) from None
            yield self._read(path, deployment)

    def apply(self, signed: SignedDistrustNotice, *, notice_key: bytes | None, at: datetime) -> bool:
        """Keep a notice; tells whether anything changed. Steps 5.1 to 5.4.

        ``notice_key`` is the key, besides the deployment's own, whose notices this client believes. ``Malformed`` for
        one that was altered or is from the future, ``Denied`` for one that nobody signed whom this client believes.
        """
        notice = signed.notice
        if not signed.is_signed:
            raise Malformed("the signature does not fit", path="notice")
        if sha256(signed.key) != notice.deployment and signed.key != notice_key:
            raise Denied(
                "the notice is signed neither by the deployment it is about nor by a notice key that was named to us",
                hint="the notice key is in the invitation; give that, too",
            )
        if notice.issued_ms > int((at + _MAX_AHEAD).timestamp() * 1000):
            raise Malformed("the notice is dated in the future", path="notice", hint="is this machine's clock right?")
        make_private_directory(self._directory)
        with file_lock(self._directory / "lock"):
            before = self.load(notice.deployment)
            after = before.with_notice(signed)
            if len(after.kept) > _MAX_KEPT:
                raise Malformed(f"more than {_MAX_KEPT} notices about one deployment", path="notices")
            if after == before:
                return False
            write_private_file(self._path(notice.deployment), after.to_bytes())
        return True

    def _path(self, deployment: bytes) -> Path:
        return self._directory / f"{deployment.hex()}.cbor"

    def _read(self, path: Path, deployment: bytes) -> Notices:
        content = read_private_file(path, max_bytes=_MAX_BYTES)
        if content is None:
            return Notices(deployment=deployment)
        try:
            return Notices.from_bytes(content, deployment=deployment)
        except Malformed as cause:
            hint = "restore the file; without it, what was distrusted would be believed again"
            raise Malformed(cause.message, path=str(path), hint=hint) from cause


def _slot(signed: SignedDistrustNotice) -> tuple[str, bytes, bytes]:
    """What a later notice replaces: the same signer's about the same subject. Nobody withdraws another's distrust."""
    return str(signed.notice.subject), signed.notice.value, signed.key


def _rank(signed: SignedDistrustNotice) -> tuple[int, bool, int, bytes]:
    notice = signed.notice
    return notice.issued_ms, notice.effect is Effect.DISTRUST, -notice.since_ms, signed.to_bytes()


def _objection(signed: SignedDistrustNotice) -> Finding:
    step, check, noun = _STEPS[signed.notice.subject]
    since = datetime.fromtimestamp(signed.notice.since_ms / 1000, UTC)
    who = "its deployment" if sha256(signed.key) == signed.notice.deployment else "the holder of the notice key"
    reason = f": {signed.notice.reason}" if signed.notice.reason else ""
    return Finding(
        check=check,
        message=f"{who} distrusts {noun} since {since:%Y-%m-%d %H:%M} UTC{reason}",
        section=f"floors-and-notices {step}",
        expected=f"another {signed.notice.subject}",
        actual=signed.notice.value.hex(),
    )
