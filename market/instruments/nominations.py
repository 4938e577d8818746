"""What variable capacity contracts let a participant nominate."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from api_spec.auction import Auction
from api_spec.contracts import Contract, VariableCapacityTerms
from api_spec.defects import Defect
from api_spec.metering import BaselineNomination


def nomination_defects(
    nomination: BaselineNomination, auction: Auction, contracts: Iterable[Contract]
) -> tuple[Defect, ...]:
    """Where a nomination exceeds the maximum of its participant's variable capacity contracts; several add up.

    contracts : the participant's, in force on the auction's network.
    """
    at_bus: dict[str, list[VariableCapacityTerms]] = defaultdict(list)
    for contract in contracts:
        if isinstance(contract.terms, VariableCapacityTerms):
            at_bus[contract.terms.bus].append(contract.terms)
    return tuple(
        Defect(f"/buses/{number}/power_w/{period}", reason)
        for number, each in enumerate(nomination.buses)
        for period, reason in _exceeded(each.power_w, at_bus[each.bus], auction)
    )


def _exceeded(
    power_w: tuple[int, ...], terms: list[VariableCapacityTerms], auction: Auction
) -> Iterator[tuple[int, str]]:
    for period, (start, w) in enumerate(zip(auction.delivery.starts(), power_w, strict=True)):
        valid = [each for each in terms if each.covers(start)]
        most = sum(each.maximum_w(start) for each in valid)
        if valid and w > most:
            yield period, f"is above the contracted maximum of {most} W"
