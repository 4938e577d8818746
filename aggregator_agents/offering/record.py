"""What drivers did in the past, and what those of today may do by it. Pure.

The estimator is a conditional bootstrap. A past stay is like an announced session by their distance

    d^2 = sum over features f of ((f_past - f_now) / s_f)^2      f : hour of arrival, announced stay, energy asked for

where s_f is the standard deviation of the feature over the record. Of an announced session each of its NEAREST past
stays is equally likely to happen again:

    departs = announced departure + (real - announced departure of the past stay)
    energy  = asked for x (taken / asked for of the past stay)

A vehicle that is there already, for a while, can only stay as those did that stayed at least that long, and one that
has taken something takes no less. Drivers are drawn independently, so sums over vehicles have the spread of sums, and
not the sum of spreads.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np

from aggregator_agents.fleet import FloatArray, Session
from aggregator_agents.straying import Stay

NEAREST: Final = 60
_LEAST_H: Final = 1 / 60
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Scenarios:
    """What may happen to announced sessions: departs_h after arrival [h] and energy_wh [Wh], (scenario, session).

    expected_h, expected_wh : (session,) median and mean of what was seen before, not only of what was drawn.
    """

    sessions: tuple[Session, ...]
    departs_h: FloatArray
    energy_wh: FloatArray
    expected_h: FloatArray
    expected_wh: FloatArray


@dataclass(frozen=True)
class Record:
    """Past stays. features : (stay, 3) hour of arrival, announced stay [h], energy asked for [kWh].

    late_h : real minus announced departure [h]. taken : part of the energy asked for. stayed_h : real stay [h].
    """

    zone: ZoneInfo
    features: FloatArray
    late_h: FloatArray
    taken: FloatArray
    stayed_h: FloatArray

    @classmethod
    def of(cls, stays: Iterable[Stay], *, zone: str) -> Self:
        """The record of some stays; hours of the day are those of `zone`."""
        where = ZoneInfo(zone)
        known = [each for each in stays if each.said.energy_wh > 0]
        features = np.array([_features(each.said, where) for each in known]).reshape(len(known), 3)
        late = np.array([(each.did.departs - each.said.departs) / _HOUR for each in known])
        taken = np.array([each.did.energy_wh / each.said.energy_wh for each in known])
        stayed = np.array([(each.did.departs - each.did.arrives) / _HOUR for each in known])
        return cls(where, features, late, taken, stayed)

    def scenarios(
        self, sessions: Sequence[Session], *, now: datetime, count: int, random: np.random.Generator
    ) -> Scenarios:
        """What may happen to the sessions, drawn `count` times; what was announced where nothing is known."""
        departs_h, energy_wh = np.zeros((count, len(sessions))), np.zeros((count, len(sessions)))
        expected_h, expected_wh = np.zeros(len(sessions)), np.zeros(len(sessions))
        for at, session in enumerate(sessions):
            stays_h, taken_wh = self._outcomes(session, now)
            drawn = random.integers(len(stays_h), size=count)
            departs_h[:, at], energy_wh[:, at] = stays_h[drawn], taken_wh[drawn]
            expected_h[at], expected_wh[at] = np.median(stays_h), taken_wh.mean()
        return Scenarios(tuple(sessions), departs_h, energy_wh, expected_h, expected_wh)

    def expected(
        self, sessions: Iterable[Session], *, now: datetime, taken_wh: Mapping[str, float] | None = None
    ) -> Iterator[Session]:
        """The sessions as they are to be expected: the mean energy, and the median departure.

        taken_wh : by id of the session, what it has taken by now [Wh]; absent = nothing is known of it.
        """
        known_wh = taken_wh or {}
        for session in sessions:
            stays_h, energy_wh = self._outcomes(session, now, known_wh.get(session.id, 0.0))
            departs = session.arrives + float(np.median(stays_h)) * _HOUR
            yield replace(session, departs=departs, energy_wh=float(energy_wh.mean()))

    def _outcomes(self, session: Session, now: datetime, taken_wh: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """(outcome,) real stay [h] and energy taken [Wh] of the nearest past stays, equally likely."""
        said_h, since_h = (session.departs - session.arrives) / _HOUR, (now - session.arrives) / _HOUR
        there = (self.stayed_h >= since_h) & (self.taken * session.energy_wh >= taken_wh)
        if not there.any():
            return np.array([max(said_h, since_h)]), np.array([max(session.energy_wh, taken_wh)])
        own = np.array(_features(session, self.zone))
        scale = np.maximum(self.features.std(axis=0), 1e-9)
        apart = (((self.features[there] - own) / scale) ** 2).sum(axis=1)
        nearest = np.argsort(apart, kind="stable")[:NEAREST]
        stays_h = np.maximum(said_h + self.late_h[there][nearest], max(since_h, _LEAST_H))
        return stays_h, session.energy_wh * self.taken[there][nearest]


def _features(said: Session, zone: ZoneInfo) -> tuple[float, float, float]:
    local = said.arrives.astimezone(zone)
    return local.hour + local.minute / 60, (said.departs - said.arrives) / _HOUR, said.energy_wh / 1000
