"""The ledger of continuous trading: every match reserves on its own what its awards earn."""

from collections.abc import Iterable

from api_spec.settlement import Transfer


def of_version(transfers: Iterable[Transfer], version: int) -> tuple[Transfer, ...]:
    """Transfers of one version of a result under ids of their own; the first version's are as they are."""
    if version == 1:
        return tuple(transfers)
    return tuple(each.model_copy(update={"id": f"{each.id}:{version}"}) for each in transfers)
