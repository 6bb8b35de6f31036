"""Strongroom: a trusted data store that every client verifies by remote attestation."""
