"""The client: a person's vault on this device, and its way to the store."""
