"""Resources and reference loads: do they fit their network; and what a DSO sees of all of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from api_spec.defects import MOST_DEFECTS, Defect, unknown
from api_spec.grid import Network
from api_spec.resource import BusCapacity, ReferenceLoad, Resource, ResourceTerms
from market.errors import NotAdmitted
from market.orderbook.grid_check import carried_reference


def admit_resource(resource: ResourceTerms, network: Network) -> None:
    """Raise NotAdmitted where a resource is at no bus of the network, or on a phase that it does not have."""
    found = []
    if resource.bus not in network.bus_ids:
        found.append(Defect("/bus", unknown("bus", resource.bus, network.bus_ids, f'on network "{network.name}"')))
    if resource.phase is not None and network.phases == 1:
        found.append(Defect("/phase", "a balanced network has no phases to connect to"))
    if found:
        raise NotAdmitted(tuple(found))


def admit_reference_load(load: ReferenceLoad, network: Network) -> None:
    """Raise NotAdmitted where a reference load does not fit its network, or cannot be carried at all."""
    found = list(islice(_misplaced(load, network), MOST_DEFECTS))
    if not found and not carried_reference(load, network):
        found.append(Defect("/injections", "the AC power flow has no solution: the network cannot carry this load"))
    if found:
        raise NotAdmitted(tuple(found))


def _misplaced(load: ReferenceLoad, network: Network) -> Iterator[Defect]:
    buses, known = network.bus_ids, frozenset(network.bus_ids)
    for at, each in enumerate(load.injections):
        if each.bus not in known:
            reason = unknown("bus", each.bus, buses, f'on network "{network.name}"')
            yield Defect(f"/injections/{at}/bus", reason)
        if each.phase is not None and network.phases == 1:
            yield Defect(f"/injections/{at}/phase", "a balanced network has no phases to connect to")


def capacities(resources: Iterable[Resource]) -> tuple[BusCapacity, ...]:
    """Sums over all participants, by bus, phase and capability."""
    places: dict[tuple[str, str, str], list[Resource]] = defaultdict(list)
    for each in resources:
        places[each.bus, each.phase or "", each.capability].append(each)
    return tuple(
        BusCapacity(
            bus=own[0].bus,
            phase=own[0].phase,
            capability=own[0].capability,
            resources=len(own),
            reducible_w=sum(each.reducible_w for each in own),
            increasable_w=sum(each.increasable_w for each in own),
        )
        for _, own in sorted(places.items())
    )
