"""A market that is killed at random instants loses nothing that it acknowledged, and does nothing twice."""

from tests.faults.soak import soak


def test_what_eight_clients_heard_is_what_is_there(database_url: str) -> None:
    soaked = soak(database_url, kills=2, seed=7)

    assert soaked.stored == soaked.acknowledged
    assert len(soaked.stored) > 8
