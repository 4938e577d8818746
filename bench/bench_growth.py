"""Growth: grown 10 kV networks of 600 to 3000 buses, congested at two feeders, 96 quarter-hours.

Time and peak memory of one clearing in a process of its own, above its imports, the case included; (a) as in the table
of clearing, only where it is not too large.
"""

from collections.abc import Iterator
from typing import Final

from bench.alone import clear_alone
from bench.lindistflow import solve_matrices
from bench.linear_market import LinearMarket
from bench.markets import PERIODS
from bench.measuring import Options, Row, progress, ratio

SIZES: Final = ((600, 10_000), (1_000, 10_000), (3_000, 10_000), (3_000, 20_000))
WITH_ANCHOR: Final = (600, 10_000)


def run(options: Options) -> Iterator[Row]:
    for buses, offers in options.chosen(SIZES[:1] if options.quick else SIZES):
        progress(f"growth: {buses} buses, {offers} offers")
        case = options.case(buses, offers)
        ours = clear_alone(case)
        with_anchor = (buses, offers) == WITH_ANCHOR and not options.quick
        a = solve_matrices(LinearMarket.of(case)).seconds if with_anchor else None
        yield {
            "buses / offers": f"{buses} / {offers}",
            "ours s": f"{ours.seconds:.2f}",
            "us per bus and period": f"{ours.seconds / buses / PERIODS * 1e6:.0f}",
            "peak MB": f"{ours.peak_mb:.0f}",
            "of it the case": f"{ours.case_mb:.0f}",
            "status": ours.status,
            "(a) s": "" if a is None else f"{a:.2f}",
            "ours / (a)": "" if a is None else ratio(ours.seconds, a),
        }
