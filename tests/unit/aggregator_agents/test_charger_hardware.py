"""The hardware of an emulated charger: what happens by itself between two looks at it."""

from math import inf

import pytest

from aggregator_agents.charging.chargepoint.hardware import EmulatedCharger
from aggregator_agents.emulation.vehicle import EXACT, Behaviour, EmulatedVehicle
from aggregator_agents.fleet import Charger, Plug, Vehicle


def charger(*, vehicle: Vehicle | None = None, behaviour: Behaviour = EXACT) -> EmulatedCharger:
    """One plug `a` with a vehicle that wants much, at 0 s."""
    own = EmulatedCharger(Charger("c", (Plug("a", "c"),)), start_s=0.0)
    own.plugs["a"].plug_in(EmulatedVehicle(vehicle or Vehicle(), 1e6, 1e4, behaviour), None, 0.0)
    return own


def test_a_vehicle_draws_at_the_first_terminals() -> None:
    own = charger(vehicle=Vehicle(phases=2))
    own.signal("a", 10, decided_s=0, now_s=0)
    own.advance(3600)

    assert own.current_a == (10, 10, 0)
    assert own.plugs["a"].register_wh == pytest.approx(2 * 10 * 230)
    assert own.plugs["a"].exported_wh == 0


def test_what_it_feeds_back_is_metered_apart() -> None:
    own = charger(vehicle=Vehicle(phases=1, discharge_a=10))
    own.signal("a", -10, decided_s=0, now_s=0)
    own.advance(1800)

    assert own.plugs["a"].register_wh == 0
    assert own.plugs["a"].exported_wh == pytest.approx(1150)


def test_a_signal_ends_by_itself_at_its_own_time_however_late_it_is_looked_at() -> None:
    """16 A for 10 s: 3 x 16 A x 230 V x 10 s = 30.67 Wh, though nobody looked for an hour."""
    own = charger()
    own.signal("a", 16, decided_s=0, now_s=0, holds_s=10)
    own.advance(3600)

    assert own.plugs["a"].signal_a == 0
    assert own.plugs["a"].register_wh == pytest.approx(30.667, abs=1e-3)


def test_a_signal_that_is_repeated_goes_on() -> None:
    own = charger()
    for second in range(20):
        own.signal("a", 16, decided_s=second, now_s=second, holds_s=10)
    own.advance(28.9)
    assert own.plugs["a"].signal_a == 16
    own.advance(29.1)
    assert own.plugs["a"].signal_a == 0


def test_what_was_decided_too_long_ago_is_not_signalled_but_a_pause_is() -> None:
    own = charger()
    own.signal("a", 16, decided_s=0, now_s=10, holds_s=10)
    assert own.plugs["a"].signal_a == 0

    own.signal("a", 16, decided_s=10, now_s=10)
    own.signal("a", 0, decided_s=0, now_s=20, holds_s=10)
    assert own.plugs["a"].signal_a == 0


def test_a_vehicle_that_does_not_stop_is_cut_off_after_6_seconds() -> None:
    own = charger(behaviour=Behaviour(lag_s=60, charging_bias_w=0))
    own.signal("a", 16, decided_s=0, now_s=0)
    own.advance(70)
    own.signal("a", 0, decided_s=70, now_s=70)
    own.advance(75.9)
    assert own.current_a == (16, 16, 16)
    own.advance(76.1)
    assert own.current_a == (0, 0, 0)
    assert not own.plugs["a"].closed


def test_who_was_cut_off_stays_so_until_he_is_unplugged() -> None:
    own = charger()
    own.signal("a", 16, decided_s=0, now_s=0)
    own.advance(1)
    own.plugs["a"].cut(1)
    own.signal("a", 16, decided_s=2, now_s=2)
    own.advance(10)
    assert (own.current_a, own.plugs["a"].wants) == ((0, 0, 0), False)

    own.plugs["a"].unplug()
    own.plugs["a"].plug_in(EmulatedVehicle(Vehicle(), 1e6, behaviour=EXACT), None, 10)
    own.signal("a", 16, decided_s=10, now_s=10)
    own.advance(11)
    assert own.current_a == (16, 16, 16)


@pytest.mark.parametrize("limit_a", [1, 5, 17, -17])
def test_currents_that_do_not_exist_are_refused(limit_a: int) -> None:
    with pytest.raises(ValueError, match=f"{limit_a} A at a"):
        charger().signal("a", limit_a, decided_s=0, now_s=0)


def test_it_is_recorded_as_it_was_at_every_instant() -> None:
    """A signal of 10 s, looked at after a minute: recorded every 4 s, drawing until 8 s."""
    seen = []
    own = EmulatedCharger(
        Charger("c", (Plug("a", "c"),)),
        start_s=0.0,
        record=lambda at_s, it: seen.append((at_s, it.current_a[0])),
        record_every_s=4.0,
    )
    own.plugs["a"].plug_in(EmulatedVehicle(Vehicle(), 1e6, behaviour=EXACT), None, 0.0)
    own.signal("a", 16, decided_s=0, now_s=0, holds_s=10)
    own.advance(20)

    assert seen == [(4.0 * k, 16.0 if 0 < 4 * k <= 8 else 0.0) for k in range(6)]


def test_without_an_end_a_signal_holds() -> None:
    own = charger()
    own.signal("a", 7, decided_s=0, now_s=0, holds_s=inf)
    own.advance(1e5)
    assert own.current_a == (7, 7, 7)


def test_plugs_whose_signals_end_share_the_floor() -> None:
    """16 and 6 A, both until 10 s, and a floor of 13 A: one falls back to 7 A beside the other's 6 A, which stay."""
    plugs = (Plug("a", "c"), Plug("b", "c"))
    own = EmulatedCharger(Charger("c", plugs, 32), start_s=0.0, floor_a=13)
    for plug, limit_a in (("a", 16), ("b", 6)):
        own.plugs[plug].plug_in(EmulatedVehicle(Vehicle(), 1e6, behaviour=EXACT), None, 0.0)
        own.signal(plug, limit_a, decided_s=0, now_s=0, holds_s=10)
    own.advance(60)

    assert [plug.signal_a for plug in own.plugs.values()] == [7, 6]
    own.signal("a", 16, decided_s=60, now_s=60, holds_s=10)
    own.signal("b", 10, decided_s=60, now_s=60, holds_s=20)
    own.advance(75)
    assert [plug.signal_a for plug in own.plugs.values()] == [0, 10], "less than 6 A would be left"
    own.advance(85)
    assert [plug.signal_a for plug in own.plugs.values()] == [0, 10]
