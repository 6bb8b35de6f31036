"""Settings: one file, the environment, the command line, in this order; what is not declared is refused by name."""

import json
import re
from pathlib import Path

import pytest

from strongroom.base.errors import Misconfigured
from strongroom.cli.config import Config, checked, load, settings
from strongroom.cli.main import main
from strongroom.cli.settings import Address, Choice, File, Hexadecimals, Kind, Number, Origins, Switch, Text

OPERATING = Path(__file__).parents[3] / "docs" / "operating.md"
DECLARED = {setting.name: setting for setting in settings()}
KEY = "0" * 63 + "1"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "store.toml"
    file.write_text(text)
    return file


def test_the_documentation_lists_exactly_the_settings_there_are() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", OPERATING.read_text(), re.MULTILINE
    )
    assert [(name, default.strip("`"), meaning, effect) for name, default, meaning, effect in rows] == [
        (name, _default(setting.kind.show(setting.default)), setting.meaning, setting.effect)
        for name, setting in DECLARED.items()
    ]


def _default(value: object) -> str:
    return "-" if value in (None, "", []) else str(value).lower() if isinstance(value, bool) else str(value)


def test_nothing_said_is_the_defaults() -> None:
    assert load(None, {}, {}) == (Config(), {})


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = written(tmp_path, '[store]\nlisten = "127.0.0.1:1"\nurl = "file"\n[usage]\nflush_seconds = 5\n')
    environment = {"STRONGROOM_STORE_LISTEN": "127.0.0.1:2", "STRONGROOM_STORE_URL": "environment", "PATH": "x"}
    config, origins = load(file, environment, {"store.listen": "127.0.0.1:3", "store.url": None})
    assert (config.store.listen, config.store.url, config.usage.flush_seconds) == ("127.0.0.1:3", "environment", 5)
    assert origins == {
        "store.listen": "command line",
        "store.url": "STRONGROOM_STORE_URL",
        "usage.flush_seconds": str(file),
    }


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    config, _ = load(written(tmp_path, '[store]\ndata = "data"\ntls_key = "/etc/key"\n'), {}, {})
    assert config.store.data == tmp_path / "data"
    assert config.store.tls_key == Path("/etc/key")


@pytest.mark.parametrize(
    ("text", "environment", "named", "near"),
    [
        ("[store]\nlissten = 'x'\n", {}, "store.lissten", "store.listen"),
        ("listen = 'x'\n", {}, "listen", "store.listen"),
        ("[storage]\ndata = 'x'\n", {}, "storage.data", "store.data"),
        ("", {"STRONGROOM_STORE_LISTENN": "x"}, "STRONGROOM_STORE_LISTENN", "STRONGROOM_STORE_LISTEN"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(
    tmp_path: Path, text: str, environment: dict[str, str], named: str, near: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        load(written(tmp_path, text), environment, {})
    assert refused.value.setting == named
    assert refused.value.hint == f"the nearest is {near}"


def test_the_clients_variable_is_none_of_the_store() -> None:
    assert load(None, {"STRONGROOM_HOME": "x"}, {}) == (Config(), {})


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Switch(), 1, "yes"),
        (Number(1, 5), 6, "0"),
        (Number(1, 5), True, "3.0"),
        (Number(1, 5), "3", "\u0663"),
        (Text(), "a\nb", "x" * 513),
        (Choice("a", "b"), "c", ""),
        (Address(), "", "127.0.0.1"),
        (Address(optional=True), 7, "host:99999"),
        (File(), 1, ""),
        (File(), "a\0b", "\0"),
        (Hexadecimals(32), KEY, KEY[1:]),
        (Origins(), "https://app.example", "*"),
        (Origins(), ["https://app.example/page"], "https://app.example,app.example"),
        (Hexadecimals(32), [KEY.upper() + "A"], f"{KEY};{KEY}"),
    ],
)
def test_a_value_of_another_kind_is_refused_and_not_repeated(kind: Kind[object], value: object, text: str) -> None:
    for attempt in (lambda: kind.read(value, "the.setting", Path()), lambda: kind.parse(text, "the.setting")):
        with pytest.raises(Misconfigured, match=r"the\.setting") as refused:
            attempt()
        assert refused.value.setting == "the.setting"


@pytest.mark.parametrize("content", [b"\xff", b"[store", b"a" * 300_000])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "store.toml"
    file.write_bytes(content)
    with pytest.raises(Misconfigured, match=str(file)):
        load(file, {}, {})
    with pytest.raises(Misconfigured, match="cannot read"):
        load(tmp_path / "other.toml", {}, {})


@pytest.mark.parametrize(
    ("flags", "setting"),
    [
        ({}, "store.data"),
        ({"store.data": Path("x")}, "store.simulated_platform"),
        ({"store.data": Path("x"), "store.simulated_platform": Path("y"), "store.tls_key": Path("z")}, "tls"),
        (
            {
                "store.data": Path("x"),
                "store.simulated_platform": Path("y"),
                "administration.deletion_approvals": "2",
                "administration.keys": KEY,
            },
            "administration.deletion_approvals",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_before_a_start(flags: dict[str, object], setting: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        checked(load(None, {}, flags)[0])
    assert refused.value.setting == setting


def test_no_setting_holds_a_secret() -> None:
    # values are shown by `config show`, and the environment is seen by others: a secret is in a file that is named
    for name, setting in DECLARED.items():
        if any(word in name for word in ("key", "secret", "password", "token")):
            assert isinstance(setting.kind, File) or "public" in setting.meaning, name


def test_show_says_where_each_value_is_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, f'[logs]\nformat = "json"\n[administration]\nkeys = ["{KEY}"]\n')
    assert main(["config", "show", "--config", str(file), "--changed", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(item["setting"], item["value"]) for item in shown] == [
        ("administration.keys", [KEY]),
        ("logs.format", "json"),
    ]
    assert {item["origin"] for item in shown} == {str(file)}
    assert main(["config", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(DECLARED)
    assert 'store.listen = "127.0.0.1:7700"  # default; operational' in lines


def test_check_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, '[store]\ndata = "x"\nsimulated_platform = "y"\n')
    assert main(["config", "check", "--config", str(file)]) == 0
    assert "good: 2 settings" in capsys.readouterr().out
    file.write_text("")
    assert main(["config", "check", "--config", str(file)]) == 1
    assert "store.data is not set" in capsys.readouterr().err
