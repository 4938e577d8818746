"""The measures of a whole run, from those of its deliveries."""

from collections.abc import Sequence

from market.simulation.measures import Measures


def whole_run(deliveries: Sequence[Measures]) -> Measures:
    """Peaks, depths and the like are the worst of any delivery; energy, money, time and counts add up."""
    return Measures(
        **{name: _together(name, [getattr(each, name) for each in deliveries]) for name in Measures.model_fields}
    )


def _together(name: str, values: Sequence[float]) -> float:
    if name.startswith("lowest_"):
        return min(values)
    if name == "synchronisation" or {"peak", "highest", "depth"} & set(name.split("_")):
        return max(values)
    return sum(values)
