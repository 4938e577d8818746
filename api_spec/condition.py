"""How a market is: whether it answers, and whether it can do its work."""

from typing import Literal

from api_spec.units import Message


class Health(Message):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Message):
    """The market can do its work: every check by its name."""

    status: Literal["ready"] = "ready"
    checks: dict[str, Literal["ok"]]
