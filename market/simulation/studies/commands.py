"""What `flexmarket study` does: each study as what is to be run, and what its folder is to say."""

from pathlib import Path

from market.figures.observability import observability_page
from market.figures.strategies import strategies_page
from market.figures.study_report import instruments_page
from market.simulation import SCENARIOS
from market.simulation.scenario import locate_scenario, read_scenario
from market.simulation.studies import instruments as frameworks
from market.simulation.studies import observability, playing, seeing, strategies
from market.simulation.studies.cells import Cell, CellOutcome, run_cell
from market.simulation.studies.frame import Undertaking, conduct
from market.simulation.studies.pieces import named
from market.simulation.studies.study import QUICK, cells_of, seeds_of, shares, write_tables


def study_instruments(
    scenario_file: Path | None,
    *,
    penetration: str,
    quick: bool,
    seeds: str | None,
    on_arrival: bool,
    instruments: str | None,
    catalogue_file: Path | None,
    out: Path,
    workers: int | None,
    cluster: str | None,
) -> None:
    """See market.simulation.studies.study."""

    def planned() -> Undertaking[Cell, CellOutcome]:
        file = locate_scenario(scenario_file or SCENARIOS / "risoe-homes.toml")
        scenario, written = read_scenario(file), frameworks.read_catalogue(catalogue_file)
        catalogue = frameworks.unanswered(written) if on_arrival else written
        asked = named(instruments, catalogue.instruments, "instrument")
        return Undertaking(
            what="cell",
            pieces=cells_of(scenario, catalogue, asked, QUICK if quick else shares(penetration), seeds=seeds_of(seeds)),
            name=lambda each: each.name,
            run=run_cell,
            kind=CellOutcome,
            inputs={"scenario": file, "instruments": catalogue_file or frameworks.SHIPPED},
            write=lambda came, folder: write_tables(came, catalogue, scenario, folder),
            page=instruments_page,
        )

    conduct(out, planned, workers=workers, cluster=cluster)


def study_observability(
    scenario_file: Path | None,
    *,
    names: str | None,
    degrees_file: Path | None,
    history_days: int,
    seeds: str | None,
    out: Path,
    workers: int | None,
    cluster: str | None,
) -> None:
    """See market.simulation.studies.observability."""

    def planned() -> Undertaking[observability.Task, seeing.Seen]:
        file = locate_scenario(scenario_file or SCENARIOS / "risoe-observed.toml")
        scenario, degrees = read_scenario(file), observability.read_degrees(degrees_file)
        asked = named(names, degrees.degrees, "degree")
        return Undertaking(
            what="degree",
            pieces=observability.tasks_of(scenario, degrees, asked, history_days=history_days, seeds=seeds_of(seeds)),
            name=lambda each: each.label,
            run=seeing.run_task,
            kind=seeing.Seen,
            inputs={"scenario": file, "degrees": degrees_file or observability.SHIPPED},
            write=lambda came, folder: seeing.write_tables(came, degrees, scenario, folder),
            page=observability_page,
        )

    conduct(out, planned, workers=workers, cluster=cluster)


def study_strategies(
    scenario_file: Path | None,
    *,
    player: str | None,
    days: int | None,
    designs: str | None,
    ways: str | None,
    plays_file: Path | None,
    out: Path,
    workers: int | None,
    cluster: str | None,
) -> None:
    """See market.simulation.studies.strategies."""

    def planned() -> Undertaking[strategies.Game, playing.Played]:
        file = locate_scenario(scenario_file or SCENARIOS / "risoe-rivals.toml")
        plays, written = strategies.read_plays(plays_file), read_scenario(file)
        scenario = written if days is None else written.model_copy(update={"days": days})
        asked = {
            "designs": named(designs, plays.designs, "design"),
            "strategies": named(ways, plays.strategies, "strategy"),
        }
        games = strategies.games_of(scenario, plays, player=player, **asked)
        return Undertaking(
            what="game",
            pieces=games,
            name=lambda each: f"{each.strategy}, {each.design}",
            run=playing.run_game,
            kind=playing.Played,
            inputs={"scenario": file, "strategies": plays_file or strategies.SHIPPED},
            write=lambda came, folder: playing.write_strategies(came, plays, scenario, games[0].player, folder),
            page=strategies_page,
        )

    conduct(out, planned, workers=workers, cluster=cluster)
