"""What a joining instance says and what it is given, inside the channel (docs/spec/instances.md 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from strongroom.base import canonical
from strongroom.base.errors import AppraisalRefused, MalformedMessage, StrongroomError
from strongroom.base.fields import Fields
from strongroom.base.findings import Check, Finding
from strongroom.crypto import hpke
from strongroom.crypto.hashing import sha256
from strongroom.crypto.signatures import PUBLIC_KEY_BYTES

__all__ = [
    "CBOR_TYPE",
    "JOIN_PATH",
    "MAX_JOIN_BYTES",
    "JoinRequest",
    "JoinStatement",
    "error_body",
    "join_info",
    "refusal_of",
]

JOIN_PATH: Final = "/v1/instances/join"
CBOR_TYPE: Final = "application/cbor"
MAX_JOIN_BYTES: Final = 512 * 1024
_LABEL: Final = "strongroom join v1"
_MAX_STATEMENT: Final = 2048
_MAX_TEXT: Final = 1024
_MAX_FINDINGS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinStatement:
    """What the joiner's evidence commits to: the key that its instance certificate will name, and a one-time HPKE key.

    ``instance_key`` is Ed25519 (32 bytes), ``kem_key`` has 1,216 bytes; both were born in the joiner's memory.
    """

    instance_key: bytes
    kem_key: bytes

    @property
    def context(self) -> bytes:
        """What goes into the client claims."""
        return sha256(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode({"label": _LABEL, "instance_key": self.instance_key, "kem_key": self.kem_key})

    @classmethod
    def from_bytes(cls, data: bytes) -> JoinStatement:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="join", error=MalformedMessage, max_bytes=_MAX_STATEMENT)
        fields.exactly("label", _LABEL)
        statement = cls(
            instance_key=fields.byte_string("instance_key", length=PUBLIC_KEY_BYTES),
            kem_key=fields.byte_string("kem_key", length=hpke.PUBLIC_KEY_BYTES),
        )
        fields.done()
        return statement


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """A statement and the client evidence that commits to it (``channel.peer_evidence``)."""

    statement: JoinStatement
    shown: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Encode."""
        return canonical.encode({"statement": self.statement.to_bytes(), "shown": self.shown})

    @classmethod
    def from_bytes(cls, data: bytes) -> JoinRequest:
        """Decode, or raise ``MalformedMessage``."""
        fields = Fields.decode(data, path="join", error=MalformedMessage, max_bytes=MAX_JOIN_BYTES)
        request = cls(
            statement=JoinStatement.from_bytes(fields.byte_string("statement", at_most=_MAX_STATEMENT)),
            shown=fields.byte_string("shown", at_most=MAX_JOIN_BYTES),
        )
        fields.done()
        return request


def join_info(session: bytes, statement: JoinStatement) -> bytes:
    """Bind the sealed root key to the session and to the statement that asked for it."""
    return b"strongroom v1 join root" + session + statement.context


def error_body(error: StrongroomError) -> bytes:
    """Encode a refusal for the instance at the other end, with its findings."""
    findings = error.findings if isinstance(error, AppraisalRefused) else ()
    return canonical.encode(
        {
            "error": error.code,
            "message": error.message[:_MAX_TEXT],
            "findings": [
                [str(item.check), item.message, item.section, item.expected[:_MAX_TEXT], item.actual[:_MAX_TEXT]]
                for item in findings[:_MAX_FINDINGS]
            ],
        }
    )


def refusal_of(body: bytes) -> tuple[str, str, tuple[Finding, ...]]:
    """Decode a refusal: code, message and findings; ``MalformedMessage`` for anything else."""
    fields = Fields.decode(body, path="refusal", error=MalformedMessage, max_bytes=256 * 1024)
    code, message = fields.text("error", at_most=64), fields.text("message", at_most=_MAX_TEXT)
    findings = []
    for item in fields.items("findings", at_most=_MAX_FINDINGS):
        match item:
            case [str(check), str(text), str(section), str(expected), str(actual)] if check in set(Check):
                findings.append(
                    Finding(check=Check(check), message=text, section=section, expected=expected, actual=actual)
                )
            case _:
                raise fields.fail("not a finding")
    fields.done()
    return code, message, tuple(findings)
