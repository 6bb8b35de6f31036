"""A client to be killed: writes without end and says, line by line, what it may be held to.

    python writing_client.py register|write HOME URL

Reads its configuration as JSON from standard input. Each line of standard output is an acknowledgement: what it
names was durable on this device, or in step with the store, before the line was written.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

from strongroom.channel.client import ClientTerms
from strongroom.client.account import Credentials, registered
from strongroom.client.api import StoreApi
from strongroom.client.device import unlocked_device
from strongroom.client.driver import sync_device
from strongroom.client.profile import Trust
from strongroom.client.trust import standing_policy
from strongroom.client.vault import LocalVault
from strongroom.crypto.stretching import INSECURE_FOR_TESTS_ONLY
from strongroom.formats.measurements import MrEnclave
from strongroom.records.item import Item, ItemType
from strongroom.transport.client import AttestedTransport
from strongroom.transport.clock import SystemClock


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main() -> None:
    settings = json.load(sys.stdin)
    home = Path(settings["home"])
    root, deployment = base64.b64decode(settings["simulated_root"]), base64.b64decode(settings["deployment"])
    password = settings["password"].encode()
    trust = Trust(url=settings["url"], deployment=deployment, policy=None, simulated_root=root)
    policy = standing_policy(MrEnclave(base64.b64decode(settings["mr_enclave"])), simulated_root=root)
    terms = ClientTerms(policy=policy, deployment=deployment)
    store = StoreApi(AttestedTransport(settings["url"], terms, clock=SystemClock()))
    say("ready")
    if settings["verb"] == "register":
        credentials = Credentials(username=settings["username"], password=password, cost=INSECURE_FOR_TESTS_ONLY)
        with registered(home, store, credentials, trust) as device:
            say("registered")
            sync_device(device, store)
            say("synced")
        return
    with unlocked_device(home, password, accepted=(INSECURE_FOR_TESTS_ONLY,)) as device:
        vault = LocalVault(device.store)
        say("open")
        for number in range(settings["first"], settings["first"] + 1_000_000):
            fields = {"title": f"item {number}", "password": f"secret {number}"}
            entry = vault.add(Item(item_type=ItemType.LOGIN, fields=fields, created_at=number, changed_at=number))
            say("added", number)
            if number % 3 == 0:
                vault.change(entry, entry.item.edited(at=number, fields={"username": f"name {number}"}))
                say("changed", number)
            if number % 4 == 0:
                sync_device(device, store)
                say("synced", number)


main()
