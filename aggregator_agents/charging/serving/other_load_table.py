"""Where the load of everything else behind the fuse is metered, as a service's file says it."""

from typing import Annotated

from pydantic import Field

from api_spec.units import Count, Message, Positive


class OtherLoadTable(Message):
    """Where the other load is metered. url : of the reading. every_s : between two. within_s : of an answer.

    rise_a : by how much the load may rise on a phase before the cloud can take back what it granted, about a minute;
    see dispatch.other_load.OtherLoad. The less it is, the more room a quiet moment gives.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    rise_a: Count
    every_s: Annotated[Positive, Field(le=5)] = 2.0
    within_s: Annotated[Positive, Field(le=5)] = 2.0
