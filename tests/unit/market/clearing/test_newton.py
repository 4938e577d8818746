"""The second-order step is the same whichever way it is found, and the loop knows when it is nothing but noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from api_spec.case import Case
from market.clearing import clear, newton, search
from market.clearing.loop import optimise
from market.clearing.options import Options
from market.clearing.problem import problem_of
from tests.small_cases import case, chain, curve, line, load


def decided_by_losses() -> Case:
    """Energy at 60 over 2 + 2j ohm of 10 kV, and offers of 80 kW at both buses around what it is worth there."""
    asks = np.arange(60, 63, 0.125).tolist()
    return case(
        lines=chain("s", "b1", "b2"),
        baseline=[load("b1", 5e5), load("b2", 5e5)],
        energy=[60],
        offers=[curve(f"{bus}-{ask:g}", bus, (-80_000, ask)) for bus in ("b1", "b2") for ask in asks],
    )


def over_its_limit_at_both_ends() -> Case:
    """2 MW over a line of 60 A, some 1 MVA, that draws charging current: more at one end than at the other.

    All that is offered leaves it exceeded; how much is worth accepting is decided by losses, around 160.
    """
    asks = np.arange(150, 170, 0.5).tolist()
    return case(
        lines=[line("l1", "s", "b1", b_s=1e-3), line("l2", "b1", "b2")],
        baseline=[load("b1", 5e5), load("b2", 1.5e6, q_var=(4e5,))],
        energy=[60],
        requests=[
            {"id": "r", "dso": "d", "kind": "congestion", "element": "l1", "limit_a": 60, "max_price_eur_per_mwh": 100}
        ],
        offers=[curve(f"{bus}-{ask:g}", bus, (-10_000, ask)) for bus in ("b1", "b2") for ask in asks],
    )


def test_both_ends_of_a_line_share_what_the_active_set_leaves_unmet(monkeypatch: pytest.MonkeyPatch) -> None:
    """It settles although both ends are over the limit, and only the worse of them is paid for."""
    settle, settled = newton._ActiveSet.solve, []

    def recorded(active: newton._ActiveSet, state: newton._State) -> newton._Answer | None:
        answer = settle(active, state)
        settled.append(answer is not None and len(active.model.unmet) > len(active.model.price))
        return answer

    monkeypatch.setattr(newton._ActiveSet, "solve", recorded)

    optimum = optimise(problem_of(over_its_limit_at_both_ends()))

    assert settled
    assert all(settled)
    (limits,) = optimum.dispatch.excess[:, :2] > 0.1
    assert limits.all(), "both ends stay over it"
    assert np.count_nonzero(optimum.shadow) == 1


def test_steps_that_only_noise_makes_better_come_to_an_end() -> None:
    """No prices are as good as 1e-14: after a few steps that move cost by rounding alone the loop takes what it has."""
    optimum = optimise(problem_of(decided_by_losses()), Options(price_tolerance=1e-14))

    assert optimum.iterations < 30


@pytest.mark.parametrize("make", [decided_by_losses, over_its_limit_at_both_ends])
def test_where_the_central_path_ends_is_the_step_that_the_active_set_finds(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Case]
) -> None:
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

    clear(make())

    assert apart_mw
    assert max(apart_mw) < 1e-6
