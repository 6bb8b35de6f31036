"""An account's life at the command line: second factor, another password, log, export, deletion; and its limits."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from pathlib import Path

import pyotp

from command_world import ACCEPT, expect, world_of_ones_own
from running import PATIENCE_SECONDS, STRONGROOM, clean_environment, strongroom


def test_the_life_of_an_account(tmp_path: Path) -> None:
    with world_of_ones_own(tmp_path) as (world, _store):
        kit = world.home / "recovery-kit.txt"
        secret, codes = added_totp(world)

        # a login needs the second factor now, and each of them works
        refused = login(world, tmp_path / "b", kit, second=None)
        assert refused.code == 1
        assert "cannot ask for the code" in refused.err
        wrong = tmp_path / "wrong"
        wrong.write_text("000000")
        expect(login(world, tmp_path / "b", kit, second=wrong), 5, "second factor does not hold")
        code = tmp_path / "code"
        code.write_text(pyotp.TOTP(secret).at(int(time.time()) + 30))
        ran = login(world, tmp_path / "b", kit, second=code)
        assert ran.code == 0, ran.err
        code.write_text(codes[0])
        assert login(world, tmp_path / "c", kit, second=code).code == 0
        assert world.run("factor", "list", "--json").json["recovery_codes"] == 9

        # another password: the old one is dead at once, other devices go on
        new = tmp_path / "new-password"
        new.write_text("another password altogether\n")
        assert world.run("password", "--new-password-file", new).code == 0
        expect(world.run("list"), 5, "wrong password")
        assert world.run("sync", home=tmp_path / "b").code == 0
        old = world.password_file.read_text()
        code.write_text(codes[1])
        expect(login(world, tmp_path / "d", kit, second=code), 5, "not-authorised")
        world.password_file.write_text(new.read_text())
        assert login(world, tmp_path / "d", kit, second=code).code == 0

        log = world.run("account", "log", "--json").json
        events = [line["event"] for line in log["events"]]
        assert events.count("logged in") == 3
        assert {"registered", "second factor added", "wrong second factor", "password changed"} < set(events)
        assert (
            sum(each["count"] for each in log["attempts"]) == 3
        )  # b twice without its factor, d with the old password

        everything = tmp_path / "everything.json"
        assert world.run("account", "export", everything, "--decrypted").code == 0
        assert everything.stat().st_mode & 0o077 == 0
        exported = json.loads(everything.read_text())
        assert [item["fields"]["title"] for item in exported["items"]] == ["kept"]
        expect(world.run("account", "export", everything), 1, "exists already")

        expect(world.run("account", "delete", "--username", "other@example.com"), 1, "another name")
        assert world.run("account", "delete", "--username", "me@example.com").code == 0
        expect(world.run("sync"), 5, "not-authorised")
        world.password_file.write_text(old)
        expect(world.run("sync", home=tmp_path / "b"), 5, "not-authorised")
        assert world.titles(tmp_path / "b") == ["kept"]


def test_guesses_are_not_given_back_by_restarting_or_by_an_older_database(tmp_path: Path) -> None:
    with world_of_ones_own(tmp_path) as (world, first):
        kit, store = world.home / "recovery-kit.txt", first
        wrong = tmp_path / "wrong"
        wrong.write_text("a guess\n")
        for attempt in range(3):
            expect(world.login("me@example.com", tmp_path / "x", kit, password=wrong), 5, "not-authorised")
            if attempt == 0:
                store.stop()
                before = world.deployment.database.read_bytes()
                store = world.deployment.start()
        store.stop()
        world.deployment.database.write_bytes(before)
        for log in ("-wal", "-shm"):
            world.deployment.database.with_name(world.deployment.database.name + log).unlink(missing_ok=True)
        store = world.deployment.start()
        try:
            for name in ("me@example.com", "nobody@example.com"):
                expect(world.login(name, tmp_path / "x", kit, password=wrong), 5, "too-many-guesses", "10 minutes")
            assert "not the newest" in store.log
            assert world.run("sync").code == 0  # devices are not held back
        finally:
            store.stop()


def added_totp(world) -> tuple[str, list[str]]:
    """Add an authenticator application: the secret is shown, then a code is asked for."""
    process = subprocess.Popen(
        [*STRONGROOM, "factor", "add", "totp", "--code-file", "-", "--json", "--home", str(world.home),
         "--password-file", str(world.password_file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(),
    )  # fmt: skip
    assert process.stderr is not None
    shown = b""
    while (found := re.search(rb"application is ([A-Z2-7]+)\n", shown)) is None:
        line = process.stderr.readline()
        assert line, shown
        shown += line
    secret = found.group(1).decode()
    assert len(base64.b32decode(secret)) == 20
    code = pyotp.TOTP(secret).at(int(time.time()) - 30)
    out, err = process.communicate(code.encode(), PATIENCE_SECONDS)
    assert process.returncode == 0, err
    return secret, json.loads(out)["recovery_codes"]


def login(world, home: Path, kit: Path, *, second: Path | None):
    more = [] if second is None else ["--second-factor-file", second]
    return strongroom(
        "login", world.deployment.invitation, "--username", "me@example.com", ACCEPT, "--home", home,
        "--password-file", world.password_file, "--account-secret-file", kit, *more,
    )  # fmt: skip
