"""Generated cases: certificates, chains and revocation lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from generated_cases_base import DAY, MALFORMED, MALFORMED_COLLATERAL, MALFORMED_QUOTE, add, nothing, setting
from generated_cases_pki import (
    AKI,
    BASIC_CONSTRAINTS,
    CRL_NUMBER,
    CRL_POINTS,
    KEY_USAGE,
    SKI,
    Certificate,
    RevocationList,
)
from strongroom.crypto import der
from strongroom.testing.intel_pki import AT, key

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.formats.collateral import Collateral

ROOT, CA, PCK, SIGNER = "root", "intermediate", "leaf", "tcb_signer"
TITLES = {ROOT: "root", CA: "PCK CA", PCK: "PCK certificate", SIGNER: "TCB signer"}
SECOND = timedelta(seconds=1)
UNKNOWN = ("1.2.3.4", b"\x05\x00")


def issued_under_a_second_root(pki: Any) -> tuple[Certificate, Certificate, Certificate]:
    """Give a second root with its own PCK CA and TCB signer, of the same names."""
    root = replace(pki.root, key=key("second root"), issuer=None)
    return root, replace(pki.intermediate, issuer=root), replace(pki.tcb_signer, issuer=root)


# Dates: at the very ends, and one second beyond.
for attribute, title in TITLES.items():
    add(f"{title} not valid yet", setting(f"{attribute}.not_before", AT + DAY), "expiry 2.4")
    add(f"{title} expired", setting(f"{attribute}.not_after", AT - DAY), "expiry 2.4")
    add(f"{title} valid from this second on", setting(f"{attribute}.not_before", AT))
    add(f"{title} valid from the next second on", setting(f"{attribute}.not_before", AT + SECOND), "expiry 2.4")
    add(f"{title} valid until this second", setting(f"{attribute}.not_after", AT))
    add(f"{title} valid until the second before", setting(f"{attribute}.not_after", AT - SECOND), "expiry 2.4")

# Signatures and issuers.
for attribute, title in TITLES.items():
    add(f"{title} signed by another key", setting(f"{attribute}.signer", key("somebody")), "signature 2.3")


def flipped_signature(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


for attribute, title in TITLES.items():
    add(
        f"{title} with a bit of its signature flipped",
        setting(f"{attribute}.whole_patch", flipped_signature),
        "signature 2.3",
    )
for attribute, title in ((CA, TITLES[CA]), (PCK, TITLES[PCK]), (SIGNER, TITLES[SIGNER])):

    def of_another_issuer(pki: Any, attribute: str = attribute) -> None:
        getattr(pki, attribute).issuer_name = replace(pki.root.name, common_name="Intel SGX Root CB")

    add(f"{title} names another issuer", of_another_issuer, "chain 2.1", "chain 2.3")

# What a certificate may do.
for attribute, title in TITLES.items():
    is_ca = attribute in (ROOT, CA)

    def swapped(pki: Any, attribute: str = attribute, is_ca: bool = is_ca) -> None:
        plan = getattr(pki, attribute)
        plan.ca, plan.path_length = not is_ca, None
        plan.key_usages = frozenset({"keyCertSign", "cRLSign"} if is_ca else {"digitalSignature", "nonRepudiation"})

    add(f"{title} that {'is no' if is_ca else 'is a'} CA", swapped, "chain 2.5")
    usages = {"keyCertSign", "cRLSign"} if is_ca else {"digitalSignature", "nonRepudiation"}
    for usage in sorted(usages):
        found = () if usage == "nonRepudiation" else ("chain 2.5",)
        add(
            f"{title} without key usage {usage}",
            setting(f"{attribute}.key_usages", frozenset(usages - {usage})),
            *found,
        )
    if is_ca:
        add(
            f"{title} that also signs data",
            setting(f"{attribute}.key_usages", frozenset(usages | {"digitalSignature"})),
        )
    else:
        more = frozenset(usages | {"keyCertSign"})
        add(f"{title} that may certify", setting(f"{attribute}.key_usages", more), "chain 2.5")
    for dotted, what, expected in (
        (KEY_USAGE, "key usage", ("chain 2.5",)),
        (BASIC_CONSTRAINTS, "basic constraints", ("chain 2.5",)),
        (SKI, "subject key identifier", ()),
        (AKI, "authority key identifier", ()),
        (CRL_POINTS, "CRL distribution point", ()),
    ):
        add(f"{title} without {what}", setting(f"{attribute}.left_out", {dotted}), *expected)
    add(f"{title} with an unknown critical extension", setting(f"{attribute}.added", [(*UNKNOWN, True)]), "chain 2.8")
    add(f"{title} with an unknown extension", setting(f"{attribute}.added", [(*UNKNOWN, False)]))
add("root whose path length is 0", setting("root.path_length", 0), "chain 2.5")
add("root without path length", setting("root.path_length", None))
add("root whose path length is 2", setting("root.path_length", 2))
add("PCK CA without path length", setting("intermediate.path_length", None))
add("PCK CA whose path length is 1", setting("intermediate.path_length", 1))

# Keys and algorithms.
for attribute, title in TITLES.items():
    extra = {
        ROOT: ("signature 2.3", "signature 3.2", "chain 2.2", "revocation 3.4"),
        CA: ("signature 2.3", "signature 3.2", "revocation 3.4"),
        PCK: ("signature 2.3", "signature 6.1"),
        SIGNER: ("signature 2.3", "signature 4.1", "signature 5.1"),
    }[attribute]
    add(f"{title} with a key on P-384", setting(f"{attribute}.on_p384", True), "chain 2.6", *extra)
    more_found = {
        ROOT: ("signature 3.2",),
        CA: ("signature 3.2",),
        PCK: ("signature 6.1",),
        SIGNER: ("signature 4.1", "signature 5.1"),
    }
    add(
        f"{title} signed with SHA-384",
        setting(f"{attribute}.hashed_by", "sha384"),
        "chain 2.6",
        "signature 2.3",
        *more_found[attribute],
    )

# Names.
OTHER_OFFICE = {
    ROOT: "Intel SGX Other CA",
    CA: "Intel SGX PCK Cloud CA",
    PCK: "Intel SGX PCK",
    SIGNER: "Intel SGX Signing",
}
for attribute, title in TITLES.items():
    add(
        f"{title} with the name of another office",
        setting(f"{attribute}.common_name", OTHER_OFFICE[attribute]),
        "chain 2.7",
    )
    add(f"{title} of another organization", setting(f"{attribute}.renamed", {"organization": "Example"}))
    add(f"{title} of another country", setting(f"{attribute}.renamed", {"country": "DE"}))
    add(f"{title} of another locality", setting(f"{attribute}.renamed", {"locality": "Elsewhere"}))
add("PCK CA that is the Processor CA", setting("intermediate.common_name", "Intel SGX PCK Processor CA"))
add(
    "TCB signer named as the PCK certificate",
    setting("tcb_signer.common_name", "Intel SGX PCK Certificate"),
    "chain 2.7",
)
add("PCK certificate named as the TCB signer", setting("leaf.common_name", "Intel SGX TCB Signing"), "chain 2.7")
add("PCK certificate named as the root", setting("leaf.common_name", "Intel SGX Root CA"), "chain 2.7")
add(
    "PCK CA named as the root, in another organization",
    lambda pki: (
        setattr(pki.intermediate, "common_name", "Intel SGX Root CA"),
        setattr(pki.intermediate, "renamed", {"organization": "Example"}),
    ),
    "chain 2.7",
)


# Versions and serial numbers.
def version_one(tbs: bytes) -> bytes:
    """Say version 1, and keep the extensions."""
    return tbs.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020100"), 1)


def version_two(tbs: bytes) -> bytes:
    return tbs.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)


def serial(number: bytes) -> Callable[[bytes], bytes]:
    def patch(tbs: bytes) -> bytes:
        reader = der.DerReader(tbs, path="", error=ValueError).enter(der.SEQUENCE, "")  # type: ignore[arg-type]
        version = reader.take_whole(0xA0, "")
        reader.take(der.INTEGER, "")
        return der.element(der.SEQUENCE, version, der.element(der.INTEGER, number), tbs[len(tbs) - reader.remaining :])

    return patch


for attribute, title in TITLES.items():
    where = {SIGNER: MALFORMED_COLLATERAL, PCK: MALFORMED_QUOTE}.get(attribute, MALFORMED)
    add(f"{title} of version 1 with extensions", setting(f"{attribute}.tbs_patch", version_one), where)
    add(f"{title} of version 2 with extensions", setting(f"{attribute}.tbs_patch", version_two), where)
    add(f"{title} with serial number 0", setting(f"{attribute}.tbs_patch", serial(b"\0")), where)
    add(f"{title} with a negative serial number", setting(f"{attribute}.tbs_patch", serial(b"\x85")), where)
    add(f"{title} with a serial number of 21 bytes", setting(f"{attribute}.tbs_patch", serial(b"\x7f" * 21)), where)
    add(f"{title} with a serial number of 20 bytes", setting(f"{attribute}.tbs_patch", serial(b"\x7f" * 20)))
    add(f"{title} with a byte after its end", setting(f"{attribute}.whole_patch", lambda data: data + b"\0"), where)
    add(f"{title} without its last byte", setting(f"{attribute}.whole_patch", lambda data: data[:-1]), where)

# Revocation.
add("PCK certificate revoked", lambda pki: pki.pck_crl.revoked.append(pki.leaf.serial), "revocation 3.5")
for attribute, title in ((ROOT, TITLES[ROOT]), (CA, TITLES[CA]), (SIGNER, TITLES[SIGNER])):
    add(
        f"{title} revoked",
        lambda pki, attribute=attribute: pki.root_crl.revoked.append(getattr(pki, attribute).serial),
        "revocation 3.5",
    )
add(
    "revoked as the last of a hundred",
    lambda pki: pki.pck_crl.revoked.extend([*range(1000, 1099), pki.leaf.serial]),
    "revocation 3.5",
)
add("serial of the PCK certificate revoked by the root", lambda pki: pki.root_crl.revoked.append(pki.leaf.serial))
add("serial of the PCK CA revoked by the PCK CA", lambda pki: pki.pck_crl.revoked.append(pki.intermediate.serial))
add("serial of the TCB signer revoked by the PCK CA", lambda pki: pki.pck_crl.revoked.append(pki.tcb_signer.serial))
add("other certificates revoked", lambda pki: (pki.pck_crl.revoked.append(99), pki.root_crl.revoked.append(98)))

LISTS = {"root_crl": "root CRL", "pck_crl": "PCK CRL"}
for attribute, title in LISTS.items():
    add(f"{title} not valid yet", setting(f"{attribute}.this_update", AT + DAY), "expiry 3.3")
    add(f"{title} expired", setting(f"{attribute}.next_update", AT - DAY), "expiry 3.3")
    add(f"{title} valid from this second on", setting(f"{attribute}.this_update", AT))
    add(f"{title} valid from the next second on", setting(f"{attribute}.this_update", AT + SECOND), "expiry 3.3")
    add(f"{title} valid until this second", setting(f"{attribute}.next_update", AT))
    add(f"{title} valid until the second before", setting(f"{attribute}.next_update", AT - SECOND), "expiry 3.3")
    add(f"{title} signed by another key", setting(f"{attribute}.signer", key("somebody")), "signature 3.2")
    add(f"{title} signed with SHA-384", setting(f"{attribute}.hashed_by", "sha384"), "signature 3.2")
    add(f"{title} without a number", setting(f"{attribute}.left_out", {CRL_NUMBER}), "revocation 3.4")
    add(f"{title} without authority key identifier", setting(f"{attribute}.left_out", {AKI}), "revocation 3.4")
    add(
        f"{title} with an unknown critical extension",
        setting(f"{attribute}.added", [(*UNKNOWN, True)]),
        "revocation 3.4",
    )
    add(f"{title} with an unknown extension", setting(f"{attribute}.added", [(*UNKNOWN, False)]))
    delta = ("2.5.29.27", b"\x02\x01\x01", True)
    add(f"{title} of changes only", setting(f"{attribute}.added", [delta]), "revocation 3.4")
    partial = ("2.5.29.28", bytes.fromhex("30038101ff"), True)
    add(f"{title} for some certificates only", setting(f"{attribute}.added", [partial]), "revocation 3.4")
    add(
        f"{title} with a byte after its end",
        setting(f"{attribute}.whole_patch", lambda data: data + b"\0"),
        MALFORMED_COLLATERAL,
    )
    add(
        f"{title} without its last byte",
        setting(f"{attribute}.whole_patch", lambda data: data[:-1]),
        MALFORMED_COLLATERAL,
    )
    add(f"{title} of no bytes", setting(f"{attribute}.whole_patch", lambda _: b""), MALFORMED_COLLATERAL)
    add(
        f"{title} with a bit of its signature flipped",
        setting(f"{attribute}.whole_patch", flipped_signature),
        "signature 3.2",
    )


def list_named_as(attribute: str, other: str) -> Callable[[Any], None]:
    def change(pki: Any) -> None:
        getattr(pki, attribute).named = getattr(pki, other)

    return change


def list_identifying(attribute: str, other: str) -> Callable[[Any], None]:
    def change(pki: Any) -> None:
        getattr(pki, attribute).identifies = getattr(pki, other)

    return change


add("root CRL in the name of the PCK CA", list_named_as("root_crl", CA), "revocation 3.1")
add("PCK CRL in the name of the root", list_named_as("pck_crl", ROOT), "revocation 3.1")
add("root CRL with the PCK CA's key identifier", list_identifying("root_crl", CA), "revocation 3.4")
add("PCK CRL with the root's key identifier", list_identifying("pck_crl", ROOT), "revocation 3.4")


def lists_swapped(pki: Any) -> None:
    pki.root_crl, pki.pck_crl = pki.pck_crl, pki.root_crl


add("both CRLs swapped", lists_swapped, "revocation 3.1", "revocation 3.4", "signature 3.2")


def pck_crl_of_another_ca(pki: Any) -> None:
    other = replace(pki.intermediate, key=key("another PCK CA"), common_name="Intel SGX PCK Processor CA")
    pki.pck_crl = RevocationList(issuer=other)
    pki.pck_crl_chain = [other, pki.root]


add(
    "PCK CRL and its issuer chain of another CA",
    pck_crl_of_another_ca,
    "revocation 3.1",
    "revocation 3.4",
    "signature 3.2",
)

# Chains.
CHAINS = {
    "pck_chain": "PCK chain",
    "tcb_chain": "TCB info chain",
    "qe_chain": "QE identity chain",
    "pck_crl_chain": "PCK CRL chain",
}


def reversed_chain(attribute: str) -> Callable[[Any], None]:
    def change(pki: Any) -> None:
        pki.tcb_info_signer = pki.qe_identity_signer = pki.tcb_signer.key
        setattr(pki, attribute, getattr(pki, attribute)[::-1])

    return change


for attribute, title in CHAINS.items():
    of_pck = attribute == "pck_chain"

    def edited(edit: Callable[[list[Any]], list[Any]], attribute: str = attribute) -> Callable[[Any], None]:
        return lambda pki: setattr(pki, attribute, edit(getattr(pki, attribute)))

    add(f"{title} without the root", edited(lambda chain: chain[:-1]), "chain 2.1")
    add(f"{title} without the leaf", edited(lambda chain: chain[1:]), "chain 2.1")
    add(f"{title} with the root twice", edited(lambda chain: [*chain, chain[-1]]), "chain 2.1")
    add(f"{title} in reverse order", reversed_chain(attribute))
    if not of_pck:

        def with_text(
            change: Callable[[bytes], bytes], attribute: str = attribute
        ) -> Callable[[Collateral], Collateral]:
            part = {
                "tcb_chain": "tcb_info_issuer_chain",
                "qe_chain": "qe_identity_issuer_chain",
                "pck_crl_chain": "pck_crl_issuer_chain",
            }[attribute]
            return lambda collateral: replace(collateral, **{part: change(getattr(collateral, part))})

        add(f"{title} of no text", nothing, MALFORMED_COLLATERAL, collateral=with_text(lambda _: b""))
        add(f"{title} with a NUL at its end", nothing, collateral=with_text(lambda text: text + b"\0"))
        add(
            f"{title} with text before it",
            nothing,
            MALFORMED_COLLATERAL,
            collateral=with_text(lambda text: b"Intel\n" + text),
        )
        add(
            f"{title} with text after it",
            nothing,
            MALFORMED_COLLATERAL,
            collateral=with_text(lambda text: text + b"Intel\n"),
        )
        add(f"{title} with Windows line ends", nothing, collateral=with_text(lambda text: text.replace(b"\n", b"\r\n")))
        add(
            f"{title} cut in the middle",
            nothing,
            MALFORMED_COLLATERAL,
            collateral=with_text(lambda text: text[: len(text) * 3 // 4]),
        )


def pck_chain_of_another_root(pki: Any) -> None:
    root, ca, _ = issued_under_a_second_root(pki)
    pki.pck_chain = [replace(pki.leaf, issuer=ca), ca, root]
    pki.leaf.issuer = ca
    pki.pck_chain[0] = pki.leaf


add(
    "PCK chain of a second root with the same names",
    pck_chain_of_another_root,
    "chain 2.2",
    "chain 2.9",
    "revocation 3.4",
    "signature 3.2",
)


def collateral_chain_of_another_root(attribute: str) -> Callable[[Any], None]:
    def change(pki: Any) -> None:
        root, ca, signer = issued_under_a_second_root(pki)
        setattr(pki, attribute, [ca if attribute == "pck_crl_chain" else signer, root])

    return change


add(
    "TCB info chain of a second root with the same names",
    collateral_chain_of_another_root("tcb_chain"),
    "chain 2.2",
    "chain 2.9",
)
add(
    "QE identity chain of a second root with the same names",
    collateral_chain_of_another_root("qe_chain"),
    "chain 2.2",
    "chain 2.9",
)
add(
    "PCK CRL chain of a second root with the same names",
    collateral_chain_of_another_root("pck_crl_chain"),
    "chain 2.2",
    "chain 2.9",
)


def signer_is_a_pck_leaf(attribute: str) -> Callable[[Any], None]:
    return lambda pki: setattr(pki, attribute, [replace(pki.leaf, issuer=pki.root, serial=55), pki.root])


def signer_below_the_pck_ca(attribute: str) -> Callable[[Any], None]:
    def change(pki: Any) -> None:
        setattr(pki, attribute, [replace(pki.tcb_signer, issuer=pki.intermediate), pki.intermediate, pki.root])

    return change


for attribute, title in (("tcb_chain", "TCB info"), ("qe_chain", "QE identity")):
    add(f"{title} signed by a PCK key that the root certified", signer_is_a_pck_leaf(attribute), "chain 2.7")
    add(f"{title} signed by a TCB signer below the PCK CA", signer_below_the_pck_ca(attribute), "chain 2.1")
    add(
        f"{title} signed by the PCK chain's leaf",
        lambda pki, attribute=attribute: setattr(pki, attribute, pki.pck_chain),
        "chain 2.1",
    )
    add(
        f"{title} signed by the root itself",
        lambda pki, attribute=attribute: setattr(pki, attribute, [pki.root]),
        "chain 2.1",
    )


def pck_certificate_under_the_root(pki: Any) -> None:
    pki.leaf.issuer = pki.root


add("PCK certificate issued by the root", pck_certificate_under_the_root, "chain 2.1", "chain 2.3", "signature 2.3")


def second_ca_in_the_middle(pki: Any) -> None:
    second = replace(
        pki.intermediate,
        key=key("second CA"),
        issuer=pki.intermediate,
        serial=77,
        common_name="Intel SGX PCK Processor CA",
    )
    pki.leaf.issuer = second
    pki.pck_chain = [pki.leaf, second, pki.intermediate, pki.root]


add("PCK chain with a second CA in the middle", second_ca_in_the_middle, "chain 2.1")
