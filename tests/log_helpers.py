"""A short vault log with known keys, for the tests of the log itself."""

from __future__ import annotations

from strongroom.crypto.hashing import sha256
from strongroom.crypto.signatures import SigningKey
from strongroom.vaultlog.chain import ChainState, authorise_device, extend
from strongroom.vaultlog.entry import Entry, RecordWritten, Step
from strongroom.vaultlog.head import VerifiedHead, sign_head, verify_head

VAULT = b"vault-0123456789"
ACCOUNT = SigningKey.from_seed(b"account".ljust(32, b"."))
DEVICE = SigningKey.from_seed(b"device".ljust(32, b"."))
HEAD_KEY = SigningKey.from_seed(b"head".ljust(32, b"."))
R1, R2 = b"record-000000001", b"record-000000002"
GENESIS = ChainState.genesis(vault=VAULT, account_key=ACCOUNT.public)


def admit(state: ChainState, device: SigningKey = DEVICE) -> Step:
    return Step(entry=authorise_device(ACCOUNT, device.public, state, epoch=1), sealed=b"")


def write(
    state: ChainState,
    record: bytes = R1,
    version: int = 1,
    *,
    key: SigningKey = DEVICE,
    sealed: bytes = b"s",
    **changes,
) -> Step:
    settings = {
        "vault": state.vault,
        "epoch": 1,
        "index": state.length,
        "previous": state.chain_hash,
        "author": key.public,
        "change": RecordWritten(record=record, version=version, sealed_digest=sha256(sealed)),
    }
    return Step(entry=Entry(**{**settings, **changes}).signed_by(key), sealed=sealed)


def log(length: int, *, sealed: bytes = b"s", branch_at: int | None = None) -> list[Step]:
    """Entry 0 admits the device, each of the others writes R1; from ``branch_at`` on with other contents."""
    steps = [admit(GENESIS)]
    state = extend(GENESIS, steps)
    for index in range(1, length):
        contents = b"branch" if branch_at is not None and index >= branch_at else sealed
        steps.append(write(state, version=index, sealed=contents))
        state = extend(state, steps[-1:])
    return steps


def head_of(state: ChainState, time_ms: int, key: SigningKey = HEAD_KEY) -> VerifiedHead:
    signed = sign_head(state, epoch=1, time_ms=time_ms, key=key)
    return verify_head(signed, head_key_hash=sha256(key.public), vault=state.vault)
