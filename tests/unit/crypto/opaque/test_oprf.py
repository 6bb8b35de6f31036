"""The OPRF against the vectors of RFC 9497."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from strongroom.crypto import ristretto255
from strongroom.crypto.opaque import oprf

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "rfc9497" / "oprf_ristretto255.json").read_text(encoding="utf-8")
)


def test_the_key_is_the_rfcs():
    private_key, public_key = oprf.derive_key_pair(bytes.fromhex(VECTORS["Seed"]), bytes.fromhex(VECTORS["KeyInfo"]))
    assert private_key.hex() == VECTORS["skSm"]
    assert public_key == ristretto255.multiply_base(private_key)


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["Input"][:4])
def test_every_step_is_the_rfcs(vector):
    data, blind = bytes.fromhex(vector["Input"]), bytes.fromhex(vector["Blind"])
    scalar, blinded = oprf.blind(data, entropy=lambda count: blind.ljust(count, b"\x00"))
    assert scalar == blind
    assert blinded.hex() == vector["BlindedElement"]
    evaluated = oprf.blind_evaluate(ristretto255.decode_scalar(bytes.fromhex(VECTORS["skSm"])), blinded)
    assert evaluated.hex() == vector["EvaluationElement"]
    assert oprf.finalize(data, scalar, evaluated).hex() == vector["Output"]


def test_the_blind_hides_the_input_and_does_not_change_the_output():
    key = ristretto255.random_scalar()
    seen, outputs = set(), set()
    for _ in range(5):
        scalar, blinded = oprf.blind(b"the same input")
        seen.add(blinded)
        outputs.add(oprf.finalize(b"the same input", scalar, oprf.blind_evaluate(key, blinded)))
    assert len(seen) == 5
    assert len(outputs) == 1


def test_an_input_too_long_to_be_framed_is_refused():
    oprf.blind(bytes(0xFFFF))
    with pytest.raises(ValueError, match="65535"):
        oprf.blind(bytes(0x10000))


def test_derivation_takes_another_turn_when_a_hash_is_zero(monkeypatch):
    real, calls = ristretto255.hash_to_scalar, []

    def zero_first(data: bytes, domain: bytes) -> bytes:
        calls.append(data)
        return bytes(32) if len(calls) == 1 else real(data, domain)

    monkeypatch.setattr(ristretto255, "hash_to_scalar", zero_first)
    oprf.derive_key_pair(bytes(32), b"info")
    assert [call[-1] for call in calls] == [0, 1]
