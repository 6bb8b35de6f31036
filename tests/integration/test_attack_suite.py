"""The attack suite, against our own server and against servers that lack one check each: it has to be able to fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attested import Enclave, new_platform
from running import clean_environment
from strongroom.client.invitation import Invitation
from strongroom.crypto import merkle
from strongroom.formats.instance_certificate import SignedInstanceCertificate
from strongroom.testing.attacks import ATTACKS, Outcome, Report, Target, run_suite
from strongroom.testing.attacks.__main__ import main
from strongroom.testing.loopback import Loopback
from strongroom.verifier.anchors import Anchor
from strongroom.verifier.policy_compose import policy_to_toml
from weak_servers import WEAKNESSES, ServesTwice, careful

PAGE = Path(__file__).parents[2] / "docs" / "attack-suite.md"
ON_THE_SERVER = [attack.name for attack in ATTACKS if attack.where == "server"]
QUICK = [name for name in ON_THE_SERVER if name not in {"slow-clients", "flood-of-hellos"}]


@pytest.fixture(scope="module")
def enclave(tmp_path_factory) -> Enclave:
    return Enclave(new_platform(tmp_path_factory.mktemp("platform") / "state"))


def attacked(enclave: Enclave, url: str, *, only: list[str] | None = None, other: str | None = None) -> Report:
    target = Target(url=url, terms=enclave.terms(), other_instance=other, patience=4.0, flood=24)
    return run_suite(target, only=only or [])


def test_our_own_server_refuses_every_attack_by_name(enclave) -> None:
    with Loopback(careful(enclave)) as url, Loopback(careful(enclave)) as other:
        report = attacked(enclave, url, other=other)
    assert [item for item in report.verdicts if item.outcome is not Outcome.REFUSED] == []
    assert report.exit_code == 0
    assert len(report.verdicts) == len(ATTACKS)
    unnamed = [item.name for item in report.verdicts if not re.search(r"\[|: |fresh secret|others served", item.detail)]
    assert unnamed == []


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_a_server_that_lacks_one_check_is_told_of_that_one(enclave, weakness: str) -> None:
    """Beside the attack that works, all of its kind are tried: none of them may be blamed."""
    kind = weakness.partition("-")[0]
    kin = [name for name in QUICK if name.startswith(("message", "stream") if kind in {"message", "stream"} else kind)]
    with Loopback(WEAKNESSES[weakness](enclave)) as url:
        report = attacked(enclave, url, only=[*kin, weakness])
    assert report.accepted == (weakness,), report.verdicts
    assert report.exit_code == 1
    assert not [item for item in report.verdicts if item.outcome is Outcome.ERROR]


def test_a_server_without_a_replay_window_is_told_of_every_replay(enclave) -> None:
    with Loopback(careful(enclave, ServesTwice)) as url:
        report = attacked(enclave, url, only=QUICK)
    assert report.accepted == ("message-replayed", "stream-replayed", "stream-under-a-used-number")


def test_every_attack_on_the_server_has_been_seen_to_work(enclave) -> None:
    seen = {*WEAKNESSES, "message-replayed", "stream-replayed", "stream-under-a-used-number"}
    # these three differ from the ones above in what is altered only, and stop at the same AEAD; a recorded
    # resumption is a session used twice
    same = {"message-renumbered", "message-truncated", "stream-frame-dropped", "stream-frames-reordered"}
    assert set(ON_THE_SERVER) - seen == same | {"resumption-replayed"}


# a careless client: what a server's evidence would be worth without the step that refuses


def test_without_the_proof_of_inclusion_a_relay_works(enclave, monkeypatch) -> None:
    monkeypatch.setattr(merkle, "verify_inclusion", lambda *_, **__: True)
    names = ["relay-of-evidence", "splice-of-handshakes", "proof-of-another-index", "replayed-answer"]
    with Loopback(careful(enclave)) as url:
        report = attacked(enclave, url, only=names)
    assert report.accepted == tuple(names[i] for i in (0, 1, 2))


def test_without_the_deployments_signature_a_certificate_can_be_altered(enclave, monkeypatch) -> None:
    monkeypatch.setattr(SignedInstanceCertificate, "is_signed_by", lambda *_: True)
    names = ["certificate-of-another-epoch", "certificate-of-another-machine", "diversion"]
    with Loopback(careful(enclave)) as url:
        report = attacked(enclave, url, only=names)
    assert report.accepted == ()
    steps = [item.detail for item in report.verdicts]
    assert steps == ["deployment [attested-channel 6.8]", "platform [attested-channel 6.10]", steps[2]]


def test_of_a_server_that_serves_nobody_nothing_is_said(enclave, tmp_path: Path) -> None:
    stranger = Enclave(new_platform(tmp_path / "elsewhere"))
    with Loopback(careful(stranger)) as url:
        report = attacked(enclave, url)
    assert report.exit_code == 3
    assert "deployment [attested-channel 6.4]" in report.baseline
    assert report.verdicts == ()


# the command


def invited(enclave: Enclave, url: str, directory: Path) -> list[str]:
    root = Anchor.from_certificate(enclave.platform.root_certificate_pem, simulated=True).spki
    text = Invitation(url=url, deployment=enclave.deployment, simulated_root=root).to_text()
    (directory / "policy.toml").write_bytes(policy_to_toml(enclave.terms().policy))
    return ["--invitation", text, "--accept-simulated-platform", "--policy", str(directory / "policy.toml")]


def test_as_a_command(enclave, tmp_path: Path) -> None:
    some = ["--only", "message-replayed", "--only", "relay-of-evidence"]
    command = [sys.executable, "-I", "-m", "strongroom.testing.attacks"]
    with Loopback(careful(enclave)) as url:
        options = [url, *invited(enclave, url, tmp_path), *some]
        ran = subprocess.run([*command, *options], capture_output=True, text=True, env=clean_environment(), check=False)
        assert ran.returncode == 0, ran.stderr
        assert re.search(
            r"^refused: +relay-of-evidence +freshness \[attested-channel 6\.2\]$", ran.stdout, re.MULTILINE
        )
    with Loopback(careful(enclave, ServesTwice)) as url:
        options = [url, *invited(enclave, url, tmp_path), *some, "--json"]
        ran = subprocess.run([*command, *options], capture_output=True, text=True, env=clean_environment(), check=False)
        assert ran.returncode == 1
        assert json.loads(ran.stdout)["accepted"] == ["message-replayed"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["http://127.0.0.1:1"],
        ["http://192.0.2.1:7700", "--invitation", "strongroom1:x"],
        ["http://localhost.invalid:7700", "--invitation", "strongroom1:x"],
        ["http://127.0.0.1:1", "--invitation", "strongroom1:x", "--flood", "1000000"],
        ["http://127.0.0.1:1", "--invitation", "strongroom1:x"],
    ],
)
def test_what_is_not_asked_rightly_is_not_done(arguments: list[str], capsys) -> None:
    assert main(arguments) == 2
    assert "strongroom-attack: " in capsys.readouterr().err


def test_an_unknown_attack_is_misused(enclave, tmp_path: Path, capsys) -> None:
    with Loopback(careful(enclave)) as url:
        assert main([url, *invited(enclave, url, tmp_path), "--only", "no-such-attack"]) == 2
    assert "no-such-attack" in capsys.readouterr().err


def test_the_page_lists_every_attack_and_the_tests_that_it_names_exist(capsys) -> None:
    text = PAGE.read_text()
    assert main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [attack.name for attack in ATTACKS]
    assert [name for name in re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) if name in listed] == listed
    tests = PAGE.parents[1] / "tests"
    for file, name in re.findall(r"`(tests/[a-z_/0-9]+\.py)::(\w+)`", text):
        source = (tests.parent / file).read_text()
        assert f"def {name}(" in source, f"{file} has no {name}"
