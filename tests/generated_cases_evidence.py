"""Generated cases: the quote, its frame, the quoting enclave, Intel's extension, trust domains and their module."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from generated_cases_base import BOTH, MALFORMED_COLLATERAL, MALFORMED_QUOTE, add, nothing, replacing, setting
from generated_cases_pki import Sgx, Tdx, Tdx5
from strongroom.crypto import der
from strongroom.formats.pck_extension import PCK_EXTENSION_OID
from strongroom.formats.sgx_report import Attributes
from strongroom.formats.tcb_levels import TcbStatus
from strongroom.formats.td_report import TdAttributes
from strongroom.testing.intel_pki import key
from strongroom.testing.tdx_pki import measurement, module_levels, tdx_levels

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALL = (Sgx, Tdx, Tdx5)


def overwritten(offset: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:offset] + value + data[offset + len(value) :]


def body_end(plan: type) -> int:
    return {Sgx: 48 + 384, Tdx: 48 + 584, Tdx5: 48 + 6 + 648}[plan]


add("unchanged", nothing, plans=ALL)

# Header. What is signed and read is refused by shape; what nobody looks at breaks the signature.
for name, offset, value in (
    ("version 2", 0, b"\2\0"),
    ("version 6", 0, b"\6\0"),
    ("version 3 with the high byte set", 1, b"\1"),
    ("attestation key type 3", 2, b"\3\0"),
    ("attestation key type 0", 2, b"\0\0"),
    ("TEE type 1", 4, b"\1\0\0\0"),
    ("TEE type 0x82", 4, b"\x82\0\0\0"),
):
    add(f"quote of {name}", nothing, MALFORMED_QUOTE, quote=overwritten(offset, value))
add("quote of version 4 without its frame", nothing, MALFORMED_QUOTE, quote=overwritten(0, b"\4\0"), plans=(Sgx,))
add(
    "quote of version 3 with the frame of version 4",
    nothing,
    MALFORMED_QUOTE,
    quote=overwritten(0, b"\3\0"),
    plans=(Tdx,),
)
add("quote of TEE type TDX in version 3", nothing, MALFORMED_QUOTE, quote=overwritten(4, b"\x81\0\0\0"), plans=(Sgx,))
add("QE vendor of zeros", replacing("header", qe_vendor_id=bytes(16)), "qe-identity 6.7")
add(
    "QE vendor with its last bit flipped",
    replacing("header", qe_vendor_id=bytes.fromhex("939a7233f79c4ca9940a0db3957f0606")),
    "qe-identity 6.7",
)
add("QE SVN of all ones", replacing("header", qe_svn=0xFFFF))
add("PCE SVN of all ones", replacing("header", pce_svn=0xFFFF))
add("user data of all ones", replacing("header", user_data=b"\xff" * 20))
for name, offset in (("QE SVN", 8), ("PCE SVN", 10), ("user data", 28)):
    add(f"{name} changed after signing", nothing, "signature 6.6", quote=overwritten(offset, b"\x55"))
add("QE vendor changed after signing", nothing, "signature 6.6", "qe-identity 6.7", quote=overwritten(12, b"\x55"))

# The report body, changed after signing: every field.
SGX_FIELDS = {
    "CPUSVN": 0,
    "MISCSELECT": 16,
    "ISVEXTPRODID": 32,
    "attribute flags": 48,
    "XFRM": 56,
    "MRENCLAVE": 64,
    "MRSIGNER": 128,
    "CONFIGID": 192,
    "ISVPRODID": 256,
    "ISVSVN": 258,
    "CONFIGSVN": 260,
    "ISVFAMILYID": 304,
    "report data": 320,
}
TD_FIELDS = {
    "TEE TCB SVN": (2, ()),
    "MRSEAM": (16, ()),
    "MRSIGNERSEAM": (64, ("tdx-module 7.7",)),
    "SEAM attributes": (112, ("tdx-module 7.8",)),
    "TD attributes": (123, ("configuration 6.8",)),
    "XFAM": (130, ("configuration 6.9",)),
    "MRTD": (136, ()),
    "MRCONFIGID": (184, ()),
    "MROWNER": (232, ()),
    "MROWNERCONFIG": (280, ()),
    "RTMR0": (328, ()),
    "RTMR1": (376, ()),
    "RTMR2": (424, ()),
    "RTMR3": (472, ()),
    "report data": (520, ()),
}


def toggled(offset: int, bits: int = 1) -> Callable[[bytes], bytes]:
    return lambda data: data[:offset] + bytes((data[offset] ^ bits,)) + data[offset + 1 :]


for name, offset in SGX_FIELDS.items():
    add(f"{name} changed after signing", nothing, "signature 6.6", quote=toggled(48 + offset), plans=(Sgx,))
for name, (offset, also) in TD_FIELDS.items():
    bits = 0x80 if name == "XFAM" else 1
    for plan, start in ((Tdx, 48), (Tdx5, 54)):
        add(
            f"{name} changed after signing",
            nothing,
            "signature 6.6",
            *also,
            quote=toggled(start + offset, bits),
            plans=(plan,),
        )
for name, offset in (("TEE TCB SVN 2", 584 + 2), ("MRSERVICETD", 600)):
    add(f"{name} changed after signing", nothing, "signature 6.6", quote=toggled(54 + offset), plans=(Tdx5,))
for name, offset in (("reserved 1", 20), ("reserved 2", 96), ("reserved 3", 160), ("reserved 4", 262)):
    add(
        f"{name} of the report changed after signing",
        nothing,
        "signature 6.6",
        quote=toggled(48 + offset),
        plans=(Sgx,),
    )

# What the enclave says of itself: true, and not for us to judge without a policy.
add("debug enclave", replacing("report", attributes=Attributes(flags=0x07, xfrm=0xE7)), plans=(Sgx,))
for name, changes in {
    "other MRENCLAVE": {"mr_enclave": bytes(32)},
    "other MRSIGNER": {"mr_signer": bytes(32)},
    "other product": {"isv_prod_id": 0},
    "other report data": {"report_data": b"\xff" * 64},
    "CPUSVN of zeros in the report": {"cpu_svn": bytes(16)},
}.items():
    add(name, replacing("report", **changes), plans=(Sgx,))

# The body's descriptor of version 5.
for name, offset, value in (
    ("type 1", 48, b"\1\0"),
    ("type 2", 48, b"\2\0"),
    ("type 4", 48, b"\4\0"),
    ("type 5", 48, b"\5\0"),
    ("size 647", 50, struct.pack("<I", 647)),
    ("size 649", 50, struct.pack("<I", 649)),
    ("size 0", 50, bytes(4)),
    ("size of all ones", 50, b"\xff" * 4),
):
    add(f"body descriptor of {name}", nothing, MALFORMED_QUOTE, quote=overwritten(offset, value), plans=(Tdx5,))

# The frame of the signature section.
for plan in ALL:
    end = body_end(plan)
    nested = plan is not Sgx
    sizes = {"signature section": (end, 4)}
    inner = end + 4 + 128
    if nested:
        sizes["outer certification data"] = (inner + 2, 4)
        inner += 6
    sizes["QE authentication data"] = (inner + 448, 2)
    sizes["certification data"] = (inner + 448 + 2 + 32 + 2, 4)
    for name, (offset, width) in sizes.items():
        for label, step in (("one smaller", -1), ("one greater", 1), ("0", None), ("of all ones", 1 << 40)):

            def resized(data: bytes, offset: int = offset, width: int = width, step: int | None = step) -> bytes:
                size = int.from_bytes(data[offset : offset + width], "little")
                size = 0 if step is None else min(size + step, (1 << 8 * width) - 1)
                return data[:offset] + size.to_bytes(width, "little") + data[offset + width :]

            add(f"size of the {name} {label}", nothing, MALFORMED_QUOTE, quote=resized, plans=(plan,))
    for name, length in (
        ("nothing", 0),
        ("one byte", 1),
        ("a header", 48),
        ("header and body", end),
        ("no section", end + 4),
        ("half of the keys", end + 4 + 96),
        ("no certification data", inner + 448 + 34),
    ):
        add(
            f"quote cut to {name}",
            nothing,
            MALFORMED_QUOTE,
            quote=lambda data, length=length: data[:length],
            plans=(plan,),
        )
    if nested:
        for kind in (0, 1, 5, 7, 0xFFFF):
            add(
                f"outer certification data of type {kind}",
                nothing,
                MALFORMED_QUOTE,
                quote=overwritten(end + 4 + 128, struct.pack("<H", kind)),
                plans=(plan,),
            )
    at_type = inner + 448 + 34
    for kind in (0, 1, 2, 3, 4, 6, 7, 8, 0xFFFF):
        wrong = kind in (0, 8, 0xFFFF) or (nested and kind == 6)
        add(
            f"certification data of type {kind}",
            nothing,
            MALFORMED_QUOTE if wrong else "chain 1.2",
            quote=overwritten(at_type, struct.pack("<H", kind)),
            plans=(plan,),
        )
add("quote without its last byte", nothing, MALFORMED_QUOTE, quote=lambda data: data[:-1], plans=ALL)
add("zeros after the quote", nothing, quote=lambda data: data + bytes(1000), plans=ALL)
add("a byte after the quote", nothing, MALFORMED_QUOTE, quote=lambda data: data + b"x", plans=ALL)
add(
    "zeros and a byte after the quote", nothing, MALFORMED_QUOTE, quote=lambda data: data + bytes(100) + b"x", plans=ALL
)
add("quote twice", nothing, MALFORMED_QUOTE, quote=lambda data: data + data, plans=ALL)
add("quote in hexadecimal", nothing, MALFORMED_QUOTE, quote=lambda data: data.hex().encode(), plans=ALL)
add("quote as a CBOR Web Token", nothing, MALFORMED_QUOTE, quote=lambda data: b"\xd8\x3d" + data, plans=ALL)

# The PCK chain's text in the quote.
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def chain_text(change: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    """Change the chain's text; the size before it is right."""

    def install(pki: Any) -> None:
        original = pki.signatures

        def signatures() -> Any:
            made = original()
            made["certification_data"] = change(made["certification_data"])
            return made

        pki.signatures = signatures

    return install


for name, change, expected in (
    ("without a NUL at its end", lambda text: text.rstrip(b"\0"), ()),
    ("with ten NULs at its end", lambda text: text + bytes(10), ()),
    ("with Windows line ends", lambda text: text.replace(b"\n", b"\r\n"), ()),
    (
        "in one line each",
        lambda text: b"".join(
            CERTIFICATE + b"\n" + part.replace(b"\n", b"").replace(b"-----END", b"\n-----END") + b"\n"
            for part in text.rstrip(b"\0").split(CERTIFICATE)[1:]
        ),
        (),
    ),
    ("with text before it", lambda text: b"Intel\n" + text, (MALFORMED_QUOTE,)),
    ("with text between", lambda text: text.replace(CERTIFICATE, b"Intel\n" + CERTIFICATE), (MALFORMED_QUOTE,)),
    ("with text after it", lambda text: text.rstrip(b"\0") + b"Intel", (MALFORMED_QUOTE,)),
    ("of no text", lambda _: b"", (MALFORMED_QUOTE,)),
    ("with another label", lambda text: text.replace(b"CERTIFICATE", b"CERTIFIED"), (MALFORMED_QUOTE,)),
    ("with a digit that is not base64", lambda text: text[:60] + b"!" + text[61:], (MALFORMED_QUOTE,)),
    ("without the last end mark", lambda text: text[: text.rindex(b"-----END")], (MALFORMED_QUOTE,)),
    ("in DER", lambda text: bytes(text.count(CERTIFICATE)), (MALFORMED_QUOTE,)),
):
    add(f"PCK chain {name}", chain_text(change), *expected)

# Signatures and keys from the PCK down.
add("quote signed by another key", setting("quote_signer", key("somebody")), "signature 6.6", plans=ALL)
add("quote signed by the PCK key", setting("quote_signer", key("pck")), "signature 6.6", plans=ALL)
add("QE report signed by another key", setting("qe_report_signer", key("somebody")), "signature 6.1", plans=ALL)
add(
    "QE report signed by the attestation key",
    setting("qe_report_signer", key("attestation")),
    "signature 6.1",
    plans=ALL,
)
for plan in ALL:
    at_signature = body_end(plan) + 4
    at_report = at_signature + 128 + (0 if plan is Sgx else 6)
    at_report_signature = at_report + 384
    for name, at, step in (("quote", at_signature, "6.6"), ("QE report", at_report_signature, "6.1")):
        for half, offset in (("r", 0), ("s", 32)):
            for label, value in (
                ("0", bytes(32)),
                ("the group's order", ORDER.to_bytes(32, "big")),
                ("all ones", b"\xff" * 32),
            ):
                add(
                    f"{name} signature with {half} of {label}",
                    nothing,
                    f"signature {step}",
                    quote=overwritten(at + offset, value),
                    plans=(plan,),
                )
        add(f"{name} signature with a bit flipped", nothing, f"signature {step}", quote=toggled(at + 63), plans=(plan,))
    for label, value in (
        ("zeros", bytes(64)),
        ("all ones", b"\xff" * 64),
        ("a point off the curve", b"\x01" * 64),
        ("another point", key("somebody").point),
    ):
        add(
            f"attestation key of {label}",
            nothing,
            "signature 6.6",
            "key-binding 6.2",
            quote=overwritten(at_signature + 64, value),
            plans=(plan,),
        )

    def s_negated(data: bytes, at: int = at_signature) -> bytes:
        s = int.from_bytes(data[at + 32 : at + 64], "big")
        return data[: at + 32] + (ORDER - s).to_bytes(32, "big") + data[at + 64 :]

    add("quote signature with s negated", nothing, quote=s_negated, plans=(plan,))
    for name, offset in (
        ("CPUSVN", 0),
        ("reserved 1", 20),
        ("reserved 2", 96),
        ("MRENCLAVE", 64),
        ("reserved 3", 160),
        ("reserved 4", 262),
        ("CONFIGID", 192),
    ):
        add(
            f"{name} of the QE report changed after signing",
            nothing,
            "signature 6.1",
            quote=toggled(at_report + offset),
            plans=(plan,),
        )
    for name, offset, more in (
        ("MISCSELECT", 16, "qe-identity 6.3"),
        ("MRSIGNER", 128, "qe-identity 6.3"),
        ("report data", 320, "key-binding 6.2"),
        ("report data's upper half", 352, "key-binding 6.2"),
    ):
        add(
            f"{name} of the QE report changed after signing",
            nothing,
            "signature 6.1",
            more,
            quote=toggled(at_report + offset),
            plans=(plan,),
        )
    add(
        "QE authentication data changed after signing",
        nothing,
        "key-binding 6.2",
        quote=toggled(at_report + 450),
        plans=(plan,),
    )
BOUND = "key-binding 6.2"
add("QE report data of zeros", setting("qe_report_data", bytes(64)), BOUND, plans=ALL)
for name, build in {
    "with a bit flipped": lambda data: bytes((data[0] ^ 1,)) + data[1:],
    "with the hash in its upper half": lambda data: bytes(32) + data[:32],
    "with something in its upper half": lambda data: data[:32] + b"\1" * 32,
    "with its last byte set": lambda data: data[:63] + b"\1",
}.items():
    add(
        f"QE report data {name}",
        lambda pki, build=build: setattr(pki, "qe_report_data", build(pki.signatures()["qe_report"].report_data)),
        BOUND,
        plans=ALL,
    )
for length in (0, 1, 31, 33, 1000, 65535):
    add(f"QE authentication data of {length} bytes", setting("qe_auth_data", bytes(length)), plans=BOTH)

# The quoting enclave against the QE identity.
FLAGS = 0x15
for name, changes, expected in (
    ("MISCSELECT", {"misc_select": 1}, ("qe-identity 6.3",)),
    ("MISCSELECT, highest bit", {"misc_select": 1 << 31}, ("qe-identity 6.3",)),
    ("MRSIGNER", {"mr_signer": bytes(32)}, ("qe-identity 6.3",)),
    ("ISVPRODID", {"isv_prod_id": 9}, ("qe-identity 6.3",)),
    ("ISVPRODID of 0", {"isv_prod_id": 0}, ("qe-identity 6.3",)),
    ("MRENCLAVE", {"mr_enclave": bytes(32)}, ()),
    ("CPUSVN", {"cpu_svn": bytes(16)}, ()),
    ("CONFIGID", {"config_id": b"\1" * 64}, ()),
):
    add(f"quoting enclave with another {name}", replacing("qe_report", **changes), *expected)
for bit in (0, 3, 4, 5, 6, 7, 8, 40, 63):
    add(
        f"quoting enclave with attribute bit {bit} flipped",
        replacing("qe_report", attributes=Attributes(flags=FLAGS ^ 1 << bit, xfrm=0xE7)),
        "qe-identity 6.3",
    )
add(
    "quoting enclave with attribute bit 2 flipped, which the mask leaves out",
    replacing("qe_report", attributes=Attributes(flags=FLAGS ^ 4, xfrm=0xE7)),
)
add(
    "quoting enclave with XFRM changed, which the mask leaves out",
    replacing("qe_report", attributes=Attributes(flags=FLAGS, xfrm=3)),
)
add(
    "quoting enclave in debug mode",
    replacing("qe_report", attributes=Attributes(flags=FLAGS | 2, xfrm=0xE7)),
    "qe-identity 6.3",
    "qe-identity 6.4",
)


def debug_hidden_by_the_mask(pki: Any) -> None:
    pki.qe_report = replace(pki.qe_report, attributes=Attributes(flags=FLAGS | 2, xfrm=0xE7))
    pki.qe_identity = replace(pki.qe_identity, attributes_mask=bytes.fromhex("f9ffffffffffffff0000000000000000"))


add("quoting enclave in debug mode, which the mask leaves out", debug_hidden_by_the_mask, "qe-identity 6.4")
add("QE identity with another MISCSELECT", replacing("qe_identity", misc_select=1), "qe-identity 6.3")
add(
    "QE identity with a MISCSELECT outside its mask",
    replacing("qe_identity", misc_select=1, misc_select_mask=0),
    "qe-identity 6.3",
)
add(
    "QE identity with attributes outside its mask",
    replacing("qe_identity", attributes=bytes.fromhex("15000000000000000000000000000000")),
    "qe-identity 6.3",
)
add("QE identity with another MRSIGNER", replacing("qe_identity", mr_signer=bytes(32)), "qe-identity 6.3")
add("QE identity with another product", replacing("qe_identity", isv_prod_id=3), "qe-identity 6.3")

# Intel's extension of the PCK certificate.
for name, change in {
    "FMSPC": replacing("extension", fmspc=bytes(6)),
    "FMSPC, last byte": replacing("extension", fmspc=bytes.fromhex("30606a000001")),
}.items():
    add(f"platform with another {name}", change, "platform 4.4")
add("platform with another PCEID", replacing("extension", pce_id=b"\1\0"), "platform 4.5")
add("platform with another PPID", replacing("extension", ppid=bytes(16)))
add("platform with another instance id", replacing("extension", platform_instance_id=b"\1" * 16))
for kind in (0, 2):
    add(f"platform of SGX type {kind}", replacing("extension", sgx_type=kind))
for flag in ("dynamic_platform", "cached_keys", "smt_enabled"):
    add(f"platform with {flag}", replacing("extension.configuration", **{flag: True}))
add(
    "platform of the Processor CA, without configuration",
    replacing("extension", platform_instance_id=None, configuration=None),
)
for index in range(16):
    value = bytes(1 if place == index else 0 for place in range(16))
    add(
        f"CPUSVN that differs from component {index + 1}",
        lambda pki, value=value: replacing(
            "extension.tcb", cpu_svn=bytes(a ^ b for a, b in zip(pki.extension.tcb.cpu_svn, value, strict=True))
        )(pki),
        "platform 7.1",
    )

PREFIX = der.oid(PCK_EXTENSION_OID)


def pairs(data: bytes) -> list[bytes]:
    reader = der.DerReader(data, path="", error=ValueError).enter(der.SEQUENCE, "")  # type: ignore[arg-type]
    out = []
    while reader.remaining:
        out.append(reader.take_whole(der.SEQUENCE, ""))
    return out


def extension(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Any], None]:
    return lambda pki: setattr(
        pki, "extension_bytes", der.element(der.SEQUENCE, *change(pairs(pki.extension.to_bytes())))
    )


ELEMENTS = ("PPID", "TCB", "PCEID", "FMSPC", "SGX type", "platform instance id", "configuration")
for index, name in enumerate(ELEMENTS):
    add(
        f"PCK extension without {name}",
        extension(lambda items, index=index: items[:index] + items[index + 1 :]),
        MALFORMED_QUOTE,
    )
    add(
        f"PCK extension with {name} twice",
        extension(lambda items, index=index: [*items, items[index]]),
        MALFORMED_QUOTE,
    )
    empty = der.element(
        der.SEQUENCE,
        der.element(der.OBJECT_IDENTIFIER, PREFIX + bytes((index + 1,))),
        der.element(der.OCTET_STRING, b""),
    )
    add(
        f"PCK extension with an empty {name}",
        extension(lambda items, index=index, empty=empty: [*items[:index], empty, *items[index + 1 :]]),
        MALFORMED_QUOTE,
    )
add("PCK extension in reverse order", extension(lambda items: items[::-1]))
add(
    "PCK extension with an unknown element",
    extension(
        lambda items: [
            *items,
            der.element(der.SEQUENCE, der.element(der.OBJECT_IDENTIFIER, PREFIX + b"\x08"), b"\x05\x00"),
        ]
    ),
    MALFORMED_QUOTE,
)
add("PCK extension of no bytes", lambda pki: setattr(pki, "extension_bytes", b"\x30\x00"), MALFORMED_QUOTE)
add("PCK extension missing", lambda pki: setattr(pki, "extension_bytes", b""), "platform 2.10")
add(
    "PCK extension with bytes after it",
    lambda pki: setattr(pki, "extension_bytes", pki.extension.to_bytes() + b"\x05\x00"),
    MALFORMED_QUOTE,
)
add("PCK extension cut", lambda pki: setattr(pki, "extension_bytes", pki.extension.to_bytes()[:-3]), MALFORMED_QUOTE)
add(
    "PCK extension in a second place as well",
    setting("leaf.added", [("1.2.3.5", der.element(der.OCTET_STRING, PREFIX), False)]),
)


def replaced_bytes(old: bytes, new: bytes) -> Callable[[Any], None]:
    def change(pki: Any) -> None:
        data = pki.extension.to_bytes()
        if data.count(old) != 1:
            raise ValueError("not once")
        pki.extension_bytes = data.replace(old, new)

    return change


TYPE_TAG = der.element(der.OBJECT_IDENTIFIER, PREFIX + b"\x05")
add("SGX type as an INTEGER", replaced_bytes(TYPE_TAG + b"\x0a\x01\x01", TYPE_TAG + b"\x02\x01\x01"), MALFORMED_QUOTE)
add("SGX type 3", replaced_bytes(TYPE_TAG + b"\x0a\x01\x01", TYPE_TAG + b"\x0a\x01\x03"), MALFORMED_QUOTE)
for number in range(1, 17):
    where = der.element(der.OBJECT_IDENTIFIER, PREFIX + bytes((2, number)))

    def negative(pki: Any, where: bytes = where) -> None:
        data = pki.extension.to_bytes()
        at = data.index(where) + len(where)
        length = 2 + data[at + 1]
        pki.extension_bytes = (
            data[:at] + (b"\x02\x01\xff" if length == 3 else b"\x02\x02\xff\x01") + data[at + length :]
        )

    add(f"component {number} in the PCK certificate negative", negative, MALFORMED_QUOTE)

# Trust domains: attributes, extended features, the TDX module.
for bit in range(64):
    if bit == 28:
        continue
    known = bit in (0, 27, 29, 30, 31, 63)
    add(
        f"TD attribute bit {bit} set",
        replacing("td_report", td_attributes=TdAttributes(1 << 28 | 1 << bit)),
        *(() if known else ("configuration 6.8",)),
        plans=(Tdx,),
    )
add("TD without SEPT_VE_DISABLE", replacing("td_report", td_attributes=TdAttributes(0)), plans=(Tdx,))
XFAM, POSSIBLE = 0x602E7, 0x0006DBE7
for bit in range(64):
    value = XFAM ^ 1 << bit
    good = value & 3 == 3 and not value & ~POSSIBLE
    add(
        f"XFAM with bit {bit} flipped",
        replacing("td_report", xfam=value),
        *(() if good else ("configuration 6.9",)),
        plans=(Tdx,),
    )
for name in ("mr_seam", "mr_td", "mr_config_id", "mr_owner", "mr_owner_config", "rtmr_0", "rtmr_1", "rtmr_2", "rtmr_3"):
    add(f"other {name}", replacing("td_report", **{name: measurement("other")}), plans=(Tdx, Tdx5))
add("other service domain", replacing("td_report", mr_service_td=measurement("other")), plans=(Tdx5,))
add(
    "MRSIGNERSEAM of somebody",
    replacing("td_report", mr_signer_seam=measurement("somebody")),
    "tdx-module 7.7",
    plans=(Tdx, Tdx5),
)
for bit in range(0, 64, 7):
    value = (1 << bit).to_bytes(8, "little")
    add(f"SEAM attribute bit {bit} set", replacing("td_report", seam_attributes=value), "tdx-module 7.8", plans=(Tdx,))
    add(
        f"SEAM attribute bit {bit} set, which the mask leaves out",
        lambda pki, value=value: (
            replacing("td_report", seam_attributes=value)(pki),
            pki.change_module(
                module=replace(pki.tcb_info.tdx_module, attributes_mask=bytes(0xFF ^ part for part in value))
            ),
        ),
        "tdx-module 7.8",
        plans=(Tdx,),
    )
    add(
        f"SEAM attribute bit {bit} set, as the identity has it",
        lambda pki, value=value: (
            replacing("td_report", seam_attributes=value)(pki),
            pki.change_module(module=replace(pki.tcb_info.tdx_module, attributes=value)),
        ),
        plans=(Tdx,),
    )
module = Tdx().tcb_info.tdx_module
assert module is not None
for name, changes, expected in (
    ("another signer", {"mr_signer": measurement("somebody")}, ("tdx-module 7.7",)),
    ("attributes that the report has not", {"attributes": b"\1" + bytes(7)}, ("tdx-module 7.8",)),
    ("a mask of zeros", {"attributes_mask": bytes(8)}, ()),
):
    add(
        f"module identity with {name}",
        lambda pki, changes=changes: pki.change_module(module=replace(module, **changes)),
        *expected,
        plans=(Tdx, Tdx5),
    )
    add(
        f"module identity of another generation with {name}",
        lambda pki, changes=changes: pki.change_module("TDX_01", module=replace(module, **changes)),
        plans=(Tdx,),
    )
    add(
        f"tdxModule beside the identity with {name}",
        lambda pki, changes=changes: setattr(
            pki, "tcb_info", replace(pki.tcb_info, tdx_module=replace(module, **changes))
        ),
        plans=(Tdx,),
    )


def svn(*first: int) -> bytes:
    return bytes(first) + bytes(16 - len(first))


for name, first, expected, status in (
    ("of an unknown generation", (5, 9, 4), ("tdx-module 7.6",), ""),
    ("of generation 10, which nobody knows", (5, 10, 4), ("tdx-module 7.6",), ""),
    ("of generation 255, which nobody knows", (5, 255, 4), ("tdx-module 7.6",), ""),
    ("of version 6", (6, 3, 4), (), "UpToDate"),
    ("of version 4", (4, 3, 4), (), "OutOfDate"),
    ("of version 2", (2, 3, 4), (), "OutOfDate"),
    ("of version 1, below every level", (1, 3, 4), ("tcb-status 7.9",), ""),
    ("of version 0, below every level", (0, 3, 4), ("tcb-status 7.9",), ""),
    ("without identity, at the level", (5, 0, 4), (), "UpToDate"),
    ("without identity, below the level", (4, 0, 4), ("tcb-status 7.2",), ""),
):
    add(f"TDX module {name}", replacing("td_report", tee_tcb_svn=svn(*first)), *expected, status=status, plans=(Tdx,))
    now = tuple("tcb-status 7.10" if item.startswith("tcb") else "tdx-module 7.10" for item in expected)
    relaunch = {"UpToDate": "UpToDate", "OutOfDate": "UpToDate", "": ""}[status]
    add(
        f"current TDX module {name}",
        replacing("td_report", tee_tcb_svn_2=svn(*first)),
        *now,
        status=relaunch,
        plans=(Tdx5,),
    )


def identity_named(name: str, generation: int) -> Callable[[Any], None]:
    def change(pki: Any) -> None:
        pki.tcb_info = replace(
            pki.tcb_info,
            tdx_module_identities=tuple(
                replace(item, id=name) if item.id == "TDX_03" else item for item in pki.tcb_info.tdx_module_identities
            ),
        )
        pki.td_report = replace(pki.td_report, tee_tcb_svn=svn(5, generation, 4))

    return change


add("module identity in small letters", identity_named("tdx_03", 3), plans=(Tdx,))
add("module identity TDX_0A for generation 10", identity_named("TDX_0A", 10), plans=(Tdx,))
add("module identity TDX_0a for generation 10", identity_named("TDX_0a", 10), plans=(Tdx,))
add("module identity TDX_10 for generation 10", identity_named("TDX_10", 10), "tdx-module 7.6", plans=(Tdx,))
add("module identity TDX_10 for generation 16", identity_named("TDX_10", 16), plans=(Tdx,))
add("module identity TDX_3 for generation 3", identity_named("TDX_3", 3), "tdx-module 7.6", plans=(Tdx,))
add(
    "no module identities",
    lambda pki: setattr(pki, "tcb_info", replace(pki.tcb_info, tdx_module_identities=None)),
    "tdx-module 7.6",
    plans=(Tdx,),
)
add(
    "an empty list of module identities",
    lambda pki: setattr(pki, "tcb_info", replace(pki.tcb_info, tdx_module_identities=())),
    MALFORMED_COLLATERAL,
    plans=(Tdx,),
)
add(
    "a module identity twice",
    lambda pki: setattr(
        pki, "tcb_info", replace(pki.tcb_info, tdx_module_identities=pki.tcb_info.tdx_module_identities * 2)
    ),
    MALFORMED_COLLATERAL,
    plans=(Tdx,),
)
add(
    "a level of a module twice",
    lambda pki: pki.change_module(levels=module_levels((5, TcbStatus.UP_TO_DATE, ()), (5, TcbStatus.REVOKED, ()))),
    MALFORMED_COLLATERAL,
    plans=(Tdx,),
)
add("a module without levels", lambda pki: pki.change_module(levels=()), "tcb-status 7.9", plans=(Tdx,))
add(
    "third TDX component at a level out of date",
    replacing("td_report", tee_tcb_svn=svn(5, 3, 2)),
    status="OutOfDate",
    plans=(Tdx,),
)
add(
    "third TDX component below every level",
    replacing("td_report", tee_tcb_svn=svn(5, 3, 1)),
    "tcb-status 7.2",
    plans=(Tdx,),
)

# TD 1.5: launched on one TCB, running on another.
GOOD = [status for status in TcbStatus if status is not TcbStatus.REVOKED and "Relaunch" not in status.value]
OUT = (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED)
CONFIGURATION = (
    TcbStatus.CONFIGURATION_NEEDED,
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED,
    TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED,
)
for launch in GOOD:
    for current in GOOD:

        def two(pki: Any, launch: TcbStatus = launch, current: TcbStatus = current) -> None:
            pki.tcb_info = replace(pki.tcb_info, levels=tdx_levels((12, 4, current, ()), (12, 2, launch, ())))
            pki.td_report = replace(pki.td_report, tee_tcb_svn=svn(5, 3, 2), tee_tcb_svn_2=svn(5, 3, 4))

        status = launch.value
        if launch in OUT and current not in OUT:
            needs = launch in CONFIGURATION or current in CONFIGURATION
            status = "TDRelaunchAdvisedConfigurationNeeded" if needs else "TDRelaunchAdvised"
        add(f"launched {launch}, now {current}", two, status=status, plans=(Tdx5,))


def now_revoked(pki: Any) -> None:
    pki.tcb_info = replace(
        pki.tcb_info, levels=tdx_levels((12, 4, TcbStatus.UP_TO_DATE, ()), (12, 2, TcbStatus.REVOKED, ()))
    )
    pki.td_report = replace(pki.td_report, tee_tcb_svn_2=svn(5, 3, 2))


add("launched UpToDate, now Revoked", now_revoked, "tcb-status 7.10", plans=(Tdx5,))
