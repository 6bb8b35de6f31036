"""RA-TLS for interoperability: certificates that carry evidence about their key, and ordinary ones beside evidence.

Everything here is *key-bound*: the evidence speaks of a key, not of a session. Whoever holds a channel key leaked from
any enclave that the policy accepts can relay genuine evidence. The attested channel does not have this weakness, and a
vault opens over nothing less.
"""
