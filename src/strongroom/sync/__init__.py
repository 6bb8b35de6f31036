"""Sync: an engine without clock, file or socket. Events in, effects out; merging by field against a common base."""
