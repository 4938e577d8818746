"""`flex-aggregator chargers`: emulated charge points of a TOML file, all in one process or one of them alone."""

import asyncio
import logging
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from aggregator_agents.charging.chargepoint.running import Record, journal, run_all
from aggregator_agents.charging.chargepoint.settings import ChargePointsFile
from api_spec.toml_file import BadFile, read_toml


def chargers(
    config: Annotated[Path, typer.Option("--config", help="The TOML file of the charge points.")],
    only: Annotated[str | None, typer.Option(help="Run this one alone.")] = None,
    write: Annotated[str | None, typer.Option("--journal", help="Append what they draw, JSON lines; - prints.")] = None,
    log: Annotated[Literal["debug", "info", "warning"], typer.Option(help="What to write to stderr.")] = "info",
) -> None:
    """Run emulated charge points with their vehicles against a central system, until interrupted."""
    settings = _read(config)
    logging.basicConfig(level=log.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    if only is not None:
        chosen = tuple(each for each in settings.charge_points if each.id == only)
        if not chosen:
            raise _stop(f'{config}: no charge point "{only}"')
        settings = settings.model_copy(update={"charge_points": chosen})
    with ExitStack() as files, suppress(KeyboardInterrupt):
        asyncio.run(run_all(settings, _journal(write, files)))


def _journal(write: str | None, files: ExitStack) -> Record | None:
    if write is None:
        return None
    if write == "-":
        return journal(sys.stdout)
    return journal(files.enter_context(Path(write).open("a", encoding="utf-8")))


def _read(path: Path) -> ChargePointsFile:
    try:
        return read_toml(path, ChargePointsFile)
    except BadFile as failure:
        raise _stop(str(failure)) from failure


def _stop(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(2)
