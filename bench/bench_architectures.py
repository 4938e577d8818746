"""Control architectures: the same working day at a lot of 8 chargers behind 63 A.

Of it, 30 A were promised for 1.5 h. "bad lines" lose 30 % and take 0.5 to 25.5 s, so that messages overtake each other;
"lines lost" is 45 min without any around the begin of the award, in which "kW then" is what the site draws, of 20.7.
"""

from collections.abc import Iterator
from typing import get_args

from aggregator_agents.emulation.comparison import Kind, Trouble, live
from bench.measuring import Options, Row, progress

SEEDS = 5


def run(options: Options) -> Iterator[Row]:
    seeds = range(1 if options.quick else SEEDS)
    for trouble in get_args(Trouble):
        for kind in get_args(Kind):
            progress(f"architectures: {kind}, {trouble}")
            days = [live(kind, trouble, seed=seed) for seed in seeds]
            count = len(days)
            yield {
                "control": kind,
                "trouble": trouble,
                "kWh a day": f"{sum(each.delivered_wh for each in days) / count / 1000:.0f}",
                "award followed": f"{sum(each.followed for each in days) / count:.0%}",
                "peak A": f"{max(each.peak_a for each in days):.1f}",
                "A s above the fuse": f"{sum(each.above_as for each in days) / count:.1f}",
                "messages": f"{sum(each.messages for each in days) / count:.0f}",
                "kW then": f"{sum(each.lost_w for each in days) / count / 1000:.1f}" if trouble == "lines lost" else "",
            }
