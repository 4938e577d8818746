"""Measurements: `make bench`.

`bench_*.py` are the measurements, each with `run(options)` that yields the rows of its table. `markets.py` makes the
cases, `networks/` has the networks, `lindistflow.py` is what clearing is held against.
"""
