"""The captured evidence of ``tests/vectors`` and strategies for damaging it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

from hypothesis import strategies as st

from strongroom.base.errors import Malformed
from strongroom.formats.collateral import Collateral
from strongroom.verifier import INTEL_SGX_ROOT, Memo, assess

VECTORS = Path(__file__).parent / "vectors"
instants = st.integers(0, 250_000_000_000).map(
    lambda seconds: datetime(1, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds)
)
QUOTES = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("sgx/*/*.quote.bin"))
TDX_QUOTES = sorted(str(path.relative_to(VECTORS)) for path in VECTORS.glob("tdx/*/*.quote.bin"))


class Verdict(TypedDict, total=False):
    quote: str
    collateral: str
    unix_time: int
    platform: str
    quoting_enclave: str
    tdx_module: str
    debug: bool
    dcap_qvl: str
    status: str
    advisories: int


_ALL: list[Verdict] = json.loads((VECTORS / "verdicts.json").read_text())
VERDICTS = [verdict for verdict in _ALL if verdict["quote"].startswith("sgx/")]
TDX_VERDICTS = [verdict for verdict in _ALL if verdict["quote"].startswith("tdx/")]


def read(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


def case(verdict: Verdict) -> tuple[bytes, Collateral, datetime]:
    at = datetime.fromtimestamp(verdict["unix_time"], UTC)
    return read(verdict["quote"]), Collateral.from_json(read(verdict["collateral"])), at


def surviving_flips(verdict: Verdict, places: list[int]) -> list[int]:
    """Flip single bits of a quote; give the places whose flip is accepted, which must change nothing that is said."""
    evidence, collateral, at = case(verdict)
    memo = Memo(capacity=1000)
    original = assess(evidence, collateral, [INTEL_SGX_ROOT], at=at, memo=memo)
    assert original.genuine
    accepted = []
    for place in places:
        byte, bit = divmod(place, 8)
        flipped = evidence[:byte] + bytes((evidence[byte] ^ 1 << bit,)) + evidence[byte + 1 :]
        try:
            assessment = assess(flipped, collateral, [INTEL_SGX_ROOT], at=at, memo=memo)
        except Malformed:
            continue
        if assessment.genuine:
            assert assessment == original
            accepted.append(place)
    return accepted


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A real thing with a bit flipped, bytes cut off, inserted, doubled, or a size set to all ones."""
    data = draw(st.sampled_from(originals))
    at = draw(st.integers(0, len(data) - 1))
    match draw(st.sampled_from(["flip", "cut", "insert", "repeat", "ones", "append"])):
        case "flip":
            return data[:at] + bytes((data[at] ^ 1 << draw(st.integers(0, 7)),)) + data[at + 1 :]
        case "cut":
            return data[:at]
        case "insert":
            return data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at:]
        case "repeat":
            end = draw(st.integers(at, len(data)))
            return data[:end] + data[at:]
        case "ones":
            return data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
        case _:
            return data + draw(st.binary(min_size=1, max_size=70))
