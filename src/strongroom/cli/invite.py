"""``strongroom invite``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AsJson, ConfigFile, Database, DatabasePasswordFile

__all__ = ["invite"]


def invite(
    config: ConfigFile = None,
    data: Annotated[Path | None, typer.Option("--data", help="Directory of the store's database.")] = None,
    simulated_platform: Annotated[
        Path | None, typer.Option("--simulated-platform", help="Directory of the simulated platform.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Address under which clients will reach the store.")] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Policy file that clients have to use; its digest is named.", metavar="TOML"),
    ] = None,
    machine: Annotated[
        list[str] | None,
        typer.Option("--machine", help="Id of a machine that clients accept, or `this`; repeatable.", metavar="HEX"),
    ] = None,
    notice_key: Annotated[
        str | None,
        typer.Option("--notice-key", help="Public key, as `strongroom notice key` prints it.", metavar="HEX"),
    ] = None,
    qr: Annotated[bool, typer.Option("--qr", help="Draw it as a QR code as well.")] = False,
    qr_file: Annotated[
        Path | None, typer.Option("--qr-file", help="Write the QR code to this .svg or .png file.", metavar="FILE")
    ] = None,
    database: Database = None,
    database_password_file: DatabasePasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Print an invitation to a deployment that exists.

    What is said beside the address narrows what clients accept: a policy, machines. A notice key is one whose
    distrust notices they believe beside the deployment's own. Clients keep what they were invited with.

    Example: strongroom invite --data store --simulated-platform platform --url https://vault.example --machine this

    Example: strongroom invite --data store --simulated-platform platform --url https://vault.example --qr
    """
    import os

    from strongroom.base.errors import Misconfigured
    from strongroom.cli.config import load_for_deployment
    from strongroom.cli.databases import StorageSettings
    from strongroom.cli.deployments import opened_deployment
    from strongroom.cli.hexadecimal import from_hex
    from strongroom.cli.invitations import qr_for_terminal, write_qr
    from strongroom.cli.output import emit, emit_json, note
    from strongroom.cli.wanted import read_file
    from strongroom.client.invitation import MAX_MACHINES, Invitation
    from strongroom.formats.instance_certificate import machine_id
    from strongroom.verifier.anchors import Anchor
    from strongroom.verifier.policy_compose import policy_from_toml

    digest = None if policy is None else policy_from_toml(read_file(policy)).digest
    flags = {
        "store.data": data,
        "store.simulated_platform": simulated_platform,
        "store.url": url,
        "database.url": database,
        "database.password_file": database_password_file,
    }
    loaded = load_for_deployment(config, os.environ, flags)
    directory, platform_directory = loaded.store.directories
    settings = StorageSettings(
        data=directory, database=loaded.database.url or None, password_file=loaded.database.password_file
    )
    with opened_deployment(settings, platform_directory) as (deployment, attester, platform):
        this = machine_id(attester.platform_id)
        named = [this if text == "this" else from_hex(text, setting="machine") for text in machine or ()]
        if len(named) > MAX_MACHINES:
            raise Misconfigured(f"an invitation names at most {MAX_MACHINES} machines", setting="machine")
        invitation = Invitation(
            url=loaded.store.url,
            deployment=deployment.deployment_id,
            simulated_root=Anchor.from_certificate(platform.root_certificate_pem, simulated=True).spki,
            policy_digest=digest,
            machines=tuple(named),
            notice_key=None if notice_key is None else from_hex(notice_key, setting="notice-key"),
        )
    text = invitation.to_text()
    Invitation.from_text(text)  # what cannot be read must not be handed out
    if qr_file is not None:
        write_qr(text, qr_file)
    if as_json and qr:
        raise Misconfigured("--json and --qr are two forms of one answer; --qr-file goes with both", setting="qr")
    if as_json:
        emit_json(
            {
                "invitation": text,
                "deployment": invitation.deployment.hex(),
                "policy_digest": None if digest is None else digest.hex(),
                "machines": [item.hex() for item in invitation.machines],
                "notice_key": None if invitation.notice_key is None else invitation.notice_key.hex(),
                "this_machine": this.hex(),
                "simulated": True,
            }
        )
        return
    note("simulated platform: the evidence proves the code path and no hardware")
    emit(text)
    if qr:
        emit(qr_for_terminal(text))
