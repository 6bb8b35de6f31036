"""One enclave on the simulated platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strongroom.attesters.sealing import SealingPolicy
from strongroom.attesters.simulated.quote import report
from strongroom.base.errors import AttesterUnavailable
from strongroom.crypto.kdf import derive

if TYPE_CHECKING:
    from strongroom.attesters.simulated.quote import QuotingEnclave
    from strongroom.attesters.simulated.settings import EnclaveIdentity
    from strongroom.formats.measurements import MrEnclave

__all__ = ["SimulatedAttester"]

_SEALING_LABEL: Final = "strongroom v1 simulated sealing key"


class SimulatedAttester:
    """Evidence and sealing keys of one enclave identity."""

    kind: Final = "sgx-dcap-3"

    def __init__(
        self, identity: EnclaveIdentity, quoting_enclave: QuotingEnclave, *, sealing_root: bytes, platform_id: bytes
    ) -> None:
        self.identity = identity
        self.platform_id = platform_id
        self._quoting_enclave = quoting_enclave
        self._sealing_root = sealing_root

    def evidence(self, report_data: bytes) -> bytes:
        """Make a quote over 64 bytes."""
        body = report(self.identity, self._quoting_enclave.qe_report.cpu_svn, report_data)
        return self._quoting_enclave.quote(body)

    def measurement(self) -> MrEnclave:
        """Give the measurement that is in the evidence."""
        return self.identity.mr_enclave

    def sealing_key(self, policy: SealingPolicy, label: str, *, isv_svn: int | None = None) -> bytes:
        """Derive a 32-byte key as EGETKEY does: from platform, policy's measurement, product, version, debug, label.

        A later version may ask for the key of an earlier ``isv_svn``, so that it can open what that one sealed; the
        key of a later version than one's own is refused. Unlike EGETKEY's, the key does not depend on the CPU's
        version: an update of the simulated platform loses nothing.
        """
        version = self.identity.isv_svn if isv_svn is None else isv_svn
        if not 0 <= version <= self.identity.isv_svn:
            raise AttesterUnavailable(f"an enclave of version {self.identity.isv_svn} gets no key of version {version}")
        measured = self.identity.mr_enclave if policy is SealingPolicy.MRENCLAVE else self.identity.mr_signer
        return derive(
            self._sealing_root,
            _SEALING_LABEL,
            policy.encode(),
            measured,
            self.identity.isv_prod_id.to_bytes(2, "little"),
            version.to_bytes(2, "little"),
            b"\x01" if self.identity.debug else b"\x00",  # a debug enclave can be read by the host
            label.encode(),
        )
