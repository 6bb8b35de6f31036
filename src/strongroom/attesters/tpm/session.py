"""A salted HMAC session with a TPM (TCG TPM 2.0 Library, Part 1, sections 11.4.10, 19.6 and Annex C.6).

The bus belongs to the host. So a salt is sent to a key that only the TPM holds, and whatever the TPM answers in the
session carries an HMAC under a key that comes from that salt: an answer made, changed or repeated on the way is
refused. A response that says "failed" carries none, and is never taken for more than a failure.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from typing import TYPE_CHECKING, Final

from strongroom.attesters.tpm.wire import (
    NO_SESSIONS,
    NULL_ALGORITHM,
    PRIMARY_TEMPLATE,
    SESSIONS,
    SHA256,
    Command,
    Handle,
    name_of,
    primary_point,
    sized,
)
from strongroom.base.cursor import ByteCursor
from strongroom.base.errors import AnchorUnavailable, Malformed
from strongroom.crypto.ecdh import InvalidPoint, one_time_agreement
from strongroom.crypto.hashing import equal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strongroom.attesters.tpm.device import Connection

__all__ = ["Refused", "TpmSession"]

_NONCE_BYTES: Final = 32
_CONTINUE: Final = 0x01  # TPMA_SESSION (Part 2 section 8.4)
_AUDIT: Final = 0x80
_HMAC_SESSION: Final = 0x00


class Refused(AnchorUnavailable):
    """The TPM refused a command. Nobody signs that, so it proves nothing."""

    code = "anchor-refused"

    def __init__(self, command: Command, rc: int) -> None:
        super().__init__(f"the TPM refused {command.name.lower()} (code 0x{rc:03x})")
        self.rc = rc


class TpmSession:
    """One session. ``name`` is the Name of the key that it is salted to: whoever pins it knows the TPM again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._primary, public = self._create_primary()
        self.name = name_of(public)
        self._handle, self._key, self._tpm_nonce = self._start(*primary_point(public))

    def call(
        self, command: Command, handles: Sequence[int] = (), names: Sequence[bytes] = (), parameters: bytes = b""
    ) -> bytes:
        """Send a command in this session and give the response's parameters, proven.

        ``names`` are those of ``handles``; the first handle's (empty) authorisation is given by the session. Without
        handles the session is there for the answer's sake only.
        """
        attributes = bytes([_CONTINUE if handles else _CONTINUE | _AUDIT])
        nonce = os.urandom(_NONCE_BYTES)
        command_hash = hashlib.sha256(struct.pack(">I", command) + b"".join(names) + parameters).digest()
        mac = self._mac(command_hash, nonce, self._tpm_nonce, attributes)
        area = struct.pack(">I", self._handle) + sized(nonce) + attributes + sized(mac)
        body = b"".join(struct.pack(">I", handle) for handle in handles) + struct.pack(">I", len(area)) + area
        response = self._connection.send(SESSIONS, command, body + parameters)
        if response.code:
            raise Refused(command, response.code)
        cursor = ByteCursor(response.body, path="TPM response", error=Malformed)
        try:
            answer = cursor.take(int.from_bytes(cursor.take(4, "parameter size"), "big"), "parameters")
            tpm_nonce = _take_sized(cursor, "nonce")
            given = cursor.take(1, "session attributes")
            proof = _take_sized(cursor, "HMAC")
            cursor.expect_end()
        except Malformed as cause:
            raise AnchorUnavailable("the TPM's answer is cut short") from cause
        response_hash = hashlib.sha256(struct.pack(">II", 0, command) + answer).digest()
        if not equal(proof, self._mac(response_hash, tpm_nonce, nonce, given)):
            raise AnchorUnavailable("the answer does not prove that it is the TPM's")
        self._tpm_nonce = tpm_nonce
        return answer

    def close(self) -> None:
        """Make room in the TPM."""
        for handle in (self._handle, self._primary):
            self._connection.send(NO_SESSIONS, Command.FLUSH_CONTEXT, struct.pack(">I", handle))

    def _create_primary(self) -> tuple[int, bytes]:
        password = struct.pack(">I", Handle.PASSWORD) + sized(b"") + b"\x00" + sized(b"")
        body = (
            struct.pack(">II", Handle.OWNER, len(password))
            + password
            + sized(sized(b"") + sized(b""))
            + sized(PRIMARY_TEMPLATE)
            + sized(b"")
            + struct.pack(">I", 0)
        )
        response = self._connection.send(SESSIONS, Command.CREATE_PRIMARY, body)
        if response.code:
            raise Refused(Command.CREATE_PRIMARY, response.code)
        cursor = ByteCursor(response.body, path="TPM response", error=Malformed)
        try:
            handle = int.from_bytes(cursor.take(4, "handle"), "big")
            cursor.take(4, "parameter size")
            return handle, _take_sized(cursor, "public area")
        except Malformed as cause:
            raise AnchorUnavailable("the TPM's answer is cut short") from cause

    def _start(self, x: bytes, y: bytes) -> tuple[int, bytes, bytes]:
        try:
            our_x, our_y, shared = one_time_agreement(x, y)
        except InvalidPoint as cause:
            raise AnchorUnavailable("the TPM's key is no point on its curve") from cause
        salt = hashlib.sha256(struct.pack(">I", 1) + shared + b"SECRET\x00" + our_x + x).digest()  # KDFe, C.6.1
        nonce = os.urandom(_NONCE_BYTES)
        body = (
            struct.pack(">II", self._primary, Handle.NULL)
            + sized(nonce)
            + sized(sized(our_x) + sized(our_y))
            + struct.pack(">BHH", _HMAC_SESSION, NULL_ALGORITHM, SHA256)
        )
        response = self._connection.send(NO_SESSIONS, Command.START_AUTH_SESSION, body)
        if response.code:
            raise Refused(Command.START_AUTH_SESSION, response.code)
        cursor = ByteCursor(response.body, path="TPM response", error=Malformed)
        try:
            handle = int.from_bytes(cursor.take(4, "handle"), "big")
            tpm_nonce = _take_sized(cursor, "nonce")
            cursor.expect_end()
        except Malformed as cause:
            raise AnchorUnavailable("the TPM's answer is cut short") from cause
        # KDFa, 11.4.10.2
        info = struct.pack(">I", 1) + b"ATH\x00" + tpm_nonce + nonce + struct.pack(">I", 8 * len(salt))
        return handle, hmac.new(salt, info, hashlib.sha256).digest(), tpm_nonce

    def _mac(self, digest: bytes, newer: bytes, older: bytes, attributes: bytes) -> bytes:
        return hmac.new(self._key, digest + newer + older + attributes, hashlib.sha256).digest()


def _take_sized(cursor: ByteCursor, what: str) -> bytes:
    return cursor.take(int.from_bytes(cursor.take(2, f"{what}'s size"), "big"), what)
