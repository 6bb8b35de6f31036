"""``strongroom devices``: the list, approving a new device, refusing one, revoking one."""

from __future__ import annotations

from typing import Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

__all__ = ["app"]

app = typer.Typer(
    help="List your devices, admit a new one, revoke one that is lost.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def devices(
    context: typer.Context, password_file: PasswordFile = None, home: Home = None, as_json: AsJson = False
) -> None:
    """List the account's devices: which belong to the vault by its own log, and what the store says of each.

    Devices that wait for approval are listed too. Names and times are the store's word; membership is not.

    Example: strongroom devices
    """
    from datetime import UTC, datetime

    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import connected
    from strongroom.client.approval import waiting_devices
    from strongroom.client.devices import known_devices

    if context.invoked_subcommand is not None:
        return

    def day(at_ms: int) -> str | None:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}" if at_ms else None

    with connected(home, password_file) as (store, device):
        known = known_devices(store, device)
        waiting = waiting_devices(store, device)
    if as_json:
        emit_json(
            {
                "devices": [
                    {
                        "device": item.device_key.hex(),
                        "name": item.name,
                        "added": day(item.added_ms),
                        "last_seen": day(item.seen_ms),
                        "grade": item.grade,
                        "measurement": item.measurement.hex() or None,
                        "state": _state(member=item.member, current=item.current),
                    }
                    for item in known
                ],
                "waiting": [
                    {"device": shown.device_key.hex(), "name": shown.name, "asked": day(shown.asked_ms)}
                    for _, shown in waiting
                ],
            }
        )
        return
    for item in known:
        grade = "" if item.grade == "none" else f", {item.grade}"
        state = _state(member=item.member, current=item.current)
        emit(
            f"{item.short_id}  {item.name or '(no name)'}: {state}{grade},"
            f" added {day(item.added_ms) or 'at an unknown time'}, last seen {day(item.seen_ms) or 'never'}"
        )
    for _, shown in waiting:
        emit(
            f"{shown.device_key.hex()[:8]}  {shown.name or '(no name)'}: waits for approval since {day(shown.asked_ms)}"
        )


@app.command("approve")
def approve(
    code: Annotated[str, typer.Argument(help="The code that the new device shows.")],
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Admit the device that shows this code, and hand it what it needs to open the vault.

    Only approve a device that you hold in your hands: whoever it is will read everything.

    Example: strongroom devices approve 7Q2M-9KDT-0VXR-3HBE-51NC
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import connected
    from strongroom.client.approval import approve_device

    with connected(home, password_file) as (store, device):
        shown = approve_device(store, device, code)
    if as_json:
        emit_json({"device": shown.device_key.hex(), "name": shown.name})
    else:
        emit(f"approved {shown.device_key.hex()[:8]} {shown.name}".rstrip())


@app.command("refuse")
def refuse(
    device_id: Annotated[str, typer.Argument(metavar="DEVICE", help="The beginning of its key, as listed.")],
    password_file: PasswordFile = None,
    home: Home = None,
) -> None:
    """Refuse a device that waits for approval. Whoever asked knows the account's password: change it.

    Example: strongroom devices refuse 1f9ac07b
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.output import emit
    from strongroom.cli.syncing import connected
    from strongroom.client.approval import waiting_devices
    from strongroom.formats.device_api import RefuseDevice

    with connected(home, password_file) as (store, device):
        found = [
            shown.device_key
            for _, shown in waiting_devices(store, device)
            if len(device_id) >= 4 and shown.device_key.hex().startswith(device_id.lower())
        ]
        if len(found) != 1:
            raise Misconfigured("no device, or more than one, waits under this key", hint="see `strongroom devices`")
        store.refuse_device(RefuseDevice(device_key=found[0]))
    emit(f"refused {found[0].hex()[:8]}")


@app.command("revoke")
def revoke(
    device_id: Annotated[
        str, typer.Argument(metavar="DEVICE", help="Its name, or the beginning of its key, as listed.")
    ],
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a device: the store refuses it from this moment on, on every connection that it has.

    What it has read it keeps. Change the passwords that it could see.

    Example: strongroom devices revoke phone
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import connected
    from strongroom.client.devices import find_device, known_devices, revoke_device

    with connected(home, password_file) as (store, device):
        found = find_device(known_devices(store, device), device_id)
        revoke_device(store, device, found.device_key)
    if as_json:
        emit_json({"device": found.device_key.hex(), "name": found.name})
    else:
        emit(f"revoked {found.short_id} {found.name}".rstrip())


@app.command("demand-evidence")
def demand_evidence(
    attested: Annotated[
        bool, typer.Option("--attested-only/--any", help="Admit attested devices only, or any of yours again.")
    ] = True,
    password_file: PasswordFile = None,
    home: Home = None,
) -> None:
    """Have the store refuse devices of yours that show no evidence it accepts. This one has to be attested itself.

    Example: strongroom devices demand-evidence --attested-only
    """
    from strongroom.cli.output import emit
    from strongroom.cli.syncing import connected
    from strongroom.client.account import prove_device
    from strongroom.formats.device_api import DemandEvidence

    with connected(home, password_file) as (store, device):
        prove_device(store, device)
        store.demand_evidence(DemandEvidence(attested=attested))
    emit("attested devices only" if attested else "any device of yours")


@app.command("revoke-others")
def revoke_others(password_file: PasswordFile = None, home: Home = None, as_json: AsJson = False) -> None:
    """Revoke every device but this one, as after losing them all. Change the passwords that they could see.

    Stopped half-way, run it again.

    Example: strongroom devices revoke-others
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.syncing import connected
    from strongroom.client.devices import known_devices, revoke_device

    with connected(home, password_file) as (store, device):
        others = [known for known in known_devices(store, device) if known.member and not known.current]
        for known in others:
            revoke_device(store, device, known.device_key)
    if as_json:
        emit_json({"devices": [{"device": known.device_key.hex(), "name": known.name} for known in others]})
    else:
        emit(f"revoked {len(others)} devices")


def _state(*, member: bool, current: bool) -> str:
    if current:
        return "this device"
    return "active" if member else "revoked"
