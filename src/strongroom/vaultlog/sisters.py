"""What a device knows of its sisters, the other devices of a vault, and how it holds their word against the store's.

docs/spec/vault-log.md section 6.2. Pure: statements in, what follows from them out. A statement counts when a member
signed it; the heads inside were verified by that member, and are the store's own words all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from strongroom.base.errors import ForkDetected, RollbackDetected, WithheldDetected
from strongroom.crypto.merkle import consistency_roots
from strongroom.vaultlog.proof import ProofKind, make_proof
from strongroom.vaultlog.statement import SignedStatement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from strongroom.vaultlog.chain import ChainState
    from strongroom.vaultlog.head import VerifiedHead

__all__ = ["Sister", "SisterNews", "hold_against", "judge_sisters", "known_sisters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sister:
    """The newest statement of one device that this device accepted."""

    signed: bytes
    statement: SignedStatement


@dataclass(frozen=True, slots=True, kw_only=True)
class SisterNews:
    """What the store passed on: the ``sisters`` as they are now, and the ``behind`` ones, lengths to be proven.

    ``behind`` maps the length of a new statement that is shorter than the head to the statements of that length.
    """

    sisters: Mapping[bytes, Sister]
    behind: Mapping[int, tuple[Sister, ...]] = field(default_factory=lambda: MappingProxyType({}))


def known_sisters(statements: Iterable[bytes]) -> Mapping[bytes, Sister]:
    """Read statements that this device accepted before and kept; ``MalformedEntry``."""
    sisters = [Sister(signed=data, statement=SignedStatement.from_bytes(data)) for data in statements]
    return MappingProxyType({sister.statement.statement.device: sister for sister in sisters})


def judge_sisters(
    known: Mapping[bytes, Sister],
    shown: Sequence[bytes],
    *,
    chain: ChainState,
    head: VerifiedHead,
    own_device: bytes,
) -> SisterNews:
    """Hold what the store passes on of the other devices' views against its head, which ``chain`` has reached.

    ``MalformedEntry`` for what is no statement. Statements that no member signed count for nothing. Otherwise, for
    each member that has stated something: ``WithheldDetected`` when the store leaves out or goes back behind what it
    passed on before, ``RollbackDetected`` or ``WithheldDetected`` when a sister has reached more than the head, and
    ``ForkDetected`` when she has reached another history of the same length.
    """
    sisters = {device: sister for device, sister in known.items() if device in chain.members}
    behind: dict[int, list[Sister]] = {}
    passed: set[bytes] = set()
    for data in shown:
        statement = SignedStatement.from_bytes(data)
        device = statement.statement.device
        if device not in chain.members or device == own_device or statement.head.vault != chain.vault:
            continue
        before = sisters.get(device)
        if before is not None and before.signed == data:
            passed.add(device)
            continue
        if not statement.is_authentic():
            continue
        if before is not None and not statement.supersedes(before.statement):
            raise WithheldDetected(
                "the store passes on an older word of a device than before", proof=_withheld(before, head)
            )
        sister = Sister(signed=data, statement=statement)
        _compare(sister, head)
        if statement.head.length < head.head.length:
            behind.setdefault(statement.head.length, []).append(sister)
        sisters[device] = sister
        passed.add(device)
    for device, sister in sisters.items():
        if device not in passed:
            raise WithheldDetected("the store keeps a device's word to itself", proof=_withheld(sister, head))
    return SisterNews(
        sisters=MappingProxyType(sisters),
        behind=MappingProxyType({length: tuple(found) for length, found in behind.items() if length > 0}),
    )


def hold_against(news: SisterNews, paths: Mapping[int, Sequence[bytes]], head: VerifiedHead) -> None:
    """Check by consistency paths that each shorter statement of ``news`` is the beginning of the head's history.

    ``ForkDetected`` when one is not, or when the store gives no path that shows it.
    """
    for length, sisters in news.behind.items():
        path = tuple(paths.get(length, ()))
        roots = consistency_roots(length, head.head.length, path)
        if roots is None or roots[1] != head.head.root:
            raise ForkDetected(
                f"the store cannot show that its head extends the {length} entries another device has seen",
                proof=make_proof(ProofKind.FORK, earlier=sisters[0].statement.statement.head, later=head.signed),
            )
        for sister in sisters:
            if sister.statement.head.root != roots[0]:
                raise ForkDetected(
                    f"another device has seen another history of {length} entries",
                    proof=make_proof(
                        ProofKind.FORK, earlier=sister.statement.statement.head, later=head.signed, path=path
                    ),
                )


def _compare(sister: Sister, head: VerifiedHead) -> None:
    theirs, ours = sister.statement.head, head.head
    if theirs.length > ours.length:
        earlier = sister.statement.statement.head
        message = f"another device has reached {theirs.length} entries, the store shows {ours.length}"
        if theirs.time_ms <= ours.time_ms:
            raise RollbackDetected(message, proof=make_proof(ProofKind.ROLLBACK, earlier=earlier, later=head.signed))
        raise WithheldDetected(message, proof=_withheld(sister, head))
    if theirs.length == ours.length and (theirs.chain_hash, theirs.root) != (ours.chain_hash, ours.root):
        raise ForkDetected(
            f"another device has seen another history of {ours.length} entries",
            proof=make_proof(ProofKind.FORK, earlier=sister.statement.statement.head, later=head.signed),
        )


def _withheld(sister: Sister, head: VerifiedHead) -> bytes:
    return make_proof(ProofKind.WITHHELD, earlier=sister.statement.statement.head, later=head.signed)
