"""The vectors that another implementation of the remote verifier would be tested with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strongroom.formats.remote_appraisal import AppraisalProof, AppraisalRequest, SignedAppraisal
from strongroom.verifier.jwt import verify_jwt
from strongroom.verifier.lie import check_proof
from strongroom.verifier.remote import read_statement
from strongroom.verifier.token_keys import PinnedKey

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "strongroom" / "remote-verifier.json").read_text())
KEY = PinnedKey.from_text(VECTORS["key"])


def test_the_question_and_its_answer() -> None:
    request = AppraisalRequest.from_bytes(bytes.fromhex(VECTORS["request"]))
    answer = SignedAppraisal.from_bytes(bytes.fromhex(VECTORS["answer"]))
    assert (answer.evidence, answer.collateral) == (request.evidence, request.collateral)
    assert answer.jwt.decode() == VECTORS["jwt"]
    assert read_statement(answer.cwt, KEY) == read_statement(answer.jwt, KEY)
    at = datetime.fromisoformat(VECTORS["at"]).astimezone(UTC)
    verify_jwt(answer.jwt, KEY, at=at, maximum_age=timedelta(minutes=1), nonce=request.nonce)


@pytest.mark.parametrize("vector", VECTORS["proofs"], ids=[item["name"] for item in VECTORS["proofs"]])
def test_the_verdict_on_a_proof(vector: dict[str, str]) -> None:
    verdict = check_proof(AppraisalProof.from_bytes(bytes.fromhex(vector["proof"])))
    assert (verdict.outcome.value, verdict.rule) == (vector["outcome"], vector["rule"])
