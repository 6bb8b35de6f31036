"""Several store processes of one deployment: on platforms of their own, and of another build of the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import strongroom
from running import PATIENCE_SECONDS, Deployment, Ran, Store, clean_environment, free_port
from running import strongroom as run
from strongroom.cli.measured import measure_store
from strongroom.client.invitation import Invitation

__all__ = ["ACCEPT", "Build", "beside", "new_platform_directory", "platform_id"]

ACCEPT = "--accept-simulated-platform"

_RUN = "import sys; sys.path.insert(0, {path!r}); from strongroom.cli.main import main; sys.exit(main())"


def new_platform_directory(folder: Path, *, beside: Path | None = None) -> Path:
    """Make a simulated platform, of another's manufacturer or of one of its own; gives its directory."""
    ran = run("platform", folder, *(() if beside is None else ("--beside", beside)))
    assert ran.code == 0, ran.err
    folder.with_suffix(".pem").write_text(ran.out)
    return folder


def platform_id(folder: Path) -> str:
    """Give the machine id of a simulated platform, as charters name it."""
    from strongroom.attesters.simulated import SimulatedPlatform
    from strongroom.formats.instance_certificate import machine_id

    return machine_id(SimulatedPlatform.open(folder).platform_id).hex()


def beside(deployment: Deployment, platform: Path) -> Deployment:
    """Describe another instance of a deployment, over the same database, with an invitation to itself."""
    port = free_port()
    invitation = replace(Invitation.from_text(deployment.invitation), url=f"http://127.0.0.1:{port}").to_text()
    return replace(deployment, platform=platform, port=port, invitation=invitation)


class Build:
    """Another build of the package: a copy in which one byte differs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = folder / "strongroom"
        shutil.copytree(Path(strongroom.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        with (package / "__main__.py").open("a") as file:
            file.write("\n")
        self.measurement = measure_store(package).hex()

    @property
    def command(self) -> tuple[str, ...]:
        return (
            sys.executable,
            "-I",
            "-X",
            "pycache_prefix=" + str(self.folder / "cache"),
            "-c",
            _RUN.format(path=str(self.folder)),
        )

    def run(self, *arguments: Any) -> Ran:
        """Run one of its commands."""
        done = subprocess.run(
            [*self.command, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean_environment(),
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.out + ran.err, ran.err
        return ran

    def serve(self, arguments: list[str], log: Path) -> Store:
        """Start its store."""
        return Store(arguments, log, command=self.command)
