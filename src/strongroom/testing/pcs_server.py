"""A service that speaks Intel's collateral interface, version 4, from given sets, and misbehaves when told to.

    server = PcsServer([collateral])
    with Loopback(server) as url:
        PcsSource(url, root_crl_url=url + ROOT_CRL_PATH).collateral(kind, at)

``pccs=True`` makes it a cache (PCCS): it has the root CA's CRL, in hexadecimal, and ignores a wished-for number.
``faults`` maps a resource to a function that spoils its answer; the functions below make such functions.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, quote_plus

from strongroom.crypto.certificates import RevocationList, parse_pem_chain
from strongroom.formats.qe_identity import QeIdentity
from strongroom.formats.signed_json import SignedJson
from strongroom.formats.tcb_info import TcbInfo

if TYPE_CHECKING:
    from strongroom.formats.collateral import Collateral

__all__ = [
    "ROOT_CRL_PATH",
    "Encoding",
    "Fault",
    "PcsServer",
    "Reply",
    "Resource",
    "chain_encoded",
    "cut_short",
    "dripping",
    "failing",
    "renamed",
    "with_body",
    "with_header",
]

ROOT_CRL_PATH: Final = "/IntelSGXRootCA.der"
_V4: Final = "certification/v4"
_DRIP_BYTES: Final = 256


class Resource(StrEnum):
    """What the service has."""

    TCB_INFO = "tcb"
    QE_IDENTITY = "qe/identity"
    PCK_CRL = "pckcrl"
    ROOT_CRL = "rootcacrl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. ``announced`` is a Content-Length that lies; ``pause`` seconds pass before each 256 bytes."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    announced: int | None = None
    pause: float = 0.0


Fault = Callable[[Reply], Reply]


class Encoding(StrEnum):
    """How a chain is written into a header; ``ONCE`` is Intel's way."""

    ONCE = "once"
    TWICE = "twice"
    LOWER_CASE = "lower case"
    FORM = "form"
    SPACES = "spaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    collateral: Collateral
    tee: str
    fmspc: str
    number: int
    ca: str

    @classmethod
    def of(cls, collateral: Collateral) -> _Set:
        info = TcbInfo.from_bytes(collateral.tcb_info)
        name = parse_pem_chain(collateral.pck_crl_issuer_chain, path="chain")[0].common_name
        return cls(
            collateral=collateral,
            tee=info.id.lower(),
            fmspc=info.fmspc.hex().upper(),
            number=info.tcb_evaluation_data_number,
            ca="platform" if "Platform" in name else "processor",
        )


class PcsServer:
    """The service, an ASGI application. ``requests`` are the paths with queries it was asked for."""

    def __init__(self, sets: Iterable[Collateral], *, pccs: bool = False) -> None:
        self.sets = [_Set.of(item) for item in sets]
        self.pccs = pccs
        self.faults: dict[Resource, Fault] = {}
        self.requests: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        query = scope["query_string"].decode()
        self.requests.append(f"{scope['path']}?{query}" if query else scope["path"])
        resource, reply = self._reply(scope["path"], {name: items[-1] for name, items in parse_qs(query).items()})
        if resource is not None and (fault := self.faults.get(resource)):
            reply = fault(reply)
        await _send(reply, send)

    def _reply(self, path: str, query: dict[str, str]) -> tuple[Resource | None, Reply]:
        if path == ROOT_CRL_PATH and not self.pccs:
            return Resource.ROOT_CRL, self._root_crl()
        for tee in ("sgx", "tdx"):
            match path.removeprefix(f"/{tee}/{_V4}/"):
                case "tcb":
                    return Resource.TCB_INFO, self._tcb_info(tee, query)
                case "qe/identity":
                    return Resource.QE_IDENTITY, self._qe_identity(tee, query)
                case "pckcrl" if tee == "sgx":
                    return Resource.PCK_CRL, self._pck_crl(query)
                case "rootcacrl" if tee == "sgx" and self.pccs:
                    return Resource.ROOT_CRL, self._root_crl()
                case _:
                    pass
        return None, failing(404)(Reply())

    def _choose(self, sets: list[_Set], query: dict[str, str]) -> _Set | Reply:
        if not sets:
            return failing(404)(Reply())
        if "update" in query and "tcbEvaluationDataNumber" in query:
            return failing(400)(Reply())
        if "tcbEvaluationDataNumber" in query and not self.pccs:
            wanted = int(query["tcbEvaluationDataNumber"])
            found = [item for item in sets if item.number == wanted]
            gone = wanted < min(item.number for item in sets)
            return found[0] if found else failing(410 if gone else 404)(Reply())
        choose = max if query.get("update") == "early" else min
        return choose(sets, key=lambda item: item.number)

    def _tcb_info(self, tee: str, query: dict[str, str]) -> Reply:
        fmspc = query.get("fmspc", "").upper()
        chosen = self._choose([item for item in self.sets if (item.tee, item.fmspc) == (tee, fmspc)], query)
        if isinstance(chosen, Reply):
            return chosen
        part = chosen.collateral
        body = SignedJson(name="tcbInfo", body=part.tcb_info, signature=part.tcb_info_signature).to_bytes()
        return _document(body, "TCB-Info-Issuer-Chain", part.tcb_info_issuer_chain)

    def _qe_identity(self, tee: str, query: dict[str, str]) -> Reply:
        chosen = self._choose([item for item in self.sets if item.tee == tee], query)
        if isinstance(chosen, Reply):
            return chosen
        part = chosen.collateral
        QeIdentity.from_bytes(part.qe_identity)
        body = SignedJson(name="enclaveIdentity", body=part.qe_identity, signature=part.qe_identity_signature)
        return _document(body.to_bytes(), "SGX-Enclave-Identity-Issuer-Chain", part.qe_identity_issuer_chain)

    def _pck_crl(self, query: dict[str, str]) -> Reply:
        sets = [item.collateral for item in self.sets if item.ca == query.get("ca")]
        if not sets:
            return failing(400)(Reply())
        newest = max(sets, key=lambda item: RevocationList.from_der(item.pck_crl).number or 0)
        der = query.get("encoding") == "der"
        return _document(
            newest.pck_crl if der else _pem_crl(newest.pck_crl),
            "SGX-PCK-CRL-Issuer-Chain",
            newest.pck_crl_issuer_chain,
            kind="application/pkix-crl" if der else "application/x-pem-file",
        )

    def _root_crl(self) -> Reply:
        newest = max(
            (item.collateral.root_ca_crl for item in self.sets),
            key=lambda der: RevocationList.from_der(der).number or 0,
        )
        body = newest.hex().encode() if self.pccs else newest
        return Reply(headers=(("Content-Type", "application/pkix-crl"), _REQUEST_ID), body=body)


def failing(status: int, **headers: str) -> Fault:
    """Answer with a status and no document; ``retry_after="7"`` gives a header Retry-After."""
    extra = tuple((name.replace("_", "-").title(), value) for name, value in headers.items())
    return lambda _: Reply(status=status, headers=(_REQUEST_ID, *extra))


def with_body(body: bytes | Callable[[bytes], bytes]) -> Fault:
    """Answer with other bytes, or with the right ones changed."""
    return lambda reply: replace(reply, body=body(reply.body) if callable(body) else body)


def with_header(name: str, *values: str) -> Fault:
    """Answer with these values of a header: none, another one, several."""
    return lambda reply: replace(
        reply,
        headers=(*(item for item in reply.headers if item[0] != name), *((name, value) for value in values)),
    )


def renamed(old: str, new: str) -> Fault:
    """Answer with a header under another name."""
    return lambda reply: replace(
        reply, headers=tuple((new if name == old else name, value) for name, value in reply.headers)
    )


def chain_encoded(pem_text: bytes, encoding: Encoding) -> str:
    """Write a chain as a header's value."""
    once = quote(pem_text, safe="")
    match encoding:
        case Encoding.ONCE:
            return once
        case Encoding.TWICE:
            return quote(once, safe="")
        case Encoding.LOWER_CASE:
            return once.replace("%0A", "%0a").replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d")
        case Encoding.FORM:
            return quote_plus(pem_text)
        case Encoding.SPACES:
            return pem_text.decode().replace("\n", " ").strip()


def cut_short(reply: Reply) -> Reply:
    """Announce the whole body and send half of it."""
    return replace(reply, body=reply.body[: len(reply.body) // 2], announced=len(reply.body))


def dripping(pause: float) -> Fault:
    """Send the body a little at a time, with pauses."""
    return lambda reply: replace(reply, pause=pause)


_REQUEST_ID: Final = ("Request-ID", "0123456789abcdef0123456789abcdef")


def _document(body: bytes, header: str, chain: bytes, *, kind: str = "application/json") -> Reply:
    return Reply(
        headers=(("Content-Type", kind), _REQUEST_ID, (header, chain_encoded(chain, Encoding.ONCE))), body=body
    )


def _pem_crl(der: bytes) -> bytes:
    lines = base64.encodebytes(der)
    return b"-----BEGIN X509 CRL-----\n" + lines + b"-----END X509 CRL-----\n"


async def _send(reply: Reply, send: Any) -> None:
    length = len(reply.body) if reply.announced is None else reply.announced
    headers = [(name.encode().lower(), value.encode()) for name, value in reply.headers]
    headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.pause:
        for start in range(0, len(reply.body), _DRIP_BYTES):
            await asyncio.sleep(reply.pause)
            chunk = reply.body[start : start + _DRIP_BYTES]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": reply.body})
