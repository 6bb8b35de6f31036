"""Adapters that keep bytes: the store's database, the client's local database, private files."""
