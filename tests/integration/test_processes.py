"""Processes of a cloud aggregator and its chargers, stopped, continued and killed: the fuse holds at every instant."""

import signal
from pathlib import Path

from tests.processes import ACTS_EVERY_S, LAG_S, TTL_S, running_yard
from tests.waiting import until

GOES_ON_S = TTL_S + 2 * ACTS_EVERY_S + LAG_S
"""How long a charger may draw after its process was killed: until its lease is over, and its vehicle has followed."""


def test_the_fuse_holds_while_the_cloud_and_chargers_are_stopped_killed_and_started_again(tmp_path: Path) -> None:
    """Four chargers behind 27 A, 6 A each without a lease: leases are for the other 3 A.

    First the cloud says nothing for longer than leases last. Then it is killed in the middle of new ones, with one
    charger that has more than 6 A stopped and another one killed: a new cloud waits until the old leases are over,
    gives the 3 A to those that are left, and takes the others back when they come.
    """
    with running_yard(tmp_path, chargers=4, fuse_a=27) as yard:
        until(lambda: yard.total_a() == 27, within_s=60, what="the whole fuse is leased")
        yard.send("cloud", signal.SIGSTOP)
        until(lambda: yard.total_a() == 24, within_s=30, what="without leases all are at their floor")
        yard.send("cloud", signal.SIGCONT)
        until(lambda: yard.total_a() == 27, within_s=60, what="leases after the cloud was continued")

        stopped, killed, *others = sorted(yard.chargers, key=yard.drawn_a, reverse=True)
        yard.send("cloud", signal.SIGKILL)
        yard.send(stopped, signal.SIGSTOP)
        yard.send(killed, signal.SIGKILL)
        yard.start("cloud")
        until(lambda: yard.total_a(*others) == 15, within_s=60, what="the others have the 3 A instead")
        yard.send(stopped, signal.SIGCONT)
        yard.start(killed)
        until(lambda: yard.total_a() == 27, within_s=60, what="all are back")
        peak_a = yard.peak_a(goes_on_s=GOES_ON_S)

    assert peak_a == 27
