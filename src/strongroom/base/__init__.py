"""Errors, bounded reading, canonical encoding, names for kinds of bytes, the clock. Standard library only."""
