"""What a simulated platform keeps: one JSON file in a directory that its owner alone can enter.

The file is replaced as a whole, so a crash leaves the old state or the new one. A checksum tells damage from a
state; what is damaged is reported, and never replaced by a new platform, because everything sealed would be lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from strongroom.attesters.simulated.pki import Certificates, Keys, certificates_fit, issue_pki
from strongroom.attesters.simulated.settings import PlatformSettings
from strongroom.base import canonical
from strongroom.base.errors import AttesterUnavailable, Malformed, Misconfigured
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import sha256
from strongroom.formats.tcb_levels import TcbStatus

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["STATE_FILE", "PlatformState"]

STATE_FILE: Final = "platform.json"
_FORMAT: Final = "strongroom simulated platform"
_VERSION: Final = 1
_MAX_BYTES: Final = 64 * 1024
_SECRET_BYTES: Final = 32
_MAX_CERTIFICATE_DIGITS: Final = 8192
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HINT: Final = "restore it from a backup; making a new platform elsewhere loses what this one sealed"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlatformState:
    """One state. ``revision`` counts changes of the settings; ``manufacturer`` is another's secret, if not its own."""

    secret: bytes
    manufacturer: bytes | None
    settings: PlatformSettings
    revision: int
    certificates: Certificates

    @property
    def keys(self) -> Keys:
        """Every key of the platform and its manufacturer."""
        return Keys.derive(self.secret, self.manufacturer)

    @classmethod
    def new(cls, settings: PlatformSettings, *, beside: PlatformState | None = None) -> PlatformState:
        """Draw a new platform: of the manufacturer that made the one ``beside``, or of one of its own."""
        secret = os.urandom(_SECRET_BYTES)
        manufacturer = None if beside is None else beside.manufacturer or beside.secret
        certificates = issue_pki(Keys.derive(secret, manufacturer), settings)
        return cls(secret=secret, manufacturer=manufacturer, settings=settings, revision=0, certificates=certificates)

    @classmethod
    def load(cls, directory: Path) -> PlatformState | None:
        """Read the state, or give ``None`` when there is none; ``Misconfigured`` when it is damaged or exposed."""
        path = directory / STATE_FILE
        try:
            _require_private(directory)
            with path.open("rb") as file:
                _require_private(path)
                data = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as cause:
            raise _unavailable("read", path, cause) from cause
        try:
            return cls._parse(data)
        except (Malformed, ValueError, TypeError, RecursionError) as cause:
            raise Misconfigured(
                f"the simulated platform's state in {path} is damaged", setting="platform", hint=_HINT
            ) from cause

    @classmethod
    def _parse(cls, data: bytes) -> PlatformState:
        if len(data) > _MAX_BYTES:
            raise ValueError("too long")
        decoded = json.loads(data)
        content = Fields(decoded, path=STATE_FILE, error=Malformed)
        checksum = content.text("sha256", at_most=64)
        del decoded["sha256"]
        if checksum != _checksum(decoded):
            raise ValueError("the checksum differs")
        content.exactly("format", _FORMAT)
        content.exactly("version", _VERSION)
        settings = Fields(decoded.get("settings"), path=f"{STATE_FILE}.settings", error=Malformed)
        names = [field.name for field in fields(Certificates)]
        state = cls(
            secret=bytes.fromhex(content.text("secret", at_most=2 * _SECRET_BYTES)),
            manufacturer=bytes.fromhex(content.text("manufacturer", at_most=2 * _SECRET_BYTES))
            if "manufacturer" in decoded
            else None,
            settings=PlatformSettings(
                tcb=TcbStatus(settings.text("tcb", at_most=64)),
                pck_revoked=bool(settings.number("pck_revoked", at_most=1)),
            ),
            revision=content.number("revision"),
            certificates=Certificates(
                **{name: bytes.fromhex(content.text(name, at_most=_MAX_CERTIFICATE_DIGITS)) for name in names}
            ),
        )
        settings.done()
        if any(len(item) != _SECRET_BYTES for item in (state.secret, state.manufacturer or state.secret)):
            raise ValueError("a secret has another length")
        if not certificates_fit(state.keys, state.certificates):
            raise ValueError("the certificates are not over these keys")
        return state

    def to_bytes(self) -> bytes:
        """Write the state as JSON."""
        content: dict[str, object] = {
            "format": _FORMAT,
            "version": _VERSION,
            "settings": {"tcb": str(self.settings.tcb), "pck_revoked": int(self.settings.pck_revoked)},
            "revision": self.revision,
            "secret": self.secret.hex(),
        }
        if self.manufacturer is not None:
            content["manufacturer"] = self.manufacturer.hex()
        for field in fields(Certificates):
            content[field.name] = getattr(self.certificates, field.name).hex()
        return json.dumps(content | {"sha256": _checksum(content)}, indent=1).encode() + b"\n"

    def create(self, directory: Path) -> None:
        """Keep the state of a new platform; makes the directory with mode 0700. An existing state wins."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_private(directory)
        except OSError as cause:
            raise _unavailable("made", directory, cause) from cause
        self._write(directory, replace=False)

    def replace(self, directory: Path) -> None:
        """Keep the state in the place of an older one."""
        self._write(directory, replace=True)

    def _write(self, directory: Path, *, replace: bool) -> None:
        path, temporary = directory / STATE_FILE, directory / f".{STATE_FILE}.{secrets.token_hex(8)}.new"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(self.to_bytes())
                file.flush()
                os.fsync(descriptor)
            # Commit point: a crash before it leaves the older state and a ".new" file that nobody reads, a crash
            # after it the new state.
            if replace:
                temporary.replace(path)
            else:
                with contextlib.suppress(FileExistsError):  # another process was first, and a link replaces nothing
                    path.hardlink_to(temporary)
            _sync_directory(directory)
        except OSError as cause:
            raise _unavailable("written", path, cause) from cause
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _checksum(content: object) -> str:
    return sha256(canonical.encode(content)).hex()


def _require_private(path: Path) -> None:
    mode = path.stat().st_mode
    if os.name == "posix" and mode & _OTHERS:
        wanted = "700" if stat.S_ISDIR(mode) else "600"
        raise Misconfigured(
            f"other users have access to {path} (mode {stat.S_IMODE(mode):04o})",
            setting="platform",
            hint=f"chmod {wanted} {path}",
        )


def _sync_directory(path: Path) -> None:
    if os.name != "posix":  # other systems cannot open a directory
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(verb: str, path: Path, cause: OSError) -> AttesterUnavailable:
    return AttesterUnavailable(f"{path} cannot be {verb}: {cause.strerror or type(cause).__name__}")
