"""The error families. Each says who has to act; the exit code and the HTTP status follow from the family.

Exceptions are plain classes with keyword arguments. A message is one sentence of fact; what to do about it is
in ``hint``. Neither holds a secret or a record's contents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.base.findings import Finding

__all__ = [
    "AnchorMoved",
    "AnchorUnavailable",
    "AppraisalRefused",
    "AttesterUnavailable",
    "ChannelRefused",
    "ClientNotAttested",
    "CollateralUnavailable",
    "Conflict",
    "Contended",
    "Denied",
    "DevicePending",
    "DeviceRevoked",
    "ForkDetected",
    "HeadMoved",
    "Malformed",
    "MalformedCollateral",
    "MalformedEntry",
    "MalformedMessage",
    "MalformedQuote",
    "MalformedRecord",
    "MalformedToken",
    "Misbehaviour",
    "Misconfigured",
    "NotAuthorised",
    "QuotaExceeded",
    "RecordTampered",
    "RollbackDetected",
    "SecondFactorMissing",
    "SecondFactorNeeded",
    "StorageUnavailable",
    "StoreUnreachable",
    "StrongroomError",
    "TenantSuspended",
    "TenantUnknown",
    "TooManyGuesses",
    "Unavailable",
    "VaultBehind",
    "WithheldDetected",
]


class StrongroomError(Exception):
    """Whatever Strongroom itself raises on purpose."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Misconfigured(StrongroomError):
    """Our own settings are wrong; the operator or the user of this machine has to change them."""

    code = "misconfigured"

    def __init__(self, message: str, *, setting: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.setting = setting


class Malformed(StrongroomError):
    """Bytes that are not the thing they should be. Trying again with the same bytes cannot help."""

    exit_code = 2
    http_status = 400
    code = "malformed"

    def __init__(self, message: str, *, path: str = "", offset: int | None = None, hint: str = "") -> None:
        where = f"{path}: " if path else ""
        at = f" (at byte {offset})" if offset is not None else ""
        super().__init__(f"{where}{message}{at}", hint=hint)
        self.path = path
        self.offset = offset


class MalformedQuote(Malformed):
    """Not a quote of a kind we read."""

    code = "malformed-quote"


class MalformedCollateral(Malformed):
    """Not a certificate, CRL, TCB info, QE identity or collateral set."""

    code = "malformed-collateral"


class MalformedRecord(Malformed):
    """Not a sealed record, or not an item inside one."""

    code = "malformed-record"


class MalformedEntry(Malformed):
    """Not an entry or a head of a vault's log."""

    code = "malformed-entry"


class MalformedMessage(Malformed):
    """Not a message of the attested channel or of the store's interface."""

    code = "malformed-message"


class MalformedToken(Malformed):
    """Not a signed attestation result."""

    code = "malformed-token"


class AppraisalRefused(StrongroomError):
    """Well-formed evidence that the policy does not accept. Carries every finding, never only the first."""

    exit_code = 3
    http_status = 403
    code = "appraisal-refused"

    def __init__(self, findings: Sequence[Finding], *, hint: str = "") -> None:
        if not findings:
            raise ValueError("a refusal without a finding explains nothing")
        super().__init__("refused: " + "; ".join(str(finding) for finding in findings), hint=hint)
        self.findings = tuple(findings)


class Misbehaviour(StrongroomError):
    """The store contradicted what it had signed. Stop, keep the proof, tell the user.

    ``proof`` holds the signed statements that contradict each other (docs/spec/vault-log.md), so that it
    convinces someone who has nothing else.
    """

    exit_code = 4
    code = "misbehaviour"

    def __init__(self, message: str, *, proof: bytes = b"", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.proof = proof


class RollbackDetected(Misbehaviour):
    """The store shows a head older than one it has signed before."""

    code = "rollback"


class ForkDetected(Misbehaviour):
    """The store shows a history that is not an extension of one it has signed before."""

    code = "fork"


class WithheldDetected(Misbehaviour):
    """The store keeps to itself what it had shown before, or what another device of the vault has seen."""

    code = "withheld"


class RecordTampered(Misbehaviour):
    """An entry or a sealed record that no device of this account made in this place."""

    code = "tampered"


class Denied(StrongroomError):
    """The caller may not do this."""

    exit_code = 5
    http_status = 403
    code = "denied"


class NotAuthorised(Denied):
    """Wrong password, unknown account, unknown or revoked device: the same answer for each."""

    http_status = 401
    code = "not-authorised"


class SecondFactorNeeded(Denied):
    """The password was right, and the account has a second factor, which is still to be shown."""

    code = "second-factor-needed"


class SecondFactorMissing(Denied):
    """The tenant demands a second factor of everybody, and this account has none yet."""

    code = "second-factor-missing"


class QuotaExceeded(Denied):
    """The tenant has used up what its administrator allows it."""

    code = "quota-exceeded"


class TenantSuspended(Denied):
    """The tenant's administrator has closed it for now; nothing of it is lost."""

    code = "tenant-suspended"


class TenantUnknown(Denied):
    """No such tenant here: never, or no longer."""

    code = "tenant-unknown"


class TooManyGuesses(Denied):
    """No attempt at this name is answered now, whether it is somebody's or nobody's."""

    http_status = 429
    code = "too-many-guesses"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class ClientNotAttested(Denied):
    """This place admits clients by their evidence, and this one showed none that counts."""

    code = "client-not-attested"


class DevicePending(NotAuthorised):
    """A device that no other device has approved yet, nor the recovery kit."""

    code = "device-pending"


class DeviceRevoked(Denied):
    """This device was removed from its vault, and never comes back. What it has read it keeps."""

    code = "device-revoked"


class Conflict(StrongroomError):
    """Somebody else was first. Refresh, then try again."""

    exit_code = 6
    http_status = 409
    code = "conflict"


class HeadMoved(Conflict):
    """The vault's head is no longer the one that the new entries extend."""

    code = "head-moved"


class AnchorMoved(Conflict):
    """A counter outside the database is not where it was expected: somebody else has moved it."""

    code = "anchor-moved"


class Unavailable(StrongroomError):
    """Could not find out. Never treated as accepted."""

    exit_code = 7
    http_status = 503
    code = "unavailable"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class CollateralUnavailable(Unavailable):
    """No collateral for this platform could be had."""

    code = "collateral-unavailable"


class StoreUnreachable(Unavailable):
    """The store could not be reached or did not answer as a store does."""

    code = "store-unreachable"


class AttesterUnavailable(Unavailable):
    """This machine could not produce evidence or a sealing key."""

    code = "attester-unavailable"


class StorageUnavailable(Unavailable):
    """A database or a disk could not be read or written; nothing was half-applied."""

    code = "storage-unavailable"


class AnchorUnavailable(Unavailable):
    """A counter outside the database could not be reached, or its answer did not prove itself."""

    code = "anchor-unavailable"


class Contended(StorageUnavailable):
    """The database undid a transaction for the sake of another one; the same can be tried again at once."""

    code = "contended"


class VaultBehind(Unavailable):
    """The store lost entries of this vault that it had signed for, and takes no new ones until it has them back."""

    code = "vault-behind"


class ChannelRefused(Unavailable):
    """The server does not know this channel any more; a new exchange is needed."""

    http_status = 421
    code = "channel-unknown"
