"""Where a service listens and how its messages are labelled, for both ends (docs/spec/attested-channel.md)."""

from __future__ import annotations

from typing import Final

__all__ = [
    "APPRAISAL_TYPE",
    "APPRAISE_PATH",
    "CLIENT_EVIDENCE_PATH",
    "CONTENT_TYPE",
    "EXCHANGE_PATH",
    "HEALTH_PATH",
    "KEYED_PATH",
    "MESSAGE_PATH",
    "READY_PATH",
    "STREAM_FROM_BYTES",
    "STREAM_PATH",
    "STREAM_TYPE",
    "VERIFIER_PATH",
]

EXCHANGE_PATH: Final = "/strongroom/v1/exchange"
KEYED_PATH: Final = "/strongroom/v1/keyed-exchange"
MESSAGE_PATH: Final = "/strongroom/v1/message"
STREAM_PATH: Final = "/strongroom/v1/stream"
CLIENT_EVIDENCE_PATH: Final = "/strongroom/v1/client-evidence"
"""Inside the channel: where a client shows its own evidence (docs/spec/attested-channel.md 14)."""
HEALTH_PATH: Final = "/strongroom/v1/health"
READY_PATH: Final = "/strongroom/v1/ready"
APPRAISE_PATH: Final = "/strongroom/v1/appraise"
VERIFIER_PATH: Final = "/strongroom/v1/verifier"
APPRAISAL_TYPE: Final = "application/vnd.strongroom.appraisal"
"""Of an attestation service (docs/spec/remote-verifier.md), not of an attested one."""

CONTENT_TYPE: Final = "application/vnd.strongroom.channel"
STREAM_TYPE: Final = "application/vnd.strongroom.stream"

STREAM_FROM_BYTES: Final = 1024 * 1024
"""A body above this is streamed where both ends can; below it, one box holds the whole message."""
