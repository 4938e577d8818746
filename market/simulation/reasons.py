"""Why DSOs asked for what they asked: a table of requests with their reasons."""

from collections.abc import Mapping

import pyarrow as pa

from market.simulation.participant import GivesReasons, Participant
from market.simulation.tidy import times


def requests_table(agents: Mapping[str, Participant], *, auction: str) -> pa.Table:
    """Requests in one auction of every DSO that says why. agents : by the name of the scenario."""
    rows = [
        (name, each)
        for name, agent in agents.items()
        if isinstance(agent, GivesReasons)
        for each in agent.request_log()
        if each.auction == auction
    ]
    return pa.table(
        {
            "asked_at": times(each.asked_at for _, each in rows),
            "participant": pa.array([name for name, _ in rows], pa.string()),
            "kind": pa.array([each.kind for _, each in rows], pa.string()),
            "about": pa.array([each.about for _, each in rows], pa.string()),
            "because": pa.array([each.because for _, each in rows], pa.string()),
        }
    )
