"""The simulated manufacturer's collateral: issued as of midnight, valid for 30 days, with numbers that only rise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from strongroom.attesters.simulated.pki import NOT_AFTER, NOT_BEFORE, PLATFORM_CA_NAME, ROOT_NAME, Certificates, Keys
from strongroom.attesters.simulated.settings import PlatformSettings
from strongroom.attesters.simulated.tcb import (
    FMSPC,
    PCE_ID,
    QE_ATTRIBUTES,
    QE_ISV_PROD_ID,
    QE_LEVELS,
    QE_MR_SIGNER,
    TCB_LEVELS,
)
from strongroom.base.errors import CollateralUnavailable
from strongroom.crypto.certificates import issue_revocation_list, pem
from strongroom.formats.collateral import Collateral
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.tcb_info import TcbInfo

__all__ = ["VALIDITY", "issue_collateral", "issue_date"]

VALIDITY: Final = timedelta(days=30)
_EVALUATION_PERIOD: Final = timedelta(days=91)  # Intel raises its number about once a quarter
_FIRST_EVALUATION: Final = 1
_MISC_SELECT_MASK: Final = 0xFFFFFFFF
_ATTRIBUTES_MASK: Final = bytes.fromhex("fbffffffffffffff0000000000000000")  # as in Intel's: all flags but MODE64


def issue_date(at: datetime) -> datetime:
    """Give the instant as of which collateral for ``at`` is issued: the last midnight (UTC)."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def issue_collateral(
    keys: Keys, certificates: Certificates, settings: PlatformSettings, *, issued: datetime, revision: int
) -> Collateral:
    """Issue the nine parts as of ``issued``; ``CollateralUnavailable`` outside the certificates' dates.

    ``revision`` counts the changes of the settings: what changes within one day gets a greater CRL number, too.
    """
    next_update = issued + VALIDITY
    if not NOT_BEFORE <= issued < next_update <= NOT_AFTER:
        raise CollateralUnavailable(
            f"the simulated platform's certificates are not valid on {issued:%Y-%m-%d}", hint="set the clock"
        )
    age = issued - NOT_BEFORE
    number = age.days + 1 + revision
    evaluation = _FIRST_EVALUATION + age // _EVALUATION_PERIOD
    tcb_info = TcbInfo(
        version=3,
        id="SGX",
        issue_date=issued,
        next_update=next_update,
        fmspc=FMSPC,
        pce_id=PCE_ID,
        tcb_evaluation_data_number=evaluation,
        levels=TCB_LEVELS,
    ).to_bytes()
    qe_identity = QeIdentity(
        id="QE",
        issue_date=issued,
        next_update=next_update,
        tcb_evaluation_data_number=evaluation,
        misc_select=0,
        misc_select_mask=_MISC_SELECT_MASK,
        attributes=bytes(value & mask for value, mask in zip(QE_ATTRIBUTES.to_bytes(), _ATTRIBUTES_MASK, strict=True)),
        attributes_mask=_ATTRIBUTES_MASK,
        mr_signer=QE_MR_SIGNER,
        isv_prod_id=QE_ISV_PROD_ID,
        levels=QE_LEVELS,
    ).to_bytes()
    signing_chain = pem((certificates.tcb_signing, certificates.root))
    return Collateral(
        pck_crl_issuer_chain=pem((certificates.platform_ca, certificates.root)),
        root_ca_crl=issue_revocation_list(
            issuer=ROOT_NAME, issuer_key=keys.root, number=number, this_update=issued, next_update=next_update
        ),
        pck_crl=issue_revocation_list(
            issuer=PLATFORM_CA_NAME,
            issuer_key=keys.platform_ca,
            number=number,
            this_update=issued,
            next_update=next_update,
            revoked=(certificates.pck_serial,) if settings.pck_revoked else (),
        ),
        tcb_info_issuer_chain=signing_chain,
        tcb_info=tcb_info,
        tcb_info_signature=keys.tcb_signing.sign_raw(tcb_info),
        qe_identity_issuer_chain=signing_chain,
        qe_identity=qe_identity,
        qe_identity_signature=keys.tcb_signing.sign_raw(qe_identity),
    )
