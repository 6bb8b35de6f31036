"""A TPM 2.0 as a keeper of counters: TPM2 commands over a device or a socket, answers proven by an HMAC session.

What is trusted, and what is not: docs/spec/guess-limits.md section 3.
"""

from strongroom.attesters.tpm.counter import DEFAULT_INDEX, TpmCounter

__all__ = ["DEFAULT_INDEX", "TpmCounter"]
