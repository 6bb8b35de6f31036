"""Floors: the newest that this client has accepted of a deployment; less is refused (docs/spec/floors-and-notices.md).

What proves recency within one verdict (epochs, numbers and dates of collateral) can be put back by whoever carries
it, up to the limits of its own expiry. A client that remembers need not go back with it. Floors move only forward,
only after a verdict that nothing was objected to, and whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, Malformed
from strongroom.base.fields import Fields
from strongroom.base.findings import Check, Finding
from strongroom.crypto.hashing import DIGEST_BYTES
from strongroom.storage.file_lock import file_lock
from strongroom.storage.files import make_private_directory, read_private_file, write_private_file
from strongroom.verifier.result import SgxClaims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from strongroom.verifier.binding import AttestedPeer

__all__ = ["ISSUE_TOLERANCE", "FloorBook", "Floors"]

ISSUE_TOLERANCE: Final = timedelta(days=7)
"""How far the oldest document may lie behind the newest seen: instances renew their collateral on their own days."""

_FORMAT: Final = "strongroom floors"
_DIRECTORY: Final = "floors"
_MAX_BYTES: Final = 64 * 1024
_MAX_FLOORS: Final = 256
_MAX_NUMBER_BYTES: Final = 20  # a CRL number (RFC 5280 section 5.2.3)
_HINT: Final = "it shows something older than before; ask its operator whether that is so, and why"

_ISSUED: Final = "issued"
_STEPS: Final = {
    "epoch": ("2.1", Check.FRESHNESS, "epoch"),
    "security-version": ("2.2", Check.FRESHNESS, "security version of the code"),
    "evaluation": ("2.3", Check.EXPIRY, "TCB evaluation data number"),
    "root-crl": ("2.4", Check.EXPIRY, "number of the root's revocation list"),
    "pck-crl": ("2.5", Check.EXPIRY, "number of the platforms' revocation list"),
    _ISSUED: ("2.6", Check.EXPIRY, "issue date of the oldest collateral"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """What was accepted of one deployment: a number for each name.

    A name is a kind, and for all but ``epoch`` what it is about: ``evaluation intel``, ``pck-crl 00906ed50000``.
    Issue dates are Unix milliseconds.
    """

    deployment: bytes
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, peer: AttestedPeer) -> Floors:
        """Take the numbers of one verdict."""
        facts, claims = peer.result.collateral, peer.result.claims
        root = "simulated" if peer.result.simulated else "intel"
        fmspc = peer.result.platform.fmspc.hex()
        numbers = {
            "epoch": peer.epoch,
            f"evaluation {root}": facts.tcb_evaluation_data_number,
            # a list without a number counts as 0: leaving the number away must not help
            f"root-crl {root}": facts.root_crl_number or 0,
            f"pck-crl {fmspc}": facts.pck_crl_number or 0,
            f"{_ISSUED} {fmspc}": max(0, int(facts.earliest_issue.timestamp() * 1000)),
        }
        if isinstance(claims, SgxClaims):
            numbers[f"security-version {claims.mr_signer.hex()}/{claims.isv_prod_id}"] = claims.isv_svn
        return cls(deployment=peer.deployment, numbers=numbers)

    def objections(self, offered: Floors) -> list[Finding]:
        """Give a finding for everything in which a verdict's numbers fall behind these: steps 2.1 to 2.6."""
        found = [
            _objection(name, self.numbers[name], number)
            for name, number in offered.numbers.items()
            if name in self.numbers
        ]
        return sorted((finding for finding in found if finding is not None), key=lambda finding: finding.section)

    def raised(self, offered: Floors) -> Floors:
        """Give the floors after a verdict was accepted. None of them goes down."""
        numbers = dict(self.numbers)
        for name, number in offered.numbers.items():
            numbers[name] = max(number, numbers.get(name, 0))
        return Floors(deployment=self.deployment, numbers=numbers)

    def to_bytes(self) -> bytes:
        """Encode them."""
        numbers = {
            name: number.to_bytes(_MAX_NUMBER_BYTES, "big").lstrip(b"\0") for name, number in self.numbers.items()
        }
        return canonical.encode({"format": _FORMAT, "version": 1, "deployment": self.deployment, "floors": numbers})

    @classmethod
    def from_bytes(cls, data: bytes, *, deployment: bytes) -> Floors:
        """Decode a deployment's floors, or raise ``Malformed``."""
        value = canonical.decode(data, path="floors", max_bytes=_MAX_BYTES)
        raw = value.pop("floors", None) if isinstance(value, dict) else None
        fields = Fields(value, path="floors", error=Malformed)
        fields.exactly("format", _FORMAT)
        fields.exactly("version", 1)
        if fields.byte_string("deployment", length=DIGEST_BYTES) != deployment:
            raise fields.fail("these are another deployment's")
        fields.done()
        if not isinstance(raw, dict) or len(raw) > _MAX_FLOORS:
            raise fields.fail(f"field 'floors' is not a map of at most {_MAX_FLOORS}")
        numbers = {}
        for name, number in raw.items():
            if not isinstance(name, str) or name.partition(" ")[0] not in _STEPS:
                raise fields.fail("a floor of an unknown kind")
            if not isinstance(number, bytes) or len(number) > _MAX_NUMBER_BYTES or number.startswith(b"\0"):
                raise fields.fail(f"floor {name!r} is not a number")
            numbers[name] = int.from_bytes(number, "big")
        return cls(deployment=deployment, numbers=numbers)

    def described(self) -> list[tuple[str, str]]:
        """Give what each floor is about and its value, for people."""
        return [(name, _text(name, number)) for name, number in sorted(self.numbers.items())]


class FloorBook:
    """The floors of every deployment that this client has accepted, one file each in ``floors/`` of its directory."""

    def __init__(self, home: Path) -> None:
        self._directory = home / _DIRECTORY

    def load(self, deployment: bytes) -> Floors:
        """Read a deployment's floors; none are set before the first verdict. ``Malformed`` when they are damaged."""
        path = self._path(deployment)
        content = read_private_file(path, max_bytes=_MAX_BYTES)
        if content is None:
            return Floors(deployment=deployment, numbers={})
        try:
            return Floors.from_bytes(content, deployment=deployment)
        except Malformed as cause:
            # to go on without would be what somebody who damages the file wants
            hint = "restore the file, or remove it to accept this deployment as if for the first time"
            raise Malformed(cause.message, path=str(path), hint=hint) from cause

    def objections(self, peer: AttestedPeer) -> list[Finding]:
        """Compare a peer with its deployment's floors, and leave them."""
        return self.load(peer.deployment).objections(Floors.of(peer))

    def admit(self, peer: AttestedPeer, *, others: Sequence[Finding] = ()) -> None:
        """Raise the floors to a peer's, or raise ``AppraisalRefused``: with the objections and what ``others`` found.

        Two processes that do this at one time do it one after the other, so neither puts back what the other raised.
        """
        make_private_directory(self._directory)
        with file_lock(self._directory / "lock"):
            floors, offered = self.load(peer.deployment), Floors.of(peer)
            if findings := [*others, *floors.objections(offered)]:
                raise AppraisalRefused(findings, hint="" if others else _HINT)
            raised = floors.raised(offered)
            if len(raised.numbers) > _MAX_FLOORS:
                raise Malformed(f"more than {_MAX_FLOORS} floors", path=str(self._path(peer.deployment)))
            if raised != floors:
                write_private_file(self._path(peer.deployment), raised.to_bytes())

    def _path(self, deployment: bytes) -> Path:
        return self._directory / f"{deployment.hex()}.cbor"


def _objection(name: str, floor: int, number: int) -> Finding | None:
    kind = name.partition(" ")[0]
    step, check, noun = _STEPS[kind]
    least = floor - int(ISSUE_TOLERANCE.total_seconds() * 1000) if kind == _ISSUED else floor
    if number >= least:
        return None
    return Finding(
        check=check,
        message=f"the {noun} is below what this client has accepted before",
        section=f"floors-and-notices {step}",
        expected=f"at least {_text(name, least)}",
        actual=_text(name, number),
    )


def _text(name: str, number: int) -> str:
    if name.partition(" ")[0] != _ISSUED:
        return str(number)
    try:
        return f"{datetime.fromtimestamp(number / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{number} ms"
