"""Identifiers. On the wire each is a short printable text; the names say what it points at."""

from typing import Annotated

from pydantic import StringConstraints

Identifier = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=100, pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
    ),
]
"""1 to 100 printable characters, no space at either end (network data has names such as `LV1.101 Bus 4`)."""

BusId = Identifier
ElementId = Identifier
NetworkId = Identifier
RequestId = Identifier
OfferId = Identifier
AuctionId = Identifier
OrganisationId = Identifier
ContractId = Identifier
TariffId = Identifier
BillId = Identifier
