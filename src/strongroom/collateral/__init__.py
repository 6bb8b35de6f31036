"""Where collateral comes from: handed over, kept on disk, carried in a file, or asked for over the network.

No source is trusted. What it gives is checked against Intel's root before it is used, kept or passed on, so the worst
that a lying source can do is to have us refuse (docs/spec/collateral.md). Nothing here opens a connection unless it
was built with an address that somebody named.
"""
