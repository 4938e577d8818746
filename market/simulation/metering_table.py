"""The table [metering] of a scenario: which instruments there are, what is wrong with them, and when they send."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from api_spec.grid_metering import Quantity
from api_spec.ids import BusId, ElementId
from api_spec.period import Duration
from api_spec.units import Count, Fraction, Message, NonNegative, Positive

BadKind = Literal["stuck", "scaled", "swapped", "spikes"]

_DAY: Final = timedelta(days=1)


class BadInstruments(Message):
    """Instruments whose readings are wrong without saying so.

    share : of all instruments. kinds : which of them are bad in which way is drawn. stuck repeats all day what is drawn
    around the fleets as it begins. scaled is off by one of `factors`: a transformer's ratio, a phase not connected.
    swapped has P and Q with the other sign. spikes multiplies a share `spike_share` of its readings by `spike`.
    """

    share: Fraction = 0.0
    kinds: Annotated[tuple[BadKind, ...], Field(min_length=1)] = ("stuck", "scaled", "swapped", "spikes")
    factors: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1 / 3, 0.5, 2.0)
    spike_share: Fraction = 0.02
    spike: Positive = 20.0


class Instruments(Message):
    """How some instruments measure and send.

    delay : after the end of a step, until its reading is there. daily_at_h : instead of at once, the readings of a
    local day are sent together at this hour of the next [h]. missing : share of readings that are lost one by one.
    silent : share of time that an instrument says nothing at all, for `silent_hours` on average.
    """

    resolution: Duration = timedelta(minutes=15)
    delay: Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=31))] = timedelta(0)
    daily_at_h: Annotated[NonNegative, Field(lt=24)] | None = None
    accuracy_class: Annotated[Positive, Field(le=100)] = 1.0
    missing: Fraction = 0.0
    silent: Annotated[Fraction, Field(le=0.9)] = 0.0
    silent_hours: Annotated[Positive, Field(le=72)] = 12.0
    bad: BadInstruments = BadInstruments()

    @field_validator("resolution")
    @classmethod
    def _divides_a_day(cls, resolution: timedelta) -> timedelta:
        if _DAY % resolution or resolution % timedelta(minutes=1):
            raise ValueError("must be whole minutes that divide a day")
        return resolution


class SmartMeters(Instruments):
    """At the buses where something is connected. share : of them that have one; buses : instead of that, which.

    A larger share has the meters of every smaller one. On three-phase networks they measure each phase.
    """

    share: Fraction = 1.0
    buses: tuple[BusId, ...] | None = None
    quantities: Annotated[tuple[Literal["p_w", "q_var", "voltage_v"], ...], Field(min_length=1)] = (
        "p_w",
        "q_var",
        "voltage_v",
    )
    daily_at_h: Annotated[NonNegative, Field(lt=24)] | None = 6.0


class Substations(Instruments):
    """At the low-voltage end of transformers.

    elements : which; absent = all, or where there is none the lines out of the source. voltage_v : of the bus there.
    """

    elements: tuple[ElementId, ...] | None = None
    quantities: Annotated[tuple[Quantity, ...], Field(min_length=1)] = ("p_w", "q_var", "voltage_v")
    accuracy_class: Annotated[Positive, Field(le=100)] = 0.5


class MeteringTable(Message):
    """What is measured. history_days : so many days before the scenario begins, when no fleet was there yet, were."""

    smart: SmartMeters | None = None
    substations: Substations | None = None
    history_days: Annotated[Count, Field(le=400)] = 0
