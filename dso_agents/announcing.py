"""Critical windows of a dynamic capacity tariff, announced where congestion is expected. Pure but for its own table."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api_spec.tariffs import CriticalWindow
from api_spec.units import Message
from dso_agents.congestion import Congestion
from dso_agents.requests import widened


class Announcing(Message):
    """What the DSO announces: windows in which power is dear.

    tariff : id or name of its own tariff with a critical component. shoulder : periods before and after a congested one
    that are part of the window, so that what is moved away does not congest the network just beside it.
    """

    tariff: Annotated[str, Field(min_length=1, max_length=100)]
    shoulder: Annotated[int, Field(strict=True, ge=0, le=96)] = 4


def critical_windows(congested: Congestion, shoulder: int, *, not_before: datetime) -> tuple[CriticalWindow, ...]:
    """Spans in which something is expected to leave its limits, wherever in the network, each with its shoulders.

    not_before : what begins earlier is too late to announce; the rest of such a window is announced.
    """
    period = congested.period
    affected = [each.affected for each in congested.overloads] + [each.affected for each in congested.violations]
    inside = tuple(any(each[at] for each in affected) for at in range(period.count))
    found: list[CriticalWindow] = []
    for start, critical in zip(period.starts(), widened(inside, shoulder), strict=True):
        end = start + period.resolution
        if not critical or start < not_before:
            continue
        if found and found[-1].end == start:
            found[-1] = CriticalWindow(start=found[-1].start, end=end)
        else:
            found.append(CriticalWindow(start=start, end=end))
    return tuple(found)
