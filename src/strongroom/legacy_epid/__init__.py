"""The world of 2013 to 2025: EPID quotes and Intel's attestation service, as history. Can be deleted as it stands."""
