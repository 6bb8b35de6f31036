"""``strongroom head``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.cli.options import AsJson, Home, PasswordFile

if TYPE_CHECKING:
    from strongroom.vaultlog.head_codes import Comparison

__all__ = ["app"]

app = typer.Typer(
    help="Print this device's head code, or compare it with another device's.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def head(
    context: typer.Context,
    qr: Annotated[bool, typer.Option("--qr", help="Draw it as a QR code as well.")] = False,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the code of this device's last verified head, to compare with another device by eye.

    Two devices that have both synced show the same code. If they have the same number of entries and other codes,
    the store has shown them different histories. Below stand the account's other devices, as they last stated what
    they had seen: that they agree with this device was checked.

    Example: strongroom head --qr
    """
    from strongroom.cli.invitations import qr_for_terminal
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault
    from strongroom.vaultlog.head import head_code
    from strongroom.vaultlog.statement import SignedStatement

    if context.invoked_subcommand is not None:
        return
    with unlocked(home, password_file) as device:
        vault = LocalVault(device.store)
        state = vault.sync_state()
        pending = vault.pending_count()
    last = None if state is None else state.view.last_head
    if last is None:
        raise _not_synced()
    sisters = [SignedStatement.from_bytes(data) for data in (state.sisters if state is not None else ())]
    if as_json:
        emit_json(
            {
                "code": head_code(last),
                "entries": last.length,
                "chain": last.chain_hash.hex(),
                "signed_at": _time(last.time_ms),
                "pending": pending,
                "devices": [
                    {
                        "device": sister.statement.device.hex(),
                        "entries": sister.head.length,
                        "stated_at": _time(sister.statement.time_ms),
                    }
                    for sister in sisters
                ],
            }
        )
        return
    emit(head_code(last))
    emit(f"{last.length} entries, signed by the store at {_time(last.time_ms)}, {pending} changes not sent yet")
    for sister in sisters:
        seen = f"{sister.head.length} entries at {_time(sister.statement.time_ms)}"
        emit(f"device {sister.statement.device.hex()[:8]} has seen {seen}")
    if qr:
        emit(qr_for_terminal(head_code(last)))


@app.command("compare")
def compare(
    code: Annotated[list[str], typer.Argument(help="The other device's code, 32 digits; spaces do not matter.")],
    entries: Annotated[
        int | None, typer.Option("--entries", help="How many entries the other device says it has.", min=0)
    ] = None,
    password_file: PasswordFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare another device's head code with this device's log: same, behind, or another history.

    This device knows the code of every length that its log has had, so it finds one that is behind. A code that it
    does not find may be of a device that has read more: sync both and compare again. Ends with 4 where the histories
    differ, with 6 where that cannot be said yet.

    Example: strongroom head compare 4093 1172 5540 9281 0036 7719 2204 8315 --entries 12
    """
    from strongroom.cli.output import emit, emit_json
    from strongroom.cli.unlock import unlocked
    from strongroom.client.vault import LocalVault
    from strongroom.vaultlog.head import read_head_code
    from strongroom.vaultlog.head_codes import codes_of, compare_code

    wanted = read_head_code(" ".join(code))
    with unlocked(home, password_file) as device:
        codes = codes_of(device.profile.vault_id, LocalVault(device.store).log())
    if not codes:
        raise _not_synced()
    found = compare_code(codes, wanted, entries=entries)
    if as_json:
        emit_json({"agreement": found.agreement, "entries": found.entries, "own_entries": len(codes)})
    else:
        emit(_said(found, own=len(codes), claimed=entries))
    if exit_code := _EXITS.get(found.agreement, 0):
        raise typer.Exit(exit_code)


_EXITS = {"different": 4, "ahead": 6, "unknown": 6}


def _said(found: Comparison, *, own: int, claimed: int | None) -> str:
    match found.agreement:
        case "same":
            return f"same: both devices have the same {own} entries"
        case "behind":
            missing = own - found.entries
            return f"behind: the other device has the first {found.entries} of these {own} entries and lacks {missing}"
        case "ahead":
            return (
                f"ahead, if it says so rightly: the other device has {claimed} entries, this one {own}. Whether they"
                " continue these a code cannot say: sync this device and compare again"
            )
        case "different":
            return (
                f"different: the other device's first {claimed} entries are not this one's. Read the code and the"
                " number again; if both are right, the store has shown the two devices different histories"
            )
        case _:
            return (
                f"unknown: no length of this log, up to {own} entries, has that code as it was given. Either the"
                " other device has read more, or another history, or a digit is wrong. Sync this device and compare"
                " again, compare this device's code over there, or give --entries"
            )


def _not_synced() -> Exception:
    from strongroom.client.vault import NoSuchItem

    return NoSuchItem("this device has not synced yet", hint="run `strongroom sync`")


def _time(at_ms: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
