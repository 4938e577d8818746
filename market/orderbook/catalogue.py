"""Which product an auction trades: one of the catalogue, or a whole one that does not contradict it."""

from collections.abc import Sequence

from api_spec.defects import Defect, unknown
from api_spec.product import Product
from market.errors import NotAdmitted


def agreed_product(asked: Product | str, registered: Product | None, names: Sequence[str]) -> Product:
    """The product that is agreed on when an auction is opened; NotAdmitted at /product.

    registered : the one that the catalogue holds under the asked name. names : all that it holds.
    """
    if isinstance(asked, str):
        if registered is None:
            raise _refused(unknown("product", asked, names, "in the catalogue"))
        return registered
    if registered is not None and asked != registered:
        raise _refused(f'differs from the registered product "{asked.name}"; a changed product needs a name of its own')
    if registered is None and asked.tolerances is not None:
        raise _refused("asks for prequalification; register it first, so that resources can apply for it")
    return asked


def _refused(reason: str) -> NotAdmitted:
    return NotAdmitted((Defect("/product", reason),))
