"""The attested exchange and the channel that follows, without input or output (docs/spec/attested-channel.md)."""
