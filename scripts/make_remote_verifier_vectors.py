"""Make tests/vectors/strongroom/remote-verifier.json: a question, its signed answer, and proofs with their verdicts.

The evidence is made anew each time, since its signatures are not deterministic; what is stored is what is tested.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from strongroom.crypto.eddsa import EddsaPrivateKey
from strongroom.formats.remote_appraisal import AppraisalProof, AppraisalRequest
from strongroom.testing.intel_pki import AT, IntelPki
from strongroom.testing.lying_verifier import lie_about
from strongroom.verifier.eat import VerifierId
from strongroom.verifier.lie import check_proof
from strongroom.verifier.remote import appraise_for
from strongroom.verifier.token_keys import IssuerKey

TARGET = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "strongroom" / "remote-verifier.json"
KEY = IssuerKey(EddsaPrivateKey.from_seed(bytes(range(32))))
VERIFIER = VerifierId(developer="https://verifier.example", build="strongroom 0.1.0")


def main() -> None:
    """Write the file."""
    pki = IntelPki()
    request = AppraisalRequest(
        evidence=pki.quote().to_bytes(), collateral=pki.collateral().to_json(), nonce=bytes(range(32))
    )
    accepting = pki.policy()
    refusing = replace(accepting, mr_enclaves=frozenset(), signers=())
    answer = appraise_for(request, accepting, KEY, verifier=VERIFIER, at=AT)
    refusal = appraise_for(request, refusing, KEY, verifier=VERIFIER, at=AT)
    lie = lie_about(request, refusing, KEY, verifier=VERIFIER, at=AT)
    key = KEY.pinned.to_text()
    proofs: dict[str, AppraisalProof] = {
        "accepted, as the appraisal does": answer.proof(key),
        "refused, as the appraisal does": refusal.proof(key),
        "accepted what the appraisal refuses": lie.proof(key),
        "the same in a JWT": lie.proof(key, token=lie.jwt),
        "another policy than the result names": replace(lie.proof(key), policy=answer.policy),
        "other collateral": replace(answer.proof(key), collateral=answer.collateral + b"\n"),
        "another key": replace(answer.proof(key), key="EdDSA:" + "00" * 32),
    }
    vectors = {
        "about": "docs/spec/remote-verifier.md; all bytes in hexadecimal, tokens in ASCII where they are JWT",
        "key": key,
        "at": AT.isoformat(),
        "request": request.to_bytes().hex(),
        "answer": answer.to_bytes().hex(),
        "jwt": answer.jwt.decode(),
        "jwt_of_a_refusal": refusal.jwt.decode(),
        "proofs": [
            {"name": name, "proof": proof.to_bytes().hex(), "outcome": verdict.outcome.value, "rule": verdict.rule}
            for name, proof in proofs.items()
            for verdict in [check_proof(proof)]
        ],
    }
    TARGET.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
