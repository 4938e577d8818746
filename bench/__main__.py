"""Run the measurements in `bench/bench_*.py` and print their tables.

make bench
make bench BENCH_ARGS="clearing --quick --sizes 33/100 233/1000"
make bench BENCH_ARGS="--markdown figures.md"
"""

import argparse
import importlib
import pkgutil
from inspect import getdoc
from pathlib import Path
from types import ModuleType
from typing import Final

from rich.console import Console
from rich.table import Table

import bench
from bench.markets import LOCAL, PRICED, SCARCE, SHIFTED, WIDE
from bench.measuring import Options, Row, setting

PREFIX: Final = "bench_"
WIDTH: Final = 160  # of the widest table
STRESSES: Final = {"local": LOCAL, "wide": WIDE, "priced": PRICED, "shifted": SHIFTED, "scarce": SCARCE}


def main() -> None:
    found = (each.name for each in pkgutil.iter_modules(bench.__path__))
    names = [name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX)]
    parser = _parser(names)
    arguments = parser.parse_args()
    if wrong := sorted(set(arguments.measurement) - set(names)):
        parser.error(f"no {', '.join(wrong)} among {', '.join(names)}")
    options = Options(
        quick=arguments.quick,
        sizes=frozenset(arguments.sizes) if arguments.sizes else None,
        stress=STRESSES[arguments.stress],
    )
    console = Console(width=WIDTH)
    console.print("\n".join(f"{part}: {value}" for part, value in setting().items()), highlight=False)
    parts = [_setting_in_markdown()]
    for name in arguments.measurement or names:
        measurement = importlib.import_module(f"bench.{PREFIX}{name}")
        rows: list[Row] = list(measurement.run(options))
        if rows:
            console.print(_table(measurement, rows))
            parts.append(_in_markdown(measurement, rows))
    if arguments.markdown is not None:
        arguments.markdown.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what must be fast.")
    parser.add_argument("measurement", nargs="*", help=f"of {', '.join(names)}; absent = all")
    parser.add_argument("--quick", action="store_true", help="leave out what takes most of a minute")
    parser.add_argument("--sizes", nargs="+", type=_size, metavar="BUSES/OFFERS", help="only these sizes")
    parser.add_argument("--stress", choices=STRESSES, default="local", help="how much the markets ask of their offers")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to a Markdown file")
    return parser


def _size(text: str) -> tuple[int, int]:
    buses, _, offers = text.partition("/")
    return int(buses), int(offers)


def _words(measurement: ModuleType) -> tuple[str, str]:
    """Title and explanation of a measurement."""
    title, _, text = (getdoc(measurement) or measurement.__name__).partition("\n\n")
    return title, text


def _table(measurement: ModuleType, rows: list[Row]) -> Table:
    title, text = _words(measurement)
    table = Table(title=title, caption=text, caption_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row.values())
    return table


def _setting_in_markdown() -> str:
    machine, *versions = (f"{part} {value}" if part != "machine" else value for part, value in setting().items())
    return f"{machine}. Versions: {', '.join(versions)}."


def _in_markdown(measurement: ModuleType, rows: list[Row]) -> str:
    title, text = _words(measurement)
    lines = [list(rows[0]), ["---:"] * len(rows[0]), *(list(row.values()) for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return "\n\n".join(part for part in (f"## {title}", text, table) if part)


if __name__ == "__main__":
    main()
