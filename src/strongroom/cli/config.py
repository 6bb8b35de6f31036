"""The store's settings: one TOML file, then the environment, then the command line; each later one wins.

Every setting is declared here once, with its kind, its default, what it can do to what clients rely on, and its
meaning; docs/operating.md lists the same ones. What is not declared is refused, with the nearest name that is.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from strongroom.base.errors import Misconfigured
from strongroom.cli.settings import Address, Choice, Effect, File, Hexadecimals, Kind, Number, Origins, Switch, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Config", "Setting", "checked", "load", "load_for_deployment", "settings"]

_PREFIX: Final = "STRONGROOM_"
_FOREIGN: Final = frozenset({"STRONGROOM_HOME"})  # the client's
_SHORT: Final = {"STRONGROOM_DATABASE": "database.url"}
_MAX_FILE_BYTES: Final = 256 * 1024
_KEY: Final = "setting"
_DAY: Final = 24 * 60 * 60


def _declare(kind: Kind[Any], default: Any, meaning: str, effect: Effect = Effect.OPERATIONAL) -> Any:
    return field(default=default, metadata={_KEY: (kind, meaning, effect)})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the store is."""

    data: Path | None = _declare(File(), None, "directory of the database")
    simulated_platform: Path | None = _declare(
        File(), None, "directory of the simulated platform, whose root key is in the evidence", Effect.SHOWN
    )
    url: str = _declare(Text(), "", "address under which clients reach the store, for invitations")
    listen: str = _declare(Address(), "127.0.0.1:7700", "address and port")
    tls_certificate: Path | None = _declare(File(), None, "PEM chain, to serve https")
    tls_key: Path | None = _declare(File(), None, "file with its PEM key")
    counter: str = _declare(
        Text(), "", "where the guess limits' counter is, if in a TPM: `tpm:PATH` or `tpm:PATH@INDEX`"
    )
    allow_origins: tuple[str, ...] = _declare(
        Origins(), (), "web origins whose pages may attest the store from a browser"
    )
    debug_enclave: bool = _declare(Switch(), False, "start as a debug enclave, which clients refuse", Effect.SHOWN)

    @property
    def directories(self) -> tuple[Path, Path]:
        """The database's directory and the platform's; ``Misconfigured`` when either is not set."""
        return _required(self.data, "store.data"), _required(self.simulated_platform, "store.simulated_platform")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """A database beyond one machine."""

    url: str = _declare(Text(), "", "`postgresql://` address without a password, instead of a file in `store.data`")
    password_file: Path | None = _declare(File(), None, "file with its password")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """How much one instance remembers of its clients, and for how long."""

    max_channels: int = _declare(Number(1, 1_000_000), 20_000, "open channels at a time, about 6 KiB each")
    unconfirmed_seconds: int = _declare(Number(1, 3600), 120, "how long a channel waits for its first request")
    idle_seconds: int = _declare(Number(1, _DAY), 15 * 60, "how long a channel lives without a request")
    lifetime_seconds: int = _declare(Number(1, _DAY), 60 * 60, "how long a channel lives at most")
    stall_seconds: int = _declare(Number(1, 3600), 60, "how long a request may be without progress")
    max_resumptions: int = _declare(Number(0, 1_000_000), 20_000, "sessions that can be resumed; 0 for none")
    resumption_seconds: int = _declare(Number(0, 7 * _DAY), _DAY, "for how long after their evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Which clients are admitted by their evidence."""

    policy: Path | None = _declare(File(), None, "appraisal policy for clients, which then can attest themselves")
    required: bool = _declare(Switch(), True, "with a policy: whether clients without evidence are held back")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrationSettings:
    """Who administers tenants."""

    keys: tuple[bytes, ...] = _declare(Hexadecimals(32), (), "administrators' public keys, from `strongroom admin key`")
    deletion_approvals: int = _declare(Number(1, 16), 1, "how many administrators it takes to delete a tenant")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSettings:
    """Usage figures."""

    flush_seconds: int = _declare(
        Number(1, 3600), 60, "how often they are added to the database; a crash loses so much"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The log, on standard error."""

    format: str = _declare(Choice("text", "json"), "text", "one sentence or one JSON object in a line")
    level: str = _declare(Choice("info", "warning", "error"), "warning", "what is worth a line")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Figures for Prometheus."""

    listen: str = _declare(
        Address(optional=True), "", "address and port of `/metrics`, apart from the store's; empty for none"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Traces for OpenTelemetry."""

    traces: bool = _declare(Switch(), False, "whether traces are made (extra `telemetry`)")
    endpoint: str = _declare(Text(), "", "where they are sent by OTLP over HTTP, if its exporter is installed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a store."""

    store: StoreSettings = field(default_factory=StoreSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    channel: ChannelSettings = field(default_factory=ChannelSettings)
    clients: ClientSettings = field(default_factory=ClientSettings)
    administration: AdministrationSettings = field(default_factory=AdministrationSettings)
    usage: UsageSettings = field(default_factory=UsageSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, as it is declared."""

    section: str
    key: str
    kind: Kind[Any]
    default: Any
    meaning: str
    effect: Effect

    @property
    def name(self) -> str:
        """Its name in the file: ``section.key``."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"{_PREFIX}{self.section}_{self.key}".upper()


def settings() -> Iterator[Setting]:
    """Give every setting there is."""
    for section in fields(Config):
        for item in fields(section.default_factory):  # type: ignore[arg-type] # every section is a dataclass
            kind, meaning, effect = item.metadata[_KEY]
            yield Setting(
                section=section.name, key=item.name, kind=kind, default=item.default, meaning=meaning, effect=effect
            )


def load(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]
) -> tuple[Config, dict[str, str]]:
    """Read the settings; gives them and where each that is not the default comes from.

    ``flags`` maps names of settings to values that the command line gave; ``None`` is none. Raises ``Misconfigured``.
    """
    declared = {setting.name: setting for setting in settings()}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if file is not None:
        table = _read(file)
        for name, value in _flat(table):
            values[name] = _known(name, declared).kind.read(value, name, file.absolute().parent)
            origins[name] = str(file)
    variables = {setting.variable: setting for setting in declared.values()}
    variables |= {short: declared[name] for short, name in _SHORT.items()}
    for variable in sorted(environment):
        if variable.startswith(_PREFIX) and variable not in _FOREIGN:
            setting = _known(variable, variables)
            values[setting.name] = setting.kind.parse(environment[variable], variable)
            origins[setting.name] = variable
    for name, value in flags.items():
        if value is not None:
            given = value if isinstance(value, bool | Path) else declared[name].kind.parse(str(value), name)
            values[name] = given
            origins[name] = "command line"
    return _built(values), origins


def checked(config: Config) -> Config:
    """Refuse what cannot be together, or is missing, before a store is started with it."""
    store = config.store
    _required(store.data, "store.data")
    _required(store.simulated_platform, "store.simulated_platform")
    if (store.tls_certificate is None) != (store.tls_key is None):
        raise Misconfigured("store.tls_certificate and store.tls_key go together", setting="tls")
    if config.administration.deletion_approvals > max(1, len(config.administration.keys)):
        raise Misconfigured(
            "there are fewer administrators than it takes to delete a tenant",
            setting="administration.deletion_approvals",
        )
    return config


def load_for_deployment(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]) -> Config:
    """Read the settings for a command that makes or describes a deployment: an address has to be among them."""
    config = checked(load(file, environment, flags)[0])
    if not config.store.url:
        raise Misconfigured(
            "store.url is not set", setting="store.url", hint="give --url, or set it in the file that --config names"
        )
    return config


def _required(value: Path | None, name: str) -> Path:
    if value is None:
        option = name.rpartition(".")[2].replace("_", "-")
        raise Misconfigured(
            f"{name} is not set", setting=name, hint=f"give --{option}, or set it in the file that --config names"
        )
    return value


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as source:
            data = source.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise Misconfigured(f"{file} has more than {_MAX_FILE_BYTES} bytes", setting=str(file))
        return tomllib.loads(data.decode())
    except OSError as cause:
        raise Misconfigured(f"cannot read {file}: {cause.strerror}", setting=str(file)) from cause
    except (ValueError, RecursionError) as cause:
        raise Misconfigured(f"{file} is not TOML", setting=str(file)) from cause


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for section, content in table.items():
        if not isinstance(content, dict):
            yield section, content
            continue
        for key, value in content.items():
            yield f"{section}.{key}", value


def _known(name: str, declared: Mapping[str, Setting]) -> Setting:
    setting = declared.get(name)
    if setting is None:
        near = difflib.get_close_matches(name, declared, n=1, cutoff=0.0)
        raise Misconfigured(
            f"there is no setting {name!r}", setting=name, hint=f"the nearest is {near[0]}" if near else ""
        )
    return setting


def _built(values: Mapping[str, Any]) -> Config:
    sections: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        place, _, key = name.partition(".")
        sections.setdefault(place, {})[key] = value
    made = {}
    for section in fields(Config):
        factory: Any = section.default_factory
        made[section.name] = factory(**sections.get(section.name, {}))
    return Config(**made)
