"""Agents that act for aggregators of EV chargers."""
