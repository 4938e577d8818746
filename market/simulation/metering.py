"""Instruments in a DSO's network: what they make of the truth, and when it arrives.

A reading is the truth's mean over a step, times what its instrument is off by (normal, three standard deviations are
its accuracy class), unless the instrument is bad, silent, or the reading is lost. All of it is a function of seed,
instrument and time, so that readings are the same in whatever order and however often they are asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import Field, field_validator, model_validator

from api_spec.calendar import days_later
from api_spec.defects import refuse
from api_spec.grid import Phase
from api_spec.grid_metering import End, GridReading, Quantity
from api_spec.ids import BusId, ElementId
from api_spec.period import Duration, MarketPeriod
from api_spec.units import Count, Fraction, Message, NonNegative, Positive
from market.network import Grid, OperatingPoints
from market.network.model import BASE_VA, PHASES, ROOT_3, BoolArray, FloatArray

Truth: TypeAlias = Callable[[MarketPeriod], OperatingPoints]
"""What really flowed, as the operating point of each step of a period that is over."""
BadKind = Literal["stuck", "scaled", "swapped", "spikes"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_SIGMAS_OF_CLASS: Final = 3
_LONGEST_SILENCE_DAYS: Final = 7


class BadInstruments(Message):
    """Instruments whose readings are wrong without saying so.

    share : of all instruments. kinds : which of them are bad in which way is drawn: stuck repeats all day what it
    measured first; scaled is off by one of `factors` (a transformer's ratio, a phase that is not connected); swapped
    has P and Q with the other sign; spikes multiplies a share `spike_share` of its readings by `spike`.
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
    """At the low-voltage end of transformers. elements : which; absent = all, or where there is none the lines out of
    the source. voltage_v : of the bus there.
    """

    elements: tuple[ElementId, ...] | None = None
    quantities: Annotated[tuple[Quantity, ...], Field(min_length=1)] = ("p_w", "q_var", "voltage_v")
    accuracy_class: Annotated[Positive, Field(le=100)] = 0.5


class MeteringTable(Message):
    """What is measured. history_days : so many days before the scenario begins, when no fleet was there yet, were."""

    smart: SmartMeters | None = None
    substations: Substations | None = None
    history_days: Annotated[Count, Field(le=400)] = 0
