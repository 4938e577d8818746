"""What the platform's own monitoring says of a game, and after how many deliveries it would have said so."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from api_spec.baselines import GamingFinding
from api_spec.surveillance import SurveillanceReport
from api_spec.units import Count, Fraction, Message, Real
from market.ledger.gaming import findings
from market.ledger.surveillance import report_of
from market.simulation.scenario import Scenario
from market.store import UnitOfWork, open_engine
from market.workflow.gaming import nominations
from market.workflow.surveillance import supplied

T = TypeVar("T")


class Noticed(Message):
    """What the operator's reports over all deliveries of a game say.

    nominated : places of the player; overstated : those whose nominations are. inflation_w, overstatement : the largest
    of them, see api_spec.baselines. pivotal_index, ask_score, offer_score : of the player, see api_spec.surveillance.
    alike : whether it asks like somebody else. flagged : whether the monitoring names the player at all; seen_after :
    so many deliveries, and after every later one; absent = it does not. wrongly_flagged : other participants that it
    names.
    """

    nominated: Count
    overstated: Count
    inflation_w: Real
    overstatement: Real
    pivotal_index: Fraction
    ask_score: Real
    offer_score: Real
    alike: bool
    flagged: bool
    seen_after: Count | None
    wrongly_flagged: Count


def noticed(scenario: Scenario, database: Path, *, player: str) -> Noticed:
    """Ask the monitoring of a run that is over. player : the id of its organisation."""
    network, planned = scenario.network_name(), scenario.planned
    since, until = planned[0].delivery.start, planned[-1].delivery.end
    engine = open_engine(f"sqlite:///{database}")
    try:
        with UnitOfWork(engine) as work:
            nominating = nominations(network, since=since, until=until, work=work)
            offering = supplied(network, since=since, until=until, work=work)
    finally:
        engine.dispose()
    reports = [
        (
            findings(network, _until(day.delivery.start, nominating)),
            report_of(network, _until(day.delivery.start, offering), since=since, until=day.delivery.end),
        )
        for day in planned
    ]
    named = [_named(*each) for each in reports]
    gaming, watched = reports[-1]
    own = [each for each in gaming if each.participant == player]
    supplier = next((each for each in watched.suppliers if each.participant == player), None)
    return Noticed(
        nominated=len(own),
        overstated=sum(each.verdict == "overstated" for each in own),
        inflation_w=max((each.inflation_w for each in own), default=0),
        overstatement=max((each.overstatement for each in own), default=0),
        pivotal_index=supplier.pivotal_index if supplier else 0.0,
        ask_score=supplier.ask_score if supplier else 0.0,
        offer_score=supplier.offer_score if supplier else 0.0,
        alike=player in _alike(watched),
        flagged=player in named[-1],
        seen_after=_steadily([player in each for each in named]),
        wrongly_flagged=len(named[-1] - {player}),
    )


def _until(last: datetime, looked_at: Sequence[tuple[datetime, T]]) -> list[T]:
    return [own for start, own in looked_at if start <= last]


def _named(gaming: Sequence[GamingFinding], watched: SurveillanceReport) -> set[str]:
    """Participants that some report names."""
    nominating = {each.participant for each in gaming if each.verdict == "overstated"}
    offering = {each.participant for each in watched.suppliers if each.verdict == "conspicuous"}
    return nominating | offering | _alike(watched)


def _alike(watched: SurveillanceReport) -> set[str]:
    """Participants that ask conspicuously like another one."""
    pairs = (each for each in watched.similarities if each.verdict == "conspicuous")
    return {who for each in pairs for who in (each.first, each.second)}


def _steadily(named: Sequence[bool]) -> int | None:
    """After how many deliveries it is named in that report and in all later ones; None where not in the last."""
    if not named[-1]:
        return None
    return len(named) - next((at for at, each in enumerate(reversed(named)) if not each), len(named)) + 1
