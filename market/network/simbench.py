"""Grids and years of SimBench (Meinecke et al., Energies 13 (2020) 3290), through the package of that name."""

from datetime import datetime, timedelta, timezone
from typing import Any, Final

import numpy as np

from api_spec.grid import Network
from market.errors import BadNetworkFile
from market.network.profiles import Profiles
from market.network.readers.pandapower_json import read_loaded
from market.network.readers.report import library

_START: Final = datetime(2016, 1, 1, tzinfo=timezone(timedelta(hours=1)))
_STEP: Final = timedelta(minutes=15)
_PARTS: Final = (
    ("load", "p_mw", "p", 1e6),
    ("load", "q_mvar", "q", 1e6),
    ("storage", "p_mw", "p", 1e6),
    ("sgen", "p_mw", "p", -1e6),
    ("gen", "p_mw", "p", -1e6),
)
"""Table, column, which power, and its sign as consumption [W or var per MW or Mvar]."""


def read_simbench(code: str) -> tuple[Network, Profiles]:
    """The grid of a code and its year in quarter-hours: loads and storages less generators, at each bus.

    The year is 2016 in Central European Time without summer time; it stands for any year. Raises ReaderUnavailable
    without the packages `simbench` and `pandapower`, BadNetworkFile for a code that SimBench has not.
    """
    simbench = library("simbench", install="simbench")
    if code not in simbench.collect_all_simbench_codes():
        raise BadNetworkFile(code, ["is no SimBench code"])
    net = simbench.get_simbench_net(code)
    read, bus_of = read_loaded(net, name=code)
    power = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    return read.network, _year(code, net, power, bus_of)


def _year(code: str, net: Any, power: Any, bus_of: dict[Any, str]) -> Profiles:
    """Power : by table and column, one column for each element in the order of the net's table."""
    steps = len(next(iter(net.profiles.values())))
    places = tuple(dict.fromkeys(bus_of.values()))
    at = {bus: number for number, bus in enumerate(places)}
    drawn = {"p": np.zeros((steps, len(places))), "q": np.zeros((steps, len(places)))}
    for table, column, which, sign in _PARTS:
        if (table, column) not in power:
            continue
        values = power[table, column].to_numpy()
        for number, row in enumerate(net[table].itertuples()):
            if row.in_service and row.bus in bus_of:
                drawn[which][:, at[bus_of[row.bus]]] += sign * values[:, number]
    loaded = np.flatnonzero((drawn["p"] != 0).any(axis=0) | (drawn["q"] != 0).any(axis=0))
    return Profiles(
        name=code,
        start=_START,
        step=_STEP,
        places=tuple((places[each], None) for each in loaded),
        p_w=drawn["p"][:, loaded],
        q_var=drawn["q"][:, loaded],
        yearly=True,
    )
