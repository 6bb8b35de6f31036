"""A store from one settings file, with tenants: as an operator, an administrator and two customers use it.

Unusual words stand for everything personal and secret on the way; nothing that the operator's side shows has them.
"""

import base64
import json
from pathlib import Path

import httpx2
import pytest

from running import Deployment, Ran, Store, free_port, strongroom
from strongroom.storage.files import make_private_directory

ACCEPT = "--accept-simulated-platform"
PASSWORD = "Geheimnis-Zwiebelkuchen-7391"
USERNAME = "ödipus.rübezahl@beispiel.example"
TITLE = "Schnürsenkel-Konto"
CUSTOMER = "Kunde-Grünspecht"
UNUSUAL = (PASSWORD, USERNAME, TITLE, CUSTOMER, "Zwiebelkuchen", "rübezahl", "Schnürsenkel", "Grünspecht")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = free_port()
        self.metrics = f"127.0.0.1:{free_port()}"
        self.key = folder / "admin.key"
        self.password = folder / "password"
        self.password.write_text(PASSWORD)
        self.password.chmod(0o600)
        made = strongroom("admin", "key", self.key)
        assert made.code == 0, made.err
        self.config = folder / "store.toml"
        self.config.write_text(
            f"""
            [store]
            data = "store"
            simulated_platform = "platform"
            url = "http://127.0.0.1:{port}"
            listen = "127.0.0.1:{port}"
            [administration]
            keys = ["{made.out.strip()}"]
            [logs]
            format = "json"
            level = "info"
            [metrics]
            listen = "{self.metrics}"
            """
        )
        invitation = strongroom("init", "--config", self.config)
        assert invitation.code == 0, invitation.err
        again = strongroom("invite", "--config", self.config)
        assert again.out == invitation.out
        self.deployment = Deployment(
            data=folder / "store", platform=folder / "platform", port=port, invitation=invitation.out.strip()
        )
        self.shown: list[str] = []

    def start(self) -> Store:
        store = Store(["serve", "--config", str(self.config)], self.folder / "store.log")
        store.wait_until_listening()
        return store

    def admin(self, *arguments: str) -> Ran:
        at = ["--at", self.deployment.invitation, "--key", str(self.key), "--home", str(self.folder / "admin"), ACCEPT]
        return strongroom("admin", *arguments, *at)

    def person(self, verb: str, *arguments: str, home: str, invitation: str | None = None) -> Ran:
        given = [invitation, "--username", USERNAME, ACCEPT] if invitation else []
        files = ["--home", str(self.folder / home), "--password-file", str(self.password)]
        return strongroom(verb, *given, *arguments, *files)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("tenants")
    make_private_directory(folder)
    return Place(folder)


def good(ran: Ran) -> Ran:
    assert ran.code == 0, ran.out + ran.err
    return ran


def test_tenants_from_their_beginning_to_their_end(place: Place) -> None:
    store = place.start()
    try:
        created = good(place.admin("tenant", "create", CUSTOMER, "--accounts", "1", "--json")).json
        other = good(place.admin("tenant", "create", "other", "--json")).json
        # one name, two customers, two accounts
        for home, tenant in (("one", created), ("two", other)):
            good(place.person("register", home=home, invitation=tenant["invitation"]))
        good(place.person("add", TITLE, "--username", USERNAME, "--generate", home="one"))
        good(place.person("sync", home="one"))
        assert TITLE in good(place.person("list", home="one")).out
        assert TITLE not in good(place.person("list", home="two")).out
        # the quota
        refused = place.person("register", home="three", invitation=created["invitation"])
        assert refused.code == 5
        assert "quota-exceeded" in refused.err
        # suspended: refused by name, nothing lost, and others are not affected
        good(place.admin("tenant", "suspend", CUSTOMER))
        refused = place.person("sync", home="one")
        assert refused.code == 5
        assert "tenant-suspended" in refused.err
        good(place.admin("tenant", "resume", CUSTOMER))
        good(place.person("sync", home="one"))
        # figures for billing, which a restart does not lose
        before = good(place.admin("usage", "--json")).json
        assert store.stop() == 0
        place.shown.append(store.log)
        store = place.start()
        used = {item["name"]: item for item in good(place.admin("usage", "--json")).json["tenants"]}
        assert used[CUSTOMER] == next(item for item in before["tenants"] if item["name"] == CUSTOMER)
        assert used[CUSTOMER]["accounts"] == used[CUSTOMER]["opened"] == 1
        assert used[CUSTOMER]["requests"] >= 4
        assert used[CUSTOMER]["bytes"] > 300
        recounted = good(place.admin("usage", "--recount", CUSTOMER, "--json")).json["tenants"]
        assert next(item for item in recounted if item["name"] == CUSTOMER)["bytes"] == used[CUSTOMER]["bytes"]
        # what an administrator may export, and nothing else
        exported = good(place.admin("tenant", "export", CUSTOMER)).out
        assert json.loads(exported)["tenant"]["accounts"] == 1
        assert not any(word in exported for word in (PASSWORD, USERNAME, TITLE))
        # gone
        good(place.admin("tenant", "delete", "other"))
        assert "tenant-unknown" in place.person("sync", home="two").err
        acts = [act["action"] for act in good(place.admin("log", "--json")).json]
        assert acts[-3:] == ["export", "delete", "deleted"]
        figures = httpx2.Client(trust_env=False).get(f"http://{place.metrics}/metrics").text
        assert 'strongroom_requests_total{outcome="ok",route="admin_usage"}' in figures
        assert 'strongroom_requests_total{outcome="tenant-unknown",route="sessions_device"}' in figures
        assert "strongroom_collateral_expires_seconds 1." in figures
        place.shown.append(figures)
        assert store.stop() == 0
        place.shown.append(store.log)
    finally:
        store.stop()
    _nothing_unusual(place, [created["tenant"], other["tenant"]])


def test_a_stranger_administers_nothing(place: Place) -> None:
    with_store = place.start()
    try:
        place.key = place.folder / "stranger.key"
        good(strongroom("admin", "key", place.key))
        refused = place.admin("tenant", "list")
        assert refused.code == 5
        assert "unknown administrator" in refused.err
    finally:
        with_store.stop()


def test_a_setting_that_is_not_there_stops_the_start(place: Place) -> None:
    file = place.folder / "wrong.toml"
    file.write_text('[store]\ndatta = "x"\n')
    for verb in (["serve"], ["config", "check"]):
        ran = strongroom(*verb, "--config", file)
        assert ran.code == 1
        assert "store.datta" in ran.err
        assert "the nearest is store.data" in ran.err


def _nothing_unusual(place: Place, tenants: list[str]) -> None:
    """Nothing in logs, figures or database shows a word of people's or customers', in any usual encoding."""
    database = b"".join(file.read_bytes() for file in place.deployment.data.glob("store.db*"))
    haystacks = [text.encode() for text in place.shown] + [database]
    needles = [*UNUSUAL, *tenants]
    for needle in needles:
        for form in (needle.encode(), needle.encode("utf-16-le"), json.dumps(needle)[1:-1].encode()):
            for haystack in haystacks:
                assert form not in haystack, needle
                assert base64.b64encode(form)[:-4] not in haystack, needle
    for tenant in tenants:
        assert all(bytes.fromhex(tenant) not in haystack for haystack in haystacks)
    for line in place.shown[0].splitlines():
        if line.startswith("{"):
            assert set(json.loads(line)) <= {"time", "level", "logger", "message", "route", "code", "seconds", "count"}
