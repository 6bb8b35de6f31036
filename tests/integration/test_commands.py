"""The whole story by the real commands: what they print, where, and how they end."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_world import ACCEPT, PASSWORD
from evidence_vectors import VECTORS
from running import Deployment, Ran, clean_environment, strongroom
from strongroom.attesters.measure import measured_files
from strongroom.cli.measured import measure_store

EXPORT = Path(__file__).parents[2] / "demo" / "data" / "bitwarden-export.json"
CSV = EXPORT.with_name("browser-passwords.csv")
SIMULATED = "strongroom: simulated platform: this device's store proves no hardware\n"
QUOTE = VECTORS / "sgx/dcap-qvl/sgx_quote-f8b810.quote.bin"
COLLATERAL = VECTORS / "sgx/_collateral/SGX-00A067110000-processor-v3-ev17-20250619.json"


class Story:
    """A person with two devices; every command's output is kept, to be searched for secrets."""

    def __init__(self, folder: Path, deployment: Deployment) -> None:
        self.folder = folder
        self.deployment = deployment
        self.a, self.b = folder / "a", folder / "b"
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.said: list[str] = []

    def run(self, verb: str, *arguments: str | Path, home: Path | None = None, stdin: bytes | None = None) -> Ran:
        ran = strongroom(verb, *arguments, "--home", home or self.a, "--password-file", self.password_file, stdin=stdin)
        self.said.append(ran.out + ran.err)
        return ran

    def ok(self, verb: str, *arguments: str | Path, home: Path | None = None, stdin: bytes | None = None) -> str:
        """Run what must go well; the line about the simulated platform is on standard error each time."""
        ran = self.run(verb, *arguments, home=home, stdin=stdin)
        assert ran.code == 0, ran.err
        assert SIMULATED in ran.err
        return ran.out

    def json(self, verb: str, *arguments: str | Path, home: Path | None = None):
        return json.loads(self.ok(verb, *arguments, "--json", home=home))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    deployment = Deployment.create(folder)
    with deployment.running() as store:
        story = Story(folder, deployment)
        ran = story.run("register", deployment.invitation, "-u", "me@example.com", ACCEPT)
        assert (ran.code, ran.out) == (0, "registered me@example.com with this device\n")
        kit = story.a / "recovery-kit.txt"
        assert ran.err == (
            "strongroom: simulated platform: this store proves no hardware\n"
            f"strongroom: the account secret is in {kit}: print it, keep it safe, delete the file\n"
        )
        ran = story.run(
            "login", deployment.invitation, "-u", "me@example.com", ACCEPT, "--account-secret-file", kit, home=story.b
        )
        assert (ran.code, ran.out) == (0, "logged in as me@example.com: 0 records fetched\n")
        yield story
        secret = re.search(r"SR1-\S+", kit.read_text())
        assert secret is not None
        for text in (*story.said, store.log):
            assert PASSWORD not in text
            assert secret.group() not in text
        assert "example" not in store.log
    assert store.process.returncode == 0
    assert [line.split()[1] for line in store.log.splitlines()] == ["simulated", "measurement", "listening"]


def test_what_a_device_consists_of_is_for_its_owner_alone(story: Story) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in story.a.iterdir()}
    assert {"device.secret", "profile.json", "recovery-kit.txt", "vault.db"} <= set(modes)
    assert modes.pop("floors") == "0o700"
    assert set(modes.values()) == {"0o600"}
    assert oct(story.a.stat().st_mode & 0o777) == "0o700"


def test_add_get_edit_and_history(story: Story) -> None:
    out = story.ok(
        "add", "Mail", "-u", "me", "--url", "https://mail.example", "--folder", "Work", "--secret-file", "-",
        stdin=b"first secret\n",
    )  # fmt: skip
    assert re.fullmatch(r"added Mail \([0-9a-f]{8}\)\n", out)
    shown = story.ok("get", "Mail")
    assert "first secret" not in shown
    assert re.search(r"^password +\*{8}$", shown, re.M)
    assert re.search(r"^address +https://mail\.example \(domain\)$", shown, re.M)
    assert "(not synced yet)" in shown
    assert "first secret" in story.ok("get", "Mail", "--show")
    assert story.ok("get", "mail.example", "--field", "password") == "first secret\n"
    assert story.ok("get", "Mail", "-f", "username") == "me\n"
    assert story.run("get", "Mail", "--field", "colour").code == 1

    assert story.ok("edit", "Mail", "--secret-file", "-", stdin=b"second secret").startswith("changed Mail (")
    changed = story.json("edit", "Mail", "--username", "you", "--folder", "Home")
    assert changed["changed"] == ["username"]
    item = story.json("get", "Mail", "--history")
    assert item["fields"] == {"title": "Mail", "username": "you", "password": None}
    assert item["folder"] == "Home"
    assert [(past["field"], past["value"]) for past in item["history"]] == [("password", None), ("username", "me")]
    item = story.json("get", "Mail", "--history", "--show")
    assert item["fields"]["password"] == "second secret"
    assert item["history"][0]["value"] == "first secret"
    assert "password was ********" in story.ok("get", "Mail", "--history")
    assert "password was first secret" in story.ok("get", "Mail", "--history", "--show")
    assert story.ok("get", item["id"][:8], "-f", "password") == "second secret\n"


def test_generated_passwords_and_notes(story: Story) -> None:
    added = story.json("add", "Generated", "--generate")
    first = story.ok("get", added["id"], "-f", "password").strip()
    assert len(first) == 24
    story.ok("edit", "Generated", "-g")
    assert story.ok("get", "Generated", "-f", "password").strip() != first
    story.ok("add", "Thoughts", "--type", "note", "--notes-file", "-", stdin="many\nlines, ünïcode\n".encode())
    assert story.ok("get", "Thoughts", "-f", "notes") == "many\nlines, ünïcode\n"
    ran = story.run("add", "Empty", "--secret-file", "-", stdin=b"")
    assert (ran.code, "nothing is in there" in ran.err) == (2, True)


def test_remove_restore_and_purge(story: Story) -> None:
    story.ok("add", "Old forum", "-g")
    assert story.ok("remove", "Old forum").startswith("removed Old forum (")
    assert story.run("get", "Old forum").code == 1
    assert [entry["title"] for entry in story.json("list", "--trash")] == ["Old forum"]
    assert story.json("remove", "Old forum", "--restore")["done"] == "restored"
    assert story.json("list", "Old forum")[0]["title"] == "Old forum"
    story.ok("remove", "Old forum")
    assert story.json("remove", "Old forum", "--purge")["done"] == "erased"
    assert story.json("list", "--trash") == []
    assert story.run("remove", "Old forum", "--restore").code == 1
    story.ok("sync")
    story.ok("sync", home=story.b)
    assert story.json("list", "--trash", home=story.b) == []


def test_import_twice_sync_and_the_same_head_on_two_devices(story: Story) -> None:
    tried = story.json("import", EXPORT, "--dry-run")
    assert tried["imported"] == 0
    assert tried["would_import"] >= 200
    report = story.json("import", EXPORT)
    assert (report["imported"], report["duplicates"]) == (tried["would_import"], tried["duplicates"])
    again = story.json("import", EXPORT)
    assert (again["imported"], again["duplicates"]) == (0, report["imported"] + report["duplicates"])
    ran = story.run("import", CSV)
    assert ran.code == 0
    assert re.search(r"imported \d+ items \(", ran.out)
    assert story.json("import", CSV)["imported"] == 0

    pending = story.json("head")["pending"]
    synced = story.json("sync")
    assert (synced["pushed"], synced["conflicts"]) == (pending, 0)
    assert pending > 200
    fetched = story.json("sync", home=story.b)
    assert fetched["pulled"] >= pending
    assert story.ok("sync").startswith("synced: 0 fetched, 0 sent")
    first, second = story.json("head"), story.json("head", home=story.b)
    assert first["code"] == second["code"]
    assert (first["pending"], first["entries"], first["chain"]) == (0, second["entries"], second["chain"])
    code, rest, sister = story.ok("head").splitlines()
    assert re.fullmatch(r"(\d{4} ){7}\d{4}", code)
    assert code == first["code"]
    assert re.fullmatch(r"\d+ entries, signed by the store at [-0-9]+T[:0-9]+Z, 0 changes not sent yet", rest)
    assert re.fullmatch(rf"device [0-9a-f]{{8}} has seen {first['entries']} entries at [-0-9]+T[:0-9]+Z", sister)
    [device] = first["devices"]
    assert device["entries"] == second["entries"]

    def by_id(home: Path) -> list[str]:
        return sorted(entry["id"] for entry in story.json("list", home=home))

    assert by_id(story.a) == by_id(story.b)


def test_an_edit_on_one_device_arrives_at_the_other(story: Story) -> None:
    story.ok("add", "Shared", "--secret-file", "-", stdin=b"before")
    story.ok("sync")
    story.ok("sync", home=story.b)
    assert story.ok("get", "Shared", "-f", "password", home=story.b) == "before\n"
    story.ok("edit", "Shared", "--secret-file", "-", home=story.b, stdin=b"after")
    assert story.json("list", "Shared", home=story.b)[0]["pending"] is True
    assert re.search(r"^[0-9a-f]{8}\* Shared", story.ok("list", "Shared", home=story.b))
    assert story.json("sync", home=story.b)["pushed"] == 1
    assert story.json("sync")["pulled"] == 1
    assert story.ok("get", "Shared", "-f", "password") == "after\n"


def test_lists_go_to_standard_output_and_remarks_to_standard_error(story: Story) -> None:
    story.ok("add", "Listed", "-u", "somebody", "-g")
    ran = story.run("list", "listed")
    (line,) = ran.out.splitlines()
    assert re.fullmatch(r"[0-9a-f]{8}[ *] Listed +somebody", line)
    assert re.search(r"^strongroom: 1 items, \d+ changes to sync \(\*\)$", ran.err, re.M)


def test_the_device_is_found_by_its_variable_too(story: Story) -> None:
    for environment in (
        clean_environment(STRONGROOM_HOME=str(story.a)),
        clean_environment(XDG_DATA_HOME=str(story.folder)),
    ):
        ran = strongroom("list", "--password-file", story.password_file, environment=environment)
        assert ran.code == (0 if "STRONGROOM_HOME" in environment else 1)
    assert "this device has not been set up" in ran.err


def test_a_command_that_is_none(story: Story) -> None:
    assert strongroom("open").code == 1
    assert strongroom("get").code == 1
    ran = strongroom("get", "x", "--home", story.folder / "none", "--json")
    assert (ran.code, ran.json["error"]) == (1, "misconfigured")
    assert ran.json["hint"] == "run `strongroom register` or `strongroom login` first"


def test_measure(tmp_path: Path) -> None:
    assert strongroom("measure").out.strip() == measure_store().hex()
    ran = strongroom("measure", "--files", "--json")
    assert ran.json["mr_enclave"] == measure_store().hex()
    assert len(ran.json["files"]) == len(measured_files())
    lines = strongroom("measure", "--files").out.splitlines()
    assert lines[-1] == measure_store().hex()
    assert any(line.endswith("  cli/main.py") for line in lines)
    (tmp_path / "changed.py").write_text("")
    assert strongroom("measure", tmp_path).out.strip() != measure_store().hex()
    assert strongroom("measure", tmp_path / "none").code == 7


def test_init_and_platform(tmp_path: Path) -> None:
    arguments = ["--data", tmp_path / "data", "--simulated-platform", tmp_path / "platform", "--url", "http://store"]
    shown = strongroom("init", *arguments, "--json").json
    assert shown["invitation"].startswith("strongroom1:")
    assert shown["simulated"] is True
    assert shown["measurement"] == measure_store().hex()
    ran = strongroom("platform", tmp_path / "platform", "--tcb", "OutOfDate")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "-----BEGIN CERTIFICATE-----")
    assert strongroom("platform", tmp_path / "platform", "--revoked").out == ran.out
    assert strongroom("platform", tmp_path / "platform", "--tcb", "Perfect").code == 1
    ran = strongroom("platform", tmp_path / "new")
    assert (tmp_path / "new" / "platform.json").exists()


def test_verify_a_live_store(story: Story, tmp_path: Path) -> None:
    ran = strongroom("verify", story.deployment.invitation, ACCEPT)
    assert ran.code == 0
    assert len(ran.out.splitlines()) <= 24  # one screen
    for words in ("SIMULATED PLATFORM", measure_store().hex(), "UpToDate", "the one you expected", "not proven"):
        assert words in ran.out
    shown = strongroom("verify", story.deployment.invitation, ACCEPT, "--json").json
    assert (shown["attested"], shown["simulated"], shown["deployment_pinned"]) == (True, True, True)
    root = tmp_path / "root.pem"
    root.write_text(strongroom("platform", story.deployment.platform).out)
    ran = strongroom("verify", story.deployment.url, ACCEPT, "--root", root)
    assert ran.code == 0
    assert "SEEN FOR THE FIRST TIME" in ran.out
    refused = strongroom("verify", story.deployment.invitation, "--json")
    assert (refused.code, refused.json["error"]) == (3, "appraisal-refused")
    assert {finding["check"] for finding in refused.json["findings"]} >= {"chain"}


def test_a_policy_that_leaves_something_open_is_not_used(story: Story, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("version = 1\n")
    ran = strongroom("verify", story.deployment.invitation, ACCEPT, "--policy", policy)
    assert ran.code == 1
    assert "policy" in ran.err


def test_verify_captured_evidence() -> None:
    arguments = ["verify", "--evidence", QUOTE, "--collateral", COLLATERAL, "--at", "2025-07-04T10:28:44Z"]
    ran = strongroom(*arguments)
    assert ran.code == 0
    assert ran.out.startswith("genuine, judged at 2025-07-04 10:28 UTC\n")
    assert "ConfigurationAndSWHardeningNeeded" in ran.out
    assert "not judged, since there is no policy" in ran.out
    shown = strongroom(*arguments, "--json").json
    assert shown["findings"] == []
    assert "ConfigurationAndSWHardeningNeeded" in json.dumps(shown)


def test_joining_with_an_address_and_a_root_says_that_nobody_vouched(story: Story, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_text(strongroom("platform", story.deployment.platform).out)
    kit = story.a / "recovery-kit.txt"
    home = tmp_path / "c"
    ran = story.run(
        "login", story.deployment.url, "-u", "me@example.com", ACCEPT, "--root", root, "--account-secret-file", kit,
        "--json", home=home,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "seen for the first time" in ran.err
    assert ran.json["username"] == "me@example.com"
    assert story.json("head", home=home)["entries"] > 1
