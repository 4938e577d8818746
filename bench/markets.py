"""Markets to measure: a day of quarter-hours on a loaded network, with an evening peak that its offers can relieve.

Everything is seeded: the same network, number of offers and seed give the same case.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from api_spec.case import Case, Injection
from api_spec.flexibility import CongestionRequest, EnvelopeOffer, VoltageRequest
from api_spec.period import MarketPeriod
from bench.networks import LoadedNetwork
from bench.power_flow import OperatingPoints, PowerFlow
from bench.radial import FloatArray, IntArray, Tree

PERIODS: Final = 96
PEAK: Final = 76  # 19:00
WINDOW: Final = 16  # periods that one offer may change
MAX_PRICE: Final = Decimal(3000)
GOLDEN: Final = 0.6180339887498949  # steps of the golden section spread evenly, however many they are
LOCAL_SHARE: Final = 0.7  # of the network's load; what has less behind it is local


@dataclass(frozen=True)
class Stress:
    """How much is asked of the offers.

    congested : periods in which each requested current limit is exceeded. low : periods in which some voltage is low.
    flexible : part of the load that offers can take away while the peak lasts. whole : whether one of the two congested
    places is that which the whole network hangs on, instead of two local ones. priced : whether energy costs some 40 to
    110 EUR/MWh over the day instead of nothing, so that every fleet and every loss counts in every period. shifted :
    whether fleets take back within their windows all that they leave out, instead of doing without it.
    """

    congested: int
    low: int
    flexible: float
    whole: bool = False
    priced: bool = False
    shifted: bool = False


LOCAL: Final = Stress(congested=22, low=24, flexible=0.45)
WIDE: Final = Stress(congested=32, low=28, flexible=0.6, whole=True)
PRICED: Final = Stress(congested=22, low=24, flexible=0.45, priced=True)
SHIFTED: Final = Stress(congested=10, low=10, flexible=0.9, shifted=True)
SCARCE: Final = Stress(congested=36, low=34, flexible=0.45, whole=True)  # some limits stay unmet


def market(loaded: LoadedNetwork, offers: int, *, stress: Stress = LOCAL, seed: int = 7) -> Case:
    """A case on this network: congestion at two places, a voltage band, and `offers` charging fleets.

    Limits lie where the baseline exceeds them in a given number of periods; the shape of the day makes that some 10 %
    at the peak. However many the offers are, together they can take away about `stress.flexible` of the evening's load.
    """
    network = loaded.network
    random = np.random.default_rng([seed, len(network.buses)])
    tree = Tree.of(network)
    p_w, q_var = load_of_a_day(loaded, random)
    points = PowerFlow(network).solve(p_w, q_var)
    drawing = np.flatnonzero(loaded.p_w)
    return Case(
        name=f"{len(network.buses)} buses, {offers} offers",
        market_period=MarketPeriod.model_validate(
            {"start": "2026-01-15T00:00:00+01:00", "resolution": "PT15M", "count": PERIODS}
        ),
        network=network,
        baseline=tuple(
            Injection(bus=network.bus_ids[at], p_w=tuple(p_w[:, at].tolist()), q_var=tuple(q_var[:, at].tolist()))
            for at in drawing
        ),
        energy_price_eur_per_mwh=_prices() if stress.priced else None,
        requests=(*_congestion(tree, loaded, points, stress), _voltage(points, stress)),
        offers=_fleets(tree, loaded, offers, stress, random),
    )


def day_shape(periods: FloatArray) -> FloatArray:
    """Load relative to the peak: low at night, a shoulder in the morning, a broad peak in the evening."""
    morning, evening = (
        np.exp(-0.5 * ((periods - middle) / width) ** 2) for middle, width in ((PEAK - 42, 8), (PEAK, 18))
    )
    shape: FloatArray = 0.5 + 0.2 * morning + 0.5 * evening
    return shape


def load_of_a_day(loaded: LoadedNetwork, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """(period, bus) consumption in whole [W], [var]: every bus has its peak somewhat earlier or later, and noise."""
    buses = len(loaded.p_w)
    own = day_shape(np.arange(PERIODS)[:, None] + random.normal(0.0, 2.0, buses))
    own *= 1 + random.normal(0.0, 0.03, (PERIODS, buses))
    return (own * loaded.p_w).round(), (own * loaded.q_var).round()


def _prices() -> tuple[Decimal, ...]:
    return tuple(Decimal(f"{price:.2f}") for price in 140 * day_shape(np.arange(PERIODS, dtype=np.float64)) - 28)


def _congestion(tree: Tree, loaded: LoadedNetwork, points: OperatingPoints, stress: Stress) -> list[CongestionRequest]:
    """Limits that the baseline current of two elements exceeds in `stress.congested` periods."""
    requests = []
    for number, element in enumerate(congested_elements(tree, loaded, whole=stress.whole), start=1):
        current = points.current_a[:, loaded.network.element_ids.index(element)]
        limit_a = float(f"{_nth_largest(current, stress.congested):.4g}")
        requests.append(
            CongestionRequest(
                id=f"congestion-{number}",
                kind="congestion",
                element=element,
                limit_a=limit_a,
                max_price_eur_per_mwh=MAX_PRICE,
            )
        )
    return requests


def congested_elements(tree: Tree, loaded: LoadedNetwork, *, whole: bool) -> tuple[str, str]:
    """Two places: the local element with most load behind it, or the one with the `whole` network's, and another.

    The other is local, too: the smallest transformer, or where that is not local, the element with most load that is
    not on the way of a local first.
    """
    names = {branch: name for name, branch in tree.branch_of.items()}
    behind = tree.flows(loaded.p_w[None])[0] / loaded.p_w.sum()
    local = behind < LOCAL_SHARE
    first = int(np.argmax(behind if whole else behind * local))
    smallest = min(loaded.network.transformers, key=lambda each: each.rated_va, default=None)
    if smallest is not None and local[tree.branch_of[smallest.id]]:
        return names[first], smallest.id
    other = local if whole else local & ~_on_the_way(tree, first)
    return names[first], names[int(np.argmax(behind * other))]


def _on_the_way(tree: Tree, branch: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(branch,) where power of `branch` flows: the branch, what is before it and what is behind it."""
    marker = np.zeros((1, tree.buses))
    marker[0, tree.to_bus[branch]] = 1
    before = tree.flows(marker)[0] > 0
    behind = marker[0]
    for start, end in zip(tree.from_bus, tree.to_bus, strict=True):
        behind[end] += behind[start]
    on_it: np.ndarray[tuple[int], np.dtype[np.bool_]] = before | (behind[tree.to_bus] > 0)
    return on_it


def _voltage(points: OperatingPoints, stress: Stress) -> VoltageRequest:
    """A band whose lower end the lowest voltage misses in `stress.low` periods, and whose upper end nothing exceeds."""
    lowest = np.floor(_nth_largest(-points.voltage_pu.min(axis=1), stress.low) * -1e4) / 1e4
    highest = max(1.05, float(np.ceil(points.voltage_pu.max() * 100) / 100))
    return VoltageRequest(
        id="voltage",
        kind="voltage",
        buses="all",
        min_pu=round(float(lowest), 4),
        max_pu=highest,
        max_price_eur_per_mwh=MAX_PRICE,
    )


def _nth_largest(values: FloatArray, rank: int) -> float:
    """What `rank` of the values exceed."""
    return float(np.sort(values)[-rank - 1])


def _fleets(
    tree: Tree, loaded: LoadedNetwork, offers: int, stress: Stress, random: np.random.Generator
) -> tuple[EnvelopeOffer, ...]:
    """Fleets whose power may be reduced in a window of WINDOW periods, by less energy than the window could give.

    Half of them arrive in the afternoon, so that their windows cover the evening, the others at any time; neighbours
    arrive at different times. A bus has an offer the more likely the more load it has; expected flexibility is
    `stress.flexible` of its load while the peak lasts.
    """
    bus, weight = _buses_of(tree, loaded, offers, random)
    hour = (random.random() + GOLDEN * np.arange(offers)) % 1
    evening = PEAK - 18 + 2 * hour * 21
    first = np.where(hour < 0.5, evening, (2 * hour - 1) * (PERIODS - WINDOW + 1)).astype(int)
    present = 0.5  # of all offers in an average period of the peak
    expected_w = stress.flexible * loaded.p_w[bus] / (offers * weight * present)
    power_w = np.maximum(1, (expected_w * random.uniform(0.6, 1.4, offers)).round()).astype(int)
    energy_wh = np.maximum(1, (power_w * WINDOW / 4 * random.uniform(0.35, 0.75, offers)).round()).astype(int)
    price = random.uniform(20, 150, offers)
    return tuple(
        _fleet(f"o{number}", loaded.network.bus_ids[at], start, most, energy, Decimal(f"{ask:.2f}"), stress)
        for number, (at, start, most, energy, ask) in enumerate(
            zip(*(each.tolist() for each in (bus, first, power_w, energy_wh, price)), strict=True), start=1
        )
    )


def _fleet(name: str, bus: str, start: int, most_w: int, energy_wh: int, ask: Decimal, stress: Stress) -> EnvelopeOffer:
    """One that leaves out up to `energy_wh` in its window; where it shifts, none of it is left out at the end."""
    nothing = (0,) * PERIODS
    after = PERIODS - WINDOW - start
    owed = (0,) * start + (-energy_wh,) * (WINDOW - 1) + (0,) * (after + 1)
    return EnvelopeOffer(
        id=name,
        participant=f"agg{int(name[1:]) % 10}",
        bus=bus,
        kind="envelope",
        power_w_min=(0,) * start + (-most_w,) * WINDOW + (0,) * after,
        power_w_max=(0,) * start + (most_w,) * WINDOW + (0,) * after if stress.shifted else nothing,
        energy_wh_min=owed if stress.shifted else (-energy_wh,) * PERIODS,
        energy_wh_max=nothing,
        price_eur_per_mwh=ask,
    )


def _buses_of(
    tree: Tree, loaded: LoadedNetwork, offers: int, random: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """(offer,) the bus of every offer and the bus's share of all offers.

    Systematic sampling along the feeders, half by load and half evenly over the buses with load, so that a hundred
    offers are spread as well as ten thousand.
    """
    order = tree.depth_first[loaded.p_w[tree.depth_first] > 0]
    share = 0.5 * loaded.p_w[order] / loaded.p_w.sum() + 0.5 / len(order)
    steps = (np.arange(offers) + random.random()) / offers
    drawn = np.searchsorted(np.cumsum(share), steps).clip(max=len(order) - 1)
    return order[drawn], share[drawn]
