"""Asking a person for a second factor: a code, a recovery code, a touch of a security key."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from strongroom.base.errors import Misconfigured
from strongroom.cli.output import note
from strongroom.cli.prompts import read_secret
from strongroom.formats.account_api import ProveFactor

if TYPE_CHECKING:
    from pathlib import Path

    from strongroom.formats.account_api import FactorAsked

__all__ = ["page_of", "rp_of", "second_factor"]

_CODE_DIGITS = 6


def rp_of(url: str) -> str:
    """Give the RP id for security keys of the account at a store: its host."""
    host = urlsplit(url).hostname
    if not host:
        raise Misconfigured("the store's address has no host name", setting="url")
    return host


def page_of(url: str) -> str:
    """Give the origin that goes with ``rp_of``. No page is shown: it is what the key's answer is tied to."""
    return f"https://{rp_of(url)}"


def second_factor(asked: FactorAsked, file: Path | None, *, page: str) -> ProveFactor:
    """Get one of the factors that will do."""
    if file is None and "key" in asked.kinds:
        from strongroom.client.security_keys import answer_assertion, present_key

        key = present_key()
        if key is not None:
            note("touch your security key")
            return ProveFactor(assertion=answer_assertion(asked.options, key, page))
        if asked.kinds == ["key"]:
            raise Misconfigured("no security key is plugged in", hint="plug in the account's security key")
    code = read_secret("Code of your authenticator application, or a recovery code", file).strip()
    if len(code.replace(" ", "")) == _CODE_DIGITS and "totp" in asked.kinds:
        return ProveFactor(totp=code)
    return ProveFactor(recovery=code)
