"""Random small markets, balanced and three-phase, as the documents that `Case` reads: strategies for hypothesis.

Ids do not stand in the order of lists, asks are all different, and every limit is there on request only: the network's
own bands are so wide that they do not matter.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.small_cases import Document, bus, curve, document, load

PHASES = "abc"
LARGEST_W = {1: 300_000, 3: 3_000}
"""Load of a bus of a 10 kV network, and of a phase of a 400 V one."""
NOMINAL_V = {1: 10_000.0, 3: 400.0}
MAX_PRICE = 3000.0


@st.composite
def markets(draw: st.DrawFn, *, kinds: tuple[str, ...] = ("curve", "envelope", "block")) -> Document:
    """A radial or meshed network with loads, offers of these kinds, and limits that are a little too tight."""
    phases, periods = draw(st.sampled_from([1, 3])), draw(st.integers(1, 3))
    buses = ["s", *draw(st.permutations([f"b{k}" for k in range(draw(st.integers(2, 4)))]))]
    baseline = [each for name in buses[1:] for each in _loads(draw, name, phases, periods)]
    voltage_pu = draw(st.sampled_from([1.0, 1.02]))
    offers = [_offer(draw, k, buses[1:], phases, periods, kinds) for k in range(draw(st.integers(2, 6)))]
    made = document(
        buses=[bus(name, nominal_v=NOMINAL_V[phases]) for name in buses],
        lines=_lines(draw, buses, phases),
        baseline=baseline,
        offers=offers,
        requests=_requests(draw, buses, phases, baseline, voltage_pu),
        energy=draw(st.sampled_from([[0.0], [60.0], [-15.0]])) * periods,
        resolution=draw(st.sampled_from(["PT15M", "PT1H"])),
        voltage_pu=voltage_pu,
    )
    made["network"]["phases"] = phases
    return made


def _lines(draw: st.DrawFn, buses: list[str], phases: int) -> list[Document]:
    """A tree whose first line carries all, and perhaps one line more that closes a loop behind it."""
    ends = [("s", buses[1])]
    ends += [(buses[draw(st.integers(1, k - 1))], buses[k]) for k in range(2, len(buses))]
    if len(buses) > 3 and draw(st.booleans()):
        ends.append((buses[1], buses[-1]))
    return [_line(draw, f"l{k}", start, end, phases) for k, (start, end) in enumerate(ends, start=1)]


def _line(draw: st.DrawFn, name: str, start: str, end: str, phases: int) -> Document:
    ohm = draw(st.sampled_from([0.5, 0.8, 1.2]))
    between = {"id": name, "from": start, "to": end}
    if phases == 1:
        return {**between, "r_ohm": ohm, "x_ohm": ohm / 2}
    return {**between, "r1_ohm": ohm / 20, "x1_ohm": ohm / 40, "r0_ohm": ohm / 8, "x0_ohm": ohm / 16}


def _loads(draw: st.DrawFn, at: str, phases: int, periods: int) -> list[Document]:
    largest = LARGEST_W[phases]
    power = st.integers(largest // 5, largest)
    return [
        {
            **load(at, *(draw(power) for _ in range(periods)), q_var=(largest / 10,) * periods),
            **({"phase": phase} if phase else {}),
        }
        for phase in (PHASES if phases == 3 else [""])
    ]


def _offer(
    draw: st.DrawFn, number: int, buses: list[str], phases: int, periods: int, kinds: tuple[str, ...]
) -> Document:
    kind, largest = draw(st.sampled_from(kinds)), LARGEST_W[phases]
    # A different fraction for each offer: no two asks are alike.
    ask = draw(st.integers(5, 200)) + (7 * number + 1) / 100
    name, at = f"o{(5 * number + 3) % 8}", draw(st.sampled_from(buses))
    power = draw(st.integers(largest // 5, largest))
    if kind == "curve":
        way = draw(st.sampled_from([-1, -1, 1]))
        steps = [(way * power, ask), (way * power // 2, ask + 30.003)][: draw(st.integers(1, 2))]
        offer = curve(name, at, *steps, count=periods)
    elif kind == "block":
        profile = [draw(st.sampled_from([-power, -power // 2, power // 3])) for _ in range(periods)]
        terms = {"power_w": profile, "min_activation": draw(st.sampled_from([0.3, 0.7, 1.0]))}
        offer = {"id": name, "participant": "agg", "bus": at, "kind": kind, "price_eur_per_mwh": ask, **terms}
    else:
        energy = draw(st.integers(0, 2)) * power // 4
        offer = {
            "id": name,
            "participant": "agg",
            "bus": at,
            "kind": kind,
            "power_w_min": [-power] * periods,
            "power_w_max": [power // 2] * periods,
            "energy_wh_min": [-energy] * periods,
            "energy_wh_max": [energy // 2] * periods,
            "price_eur_per_mwh": ask,
        }
    phase = draw(st.sampled_from(["", *PHASES])) if phases == 3 else ""
    return {**offer, "phase": phase} if phase else offer


def _requests(
    draw: st.DrawFn, buses: list[str], phases: int, baseline: list[Document], voltage_pu: float
) -> list[Document]:
    """A limit on the first line, and on voltages and unbalance now and then."""
    tight = draw(st.floats(0.9, 1.05))
    power_w = np.array([each["p_w"] for each in baseline]).reshape(-1, phases, len(baseline[0]["p_w"])).sum(axis=0)
    total_w, heaviest_w = float(power_w.sum(axis=0).max()), phases * float(power_w.max())
    common: dict[str, Any] = {"dso": "d", "max_price_eur_per_mwh": MAX_PRICE}
    found: list[Document] = [
        {"id": "z", "kind": "capacity", "element": "l1", "import_limit_w": round(tight * total_w), **common}
    ]
    if draw(st.booleans()):
        ampere = tight * heaviest_w / 3**0.5 / NOMINAL_V[phases]
        found[0] = {"id": "z", "kind": "congestion", "element": "l1", "limit_a": round(1.02 * ampere, 1), **common}
    if draw(st.booleans()):
        least = round(voltage_pu - draw(st.sampled_from([0.005, 0.008, 0.011])), 3)
        found.append({"id": "m", "kind": "voltage", "buses": buses[1:], "min_pu": least, "max_pu": 1.1, **common})
    if phases == 3 and draw(st.booleans()):
        found.append(
            {
                "id": "a",
                "kind": "unbalance",
                "buses": "all",
                "max_vuf": draw(st.sampled_from([0.0008, 0.0014, 0.0018])),
                **common,
            }
        )
    return found
