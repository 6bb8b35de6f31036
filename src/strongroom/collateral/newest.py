"""Of several genuine sets for one kind of platform, the newest of each part: nothing goes backwards.

The parts are signed one by one, so a set put together from several is as genuine as they; it is checked again all the
same. It matters because a service may withhold what is new (section 3 of docs/spec/collateral.md).
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from strongroom.collateral.checked import CheckedCollateral, check_collateral
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.formats.collateral import Collateral

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.memo import Memo

__all__ = ["newest_parts", "older_parts", "require_forward"]

_PARTS: Final = {
    "tcb_info": ("tcb_info", "tcb_info_signature", "tcb_info_issuer_chain"),
    "qe_identity": ("qe_identity", "qe_identity_signature", "qe_identity_issuer_chain"),
    "root_ca_crl": ("root_ca_crl",),
    "pck_crl": ("pck_crl", "pck_crl_issuer_chain"),
}
_TITLES: Final = {
    "tcb_info": "TCB info",
    "qe_identity": "QE identity",
    "root_ca_crl": "root CRL",
    "pck_crl": "PCK CRL",
}


def newest_parts(
    sets: Sequence[CheckedCollateral], *, anchors: Sequence[Anchor], memo: Memo | None = None
) -> CheckedCollateral:
    """Take the newest of each part over one or more sets for one kind, of the first set where they are equally new.

    A lower number never replaces a higher one, nor an older issue date of the same number a newer one. Raises
    ``ResourceUnavailable`` when the newest parts do not fit together: one set's CRL revokes the other's signer.
    """
    if len({item.kind for item in sets}) != 1:
        raise ValueError("sets for several kinds of platform, or none, have no newest parts")
    newest = {name: max(sets, key=attrgetter(name)) for name in _PARTS}
    if len({id(item) for item in newest.values()}) == 1:
        return newest["tcb_info"]
    values = {field: getattr(newest[name].collateral, field) for name, names in _PARTS.items() for field in names}
    resource = f"the newest parts for {sets[0].kind}"
    return check_collateral(Collateral(**values), anchors=anchors, memo=memo, resource=resource)


def older_parts(held: CheckedCollateral, offered: CheckedCollateral) -> tuple[str, ...]:
    """Say of each part of ``offered`` that is older than in ``held`` what it is and what it would have to be."""
    said = []
    for name, title in _TITLES.items():
        have, got = getattr(held, name), getattr(offered, name)
        if got < have:
            said.append(
                f"{title} number {got.number} of {got.issued:%Y-%m-%dT%H:%M:%SZ}"
                f" is older than number {have.number} of {have.issued:%Y-%m-%dT%H:%M:%SZ}"
            )
    return tuple(said)


def require_forward(
    held: CheckedCollateral | None, offered: CheckedCollateral, newest: CheckedCollateral, at: datetime, *, source: str
) -> CheckedCollateral:
    """Give ``newest``, made of ``held`` and ``offered``, if it is valid at ``at``; else raise ``ResourceUnavailable``.

    A valid set that is older than what was seen cannot stand in for it: that is what a replay looks like.
    """
    if held is not None and not newest.valid_at(at) and (older := older_parts(held, offered)):
        resource = f"collateral for {newest.kind}"
        raise ResourceUnavailable(f"{source} goes backwards: {'; '.join(older)}", resource=resource)
    return newest.require(newest.kind, at, resource=source)
