"""Trust anchors: the manufacturer's root *keys*. Several certificates of one root circulate; the key is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.base.errors import MalformedCollateral, Misconfigured
from strongroom.crypto.certificates import Certificate, parse_pem_chain, public_key_from_spki

__all__ = ["INTEL_SGX_ROOT", "SIMULATED_VENDOR", "Anchor", "simulated_anchor"]

_ROOT_SUFFIX: Final = " SGX Root CA"
SIMULATED_VENDOR: Final = "Strongroom Simulated"
"""What the names of the simulated platform's certificates begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One root key that chains may end in.

    ``name`` is the common name its certificate must have; ``spki`` its SubjectPublicKeyInfo (DER, P-256); ``vendor``
    the prefix that every certificate below it must carry (``Intel`` in "Intel SGX PCK Platform CA"). ``simulated``
    says that the key proves no hardware; it shows in every result.
    """

    name: str
    spki: bytes
    simulated: bool
    vendor: str

    @classmethod
    def from_certificate(cls, data: bytes, *, simulated: bool) -> Anchor:
        """Take the key and the name of a root certificate (PEM or DER), or raise ``MalformedCollateral``.

        The certificate must be self-signed and named "<vendor> SGX Root CA". A root of the simulated platform's name
        is simulated whatever the caller says.
        """
        pem = data.lstrip().startswith(b"-----BEGIN")
        chain = parse_pem_chain(data, path="root") if pem else (Certificate.from_der(data, path="root"),)
        root = chain[0]
        if len(chain) != 1 or root.subject != root.issuer or not root.signed(root):
            raise MalformedCollateral("not one self-signed certificate", path="root")
        if not root.common_name.endswith(_ROOT_SUFFIX) or public_key_from_spki(root.spki) is None:
            raise MalformedCollateral(f"not a P-256 root named '<vendor>{_ROOT_SUFFIX}'", path="root")
        vendor = root.common_name.removesuffix(_ROOT_SUFFIX)
        simulated = simulated or vendor.startswith(SIMULATED_VENDOR)
        return cls(name=root.common_name, spki=root.spki, simulated=simulated, vendor=vendor)

    def __post_init__(self) -> None:
        if self.name.startswith(SIMULATED_VENDOR) and not self.simulated:
            raise Misconfigured(
                f"the anchor {self.name!r} is of a simulated platform and must say so", setting="anchors"
            )

    def is_root(self, certificate: Certificate) -> bool:
        """Tell whether a certificate has this anchor's key and name. Its other bytes may differ."""
        return certificate.spki == self.spki and certificate.common_name == self.name


INTEL_SGX_ROOT: Final = Anchor(
    name="Intel SGX Root CA",
    # the key of "Intel SGX Root CA", as published with the certificate and compiled into Intel's QvE
    spki=bytes.fromhex(
        "3059301306072a8648ce3d020106082a8648ce3d030107034200"
        "040ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5"
        "67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394"
    ),
    simulated=False,
    vendor="Intel",
)


def simulated_anchor(spki: bytes) -> Anchor:
    """Name a simulated platform's root key as an anchor. Accepting it is a decision of its own."""
    return Anchor(name=f"{SIMULATED_VENDOR}{_ROOT_SUFFIX}", spki=spki, simulated=True, vendor=SIMULATED_VENDOR)
