"""Run every measurement in `bench/bench_*.py` and print its rows."""

import importlib
import pkgutil

from rich.console import Console
from rich.table import Table

import bench


def main() -> None:
    console = Console()
    for module in pkgutil.iter_modules(bench.__path__, "bench."):
        if not module.name.startswith("bench.bench_"):
            continue
        measurement = importlib.import_module(module.name)
        table = Table(title=measurement.__doc__.splitlines()[0] if measurement.__doc__ else module.name)
        rows: list[dict[str, str]] = measurement.run()
        for name in rows[0]:
            table.add_column(name)
        for row in rows:
            table.add_row(*row.values())
        console.print(table)


if __name__ == "__main__":
    main()
