"""`flex-aggregator driver-key` and `flex-aggregator plug-codes`."""

from pathlib import Path
from typing import Annotated

import typer

from aggregator_agents.charging.serving.settings import BadServiceFile, read_service
from aggregator_agents.drivers.codes import BadKey, Codes, make_key


def driver_key(file: Annotated[Path, typer.Argument(help="The file to make.")]) -> None:
    """Make the key of the codes at the plugs, in a new file that only its owner can read."""
    try:
        make_key(file)
    except OSError as failure:
        typer.echo(f"{file}: {failure.strerror}", err=True)
        raise typer.Exit(2) from failure


def plug_codes(config: Annotated[Path, typer.Option("--config", help="The TOML file of the service.")]) -> None:
    """Print each plug and the address of its page, to be printed as a QR code and fixed to it."""
    try:
        settings = read_service(config)
        if settings.drivers is None:
            raise BadServiceFile(f"{config}: drivers: is needed for codes")
        codes = Codes.read(settings.drivers.key)
    except (BadServiceFile, BadKey) as failure:
        typer.echo(str(failure), err=True)
        raise typer.Exit(2) from failure
    for plug in settings.site.site().plugs:
        typer.echo(f"{plug.id}\t{settings.drivers.address(codes.code(plug.id))}")
