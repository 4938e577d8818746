"""What a study of instruments found, in sentences made of its figures."""

from collections.abc import Sequence

from market.figures.study import DUMB, SYNCHRONISING, Row, Study


def findings(study: Study) -> tuple[str, ...]:
    """Whether time of use synchronises the fleet, who avoids most of that, and what the spread is of."""
    most = study.penetrations[-1]
    rows = {each.instrument: each for each in study.at(most)}
    if DUMB not in rows or SYNCHRONISING not in rows:
        return ("Dumb charging and a time-of-use tariff are not both in this study: nothing to compare peaks with.",)
    dumb, tou = rows[DUMB], rows[SYNCHRONISING]
    if not tou.figures["over_dumb"].values:
        return ("Nobody drives at this penetration.",)
    tou_kw, dumb_kw = (each.figures["fleet_peak_w"].text(",.0f", per_unit=1e3) for each in (tou, dumb))
    synchronises = (
        f"At {most:.0%} penetration, fleets under the time-of-use tariff draw up to {tou_kw} kW ({tou.peak_at}), "
        f"{tou.figures['over_dumb'].text('.2f')} times the {dumb_kw} kW of dumb charging ({dumb.peak_at})."
    )
    others = [each for name, each in rows.items() if name not in (DUMB, SYNCHRONISING)]
    return (synchronises, *_avoiding(others), *_chance(study))


def _avoiding(rows: Sequence[Row]) -> tuple[str, ...]:
    """Which of several instruments avoids most of the synchronised peak, and which least."""
    if len(rows) < 2:
        return ()
    ranked = sorted(rows, key=lambda row: row.figures["avoided"].mean or 0.0)
    least, most = (f"“{each.title}” avoids {each.figures['avoided'].text('.0%')}" for each in (ranked[0], ranked[-1]))
    return (f"Of that peak, {most}, and {least}; the others lie between.",)


def _chance(study: Study) -> tuple[str, ...]:
    if len(study.seeds) < 2:
        return ()
    return (
        f"Mean ± standard deviation over {len(study.seeds)} seeds: drivers who come at other times, for other energy.",
    )
