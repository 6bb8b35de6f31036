"""Second factors of an account: codes by time (TOTP, RFC 6238), security keys (WebAuthn), recovery codes.

Pure decisions over what is kept: each gives the state after it, or ``None`` where the proof does not hold. A proof
holds once: a code's time step, a key's counter and a recovery code only move forward, in the state that is kept.
"""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pyotp

from strongroom.base import canonical
from strongroom.base.errors import Malformed
from strongroom.base.fields import Fields
from strongroom.crypto.hashing import DIGEST_BYTES, equal, labelled_hash

if TYPE_CHECKING:
    pass

__all__ = ["SECRET_BYTES", "Factors", "SecurityKey", "Totp", "new_factor_id", "new_recovery_codes"]

SECRET_BYTES: Final = 20  # RFC 4226 section 4, R6: 160 bits
STEP_SECONDS: Final = 30  # RFC 6238 section 5.2
_ID_BYTES: Final = 8
_DRIFT_STEPS: Final = 1
_RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10  # 80 bits: guessing one is not a way, so its hash needs no stretching
_MAX_ROW_BYTES: Final = 32 * 1024
_MAX_FACTORS: Final = 8


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Totp:
    """An authenticator application. ``last_step`` is the newest time step whose code was used."""

    factor_id: bytes
    name: str
    added_ms: int
    secret: bytes
    last_step: int = 0

    def step_of(self, code: str, at_ms: int) -> int | None:
        """Give the step whose code this is, of the present one and its neighbours, if it was not used yet."""
        generator = pyotp.HOTP(base64.b32encode(self.secret).decode())
        present = at_ms // (STEP_SECONDS * 1000)
        given = code.strip().replace(" ", "").encode()
        found = None
        for step in range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1):
            if step > self.last_step and equal(generator.at(step).encode(), given):
                found = step
        return found


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class SecurityKey:
    """A WebAuthn credential: ``credential`` is its attested data, ``rp_id`` the pages it answers to."""

    factor_id: bytes
    name: str
    added_ms: int
    rp_id: str
    credential: bytes
    count: int = 0


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Factors:
    """All second factors of one account. No representation."""

    codes: tuple[Totp, ...] = ()
    keys: tuple[SecurityKey, ...] = ()
    recovery: tuple[bytes, ...] = ()

    @property
    def required(self) -> bool:
        """Whether a password alone is not enough."""
        return bool(self.codes or self.keys)

    @property
    def kinds(self) -> list[str]:
        """What will do, in the order to offer it."""
        present = {"totp": self.codes, "key": self.keys, "recovery": self.recovery}
        return [kind for kind, of_it in present.items() if of_it]

    @property
    def is_full(self) -> bool:
        """Whether there is room for another."""
        return len(self.codes) + len(self.keys) >= _MAX_FACTORS

    def by_code(self, code: str, at_ms: int) -> Factors | None:
        """Use a code; ``None`` when it is nobody's now, or was used."""
        for index, totp in enumerate(self.codes):
            step = totp.step_of(code, at_ms)
            if step is not None:
                used = replace(totp, last_step=step)
                return replace(self, codes=(*self.codes[:index], used, *self.codes[index + 1 :]))
        return None

    def by_recovery(self, code: str) -> Factors | None:
        """Use a recovery code up."""
        digest = _recovery_hash(code)
        kept = tuple(known for known in self.recovery if not equal(known, digest))
        return replace(self, recovery=kept) if len(kept) < len(self.recovery) else None

    def by_key(self, key: SecurityKey, count: int) -> Factors | None:
        """Note an assertion that held; ``None`` when the key's counter did not move, as a copied key's does not.

        Keys without a counter always say 0 (WebAuthn Level 2 section 6.1.1).
        """
        if (count or key.count) and count <= key.count:
            return None
        return replace(self, keys=tuple(replace(each, count=count) if each == key else each for each in self.keys))

    def with_one_more(self, factor: Totp | SecurityKey) -> tuple[Factors, list[str]]:
        """Add a factor; with the first come recovery codes."""
        codes = [] if self.required else new_recovery_codes()
        recovery = tuple(map(_recovery_hash, codes)) or self.recovery
        if isinstance(factor, Totp):
            return replace(self, codes=(*self.codes, factor), recovery=recovery), codes
        return replace(self, keys=(*self.keys, factor), recovery=recovery), codes

    def without(self, factor_id: bytes) -> Factors | None:
        """Remove a factor; ``None`` when there is none of this id. The recovery codes go with the last."""
        codes = tuple(each for each in self.codes if each.factor_id != factor_id)
        keys = tuple(each for each in self.keys if each.factor_id != factor_id)
        if len(codes) + len(keys) == len(self.codes) + len(self.keys):
            return None
        return Factors(codes=codes, keys=keys, recovery=self.recovery if codes or keys else ())

    def to_bytes(self) -> bytes:
        """Write for the sealed row."""
        return canonical.encode(
            {
                "codes": [
                    canonical.encode(
                        {
                            "id": each.factor_id,
                            "name": each.name,
                            "added": each.added_ms,
                            "secret": each.secret,
                            "step": each.last_step,
                        }
                    )
                    for each in self.codes
                ],
                "keys": [
                    canonical.encode(
                        {
                            "id": each.factor_id,
                            "name": each.name,
                            "added": each.added_ms,
                            "rp": each.rp_id,
                            "credential": each.credential,
                            "count": each.count,
                        }
                    )
                    for each in self.keys
                ],
                "recovery": list(self.recovery),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Factors:
        """Parse, or raise ``Malformed``."""
        fields = Fields.decode(data, path="second factors", error=Malformed, max_bytes=_MAX_ROW_BYTES)
        factors = cls(
            codes=tuple(map(_totp, fields.byte_strings("codes", at_most=_MAX_FACTORS))),
            keys=tuple(map(_key, fields.byte_strings("keys", at_most=_MAX_FACTORS))),
            recovery=fields.byte_strings("recovery", length=DIGEST_BYTES, at_most=_RECOVERY_CODES),
        )
        fields.done()
        return factors


def new_factor_id() -> bytes:
    """Draw the 8 bytes by which a factor is named."""
    return os.urandom(_ID_BYTES)


def new_recovery_codes() -> list[str]:
    """Draw ten codes of 80 bits: four groups of four letters and digits (RFC 4648 base 32)."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode()) for _ in range(_RECOVERY_CODES)]


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _recovery_hash(code: str) -> bytes:
    plain = "".join(code.split()).replace("-", "").upper()
    return labelled_hash("strongroom v1 recovery code", plain.encode("utf-8", "replace"))


def _totp(data: bytes) -> Totp:
    fields = Fields.decode(data, path="totp", error=Malformed, max_bytes=_MAX_ROW_BYTES)
    totp = Totp(
        factor_id=fields.byte_string("id", length=_ID_BYTES),
        name=fields.text("name", at_most=64),
        added_ms=fields.number("added"),
        secret=fields.byte_string("secret", length=SECRET_BYTES),
        last_step=fields.number("step"),
    )
    fields.done()
    return totp


def _key(data: bytes) -> SecurityKey:
    fields = Fields.decode(data, path="security key", error=Malformed, max_bytes=_MAX_ROW_BYTES)
    key = SecurityKey(
        factor_id=fields.byte_string("id", length=_ID_BYTES),
        name=fields.text("name", at_most=64),
        added_ms=fields.number("added"),
        rp_id=fields.text("rp", at_most=253),
        credential=fields.byte_string("credential", at_most=2048),
        count=fields.number("count"),
    )
    fields.done()
    return key
