"""What the instruments in a DSO's network measure: smart meters at buses, and substations at their transformers."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from api_spec.defects import Place, refuse
from api_spec.grid import Phase
from api_spec.ids import BusId, ElementId, Identifier
from api_spec.period import MAX_PERIODS, Duration, Instant
from api_spec.units import Message, Positive

Quantity = Literal["p_w", "q_var", "voltage_v", "current_a"]
End = Literal["from", "to"]
Value: TypeAlias = Annotated[float, Field(ge=-1e12, le=1e12)] | None
QUANTITIES: Final[tuple[Quantity, ...]] = ("p_w", "q_var", "voltage_v", "current_a")


class GridReading(Message):
    """Means of one quantity at one place, step by step from `start` on; None where a value did not arrive.

    bus : everything that is connected there draws p_w, q_var (consumption positive) at voltage_v. element, end :
    instead of that, what flows into a line or transformer at that end (p_w, q_var, current_a). phase : on three-phase
    networks; absent = of all together. voltage_v : line to line, of a phase to neutral. accuracy_class : largest error
    that the instrument may have [% of the reading] (IEC 62053, 61869).
    """

    meter: Identifier
    bus: BusId | None = None
    element: ElementId | None = None
    end: End | None = None
    phase: Phase | None = None
    quantity: Quantity
    start: Instant
    resolution: Duration
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=MAX_PERIODS)]
    accuracy_class: Annotated[Positive, Field(le=100)] = 1.0

    @model_validator(mode="after")
    def _at_one_place(self) -> Self:
        found: list[tuple[Place, str]] = []
        if (self.bus is None) == (self.element is None):
            found.append((("bus",), "needs either a bus or an element"))
        if (self.element is None) != (self.end is None):
            found.append((("end",), "belongs to an element, and an element needs one"))
        if self.bus is not None and self.quantity == "current_a":
            found.append((("quantity",), "a current is measured at the end of an element"))
        if self.element is not None and self.quantity == "voltage_v":
            found.append((("quantity",), "a voltage is measured at a bus"))
        refuse("GridReading", found)
        return self

    @property
    def until(self) -> datetime:
        """The end of its last step."""
        return self.start + len(self.values) * self.resolution
