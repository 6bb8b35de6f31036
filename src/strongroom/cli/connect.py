"""``strongroom connect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strongroom.cli.options import AcceptSimulated, AsJson, Home, PolicyFile, RootFile

__all__ = ["connect"]


def connect(
    address: Annotated[
        str | None,
        typer.Argument(help="An invitation (strongroom1:… or @FILE) or an address; this device's store by default."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", help="Loopback address and port to listen on.", metavar="ADDRESS:PORT")
    ] = None,
    socket: Annotated[
        Path | None, typer.Option("--socket", help="Unix socket to listen on, for this user alone.", metavar="PATH")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1.0, help="Seconds to wait for the service each time.")
    ] = 60.0,
    root: RootFile = None,
    policy: PolicyFile = None,
    accept_simulated_platform: AcceptSimulated = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let programs on this machine talk plain http to an attested service, and to nothing else.

    Verifies the service first and says what was proven; then forwards until it is told to stop (SIGTERM or Ctrl-C).
    A service that was restarted proves itself again before anything more is forwarded.

    Example: strongroom connect strongroom1:… --listen 127.0.0.1:7800

    Example: strongroom connect strongroom1:… --socket ~/store.sock
    """
    from strongroom.base.errors import Misconfigured
    from strongroom.cli.forwarding import Forwarding, forward
    from strongroom.cli.measured import measure_store
    from strongroom.cli.options import home_directory
    from strongroom.cli.wanted import Wanted
    from strongroom.client.profile import load_profile
    from strongroom.client.trust import terms_of

    if (listen is None) == (socket is None):
        raise Misconfigured("give either --listen or --socket", setting="listen")
    directory = home_directory(home)
    if address is not None:
        wanted = Wanted.parse(address, accept_simulated_platform=accept_simulated_platform, root=root, policy=policy)
        url, terms, machines = wanted.url, wanted.terms(), wanted.machines
    elif root is not None or policy is not None or accept_simulated_platform:
        raise Misconfigured("without an address, this device's own terms hold", hint="give an address or an invitation")
    else:
        trust = load_profile(directory).trust
        url, terms, machines = trust.url, terms_of(trust, measure_store()), trust.machines
    forward(
        Forwarding(
            url=url,
            terms=terms,
            home=directory,
            machines=machines,
            listen=listen,
            socket=socket,
            timeout_seconds=timeout,
            as_json=as_json,
        )
    )
