"""Strongroom: a trusted data store that every client verifies by remote attestation."""

__version__ = "0.1.0"
