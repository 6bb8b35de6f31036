"""Whatever is wrong is named, by its family's exit code, and leaves everything as it was: the real commands.

Exit codes: 1 misconfigured, 2 malformed, 3 refused, 4 misbehaviour, 5 denied, 6 conflict, 7 unavailable. The helper
that runs commands fails a test whenever a traceback is printed.
"""

import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from command_world import ACCEPT, PASSWORD, World, expect
from evidence_vectors import VECTORS
from running import STRONGROOM, Ran, clean_environment, strongroom
from strongroom.base import canonical
from strongroom.base.errors import MalformedMessage, NotAuthorised
from strongroom.channel.messages import ServerAnswer
from strongroom.cli.main import main
from strongroom.formats import store_api as api
from strongroom.records.account_secret import AccountSecret
from strongroom.transport.asgi import EXCHANGE_PATH, HEALTH_PATH, MESSAGE_PATH

QUOTE = VECTORS / "sgx/dcap-qvl/sgx_quote-f8b810.quote.bin"
COLLATERAL = VECTORS / "sgx/_collateral/SGX-00A067110000-processor-v3-ev17-20250619.json"
OTHER_COLLATERAL = VECTORS / "sgx/_collateral/SGX-00606A000000-platform-v3-ev17-20250815.json"
AT = "2025-07-04T10:28:44Z"


# accounts ------------------------------------------------------------------------------------------------------


def test_a_wrong_password_does_not_unlock(world: World, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not it")
    expect(strongroom("list", "--home", world.home, "--password-file", wrong), 5, "not-authorised", "wrong password")
    assert world.titles() == ["kept"]


def test_wrong_password_and_unknown_account_get_the_same_answer_and_leave_nothing(world: World, tmp_path: Path) -> None:
    kit, wrong = world.home / "recovery-kit.txt", tmp_path / "wrong"
    wrong.write_text("not it")
    first = world.login("me@example.com", tmp_path / "a", kit, password=wrong)
    second = world.login("nobody@example.com", tmp_path / "b", kit)
    expect(first, 5, "not-authorised", "unknown account or wrong password")
    assert first.err == second.err
    assert nothing_of_an_account_in(tmp_path / "a")
    assert nothing_of_an_account_in(tmp_path / "b")


def nothing_of_an_account_in(home: Path) -> bool:
    """Tell whether a device's directory is free; what an attested store was seen to be stays known, as it should."""
    return not home.exists() or {path.name for path in home.iterdir()} <= {"floors"}


def test_another_accounts_secret_and_a_mistyped_one_are_told_apart(world: World, tmp_path: Path) -> None:
    text = next(line for line in (world.home / "recovery-kit.txt").read_text().splitlines() if line[:4] == "SR1-")
    assert AccountSecret.parse(text)
    mistyped, other = tmp_path / "mistyped", tmp_path / "other"
    mistyped.write_text(text[:-1] + ("0" if text[-1] != "0" else "1"))
    other.write_text(AccountSecret(bytes(16)).text())
    expect(world.login("me@example.com", tmp_path / "a", mistyped), 2, "malformed", "a character was mistyped")
    expect(world.login("me@example.com", tmp_path / "a", other), 5, "does not open the account's root key")
    assert nothing_of_an_account_in(tmp_path / "a")
    expect(world.login("me@example.com", tmp_path / "a", tmp_path / "nothing"), 1, "cannot read")


@pytest.mark.parametrize(
    ("username", "code", "word"),
    [
        ("ME@example.com", 6, "account-exists"),
        ("x" * 129, 2, "malformed"),
        ("", 2, "malformed"),
        ("a\u202eb", 2, "malformed"),
        ("a\udcff", 2, "not a text that UTF-8 can hold"),
    ],
    ids=["taken", "long", "empty", "control character", "not UTF-8"],
)
def test_a_name_that_cannot_be_had_leaves_the_directory_free_for_another(
    world: World, tmp_path: Path, username: str, code: int, word: str
) -> None:
    home = tmp_path / "new"
    expect(world.register(username, home), code, word)
    assert nothing_of_an_account_in(home)


def test_a_kit_that_cannot_be_written_is_no_end_of_registering(world: World, tmp_path: Path) -> None:
    home, kit = tmp_path / "new", tmp_path / "missing" / "kit"
    expect(world.register("kit@example.com", home, "--recovery-kit", kit), 7, "storage-unavailable")
    expect(world.run("sync", home=home), 1, "registration was not finished")
    ran = world.register("kit@example.com", home)
    assert ran.code == 0, ran.err
    assert world.login("kit@example.com", tmp_path / "second", home / "recovery-kit.txt").code == 0


def test_a_directory_that_has_a_device_gets_no_second_one(world: World) -> None:
    expect(world.register("new@example.com", world.home), 1, "already belongs to a device")
    kit = world.home / "recovery-kit.txt"
    expect(world.login("me@example.com", world.home, kit), 1, "already belongs to a device")
    assert world.titles() == ["kept"]


@pytest.mark.parametrize(
    ("content", "code", "word"),
    [(b"", 2, "password is empty"), (b"\xff", 2, "not UTF-8"), (b"x" * 20_000, 2, "more than"), (None, 1, "read")],
    ids=["empty", "not UTF-8", "long", "missing"],
)
def test_a_password_file_that_holds_none(
    world: World, tmp_path: Path, content: bytes | None, code: int, word: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    expect(strongroom("list", "--home", world.home, "--password-file", file), code, word)


# addresses and requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("garbage", 2),
        ("strongroom1:AAAA", 2),
        ("strongroom1:*", 2),
        ("strongroom1:" + "A" * 4000, 2),
        ("http://", 1),
        ("http://[::1", 1),
        ("http://127.0.0.1:99999", 1),
        ("http://127.0.0.1:port", 1),
        ("http://\u2603", 1),
        ("http://127.0.0.1:1", 7),
        ("https://127.0.0.1:1", 7),
    ],
)
def test_addresses_and_invitations_that_lead_nowhere(address: str, code: int) -> None:
    expect(strongroom("verify", address), code)
    ran = strongroom("verify", address, "--json")
    assert (ran.code, "error" in ran.json) == (code, True)


def test_an_invitation_cut_short_is_malformed(world: World) -> None:
    for length in range(20, len(world.deployment.invitation) - 1, 61):
        expect(strongroom("verify", world.deployment.invitation[:length], ACCEPT), 2, "malformed: invitation")


def test_a_simulated_platform_is_refused_unless_accepted(world: World) -> None:
    ran = strongroom("verify", world.deployment.invitation)
    expect(ran, 3, "simulated")
    expect(strongroom("verify", world.deployment.url, ACCEPT), 1, "needs its root")


def test_a_server_that_is_no_store(world: World) -> None:
    expect(strongroom("verify", world.deployment.url + "/elsewhere"), 7, "store-unreachable", "404")


@pytest.mark.parametrize("path", [EXCHANGE_PATH, MESSAGE_PATH])
def test_requests_outside_of_a_channel_are_malformed_or_unknown(world: World, path: str) -> None:
    with httpx2.Client(base_url=world.deployment.url, trust_env=False) as client:
        for content in (b"", b"\x00", os.urandom(100), canonical.encode({"version": 99}), b"\xa1" * 64):
            answer = client.post(path, content=content)
            assert answer.status_code in {400, 421}, answer.content
            assert answer.json()["error"] in {"malformed-message", "channel-unknown"}
        oversized = client.post(path, content=bytes(17 * 1024 * 1024))
        assert (oversized.status_code, oversized.json()["error"]) == (400, "malformed-message")
        assert client.get(path).status_code == 404
        assert client.post("/nothing").status_code == 404
        assert client.get(HEALTH_PATH).json() == {"status": "ok"}


def test_bytes_that_are_no_http_do_not_disturb_the_store(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.deployment.port)) as connection:
        connection.sendall(os.urandom(4096))
    assert world.run("sync").code == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/vault/append", b""),
        ("/v1/vault/append", b"{"),
        ("/v1/vault/append", b"[" * 100_000),
        ("/v1/vault/append", b'{"expected_length": -1, "expected_chain": "", "entries": []}'),
        ("/v1/vault/append", b'{"unknown": 1}'),
        ("/v1/vault/fetch", b'{"after": 0, "limit": 1000000}'),
        ("/v1/vault/fetch", b'{"after": 9007199254740992, "limit": 1}'),
        ("/v1/sessions/device", b'{"account_id": "AAAA", "device_key": "", "signature": ""}'),
        ("/v1/sessions/login/start", b'{"username": "me", "ke1": "AAAA"}'),
        ("/v1/accounts/register/start", b'{"username": "me", "request": "not base64"}'),
        ("/v1/accounts/register/start", b'{"username": "new", "request": ""}'),
    ],
)
def test_malformed_requests_inside_of_a_channel(world: World, path: str, body: bytes) -> None:
    with world.deployment.connected() as store:
        answer = store._http.post(path, content=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "malformed-message"), answer.content
        assert "me" not in answer.json()["message"].split()


def test_unknown_routes_and_oversized_requests_inside_of_a_channel(world: World) -> None:
    with world.deployment.connected() as store:
        assert store._http.post("/v1/nothing", content=b"").status_code == 404
        assert store._http.get("/v1/vault/fetch").status_code == 405
        with pytest.raises(MalformedMessage, match="more than"):
            store._http.post("/v1/vault/append", content=bytes(17 * 1024 * 1024))
        with pytest.raises(NotAuthorised, match="proven no account"):
            store.fetch(api.FetchPage(after=0, limit=1))
        pair = api.EntryPair(entry=b"", sealed=b"")
        too_many = api.Append(expected_length=0, expected_chain=bytes(32), entries=[pair] * 257)
        too_large = replace_sealed(too_many, bytes(1024 * 1024 + 1))
        for append in (too_many, too_large):
            with pytest.raises(MalformedMessage, match="length"):
                store.append(append)


def replace_sealed(append: api.Append, sealed: bytes) -> api.Append:
    return api.Append(
        expected_length=append.expected_length,
        expected_chain=append.expected_chain,
        entries=[api.EntryPair(entry=b"", sealed=sealed)],
    )


class Tampering(httpx2.BaseTransport):
    """Somebody on the way, who changes the claims in the store's answer."""

    def __init__(self, claims: bytes) -> None:
        self._inner = httpx2.HTTPTransport()
        self._claims = claims

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        answer = ServerAnswer.from_bytes(response.read())
        changed = replace(answer, attestation=replace(answer.attestation, claims=self._claims))
        response.close()
        return httpx2.Response(200, stream=httpx2.ByteStream(changed.to_bytes()), request=request)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize(
    "claims",
    [b"\xa2" + 2 * (canonical.encode("epoch") + b"\x01"), b"\xa1" + canonical.encode("epoch"), b"", b"\xff"],
    ids=["a claim twice", "cut short", "nothing", "not CBOR"],
)
def test_claims_that_are_no_claims_are_malformed(world: World, claims: bytes) -> None:
    with world.deployment.connected(Tampering(claims)) as store, pytest.raises(MalformedMessage, match="claims"):
        store.peer()


# captured evidence ---------------------------------------------------------------------------------------------


def judge(quote: Path, collateral: Path, *more: str | Path) -> Ran:
    return strongroom("verify", "--evidence", quote, "--collateral", collateral, *more)


def test_the_captured_quote_is_genuine_before_anything_is_done_to_it() -> None:
    assert judge(QUOTE, COLLATERAL, "--at", AT).code == 0


@pytest.mark.parametrize("length", [0, 1, 47, 48, 431, 432, 435, 1000, 4000])
def test_a_truncated_quote_is_malformed(tmp_path: Path, length: int) -> None:
    cut = tmp_path / "quote"
    cut.write_bytes(QUOTE.read_bytes()[:length])
    expect(judge(cut, COLLATERAL, "--at", AT), 2, "malformed-quote")


def test_a_quote_with_any_bit_flipped_is_malformed_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    quote = QUOTE.read_bytes()
    flipped = tmp_path / "quote"
    signed_length = 436 + 64 + 64 + 384 + 64  # up to here, each bit is signed or part of a signature
    for position in [*range(0, signed_length, 37), *range(signed_length, len(quote), 211)]:
        changed = bytearray(quote)
        changed[position] ^= 1 << position % 8
        flipped.write_bytes(changed)
        arguments = ["verify", "--evidence", str(flipped), "--collateral", str(COLLATERAL), "--at", AT]
        code = main(arguments)
        said = capsys.readouterr()
        assert code in {2, 3}, position
        assert "malformed" in said.err or "refused" in said.err, position


def test_collateral_of_another_platform_is_refused() -> None:
    ran = judge(QUOTE, OTHER_COLLATERAL, "--at", "2025-08-30T10:00:00Z")
    expect_refusal(ran, "platform")


def expect_refusal(ran: Ran, check: str) -> None:
    assert ran.code == 3, ran.out + ran.err
    assert f"strongroom:   {check}: " in ran.err


@pytest.mark.parametrize("at", ["2025-09-04T00:00:00Z", "2031-01-01T00:00:00+02:00", "2019-01-01"])
def test_expired_collateral_and_collateral_of_the_future_are_refused(at: str) -> None:
    expect_refusal(judge(QUOTE, COLLATERAL, "--at", at), "expiry")
    ran = judge(QUOTE, COLLATERAL, "--at", at, "--json")
    assert ran.code == 3
    assert "expiry" in {finding["check"] for finding in ran.json["findings"]}


@pytest.mark.parametrize("at", ["yesterday", "", "2025-13-01", "1751624924"])
def test_a_time_that_is_none_is_malformed(at: str) -> None:
    expect(judge(QUOTE, COLLATERAL, "--at", at), 2, "malformed: --at")


@pytest.mark.parametrize(
    ("content", "code", "word"),
    [
        (b"", 2, "malformed-collateral"),
        (b"{}", 2, "malformed-collateral"),
        (b"[" * 50_000, 2, "malformed-collateral"),
        (b"\xff\xfe", 2, "malformed-collateral"),
        (bytes(2 * 1024 * 1024), 1, "more than"),
    ],
    ids=["empty", "no keys", "deep", "not UTF-8", "huge"],
)
def test_collateral_that_is_none(tmp_path: Path, content: bytes, code: int, word: str) -> None:
    file = tmp_path / "collateral"
    file.write_bytes(content)
    expect(judge(QUOTE, file, "--at", AT), code, word)


def test_collateral_with_a_key_twice_or_a_signature_changed(tmp_path: Path) -> None:
    text = COLLATERAL.read_text()
    file = tmp_path / "collateral"
    file.write_text(text.rstrip().removesuffix("}") + ', "tcb_info": "{}"}')
    expect(judge(QUOTE, file, "--at", AT), 2, "malformed-collateral")
    content = json.loads(text)
    name = next(name for name in content if name.startswith("tcb_info_sig"))
    content[name] = "00" * 64
    file.write_text(json.dumps(content))
    expect_refusal(judge(QUOTE, file, "--at", AT), "signature")


def test_files_that_are_missing_or_directories(tmp_path: Path) -> None:
    expect(judge(tmp_path / "nothing", COLLATERAL), 1, "cannot read")
    expect(judge(QUOTE, tmp_path), 1, "cannot read")
    expect(judge(QUOTE, COLLATERAL, "--root", QUOTE), 2, "malformed")
    expect(strongroom("verify", "--evidence", QUOTE, "--home", tmp_path), 7, "holds nothing for", "--pccs URL")
    expect(strongroom("verify", "--evidence", QUOTE, "--intel", "--collateral", COLLATERAL), 1, "say once")
    expect(strongroom("verify"), 1, "either an address or --evidence")


def test_policies_that_are_none(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    for content in ("", "version = 1\nsurprise = true\n", "= =", "version = 99"):
        policy.write_text(content)
        expect(judge(QUOTE, COLLATERAL, "--at", AT, "--policy", policy), 1, "misconfigured")


# secrets -------------------------------------------------------------------------------------------------------


def test_secrets_are_in_no_argument_environment_or_log_of_a_running_command(shared: World, tmp_path: Path) -> None:
    home = tmp_path / "new"
    arguments = ["register", shared.deployment.invitation, "-u", "argv@example.com", ACCEPT, "--home", str(home)]
    with subprocess.Popen(
        [*STRONGROOM, *arguments, "--password-file", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as running:
        assert running.stdin is not None
        running.stdin.write(PASSWORD.encode())
        running.stdin.flush()
        seen = b""
        while b"argv@example.com" not in seen:  # until it has become our command
            assert running.poll() is None
            seen = b"".join(Path(f"/proc/{running.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        out, err = running.communicate()
    assert running.returncode == 0, err
    kit = (home / "recovery-kit.txt").read_text()
    secret = next(line for line in kit.splitlines() if line.startswith("SR1-"))
    for text in (seen, out, err):
        assert PASSWORD.encode() not in text
        assert secret.encode() not in text


def test_secrets_are_not_asked_for_where_there_is_no_terminal(world: World) -> None:
    expect(strongroom("list", "--home", world.home), 1, "this is not a terminal")
    expect(world.run("add", "asked"), 1, "this is not a terminal")
    assert world.titles() == ["kept"]


def test_unfit_items_are_refused_whole(world: World, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_text("x" * 16_000)
    expect(world.run("add", "big", "--type", "card"), 1, "--type is login or note")
    expect(world.run("add", "x" * 100_001, "--generate"), 2, "malformed-record")
    expect(world.run("add", "a\udcff", "--generate"), 2, "malformed-record")
    expect(world.run("add", "two", "--generate", "--secret-file", big), 1, "not both")
    expect(world.run("edit", "kept", "--folder", "f" * 300), 2, "malformed-record")
    expect(world.run("edit", "kept"), 1, "nothing to change")
    expect(world.run("get", "nothing like it"), 1, "no-such-item")
    expect(world.run("remove", "kept", "--restore", "--purge"), 1, "not both")
    exports = tmp_path / "export"
    for content in (b"", b"{", b"\xff\xff", b'{"encrypted": true, "items": []}', b"a,b,c\n1,2,3\n"):
        exports.write_bytes(content)
        expect(world.run("import", exports), 2, "malformed")
    expect(world.run("import", tmp_path / "missing"), 1, "cannot read")
    assert world.titles() == ["kept"]
