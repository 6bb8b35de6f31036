"""Write the exports that the demonstration imports: demo/data/bitwarden-export.json and browser-passwords.csv.

Deterministic: the same script writes the same bytes. Sites are under reserved names (RFC 2606), nobody in here
exists, and every password, key and code is drawn from a fixed seed: they protect nothing.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "demo" / "data"
START = datetime(2019, 3, 1, 8, 0, tzinfo=UTC)
DAYS = 2000

FOLDERS = ("Work", "Home", "Shopping", "Finance", "Travel", "Servers", "Servers/Test bench", "Família & Ämter")

# (name, host, folder, user name's tag)
KNOWN_SITES = (
    ("Example Shop", "shop.example.com", "Shopping", "shop"),
    ("Example Bank", "online.bank.example", "Finance", "bank"),
    ("Mail", "mail.example.org", "Home", "mail"),
    ("Code hosting", "git.example.net", "Work", "git"),
    ("Tickets", "tickets.work.example", "Work", "tickets"),
    ("Wiki", "wiki.work.example", "Work", "wiki"),
    ("Video", "watch.video.example", "Home", "video"),
    ("Müllabfuhr", "abfall.stadt.example", "Família & Ämter", "stadt"),
    ("図書館", "library.town.example", "Família & Ämter", "library"),
    ("Câmara municipal", "portal.camara.example", "Família & Ämter", "camara"),
    ("Airline miles", "miles.air.example", "Travel", "miles"),
    ("Night trains", "tickets.rail.example", "Travel", "rail"),
    ("Router", "router.home.example", "Servers", "admin"),
    ("Printer", "printer.home.example", "Servers", "admin"),
)
SUBJECTS = (
    "books", "coffee", "bikes", "garden", "photo", "music", "weather", "maps", "news", "recipes", "chess", "yoga",
    "pharmacy", "insurance", "tax", "pension", "energy", "water", "phone", "internet", "hosting", "domains", "backup",
    "forum", "podcast", "tools", "shoes", "toys", "pets", "theatre", "cinema", "museum", "hotel", "hostel", "ferry",
    "bus", "parking", "charging", "school", "courses",
)  # fmt: skip
SUFFIXES = ("example", "example.com", "example.net", "example.org")
FOLDER_OF_SUFFIX = {"example": "Shopping", "example.com": "Home", "example.net": "Servers", "example.org": "Work"}
LETTERS = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
SYMBOLS = "!#$%&*+-/=?@^_~"
WORDS = (
    "amber", "birch", "cobalt", "dune", "ember", "fjord", "granite", "harbour", "iris", "juniper", "kelp", "lagoon",
    "meadow", "nectar", "ochre", "pebble", "quartz", "river", "sable", "thistle", "umber", "violet", "willow", "zephyr",
)  # fmt: skip
NOTES = (
    "Opened with the old address.\nRenewal each spring.",
    "Sicherheitsfrage: Stadt der ersten Reise?\nAntwort: „Straßburg“, mit ß.",
    "回復コード:\n 4821-7733\n 9910-0452",
    'A "quoted" word, a comma, and a tab:\tend.',
    "Support answers faster in the morning ☕\n\nContract 2024-17.",
    "Última alteração: março.\nNão usar o endereço antigo.",
)


class Maker:
    """Draws everything from one seeded generator, in one order."""

    def __init__(self) -> None:
        self.random = random.Random("strongroom demonstration export 1")  # noqa: S311 - reproducible, protects nothing

    def identifier(self) -> str:
        """Draw a UUID."""
        return str(uuid.UUID(bytes=self.random.randbytes(16), version=4))

    def password(self) -> str:
        """Draw a password: four words now and then, else characters."""
        if self.random.random() < 0.25:
            return "-".join(self.random.choice(WORDS) for _ in range(4)) + str(self.random.randrange(10, 100))
        length = self.random.choice((14, 16, 20, 24))
        return "".join(self.random.choice(LETTERS + SYMBOLS) for _ in range(length))

    def times(self) -> tuple[str, str]:
        """Draw a time of creation and a later one of the last change."""
        created = START + timedelta(days=self.random.randrange(DAYS), seconds=self.random.randrange(86_400))
        changed = created + timedelta(days=self.random.randrange(120, 400), milliseconds=self.random.randrange(10**8))
        return moment(created), moment(changed)

    def totp(self) -> str:
        """Draw a TOTP secret, bare or as an otpauth URI."""
        secret = base64.b32encode(self.random.randbytes(20)).decode()
        if self.random.random() < 0.5:
            return secret
        return f"otpauth://totp/Example:user%40example.com?secret={secret}&issuer=Example&digits=6&period=30"

    def item(self, kind: int, name: str, folder: str | None, **rest: object) -> dict[str, object]:
        """Make an item with what all types have."""
        created, changed = self.times()
        return {
            "passwordHistory": None,
            "revisionDate": changed,
            "creationDate": created,
            "deletedDate": None,
            "id": self.identifier(),
            "organizationId": None,
            "folderId": folder,
            "type": kind,
            "reprompt": 0,
            "name": name,
            "notes": None,
            "favorite": False,
            "collectionIds": None,
            **rest,
        }


def moment(at: datetime) -> str:
    """Write a time as Bitwarden does."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sites() -> list[tuple[str, str, str, str]]:
    """Give 208 sites: the known ones, then subjects under every reserved name."""
    made = list(KNOWN_SITES)
    for number in range(208 - len(made)):
        subject, suffix = SUBJECTS[number % len(SUBJECTS)], SUFFIXES[number // len(SUBJECTS) % len(SUFFIXES)]
        prefix = "" if number < 4 * len(SUBJECTS) else "my."
        made.append(
            (f"{subject.title()} ({prefix}{suffix})", f"{prefix}{subject}.{suffix}", FOLDER_OF_SUFFIX[suffix], subject)
        )
    return made


def login(maker: Maker, number: int, site: tuple[str, str, str, str], folders: dict[str, str]) -> dict[str, object]:
    """Make one login; every some-th has each of the features."""
    name, host, folder, tag = site
    uris: list[dict[str, object]] = [{"match": None, "uri": f"https://{host}/login"}]
    if number % 5 == 0:
        uris.append({"match": 1, "uri": f"https://accounts.{host}"})
    if number % 11 == 0:
        uris.append({"match": 3, "uri": f"https://{host}/a/very/particular/page?step=2"})
    if number % 23 == 0:
        escaped = host.replace(".", "\\.")
        uris.append({"match": 4, "uri": f"^https://[a-z]+\\.{escaped}/"})
    if number % 29 == 0:
        uris += [{"match": 2, "uri": f"https://{host}/app/"}, {"match": 5, "uri": f"https://public.{host}"}]
    item = maker.item(1, name, folders[folder] if number % 9 else None)
    item["favorite"] = number % 17 == 0
    username = tag if tag == "admin" else f"user+{tag}@example.com"
    item["login"] = {
        "fido2Credentials": [],
        "uris": uris,
        "username": username,
        "password": maker.password(),
        "totp": maker.totp() if number % 7 == 0 else None,
    }
    if number % 6 == 0:
        item["notes"] = NOTES[number // 6 % len(NOTES)]
    if number % 8 == 0:
        created = datetime.fromisoformat(str(item["creationDate"]))
        item["passwordHistory"] = [
            {"lastUsedDate": moment(created + timedelta(days=30 * back)), "password": maker.password()}
            for back in range(1 + number % 3, 0, -1)
        ]
    if number % 10 == 0:
        item["fields"] = [
            {
                "name": "Customer number",
                "value": str(maker.random.randrange(10**7, 10**8)),
                "type": 0,
                "linkedId": None,
            },
            {"name": "PIN", "value": f"{maker.random.randrange(10**4):04d}", "type": 1, "linkedId": None},
            {"name": "Newsletter", "value": "false", "type": 2, "linkedId": None},
            {"name": "Login name", "value": None, "type": 3, "linkedId": 100},
        ]
    return item


def others(maker: Maker, folders: dict[str, str]) -> list[dict[str, object]]:
    """Make notes, cards, identities and one SSH key."""
    made = []
    for number in range(16):
        text = "\n".join(NOTES[(number + line) % len(NOTES)] for line in range(1 + number % 4))
        note = maker.item(2, f"Note {number + 1}: {WORDS[number]}", folders[FOLDERS[number % len(FOLDERS)]])
        made.append({**note, "notes": text, "secureNote": {"type": 0}})
    for number, brand in enumerate(("Visa", "Mastercard", "Amex", "Visa", "Maestro", "Other", "Visa", "Mastercard")):
        card = {
            "cardholderName": "CARD HOLDER",
            "brand": brand,
            "number": f"40000000{maker.random.randrange(10**8):08d}",
            "expMonth": str(1 + number),
            "expYear": str(2027 + number % 4),
            "code": f"{maker.random.randrange(1000):03d}",
        }
        made.append({**maker.item(3, f"Card {number + 1} ({brand})", folders["Finance"]), "card": card})
    for number, country in enumerate(("PT", "DE", "JP", "US", "FR", "BR")):
        identity = {
            "title": ("Mx", "Dr", None)[number % 3],
            "firstName": "Account",
            "middleName": None,
            "lastName": f"Holder {number + 1}",
            "address1": f"Example Street {number + 1}",
            "address2": None if number % 2 else "3º andar",
            "address3": None,
            "city": "Example Town",
            "state": None,
            "postalCode": f"{maker.random.randrange(10**5):05d}",
            "country": country,
            "company": "Example Works",
            "email": f"user+id{number}@example.org",
            "phone": f"+1 555 01{number:02d}",  # the numbers kept for fiction
            "ssn": None,
            "username": f"user{number}",
            "passportNumber": f"X{maker.random.randrange(10**7):07d}",
            "licenseNumber": None,
        }
        made.append({**maker.item(4, f"Identity for {country}", folders["Home"]), "identity": identity})
    blob = base64.b64encode(maker.random.randbytes(240)).decode()
    ssh_key = {
        "privateKey": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{blob}\n-----END OPENSSH PRIVATE KEY-----\n",
        "publicKey": "ssh-ed25519 " + base64.b64encode(maker.random.randbytes(51)).decode() + " user@example.net",
        "keyFingerprint": "SHA256:" + base64.b64encode(maker.random.randbytes(32)).decode().rstrip("="),
    }
    made.append({**maker.item(5, "Deploy key", folders["Servers/Test bench"]), "sshKey": ssh_key})
    return made


def bitwarden_export() -> bytes:
    """Write the JSON export: 239 items, 208 of them logins."""
    maker = Maker()
    folders = {name: maker.identifier() for name in FOLDERS}
    items = [login(maker, number, site, folders) for number, site in enumerate(sites())]
    items += others(maker, folders)
    export = {
        "encrypted": False,
        "folders": [{"id": identifier, "name": name} for name, identifier in folders.items()],
        "items": items,
    }
    return (json.dumps(export, indent=2, ensure_ascii=False) + "\n").encode()


def browser_export() -> bytes:
    """Write the CSV export, as Chrome writes it: 15 rows."""
    maker = Maker()
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("name", "url", "username", "password", "note"))
    for number, subject in enumerate(SUBJECTS[-15:]):
        host = f"{subject}.browser.example"
        note = NOTES[number % len(NOTES)] if number % 4 == 0 else ""
        writer.writerow((host, f"https://{host}/", f"user+{subject}@example.com", maker.password(), note))
    return out.getvalue().encode()


def main() -> None:
    """Write both files, or with ``--check`` tell whether they are as they would be written."""
    files = {"bitwarden-export.json": bitwarden_export(), "browser-passwords.csv": browser_export()}
    if sys.argv[1:] == ["--check"]:
        changed = [name for name, data in files.items() if (DATA / name).read_bytes() != data]
        sys.exit(f"not as this script writes them: {', '.join(changed)}" if changed else 0)
    DATA.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (DATA / name).write_bytes(data)


if __name__ == "__main__":
    main()
