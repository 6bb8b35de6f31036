"""Named constructions from RFCs over one library. No other package touches ``cryptography.hazmat``."""
