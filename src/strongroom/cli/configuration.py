"""``strongroom config``: what a store's settings are, and whether they will do."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom.cli.options import AsJson, ConfigFile

__all__ = ["app"]

app = typer.Typer(name="config", help="A store's settings: one file, the environment, the command line.")


@app.command()
def check(config: ConfigFile = None) -> None:
    """Read the settings as `strongroom serve` would, and say what is wrong with them.

    Example: strongroom config check --config store.toml
    """
    import os

    from strongroom.cli.config import checked, load
    from strongroom.cli.output import emit

    loaded, origins = load(config, os.environ, {})
    checked(loaded)
    emit(f"good: {len(origins)} settings beside the defaults")


@app.command()
def show(
    config: ConfigFile = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not the default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print every setting, its value, where that comes from and what it can do to what clients rely on.

    Example: strongroom config show --config store.toml --changed
    """
    import os

    from strongroom.cli.config import load, settings
    from strongroom.cli.output import emit, emit_json

    loaded, origins = load(config, os.environ, {})
    shown = [
        {
            "setting": setting.name,
            "value": setting.kind.show(getattr(getattr(loaded, setting.section), setting.key)),
            "origin": origins.get(setting.name, "default"),
            "variable": setting.variable,
            "effect": str(setting.effect),
            "meaning": setting.meaning,
        }
        for setting in settings()
        if not changed or setting.name in origins
    ]
    if as_json:
        emit_json(shown)
        return
    for item in shown:
        emit(f"{item['setting']} = {_toml(item['value'])}  # {item['origin']}; {item['effect']}")


def _toml(value: object) -> str:
    import json

    return '""' if value is None else json.dumps(value, ensure_ascii=False)
