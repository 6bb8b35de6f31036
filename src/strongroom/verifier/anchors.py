"""Trust anchors: the manufacturer's root *keys*. Several certificates of one root circulate; the key is one."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strongroom.base.errors import MalformedCollateral, Misconfigured
from strongroom.crypto.certificates import Certificate, parse_pem_chain, public_key_from_spki

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["INTEL_SGX_ROOT", "KNOWN_ROOTS", "SIMULATED_VENDOR", "Anchor", "simulated_anchor"]

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

_INTEL_ROOT_OF_2018: Final = b64decode(
    "MIICjzCCAjSgAwIBAgIUImUM1lqdNInzg7SVUr9QGzknBqwwCgYIKoZIzj0EAwIwaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAY"
    "BgNVBAoMEUludGVsIENvcnBvcmF0aW9uMRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYTAlVTMB4XDTE4MDUy"
    "MTEwNDUxMFoXDTQ5MTIzMTIzNTk1OVowaDEaMBgGA1UEAwwRSW50ZWwgU0dYIFJvb3QgQ0ExGjAYBgNVBAoMEUludGVsIENvcnBvcmF0aW9u"
    "MRQwEgYDVQQHDAtTYW50YSBDbGFyYTELMAkGA1UECAwCQ0ExCzAJBgNVBAYTAlVTMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC6nEwMDI"
    "YZOj/iPWsCzaEKi71OiOSLRFhWGjbnBVJfVnkY4u3IjkDYYL0MxO4mqsyYjlBalTVYxFP2sJBK5zlKOBuzCBuDAfBgNVHSMEGDAWgBQiZQzW"
    "Wp00ifODtJVSv1AbOScGrDBSBgNVHR8ESzBJMEegRaBDhkFodHRwczovL2NlcnRpZmljYXRlcy50cnVzdGVkc2VydmljZXMuaW50ZWwuY29t"
    "L0ludGVsU0dYUm9vdENBLmRlcjAdBgNVHQ4EFgQUImUM1lqdNInzg7SVUr9QGzknBqwwDgYDVR0PAQH/BAQDAgEGMBIGA1UdEwEB/wQIMAYB"
    "Af8CAQEwCgYIKoZIzj0EAwIDSQAwRgIhAOW/5QkR+S9CiSDcNoowLuPRLsWGf/Yi7GSX94BgwTwgAiEA4J0lrHoMs+Xo5o/sX6O9QWxHRAvZ"
    "UGOdRQ7cvqRXaqI="
)
# The usual certificate of that root, as Intel's PCS serves it: issued 2018-05-21 10:45:10, valid to the end of 2049.

KNOWN_ROOTS: Final[Mapping[bytes, Certificate]] = {
    root.der: root for root in (Certificate.from_der(_INTEL_ROOT_OF_2018, path="root"),) if root.signed(root)
}
"""Root certificates by their DER that are known beforehand: read, and found to be signed by their own key, once.

That holds of their bytes whoever shows them, so no appraisal has to find it out again. It decides nothing: whether a
root is an anchor is asked of its key and name, and its dates are judged at each instant.
"""


def simulated_anchor(spki: bytes) -> Anchor:
    """Name a simulated platform's root key as an anchor. Accepting it is a decision of its own."""
    return Anchor(name=f"{SIMULATED_VENDOR}{_ROOT_SUFFIX}", spki=spki, simulated=True, vendor=SIMULATED_VENDOR)
