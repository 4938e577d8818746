"""The second-order step is the same whichever way it is found."""

from typing import Any

import numpy as np
import pytest

from api_spec.case import Case
from market.clearing import clear, newton, search
from tests.small_cases import case, chain, curve, load


def decided_by_losses() -> Case:
    """Energy at 60 over 2 + 2j ohm of 10 kV, and offers of 80 kW at both buses around what it is worth there."""
    asks = np.arange(60, 63, 0.125).tolist()
    return case(
        lines=chain("s", "b1", "b2"),
        baseline=[load("b1", 5e5), load("b2", 5e5)],
        energy=[60],
        offers=[curve(f"{bus}-{ask:g}", bus, (-80_000, ask)) for bus in ("b1", "b2") for ask in asks],
    )


def test_where_the_central_path_ends_is_the_step_that_the_active_set_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same quadratic programme, solved in two ways. An active set need not settle; then the path's end is taken."""
    found_first, apart_mw = newton.newton_step, []

    def in_both_ways(*programme: Any) -> newton.Newton | None:
        found = found_first(*programme)
        with monkeypatch.context() as unsettled:
            unsettled.setattr(newton._ActiveSet, "solve", lambda *_: None)
            other = found_first(*programme)
        if found is not None:
            assert other is not None
            apart_mw.append(float(np.abs(found.moves - other.moves).max()))
        return found

    monkeypatch.setattr(search, "newton_step", in_both_ways)

    clear(decided_by_losses())

    assert apart_mw
    assert max(apart_mw) < 1e-6
