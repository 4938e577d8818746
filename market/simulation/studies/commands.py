"""What `flexmarket study` does: runs, writes, prints."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from market.figures.strategies import COLUMNS as STRATEGY_COLUMNS
from market.figures.strategies import Strategies, write_strategies_report
from market.figures.study import Study
from market.figures.study_report import read_study, write_study_report
from market.figures.study_table import COLUMNS
from market.logs import configure as configure_logs
from market.simulation import SCENARIOS
from market.simulation.occupied import FolderInUse
from market.simulation.scenario import BadScenario, read_scenario
from market.simulation.studies.instruments import SHIPPED, read_catalogue
from market.simulation.studies.pieces import keep_inputs, named, run_pieces
from market.simulation.studies.playing import Played, run_game, write_strategies
from market.simulation.studies.strategies import SHIPPED as SHIPPED_PLAYS
from market.simulation.studies.strategies import games_of, read_plays
from market.simulation.studies.study import QUICK, cells_of, run_study, shares, write_tables
from market.simulation.studies.watched import run_watched
from market.terminal import BAD_INPUT, console, print_whole, stop


def study_instruments(
    scenario_file: Path | None,
    *,
    penetration: str,
    quick: bool,
    instruments: str | None,
    catalogue_file: Path | None,
    out: Path,
    workers: int | None,
    cluster: str | None,
) -> None:
    """Run what is missing of a study, and write and print all of it; see market.simulation.studies.study."""
    configure_logs("console", "warning")
    file = scenario_file or SCENARIOS / "risoe-homes.toml"
    try:
        scenario, catalogue = read_scenario(file), read_catalogue(catalogue_file)
        asked = named(instruments, catalogue.instruments, "instrument")
        cells = cells_of(scenario, catalogue, asked, QUICK if quick else shares(penetration))
        cells = keep_inputs(cells, out, scenario=file, catalogue=catalogue_file or SHIPPED, name="instruments")
    except (BadScenario, FolderInUse) as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    except OSError as failure:
        raise stop(f"{out}: cannot be written ({failure.strerror})", status=BAD_INPUT) from failure

    outcomes, failed = run_watched(
        cells,
        lambda each: f"{each.instrument} {each.penetration:.0%}",
        lambda executor, told: run_study(cells, folder=out, executor=executor, told=told),
        workers=workers,
        cluster=cluster,
    )
    if not outcomes:
        raise stop("no cell could be run", status=1)
    write_tables(outcomes, catalogue, scenario, out)
    report = write_study_report(out)
    found = read_study(out)
    for table in study_tables(found):
        print_whole(table)
    console.print(found.finding(), highlight=False, soft_wrap=True)
    console.print(f"Folder  {out}\nReport  {report}", highlight=False, soft_wrap=True)
    if failed:
        raise stop(f"{len(failed)} of {len(cells)} cells failed; the same command tries them again", status=1)


def study_strategies(
    scenario_file: Path | None,
    *,
    player: str | None,
    days: int | None,
    designs: str | None,
    strategies: str | None,
    plays_file: Path | None,
    out: Path,
    workers: int | None,
    cluster: str | None,
) -> None:
    """Run what is missing of a study, and write and print all of it; see market.simulation.studies.strategies."""
    configure_logs("console", "warning")
    file = scenario_file or SCENARIOS / "risoe-rivals.toml"
    try:
        plays, scenario = read_plays(plays_file), read_scenario(file)
        asked = {
            "designs": named(designs, plays.designs, "design"),
            "strategies": named(strategies, plays.strategies, "strategy"),
        }
        scenario = scenario if days is None else scenario.model_copy(update={"days": days})
        games = games_of(scenario, plays, player=player, **asked)
        games = keep_inputs(games, out, scenario=file, catalogue=plays_file or SHIPPED_PLAYS, name="strategies")
    except (BadScenario, FolderInUse) as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    except OSError as failure:
        raise stop(f"{out}: cannot be written ({failure.strerror})", status=BAD_INPUT) from failure
    played, failed = run_watched(
        games,
        lambda each: f"{each.strategy}, {each.design}",
        lambda executor, told: run_pieces(games, run_game, Played, folder=out, executor=executor, told=told),
        workers=workers,
        cluster=cluster,
    )
    if not played:
        raise stop("no game could be run", status=1)
    write_strategies(played, plays, scenario, games[0].player, out)
    report = write_strategies_report(out)
    found = Strategies.at(out)
    for table in strategy_tables(found):
        print_whole(table)
    for each in found.findings():
        console.print(each, highlight=False, soft_wrap=True)
    console.print(f"Folder  {out}\nReport  {report}", highlight=False, soft_wrap=True)
    if failed:
        raise stop(f"{len(failed)} of {len(games)} games failed; the same command tries them again", status=1)


def strategy_tables(study: Strategies) -> list[Table]:
    """One for each design."""
    found = []
    for design, title in study.designs.items():
        table = Table("", title=title, title_justify="left", box=SIMPLE_HEAD)
        for column in STRATEGY_COLUMNS:
            table.add_column(column.heading, justify="right", no_wrap=True)
        for row in study.of(design):
            table.add_row(study.strategies[row["strategy"]], *(column.text(row) for column in STRATEGY_COLUMNS))
        if table.row_count:
            found.append(table)
    return found


def study_tables(study: Study) -> list[Table]:
    """One for each penetration, of what a terminal has room for."""
    columns = [each for each in COLUMNS if each.short]
    found = []
    for share in study.penetrations:
        table = Table(title=f"{share:.0%} of homes with a vehicle", title_justify="left", box=SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for column in columns:
            table.add_column(column.heading, justify="right", no_wrap=True)
        for row in study.at(share):
            table.add_row(row.title, *(column.text(study, row) for column in columns))
        found.append(table)
    return found
