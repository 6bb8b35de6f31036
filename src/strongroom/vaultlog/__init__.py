"""vaultlog."""
