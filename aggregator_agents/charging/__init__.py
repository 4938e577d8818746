"""The device edge: what an aggregator can ask of chargers, and emulated ones."""
