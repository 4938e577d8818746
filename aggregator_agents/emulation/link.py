"""A line between two parts of the cluster: messages may be lost, late, doubled and out of order."""

from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True)
class Weather:
    """How bad a line is.

    loss, doubling : chance of every message. delay_s, jitter_s : it takes delay_s and up to jitter_s more.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    doubling: float = 0.0


IDEAL: Final = Weather()


class Link:
    """One direction of a line. cut : nothing gets through until it is mended."""

    def __init__(self, weather: Weather = IDEAL, *, random: Random | None = None) -> None:
        """Of this weather; `random` is its only source of chance."""
        self.weather, self._random = weather, random or Random(0)
        self.cut = False
        self.sent = 0

    def deliveries(self, now_s: float) -> tuple[float, ...]:
        """When a message that is sent now arrives: once, never, or more than once."""
        self.sent += 1
        weather = self.weather
        if weather is IDEAL or weather == IDEAL:
            return () if self.cut else (now_s,)
        if self.cut or self._random.random() < weather.loss:
            return ()
        copies = 2 if self._random.random() < weather.doubling else 1
        return tuple(now_s + weather.delay_s + self._random.random() * weather.jitter_s for _ in range(copies))
