"""What a place would have drawn without its award: one function per method, over its meter history. Pure.

Every method answers whole watts with where they come from, so that what is settled against can be looked through. The
nominated baseline is no method of its own here: it is what the participant said before the gate.
"""

from collections.abc import Sequence

from api_spec.metering import Calendar
from api_spec.product import BaselineMethod
from market.ledger.baselines.history import Metered, MeterHistory, Record, by_place
from market.ledger.baselines.methods import (
    DAY_MATCHING,
    Computed,
    Event,
    Member,
    control_group,
    members,
    meter_before,
    meter_before_after,
    mid_8_of_10,
    ten_of_ten_adjusted,
    undelivered,
    usual_w,
)

__all__ = [
    "DAY_MATCHING",
    "Computed",
    "Event",
    "Member",
    "MeterHistory",
    "Metered",
    "Record",
    "baseline_by",
    "by_place",
    "control_group",
    "members",
    "meter_before",
    "meter_before_after",
    "mid_8_of_10",
    "ten_of_ten_adjusted",
    "undelivered",
    "usual_w",
]


def baseline_by(
    method: BaselineMethod, event: Event, own: Record, *, group: Sequence[Member], calendar: Calendar
) -> Computed:
    """The baseline of one place by a method of the product catalogue other than "nominated".

    group : places without an award in this delivery, for "control_group". Raises HistoryTooShort, ReadingsMissing.
    """
    match method:
        case "mid_8_of_10":
            return mid_8_of_10(event, own, calendar)
        case "10_of_10_adjusted":
            return ten_of_ten_adjusted(event, own, calendar)
        case "meter_before":
            return meter_before(event, own)
        case "meter_before_after":
            return meter_before_after(event, own)
        case "control_group":
            return control_group(event, own, group, calendar)
        case "nominated":
            raise ValueError("a nominated baseline is read, not computed")
