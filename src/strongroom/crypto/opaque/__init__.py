"""OPAQUE-3DH (RFC 9807): log in with a password that the server never learns.

Suite ristretto255-SHA512 with Argon2id. Registration: ``client.start_registration`` →
``server.registration_response`` → ``client.finish_registration``, whose record the server stores. Login:
``client.start_login`` → ``server.start_login`` → ``client.finish_login`` → ``server.finish_login``. How Strongroom
uses it stands in docs/spec/accounts.md.
"""

from strongroom.crypto.opaque import client, server
from strongroom.crypto.opaque.messages import RegistrationRecord
from strongroom.crypto.opaque.server import ServerSetup
from strongroom.crypto.opaque.suite import (
    CONTEXT,
    Identities,
    KeyStretching,
    WrongPassword,
    argon2id,
    identity_for_test_vectors_only,
)

__all__ = [
    "CONTEXT",
    "Identities",
    "KeyStretching",
    "RegistrationRecord",
    "ServerSetup",
    "WrongPassword",
    "argon2id",
    "client",
    "identity_for_test_vectors_only",
    "server",
]
