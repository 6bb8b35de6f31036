"""Generated cases: TCB info and QE identity, their fields, their shapes, and the statuses that come of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from generated_cases_base import BOTH, DAY, MALFORMED_COLLATERAL, UP_TO_DATE, add, nothing, replacing, setting
from generated_cases_pki import Sgx, Tdx, Tdx5
from strongroom.formats.signed_json import write_json
from strongroom.formats.tcb_info import TcbComponent
from strongroom.formats.tcb_levels import ENCLAVE_STATUSES, LEVEL_STATUSES, TcbStatus
from strongroom.testing.intel_pki import AT, key
from strongroom.testing.tdx_pki import module_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strongroom.formats.collateral import Collateral

SECOND = timedelta(seconds=1)
DOCUMENTS = {"tcb_info": ("TCB info", "4"), "qe_identity": ("QE identity", "5")}
Json = Any


def edited(document: str, edit: Callable[[Json], object]) -> Callable[[Any], None]:
    """Change a document's JSON before it is signed."""

    def change(pki: Any) -> None:
        body = json.loads(getattr(pki, document).to_bytes())
        edit(body)
        setattr(pki, f"{document}_body", write_json(body))

    return change


def as_text(document: str, edit: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    """Change a document's text before it is signed."""
    return lambda pki: setattr(pki, f"{document}_body", edit(getattr(pki, document).to_bytes()))


def with_part(**changes: Callable[[bytes], bytes]) -> Callable[[Collateral], Collateral]:
    return lambda parts: replace(parts, **{name: change(getattr(parts, name)) for name, change in changes.items()})


def put(path: str, value: Json) -> Callable[[Json], object]:
    """Make an edit that sets a member, ``tcbLevels.0.tcb.pcesvn``; ``...`` takes it away."""
    *parents, last = path.split(".")

    def edit(body: Json) -> None:
        for step in parents:
            body = body[int(step)] if isinstance(body, list) else body[step]
        name = int(last) if isinstance(body, list) else last
        if value is ...:
            del body[name]
        else:
            body[name] = value

    return edit


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


# Signatures and dates of both documents.
for document, (title, section) in DOCUMENTS.items():
    signature = f"signature {section}.1"
    expiry = f"expiry {section}.2"
    signed = f"{document}_signature"
    add(f"{title} signed by another key", setting(f"{document}_signer", key("somebody")), signature)
    add(
        f"{title} signed by the root",
        lambda pki, name=f"{document}_signer": setattr(pki, name, pki.root.key),
        signature,
    )
    add(
        f"{title} signed by the PCK key",
        lambda pki, name=f"{document}_signer": setattr(pki, name, pki.leaf.key),
        signature,
    )
    add(f"{title} with a bit of its signature flipped", nothing, signature, collateral=with_part(**{signed: flipped}))
    add(f"{title} with a signature of zeros", nothing, signature, collateral=with_part(**{signed: lambda _: bytes(64)}))
    add(
        f"{title} with another issue date than was signed",
        nothing,
        signature,
        collateral=with_part(**{document: lambda data: data.replace(b'"issueDate":"2026', b'"issueDate":"2025')}),
    )
    add(
        f"{title} with a space that was not signed",
        nothing,
        signature,
        collateral=with_part(**{document: lambda data: data.replace(b",", b", ", 1)}),
    )
    add(f"{title} not valid yet", replacing(document, issue_date=AT + DAY), expiry)
    add(f"{title} expired", replacing(document, next_update=AT - DAY), expiry)
    add(f"{title} valid from this second on", replacing(document, issue_date=AT))
    add(f"{title} valid from the next second on", replacing(document, issue_date=AT + SECOND), expiry)
    add(f"{title} valid until this second", replacing(document, next_update=AT))
    add(f"{title} valid until the second before", replacing(document, next_update=AT - SECOND), expiry)

# Shapes of both documents.
TEXT_FAULTS: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "of no bytes": (lambda _: b"", True),
    "cut in the middle": (lambda data: data[: len(data) // 2], True),
    "with text after it": (lambda data: data + b"{}", True),
    "with a byte order mark": (lambda data: b"\xef\xbb\xbf" + data, True),
    "that is a list": (lambda data: b"[" + data + b"]", True),
    "that is null": (lambda _: b"null", True),
    "with a key twice": (lambda data: b'{"version":1,' + data[1:], True),
    "with a key twice in a level": (
        lambda data: data.replace(b'"tcbStatus":"UpToDate"', b'"tcbStatus":"Revoked","tcbStatus":"UpToDate"', 1),
        True,
    ),
    "with NaN": (lambda data: b'{"x":NaN,' + data[1:], True),
    "with a number that is not whole": (lambda data: b'{"x":1.5,' + data[1:], True),
    "with a comma too many": (lambda data: data[:-1] + b",}", True),
    "with a comment": (lambda data: data + b"/* */", True),
    "with single quotes": (lambda data: data.replace(b'"', b"'"), True),
    "nested a hundred deep": (lambda data: b'{"x":' + b"[" * 100 + b"]" * 100 + b"," + data[1:], True),
    "with bytes that are not UTF-8": (lambda data: b'{"x":"\xff",' + data[1:], True),
    "with an unknown field": (lambda data: b'{"x":"y",' + data[1:], False),
    "with spaces between": (lambda data: data.replace(b",", b", "), False),
    "with an escaped field name": (lambda data: data.replace(b'"version"', b'"v\\u0065rsion"', 1), False),
}
for document, (title, _) in DOCUMENTS.items():
    for fault, (edit, is_malformed) in TEXT_FAULTS.items():
        add(f"{title} {fault}", as_text(document, edit), *((MALFORMED_COLLATERAL,) if is_malformed else ()))


# Each field of both: left out, null, of another type, of a value that it cannot have.
TCB_FIELDS: dict[str, tuple[Json, ...]] = {
    "id": (1, "EPID"),
    "version": ("3", 1, 4, True),
    "issueDate": (0, "2026-13-01T00:00:00Z", "2026-05-30", "2026-05-30T12:00:00"),
    "nextUpdate": (0, "2026-02-30T00:00:00Z", "tomorrow"),
    "fmspc": (0, "30606a0000", "30606a00000000", "30606a00000g"),
    "pceId": (0, "00", "000000", "zz00"),
    "tcbType": ("0", 1, -1),
    "tcbEvaluationDataNumber": ("18", -1, 1 << 40),
    "tcbLevels": ({}, [], "UpToDate"),
    "tcbLevels.0.tcb": ([], 1),
    "tcbLevels.0.tcb.pcesvn": ("13", -1, 65536, True),
    "tcbLevels.0.tcb.sgxtcbcomponents": ({}, []),
    "tcbLevels.0.tcb.sgxtcbcomponents.0.svn": ("1", -1, 256, True),
    "tcbLevels.0.tcbDate": (0, "2024-01-32T00:00:00Z"),
    "tcbLevels.0.tcbStatus": (0, "Fine", "uptodate", "TDRelaunchAdvised"),
}
QE_FIELDS: dict[str, tuple[Json, ...]] = {
    "id": (1, "QVE"),
    "version": ("2", 1, 3, True),
    "issueDate": (0, "2026-13-01T00:00:00Z", "2026-05-30"),
    "nextUpdate": (0, "2026-02-30T00:00:00Z", "tomorrow"),
    "tcbEvaluationDataNumber": ("18", -1, 1 << 40),
    "miscselect": (0, "000000", "0000000000", "0000000g"),
    "miscselectMask": (0, "FFFFFF", "FFFFFFFFFF"),
    "attributes": (0, "11" * 15, "11" * 17),
    "attributesMask": (0, "FF" * 15, "FF" * 17),
    "mrsigner": (0, "00" * 31, "00" * 33),
    "isvprodid": ("1", -1, 65536, True),
    "tcbLevels": ({}, [], "UpToDate"),
    "tcbLevels.0.tcb": ([], 1),
    "tcbLevels.0.tcb.isvsvn": ("8", -1, 65536, True),
    "tcbLevels.0.tcbDate": (0, "2024-01-32T00:00:00Z"),
    "tcbLevels.0.tcbStatus": (0, "Fine", "uptodate", "TDRelaunchAdvised"),
}
TDX_FIELDS: dict[str, tuple[Json, ...]] = {
    "tdxModule": (1, []),
    "tdxModule.mrsigner": (0, "00" * 47),
    "tdxModule.attributes": (0, "00" * 7),
    "tdxModule.attributesMask": (0, "00" * 9),
    "tdxModuleIdentities.0.id": (0,),
    "tdxModuleIdentities.0.mrsigner": (0, "00" * 47),
    "tdxModuleIdentities.0.attributes": (0, "00" * 7),
    "tdxModuleIdentities.0.attributesMask": (0, "00" * 9),
    "tdxModuleIdentities.0.tcbLevels": ({},),
    "tdxModuleIdentities.0.tcbLevels.0.tcb.isvsvn": ("5", -1, 65536),
    "tdxModuleIdentities.0.tcbLevels.0.tcbDate": (0, "2024-01-32T00:00:00Z"),
    "tdxModuleIdentities.0.tcbLevels.0.tcbStatus": (0, "Fine"),
    "tcbLevels.0.tcb.tdxtcbcomponents": ({}, []),
    "tcbLevels.0.tcb.tdxtcbcomponents.2.svn": ("4", -1, 256),
}
NOT_OF_THIS_ENCLAVE = {("qe_identity", "id", "QVE"): ("qe-identity 5.3",)}


def field_faults() -> Iterator[tuple[str, str, Json, tuple[type[Sgx | Tdx], ...]]]:
    for document, listed, plans in (
        ("tcb_info", TCB_FIELDS, BOTH),
        ("qe_identity", QE_FIELDS, BOTH),
        ("tcb_info", TDX_FIELDS, (Tdx,)),
    ):
        for path, values in listed.items():
            for value in (..., None, *values):
                yield document, path, value, plans


OPTIONAL = {"tdxModule", "id of SGX"}
for document, path, value, plans in field_faults():
    text = "" if value is ... else json.dumps(value)
    what = "left out" if value is ... else f"set to {text}" if len(text) <= 30 else f"of {len(value)} digits"
    expected = NOT_OF_THIS_ENCLAVE.get(
        (document, path, value if isinstance(value, str) else ""), (MALFORMED_COLLATERAL,)
    )
    add(f"{DOCUMENTS[document][0]}: {path} {what}", edited(document, put(path, value)), *expected, plans=plans)


# Levels.
def twice(document: str) -> Callable[[Any], None]:
    return edited(document, lambda body: body["tcbLevels"].append(body["tcbLevels"][0]))


def reversed_levels(document: str) -> Callable[[Any], None]:
    return edited(document, lambda body: body["tcbLevels"].reverse())


for document, (title, _) in DOCUMENTS.items():
    add(f"{title} with a level twice", twice(document), MALFORMED_COLLATERAL)
    add(f"{title} with its levels in reverse order", reversed_levels(document))
    add(
        f"{title} with an advisory list that is a text",
        edited(document, put("tcbLevels.0.advisoryIDs", "INTEL-SA-1")),
        MALFORMED_COLLATERAL,
    )
    add(
        f"{title} with an advisory that is a number",
        edited(document, put("tcbLevels.0.advisoryIDs", [1])),
        MALFORMED_COLLATERAL,
    )
    add(
        f"{title} with advisories at an UpToDate level",
        edited(document, put("tcbLevels.0.advisoryIDs", ["INTEL-SA-00001"])),
    )
    add(f"{title} with an empty advisory list", edited(document, put("tcbLevels.0.advisoryIDs", [])))
for count in (0, 1, 15, 17, 32):
    add(
        f"TCB info with {count} components",
        edited(
            "tcb_info",
            lambda body, count=count: put(
                "tcbLevels.0.tcb.sgxtcbcomponents", (body["tcbLevels"][0]["tcb"]["sgxtcbcomponents"] * 2)[:count]
            )(body),
        ),
        MALFORMED_COLLATERAL,
    )
    add(
        f"TCB info with {count} TDX components",
        edited(
            "tcb_info",
            lambda body, count=count: put(
                "tcbLevels.0.tcb.tdxtcbcomponents", (body["tcbLevels"][0]["tcb"]["tdxtcbcomponents"] * 2)[:count]
            )(body),
        ),
        MALFORMED_COLLATERAL,
        plans=(Tdx,),
    )
add("TCB info of version 2", replacing("tcb_info", version=2), plans=(Sgx,))
add(
    "TCB info of SGX with a TDX module",
    edited(
        "tcb_info",
        lambda body: body.update(tdxModule={"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}),
    ),
    MALFORMED_COLLATERAL,
    plans=(Sgx,),
)
add("TCB info of TDX", edited("tcb_info", put("id", "TDX")), MALFORMED_COLLATERAL, plans=(Sgx,))
add("QE identity of a trust domain's enclave", replacing("qe_identity", id="TD_QE"), "qe-identity 5.3", plans=(Sgx,))
add("QE identity of an SGX enclave", replacing("qe_identity", id="QE"), "qe-identity 5.3", plans=(Tdx,))


def tcb_info_of_sgx(pki: Any) -> None:
    pki.tcb_info = Sgx().tcb_info


add("TCB info of SGX", tcb_info_of_sgx, "tcb-status 4.3", plans=(Tdx,))

# The platform that the TCB info is for.
for index in range(6):
    mask = bytes(0x10 if place == index else 0 for place in range(6))
    add(
        f"TCB info whose FMSPC differs in byte {index + 1}",
        lambda pki, mask=mask: setattr(
            pki,
            "tcb_info",
            replace(pki.tcb_info, fmspc=bytes(a ^ b for a, b in zip(pki.tcb_info.fmspc, mask, strict=True))),
        ),
        "platform 4.4",
    )
for index in range(2):
    add(
        f"TCB info whose PCEID differs in byte {index + 1}",
        replacing("tcb_info", pce_id=bytes(1 if place == index else 0 for place in range(2))),
        "platform 4.5",
    )

# Components: each one below what the only level wants, equal, and above.


def one_level(pki: Any, components: tuple[int, ...], pce_svn: int = 13) -> None:
    (level, *_) = pki.tcb_info.levels
    level = replace(level, components=tuple(TcbComponent(svn=svn) for svn in components), pce_svn=pce_svn)
    pki.tcb_info = replace(pki.tcb_info, levels=(level,))


for index in range(16):

    def short_of(pki: Any, by: int, index: int = index) -> None:
        has = pki.extension.tcb.components
        wanted = tuple(min(255, max(svn, 1)) for svn in has)
        one_level(pki, wanted)
        pki.set_components(*(min(255, svn + (by if place == index else 0)) for place, svn in enumerate(wanted)))

    add(
        f"component {index + 1} one below the only level",
        lambda pki, change=short_of: change(pki, -1),
        "tcb-status 7.2",
    )
    add(f"component {index + 1} one above the only level", lambda pki, change=short_of: change(pki, 1))
add("PCESVN one below the only level", lambda pki: one_level(pki, pki.extension.tcb.components, 14), "tcb-status 7.2")
add("PCESVN one above the only level", lambda pki: one_level(pki, pki.extension.tcb.components, 12))
add(
    "component 1 at a level that is out of date",
    lambda pki: pki.set_components(11, *pki.extension.tcb.components[1:]),
    status="OutOfDate",
)
for index in range(16):

    def tdx_component_short(pki: Any, svn: bytes, index: int = index) -> None:
        (level, *_) = pki.tcb_info.levels
        wanted = tuple(TcbComponent(svn=max(1, has) + (1 if place == index else 0)) for place, has in enumerate(svn))
        pki.tcb_info = replace(pki.tcb_info, levels=(replace(level, tdx_components=wanted),))
        pki.td_report = replace(
            pki.td_report, tee_tcb_svn=bytes(max(1, has) if place != 1 else has for place, has in enumerate(svn))
        )

    judged_by_module = index < 2
    add(
        f"TDX component {index + 1} one below the only level",
        lambda pki, change=tdx_component_short: change(pki, bytes((5, 3, 4)) + bytes(13)),
        *(() if judged_by_module else ("tcb-status 7.2",)),
        plans=(Tdx,),
    )
    if index != 1:
        add(
            f"TDX component {index + 1} one below the only level, under a module without identity",
            lambda pki, change=tdx_component_short: change(pki, bytes((5, 0, 4)) + bytes(13)),
            "tcb-status 7.2",
            plans=(Tdx,),
        )

# Statuses of platform, quoting enclave and TDX module, and what they make together.
REVOKED = TcbStatus.REVOKED
WORSE = {
    "UpToDate": "OutOfDate",
    "SWHardeningNeeded": "OutOfDate",
    "ConfigurationNeeded": "OutOfDateConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded": "OutOfDateConfigurationNeeded",
    "OutOfDate": "OutOfDate",
    "OutOfDateConfigurationNeeded": "OutOfDateConfigurationNeeded",
}
OUT = (TcbStatus.OUT_OF_DATE, TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED)


def platform_status(pki: Any, status: TcbStatus) -> None:
    first, *others = pki.tcb_info.levels
    pki.tcb_info = replace(pki.tcb_info, levels=(replace(first, status=status), *others))


def qe_status(pki: Any, status: TcbStatus) -> None:
    first, *others = pki.qe_identity.levels
    pki.qe_identity = replace(pki.qe_identity, levels=(replace(first, status=status), *others))


def module_status(pki: Any, status: TcbStatus) -> None:
    pki.change_module(levels=module_levels((5, status, ())))


for status in LEVEL_STATUSES:
    found = ("tcb-status 7.4",) if status is REVOKED else ()
    add(
        f"platform {status}",
        lambda pki, status=status: platform_status(pki, status),
        *found,
        status="" if found else status.value,
    )
    found = ("tcb-status 6.5",) if status is REVOKED else ()
    of_platforms = (MALFORMED_COLLATERAL,) if status not in ENCLAVE_STATUSES else ()
    found = of_platforms or found
    after = "" if found else "OutOfDate" if status in OUT else UP_TO_DATE
    add(f"quoting enclave {status}", lambda pki, status=status: qe_status(pki, status), *found, status=after)
    for plan, steps in ((Tdx, ("7.9",)), (Tdx5, ("7.9", "7.10"))):
        found = of_platforms or (tuple(f"tcb-status {step}" for step in steps) if status is REVOKED else ())
        add(
            f"TDX module {status}",
            lambda pki, status=status: module_status(pki, status),
            *found,
            status=after,
            plans=(plan,),
        )
for status, with_out_of_date in WORSE.items():
    add(
        f"platform {status} and quoting enclave OutOfDate",
        lambda pki, status=status: (platform_status(pki, TcbStatus(status)), qe_status(pki, OUT[0])),
        status=with_out_of_date,
    )
    add(
        f"platform {status} and TDX module OutOfDate",
        lambda pki, status=status: (platform_status(pki, TcbStatus(status)), module_status(pki, OUT[0])),
        status=with_out_of_date,
        plans=(Tdx,),
    )
add("quoting enclave at its older level", replacing("qe_report", isv_svn=7), status="OutOfDate")
add("quoting enclave above its newest level", replacing("qe_report", isv_svn=9))
add("quoting enclave below every level", replacing("qe_report", isv_svn=5), "qe-identity 6.5")

# The evaluation number is a matter of policy.
for document, (title, _) in DOCUMENTS.items():
    add(f"{title} with a lower evaluation number", replacing(document, tcb_evaluation_data_number=1))
    add(f"{title} with evaluation number 0", replacing(document, tcb_evaluation_data_number=0))
