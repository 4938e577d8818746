"""Leases inside OCPP's DataTransfer, for a charger whose virtual aggregator is its own."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pydantic import ValidationError

from aggregator_agents.charging.ocpp.frames import Payload, Version
from aggregator_agents.dispatch.lease import Lease, LeaseRequest

LOG: Final = logging.getLogger(__name__)
VENDOR: Final = "flexmarket.acdc"
MESSAGE: Final = "Lease"

LeaseDesk = Callable[[LeaseRequest], Awaitable[Lease | None]]
"""Grants a lease; None for nothing."""


def lease_call(request: LeaseRequest) -> Payload:
    """DataTransfer of a request, in every version: its data is JSON in a string."""
    return {"vendorId": VENDOR, "messageId": MESSAGE, "data": request.model_dump_json()}


def lease_of(payload: Payload) -> Lease | None:
    """The lease that a DataTransfer was answered with; None for a refusal."""
    data = payload.get("data")
    if payload.get("status") != "Accepted" or not isinstance(data, str):
        return None
    try:
        return Lease.model_validate_json(data)
    except ValidationError:
        return None


async def carried(charger: str, payload: Payload, desk: LeaseDesk | None, *, version: Version) -> Payload:
    """The answer to a DataTransfer of a charger. It asks for itself only."""
    if payload["vendorId"] != VENDOR:
        return {"status": "UnknownVendorId"}
    if payload.get("messageId") != MESSAGE:
        return {"status": "UnknownMessageId"}
    if desk is None:
        return _refused("NoLeases", version)
    data: Any = payload.get("data")
    try:
        request = LeaseRequest.model_validate_json(data) if isinstance(data, str) else LeaseRequest.model_validate(data)
    except ValidationError as failure:
        LOG.warning("%s: a request for a lease with %d defects", charger, failure.error_count())
        return _refused("BadRequest", version)
    if request.charger != charger:
        LOG.warning("%s: asks for a lease of %r", charger, request.charger)
        return _refused("NotYours", version)
    lease = await desk(request)
    return _refused("NotNow", version) if lease is None else {"status": "Accepted", "data": lease.model_dump_json()}


def _refused(code: str, version: Version) -> Payload:
    return {"status": "Rejected"} if version == "1.6" else {"status": "Rejected", "statusInfo": {"reasonCode": code}}
