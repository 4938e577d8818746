"""What a part of the cluster sees of time."""

from dataclasses import dataclass


@dataclass
class Clock:
    """Seconds of its own, which may run fast or slow and begin anywhere."""

    offset_s: float = 0.0
    rate: float = 1.0

    def reads_s(self, true_s: float) -> float:
        """What it shows at a moment."""
        return self.offset_s + self.rate * true_s

    def true_s(self, reading_s: float) -> float:
        """The moment at which it shows this, as it goes now."""
        return (reading_s - self.offset_s) / self.rate
