"""The story: two devices and a store they need not trust, then five ways in which it betrays them.

Everything is real: the commands are the installed ones, each store is a process of its own with its database on
disk, the evidence has the genuine format and is judged by the verifier that judges Intel's. Only the platform is
simulated, and every result says so. The end of each attack is checked; a story that goes wrong ends with an error.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import time
from pathlib import Path

import strongroom
from demo.stage import Failed, Stage, Told, free_port
from strongroom.testing.impostor import Impostor
from strongroom.testing.relay import Relay
from strongroom.vaultlog.proof import verify_proof

EXPORT = Path(__file__).parent / "data" / "bitwarden-export.json"
PASSWORD = "correct horse battery staple"  # noqa: S105 - the story's, and the most famous one there is
NAME = ("-u", "me@example.com")
LOGIN = "Mail"


def main() -> int:
    """Tell the story."""
    started = time.monotonic()
    try:
        with Stage.open() as stage:
            Story(stage).tell()
    except Failed as failure:
        print(f"\nthe demonstration failed: {failure}", file=sys.stderr)
        return 1
    print(f"\nThat was the whole story, in {time.monotonic() - started:.0f} seconds.")
    return 0


class Story:
    """The people, the places and what happens."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.refused: list[tuple[str, str]] = []
        (stage.folder / "password").write_text(PASSWORD)

    def tell(self) -> None:
        """Go through the chapters."""
        self.everything_works()
        self.changed_code()
        self.revoked_platform()
        self.relay()
        self.impostor()
        self.older_database()
        self.summary()

    def everything_works(self) -> None:
        """Devices A and B, one vault."""
        stage = self.stage
        stage.chapter("1. A store that runs in an enclave")
        stage.tell("""The operator makes a deployment. Its keys are born inside the enclave and sealed to this very
            code on this platform. The invitation names the deployment; it is not secret.""")
        told = stage.command("init", "--data", "store", "--simulated-platform", "platform", "--url", self.url)
        self.invitation = told.output.strip()
        with self.genuine():
            self.device_a()
            self.device_b()
            self.copy_database()
            self.a_sees_the_change()

    def device_a(self) -> None:
        """Verify, register, import, sync."""
        stage = self.stage
        stage.chapter("2. Device A: first verify, then speak")
        stage.tell("""Before it says anything, device A asks the store to prove itself. The measurement it demands is
            the one of the code that is installed on device A.""")
        stage.command("verify", self.invitation, "--accept-simulated-platform")
        stage.tell("""Proven. Without --accept-simulated-platform the same store would have been refused, since
            simulated evidence proves no hardware. Now device A opens an account. The password never leaves it.""")
        stage.command("verify", self.invitation, expect=3)
        stage.command(
            "register", self.invitation, "-u", "me@example.com", *self.person("a"), "--accept-simulated-platform"
        )
        shutil.copy(EXPORT, stage.folder / "export.json")
        stage.tell("It imports what an old password manager exported, and syncs.")
        stage.command("import", "export.json", *self.person("a"))
        stage.command("sync", *self.person("a"))

    def device_b(self) -> None:
        """Verify, log in, retrieve, change."""
        stage = self.stage
        stage.chapter("3. Device B: log in, look something up, change it")
        kit = ["--account-secret-file", "a/recovery-kit.txt"]
        stage.command("verify", self.invitation, "--accept-simulated-platform", quiet=True)
        stage.command(
            "login", self.invitation, "-u", "me@example.com", *kit, *self.person("b"), "--accept-simulated-platform"
        )
        stage.command("get", LOGIN, "--field", "password", *self.person("b"))
        stage.command("edit", LOGIN, "--generate", *self.person("b"))
        stage.command("sync", *self.person("b"))

    def copy_database(self) -> None:
        """Keep a copy of the database of now, for the last chapter."""
        with (
            contextlib.closing(sqlite3.connect(self.stage.folder / "store" / "store.db")) as source,
            contextlib.closing(sqlite3.connect(self.stage.folder / "older.db")) as target,
        ):
            source.backup(target)

    def a_sees_the_change(self) -> None:
        """The change of B arrives at A, and the two heads agree."""
        stage = self.stage
        stage.chapter("4. Device A sees the change")
        stage.command("sync", *self.person("a"))
        of_a = stage.command("get", LOGIN, "--field", "password", *self.person("a")).output
        of_b = stage.command("get", LOGIN, "--field", "password", *self.person("b")).output
        stage.command("add", "Only on A so far", "--generate", *self.person("a"))
        stage.command("sync", *self.person("a"))
        stage.command("sync", *self.person("b"))
        heads = [stage.command("head", *self.person(device)).output for device in ("a", "b")]
        self.hold(of_a == of_b, "both devices show the password that device B drew")
        self.hold(heads[0].split("\n")[0] == heads[1].split("\n")[0], "both show the same head: one history")

    def changed_code(self) -> None:
        """One byte of the store's code changes."""
        stage = self.stage
        stage.chapter("5. The operator changes one byte of the code")
        changed = stage.folder / "changed"
        shutil.copytree(
            Path(strongroom.__file__).parent, changed / "strongroom", ignore=shutil.ignore_patterns("__pycache__")
        )
        target = changed / "strongroom" / "store" / "service.py"
        code = target.read_bytes()
        target.write_bytes(code[:3] + bytes([code[3] ^ 1]) + code[4:])  # one bit of the first docstring's first letter
        stage.tell("""The changed code cannot open the deployment's root key, which is sealed to the old code. So the
            operator starts it with an empty database of its own, at the address that the devices know.""")
        stage.command(
            "serve", "--data", "store", "--simulated-platform", "platform", "--listen", f"127.0.0.1:{self.port}",
            expect=1, package=changed,
        )  # fmt: skip
        arguments = ["--data", "store-changed", "--simulated-platform", "platform", "--url", self.url]
        stage.command("init", *arguments, package=changed, quiet=True)
        with stage.store(data="store-changed", platform="platform", port=self.port, package=changed):
            self.refusal("one byte of the code changed", "measurement", self.try_to_sync(3))

    def revoked_platform(self) -> None:
        """The manufacturer revokes the platform."""
        stage = self.stage
        stage.chapter("6. The platform is revoked")
        stage.tell("The store is genuine again, but the manufacturer has put its machine on the revocation list.")
        stage.command("platform", "platform", "--revoked", quiet=True)
        with self.genuine():
            self.refusal("the platform is revoked", "revocation", self.try_to_sync(3))
        stage.command("platform", "platform", quiet=True)

    def relay(self) -> None:
        """Somebody in the middle passes on genuine evidence."""
        stage = self.stage
        stage.chapter("7. A relay in the middle")
        stage.tell("""The genuine store now listens elsewhere. At its old address sits a relay that makes a session of
            its own with each side, and passes the genuine enclave's fresh evidence on to device A.""")
        elsewhere = free_port()
        relay = Relay(f"http://127.0.0.1:{elsewhere}")
        with stage.store(data="store", platform="platform", port=elsewhere), relay.serve(port=self.port):
            self.refusal("a relay passes genuine evidence on", "freshness", self.try_to_sync(3))
        self.hold(not relay.read, "the relay read nothing of the vault")

    def impostor(self) -> None:
        """Somebody forges evidence with a stolen attestation key."""
        stage = self.stage
        stage.chapter("8. An impostor with a stolen attestation key")
        stage.tell("""An attestation key was extracted from a machine. With it the impostor forges a perfect quote:
            the right measurement, an up-to-date platform, claims that name the right deployment, made for this very
            session. What it does not have is the deployment's key.""")
        with self.genuine():
            impostor = Impostor.of(stage.folder / "platform", self.invitation)
            stage.good("the impostor has seen what the genuine store shows to everybody")
        with impostor.serve(port=self.port):
            self.refusal("a forged quote names the right deployment", "deployment", self.try_to_sync(3))
        self.hold(not impostor.heard, "the impostor heard nothing of the vault")

    def older_database(self) -> None:
        """The database is put back to an older copy."""
        stage = self.stage
        stage.chapter("9. The database is put back to an older copy")
        stage.tell("""Code, platform and deployment are genuine; only the disk is of yesterday. No enclave can see
            that. The devices can: each remembers the last head that the store signed.""")
        for path in (stage.folder / "store").glob("store.db*"):
            path.unlink()
        shutil.copy(stage.folder / "older.db", stage.folder / "store" / "store.db")
        with self.genuine():
            self.refusal("the database was put back", "rollback", self.try_to_sync(4))
        (proof,) = (stage.folder / "a" / "proofs").glob("*.cbor")
        stage.command("proof", "verify", str(proof.relative_to(stage.folder)))
        self.hold(verify_proof(proof.read_bytes()).conclusive, "the proof convinces without the store: it signed both")
        stage.command("get", LOGIN, "--field", "password", *self.person("a"))
        stage.good("and device A still has everything, offline")
        stage.tell("""If it was an honest mistake, nothing is lost: the device hands back what the store had signed
            for, and the store takes exactly that.""")
        with self.genuine():
            told = stage.command("sync", "--repair", *self.person("a"))
        self.hold("handed back: 1 entry" in told.output, "the store has its history back")

    def summary(self) -> None:
        """What was refused, and by which name."""
        self.stage.chapter("What was refused, and why")
        for attack, finding in self.refused:
            print(f"  {attack:<46} {finding}")

    def genuine(self) -> contextlib.AbstractContextManager[str]:
        """Run the genuine store at the address that the devices know."""
        return self.stage.store(data="store", platform="platform", port=self.port)

    def person(self, device: str) -> list[str]:
        """Give the options that say which device this is and where the password is."""
        return ["--home", device, "--password-file", "password"]

    def try_to_sync(self, expect: int) -> Told:
        """Sync device A, which must be refused."""
        return self.stage.command("sync", *self.person("a"), expect=expect)

    def refusal(self, attack: str, finding: str, told: Told) -> None:
        """Check that a refusal names what is wrong."""
        self.hold(f"{finding}:" in told.errors, f"refused by name: {finding}")
        self.refused.append((attack, finding))

    def hold(self, holds: bool, claim: str) -> None:
        """Check a claim of the story."""
        if not holds:
            raise Failed(f"it is not so that {claim}")
        self.stage.good(claim)


if __name__ == "__main__":
    sys.exit(main())
