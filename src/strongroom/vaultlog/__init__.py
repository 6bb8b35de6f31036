"""The log of a vault: entries signed by devices, chained by hash; heads signed by the store; a device's view of them.

Pure: what is checked here is checked alike by clients, by the store and by whoever is shown a proof.
"""
