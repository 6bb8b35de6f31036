from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collateral_sets import (
    ANCHORS,
    KIND,
    REAL_AT,
    REAL_KIND,
    SGX_17,
    SGX_19,
    TDX_18,
    TDX_AT,
    TDX_KIND,
    generated,
    real,
)
from strongroom.base.errors import CollateralUnavailable, MalformedCollateral, Misconfigured
from strongroom.collateral.checked import check_collateral
from strongroom.collateral.fetching import Fetcher, tls_context
from strongroom.collateral.pcs import INTEL_PCS, Evaluation, PcsSource, Update, decode_issuer_chain
from strongroom.collateral.unavailable import ResourceUnavailable
from strongroom.crypto.certificates import RevocationList, parse_pem_chain
from strongroom.testing.intel_pki import AT, IntelPki, key
from strongroom.testing.loopback import Loopback
from strongroom.testing.pcs_server import (
    ROOT_CRL_PATH,
    Encoding,
    Fault,
    PcsServer,
    Resource,
    chain_encoded,
    cut_short,
    dripping,
    failing,
    renamed,
    with_body,
    with_header,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strongroom.collateral.checked import CheckedCollateral
    from strongroom.formats.collateral import Collateral

CHAIN_HEADERS = {
    Resource.TCB_INFO: "TCB-Info-Issuer-Chain",
    Resource.QE_IDENTITY: "SGX-Enclave-Identity-Issuer-Chain",
    Resource.PCK_CRL: "SGX-PCK-CRL-Issuer-Chain",
}
CHAIN = real(SGX_17).tcb_info_issuer_chain


@contextmanager
def serving(
    *sets: Collateral, pccs: bool = False, faults: dict[Resource, Fault] | None = None
) -> Iterator[tuple[PcsServer, str]]:
    server = PcsServer(sets or (generated(),), pccs=pccs)
    server.faults |= faults or {}
    with Loopback(server) as url:
        yield server, url


def source(url: str, *, pccs: bool = False, **settings: object) -> PcsSource:
    settings = {"anchors": ANCHORS, **settings}
    return PcsSource(url, root_crl_url=None if pccs else url + ROOT_CRL_PATH, **settings)  # type: ignore[arg-type]


_shared: dict[str, PcsServer] = {}


@pytest.fixture(scope="module", autouse=True)
def _shared_server() -> Iterator[None]:
    """Start one server for the many tests that only spoil an answer of it."""
    with serving() as (server, url):
        _shared[url] = server
        yield
        _shared.clear()


def fetch(faults: dict[Resource, Fault], **settings: object) -> CheckedCollateral:
    ((url, server),) = _shared.items()
    server.faults = faults
    return source(url, **settings).collateral(KIND, AT)


@pytest.mark.parametrize("pccs", [False, True], ids=["PCS", "PCCS"])
def test_real_documents_of_sgx(pccs: bool) -> None:
    with serving(real(SGX_17), pccs=pccs) as (server, url):
        found = PcsSource(url, root_crl_url=None if pccs else url + ROOT_CRL_PATH).collateral(REAL_KIND, REAL_AT)
    assert found == check_collateral(found.collateral)
    assert replace(found.collateral, **_chains(real(SGX_17))) == real(SGX_17)
    assert server.requests == [
        "/sgx/certification/v4/tcb?fmspc=00906ED50000&update=standard",
        "/sgx/certification/v4/qe/identity?update=standard",
        "/sgx/certification/v4/pckcrl?ca=processor&encoding=der",
        "/sgx/certification/v4/rootcacrl" if pccs else "/IntelSGXRootCA.der",
    ]


def _chains(collateral: Collateral) -> dict[str, bytes]:
    """The PEM text may come back with other line ends."""
    names = ("pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain")
    return {name: getattr(collateral, name) for name in names}


def test_real_documents_of_tdx() -> None:
    with serving(real(TDX_18), real(SGX_17)) as (server, url):
        found = PcsSource(url, root_crl_url=url + ROOT_CRL_PATH).collateral(TDX_KIND, TDX_AT)
    assert found.kind == TDX_KIND
    assert [item.partition("?")[0] for item in server.requests] == [
        "/tdx/certification/v4/tcb",
        "/tdx/certification/v4/qe/identity",
        "/sgx/certification/v4/pckcrl",
        "/IntelSGXRootCA.der",
    ]


def test_nothing_is_asked_before_it_is_wanted() -> None:
    with serving() as (server, url):
        source(url)
        assert server.requests == []


def test_intels_own_address() -> None:
    assert PcsSource.intel().name == "api.trustedservices.intel.com"
    assert INTEL_PCS.startswith("https://")


@pytest.mark.parametrize(
    ("evaluation", "number", "query"),
    [
        (Evaluation(), 18, "update=standard"),
        (Evaluation(update=Update.EARLY), 19, "update=early"),
        (Evaluation(number=19), 19, "tcbEvaluationDataNumber=19"),
    ],
)
def test_which_evaluation(evaluation: Evaluation, number: int, query: str) -> None:
    with serving(generated(number=18), generated(number=19)) as (server, url):
        found = source(url, evaluation=evaluation).collateral(KIND, AT)
    assert found.tcb_evaluation_data_number == number
    assert sum(item.endswith(query) for item in server.requests) == 2


def test_early_and_standard_of_real_documents() -> None:
    with serving(real(SGX_17), real(SGX_19)) as (_, url):
        for update, number in ((Update.STANDARD, 17), (Update.EARLY, 19)):
            asked = PcsSource(url, root_crl_url=url + ROOT_CRL_PATH, evaluation=Evaluation(update=update))
            assert asked.collateral(REAL_KIND, REAL_AT).tcb_info.number == number


@pytest.mark.parametrize(("number", "said"), [(17, "has withdrawn it"), (20, "does not know it")])
def test_a_number_that_the_service_does_not_have(number: int, said: str) -> None:
    with serving(generated(number=18), generated(number=19)) as (_, url):  # noqa: SIM117
        with pytest.raises(ResourceUnavailable, match=said):
            source(url, evaluation=Evaluation(number=number)).collateral(KIND, AT)


def test_a_cache_that_ignores_the_number_is_noticed() -> None:
    with serving(generated(number=18), pccs=True) as (_, url):  # noqa: SIM117
        with pytest.raises(ResourceUnavailable, match="has TCB evaluation data number 18, not 19"):
            source(url, pccs=True, evaluation=Evaluation(number=19)).collateral(KIND, AT)


def test_a_platform_that_the_service_does_not_know() -> None:
    with serving() as (_, url), pytest.raises(ResourceUnavailable) as refused:
        source(url).collateral(REAL_KIND, AT)
    assert refused.value.message.startswith("TCB info of 00906ED50000 from 127.0.0.1:")
    assert "does not know it (status 404) (request 0123456789abcdef0123456789abcdef)" in refused.value.message


@pytest.mark.parametrize("resource", Resource)
@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_each_resource_may_fail(resource: Resource, status: int) -> None:
    with pytest.raises(ResourceUnavailable, match=f"status {status}") as refused:
        fetch({resource: failing(status, retry_after="17")})
    assert refused.value.retry_after_seconds == 17.0
    assert refused.value.request_id == "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("resource", Resource)
def test_each_resource_may_be_cut_short(resource: Resource) -> None:
    with pytest.raises(ResourceUnavailable, match="the connection failed"):
        fetch({resource: cut_short})


@pytest.mark.parametrize("resource", Resource)
@pytest.mark.parametrize(
    "fault",
    [
        with_body(b""),
        with_body(b"<html>busy</html>"),
        with_body(lambda body: body[:-1]),
        with_body(lambda body: body[1:]),
        with_body(lambda body: body * 2),
        with_body(bytes(9 * 1024 * 1024)),
    ],
    ids=["empty", "a page", "without its end", "without its beginning", "twice", "oversized"],
)
def test_each_resource_may_be_something_else(resource: Resource, fault: Fault) -> None:
    with pytest.raises(MalformedCollateral):
        fetch({resource: fault})


@pytest.mark.parametrize("resource", CHAIN_HEADERS)
@pytest.mark.parametrize("encoding", Encoding)
def test_chains_in_every_encoding_seen(resource: Resource, encoding: Encoding) -> None:
    good = generated()
    chain = {
        Resource.TCB_INFO: good.tcb_info_issuer_chain,
        Resource.QE_IDENTITY: good.qe_identity_issuer_chain,
        Resource.PCK_CRL: good.pck_crl_issuer_chain,
    }[resource]
    found = fetch({resource: with_header(CHAIN_HEADERS[resource], chain_encoded(chain, encoding))})
    assert found.kind == KIND


@pytest.mark.parametrize("resource", CHAIN_HEADERS)
@pytest.mark.parametrize(
    "values",
    [(), ("",), ("%",), ("%ZZ",), ("hello",), (quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),)],
    ids=["none", "empty", "percent", "no hexadecimal", "text", "no certificate"],
)
def test_chains_that_are_none(resource: Resource, values: tuple[str, ...]) -> None:
    with pytest.raises(MalformedCollateral):
        fetch({resource: with_header(CHAIN_HEADERS[resource], *values)})


def test_two_chains_that_differ_are_none() -> None:
    good = generated()
    both = [chain_encoded(item, Encoding.ONCE) for item in (good.tcb_info_issuer_chain, good.pck_crl_issuer_chain)]
    with pytest.raises(MalformedCollateral, match="several that differ"):
        fetch({Resource.TCB_INFO: with_header("TCB-Info-Issuer-Chain", *both)})


@pytest.mark.parametrize(
    ("resource", "old", "new"),
    [
        (Resource.TCB_INFO, "TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"),
        (Resource.QE_IDENTITY, "SGX-Enclave-Identity-Issuer-Chain", "SGX-QE-Identity-Issuer-Chain"),
        (Resource.PCK_CRL, "SGX-PCK-CRL-Issuer-Chain", "sgx-pck-crl-issuer-chain"),
    ],
)
def test_older_spellings_of_headers(resource: Resource, old: str, new: str) -> None:
    assert fetch({resource: renamed(old, new)}).kind == KIND


@pytest.mark.parametrize("resource", [Resource.PCK_CRL, Resource.ROOT_CRL])
@pytest.mark.parametrize(
    "form",
    [
        lambda der: der + b"\0",
        lambda der: der.hex().encode(),
        lambda der: der.hex().upper().encode() + b"\n",
    ],
    ids=["with a NUL", "hexadecimal", "upper case and a line end"],
)
def test_lists_in_every_form_seen(resource: Resource, form: object) -> None:
    found = fetch({resource: with_body(form)})  # type: ignore[arg-type]
    for der in (found.collateral.pck_crl, found.collateral.root_ca_crl):
        assert RevocationList.from_der(der).der == der


# What a hostile service can do: all of it well-formed, and all of it refused.


def test_the_chain_of_another_office_is_refused() -> None:
    pck_chain = chain_encoded(generated().pck_crl_issuer_chain, Encoding.ONCE)
    with pytest.raises(ResourceUnavailable, match="has the name of another office"):
        fetch({Resource.TCB_INFO: with_header("TCB-Info-Issuer-Chain", pck_chain)})


def test_the_chain_of_another_root_is_refused() -> None:
    intels = chain_encoded(real(SGX_17).tcb_info_issuer_chain, Encoding.ONCE)
    with pytest.raises(ResourceUnavailable, match="is not an accepted anchor"):
        fetch({Resource.TCB_INFO: with_header("TCB-Info-Issuer-Chain", intels)})


def test_another_platforms_tcb_info_is_refused() -> None:
    def other(pki: IntelPki) -> None:
        pki.tcb_info = replace(pki.tcb_info, fmspc=bytes.fromhex("00906ED50000"))

    foreign = generated(change=other)
    body = _document("tcbInfo", foreign.tcb_info, foreign.tcb_info_signature)
    with pytest.raises(ResourceUnavailable, match="is for sgx-00906ED50000-platform, not for"):
        fetch({Resource.TCB_INFO: with_body(body)})


def test_the_identity_of_another_enclave_is_refused() -> None:
    def other(pki: IntelPki) -> None:
        pki.qe_identity = replace(pki.qe_identity, id="QVE")

    foreign = generated(change=other)
    body = _document("enclaveIdentity", foreign.qe_identity, foreign.qe_identity_signature)
    with pytest.raises(ResourceUnavailable, match="is of another enclave"):
        fetch({Resource.QE_IDENTITY: with_body(body)})


def test_the_list_of_another_ca_is_refused() -> None:
    with pytest.raises(ResourceUnavailable, match="the PCK CRL is of another issuer"):
        fetch({Resource.PCK_CRL: with_body(generated().root_ca_crl)})


def test_altered_documents_are_refused() -> None:
    def raise_threshold(body: bytes) -> bytes:
        return body.replace(b'"tcbStatus":"OutOfDate"', b'"tcbStatus":"UpToDate" ', 1)

    with pytest.raises(ResourceUnavailable, match="the TCB info is not signed by its issuer"):
        fetch({Resource.TCB_INFO: with_body(raise_threshold)})


def test_a_forged_list_is_refused() -> None:
    def forge(pki: IntelPki) -> None:
        pki.pck_crl.signer = key("a forger")

    with pytest.raises(ResourceUnavailable, match="the PCK CRL is not signed"):
        fetch({Resource.PCK_CRL: with_body(generated(change=forge).pck_crl)})


def test_expired_documents_are_refused() -> None:
    with serving(generated(days=-60)) as (_, url), pytest.raises(ResourceUnavailable, match="expired at"):
        source(url).collateral(KIND, AT)
    with serving(generated(days=60)) as (_, url), pytest.raises(ResourceUnavailable, match="is not valid before"):
        source(url).collateral(KIND, AT)
    with serving(generated()) as (_, url), pytest.raises(ResourceUnavailable, match="expired at"):
        source(url).collateral(KIND, AT + timedelta(days=365))


def test_a_slow_service_is_left() -> None:
    with pytest.raises(ResourceUnavailable, match=r"within 0\.3 seconds"):
        fetch({Resource.TCB_INFO: dripping(0.2)}, seconds=0.3)


def test_a_slow_service_that_is_quick_enough_is_heard() -> None:
    assert fetch({Resource.PCK_CRL: dripping(0.01)}).kind == KIND


def test_a_service_that_sends_us_elsewhere_is_not_followed() -> None:
    with serving() as (server, url):
        server.faults[Resource.TCB_INFO] = failing(302, location=url + "/elsewhere")
        with pytest.raises(ResourceUnavailable, match="where we do not go"):
            source(url).collateral(KIND, AT)
        assert len(server.requests) == 1


def test_compressed_bodies_are_not_unpacked() -> None:
    with pytest.raises(MalformedCollateral):
        fetch({Resource.TCB_INFO: with_body(lambda body: b"\x1f\x8b" + body)})


def test_wrong_addresses_are_our_own_fault() -> None:
    with pytest.raises(Misconfigured):
        PcsSource("pccs.example")
    with pytest.raises(Misconfigured):
        PcsSource("https://pccs.example", root_crl_url="file:///etc/passwd")


def _document(name: str, body: bytes, signature: bytes) -> bytes:
    return b'{"%s":%s,"signature":"%s"}' % (name.encode(), body, signature.hex().encode())


@given(st.sampled_from(list(Encoding)))
def test_decoding_gives_tidy_pem(encoding: Encoding) -> None:
    found = decode_issuer_chain(chain_encoded(CHAIN, encoding).encode(), path="chain")
    assert [item.der for item in parse_pem_chain(found, path="chain")] == [
        item.der for item in parse_pem_chain(CHAIN, path="chain")
    ]
    assert decode_issuer_chain(found, path="chain") == found


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_header_gives_a_chain_or_malformed_collateral(value: bytes) -> None:
    try:
        decode_issuer_chain(value, path="chain")
    except MalformedCollateral:
        return
    raise AssertionError("no chain was in it")


def test_a_header_is_bounded() -> None:
    with pytest.raises(MalformedCollateral, match="too long"):
        decode_issuer_chain(b"%" * 300_000, path="chain")


def test_the_server_of_these_tests_speaks_the_interface() -> None:
    """Statuses of the documentation: both parameters, no such path, a CA that is none, PEM unless DER is asked for."""
    with serving(real(SGX_17)) as (_, url), Fetcher(tls=tls_context()) as fetcher:

        def get(path: str) -> bytes:
            return fetcher.get(url + path, resource="it", max_bytes=1 << 20, at=AT).body

        v4 = "/sgx/certification/v4"
        tcb = f"{v4}/tcb?fmspc=00906ed50000"
        assert json.loads(get(tcb))["tcbInfo"]["fmspc"] == "00906ED50000"
        assert get(f"{v4}/pckcrl?ca=processor").startswith(b"-----BEGIN X509 CRL-----")
        for path, status in (
            (f"{tcb}&update=early&tcbEvaluationDataNumber=17", 400),
            (f"{tcb}&tcbEvaluationDataNumber=16", 410),
            (f"{v4}/rootcacrl", 404),
            (f"{v4}/pckcrl?ca=root", 400),
        ):
            with pytest.raises(ResourceUnavailable, match=f"status {status}"):
                get(path)


def test_every_failure_is_of_the_family() -> None:
    assert issubclass(ResourceUnavailable, CollateralUnavailable)
