"""A network as a one-line diagram: the source on the left, every branch of the tree in a lane of its own. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from api_spec.grid import Element, Network

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Diagram:
    """Where things stand; x : how many elements from the source, y : lane, the longest way from the source in lane 0.

    buses : in the order of their distance from the source. elements : the corners that an element's line goes through.
    """

    buses: Mapping[str, Point]
    elements: Mapping[str, tuple[Point, ...]]

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return len({y for _, y in self.buses.values()})


def one_line(network: Network) -> Diagram:
    """The diagram of a network; of a meshed one, its tree of shortest ways and straight lines that close the loops."""
    elements: tuple[Element, ...] = (*network.lines, *network.transformers)
    depth, below = _tree(network.source.bus, elements)
    lane = _lanes(network.source.bus, depth, below)
    buses = {bus: (float(x), float(lane[bus])) for bus, x in depth.items()}
    in_tree = {bus: parent for parent, own in below.items() for bus in own}
    return Diagram(buses, {each.id: _way(each, buses, in_tree) for each in elements})


def _tree(source: str, elements: tuple[Element, ...]) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Distance of every bus from the source, and the buses that each one feeds, both by the fewest elements."""
    beside: dict[str, list[str]] = defaultdict(list)
    for each in elements:
        beside[each.from_bus].append(each.to_bus)
        beside[each.to_bus].append(each.from_bus)
    depth, below, front = {source: 0}, defaultdict[str, list[str]](list), [source]
    for bus in front:
        for near in beside[bus]:
            if near not in depth:
                depth[near] = depth[bus] + 1
                below[bus].append(near)
                front.append(near)
    return depth, below


def _lanes(source: str, depth: dict[str, int], below: Mapping[str, list[str]]) -> dict[str, int]:
    """The lane of every bus.

    Each stretch keeps the lane of its longest continuation; what leaves it gets a lane further out the nearer to the
    source it leaves, so that no line crosses another.
    """
    reach = dict(depth)
    for bus in reversed(depth):
        reach[bus] = max([reach[bus], *(reach[each] for each in below.get(bus, ()))])
    lane: dict[str, int] = {}
    free, waiting = 0, [source]
    while waiting:
        stretch = [waiting.pop()]
        while own := below.get(stretch[-1]):
            stretch.append(max(own, key=lambda each: reach[each]))
        lane.update(dict.fromkeys(stretch, free))
        free += 1
        # The last to be put there is the first to be taken: what leaves at the far end comes next.
        waiting += [each for bus in stretch for each in reversed(below.get(bus, ())) if each not in lane]
    return lane


def _way(element: Element, buses: Mapping[str, Point], parent: Mapping[str, str]) -> tuple[Point, ...]:
    """First across the lanes, then along: the way of a line that leaves a stretch. Straight where it closes a loop."""
    first, last = element.from_bus, element.to_bus
    if parent.get(first) == last:
        first, last = last, first
    elif parent.get(last) != first:
        return buses[first], buses[last]
    (x, y), (_, lane) = buses[first], buses[last]
    return ((x, y), buses[last]) if y == lane else ((x, y), (x, lane), buses[last])
