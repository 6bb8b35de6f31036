"""The store: accounts, device sessions and vaults, inside the enclave. Its database is outside and not believed."""
