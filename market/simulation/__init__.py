"""Simulated days: agents, found by the names in a scenario, on a real market in virtual time."""
