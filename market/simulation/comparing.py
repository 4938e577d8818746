"""`flexmarket compare`: the measures of several runs side by side, with their units, the best of each marked."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from market.simulation.dictionary import Column, dictionary
from market.simulation.reading import Measured, NothingMeasured, measured_in
from market.terminal import BAD_INPUT, console, stop

_BEST: Final = "*"
_NAME_WIDTH: Final = 26
_DIGITS: Final = 4
_MOST_DECIMALS: Final = 6


@dataclass(frozen=True)
class Line:
    """One measure of all runs. cells : as they are shown, all with the same decimals; best : which of them are."""

    name: str
    unit: str
    cells: tuple[str, ...]
    best: frozenset[int]
    differs: bool


def lines_of(runs: Sequence[Measured]) -> tuple[Line, ...]:
    """Every measure that a run has, in the order of the dictionary."""
    known = dictionary().measures
    names = [name for name in known if any(name in run.measures for run in runs)]
    return tuple(_line(name, known[name], [run.measures.get(name, math.nan) for run in runs]) for name in names)


def compare(folders: Sequence[Path], *, everything: bool) -> None:
    """Print the runs in folders; measures that are the same in all only where `everything` is asked for."""
    try:
        runs = tuple(run for folder in folders for run in measured_in(folder))
    except NothingMeasured as failure:
        raise stop(str(failure), status=BAD_INPUT) from failure
    if not runs:
        raise stop("no run is done yet", status=BAD_INPUT)
    lines = lines_of(runs)
    shown = [line for line in lines if line.differs or everything or len(runs) == 1]
    for some in _blocks(runs, shown, console):
        console.print(_table(runs, shown, some))
    if hidden := [line.name for line in lines if line not in shown]:
        console.print(f"the same in all runs: {', '.join(hidden)} (--all shows them)", highlight=False)
    if any(line.best for line in shown):
        console.print(f"{_BEST} best of its line", highlight=False)


def _line(name: str, column: Column, values: Sequence[float]) -> Line:
    there = [value for value in values if not math.isnan(value)]
    decimals = _decimals(max(map(abs, there)))
    cells = tuple("-" if math.isnan(value) else f"{value + 0.0:,.{decimals}f}" for value in values)
    # What is printed decides: nobody is better by less than can be seen.
    differs = len(set(cells)) > 1
    best = frozenset[int]()
    if differs and column.better is not None:
        target = (min if column.better == "less" else max)(there)
        mark = cells[values.index(target)]
        best = frozenset(number for number, cell in enumerate(cells) if cell == mark)
    return Line(name, column.unit, cells, best, differs)


def _decimals(largest: float) -> int:
    """So many that the largest value shows four digits that count."""
    before_point = 1 + math.floor(math.log10(largest)) if largest else 1
    return min(max(0, _DIGITS - before_point), _MOST_DECIMALS)


def _blocks(runs: Sequence[Measured], lines: Sequence[Line], screen: Console) -> Iterator[range]:
    """The numbers of the runs that fit beside each other on the screen."""
    begin, room = 0, 0
    for number, run in enumerate(runs):
        heading = max(len(part) for part in _heading(run).split("\n"))
        width = 3 + max([heading, *(len(line.cells[number]) for line in lines)])
        if number > begin and room < width:
            yield range(begin, number)
            begin = number
        if number == begin:
            room = screen.width - _NAME_WIDTH - 10
        room -= width
    yield range(begin, len(runs))


def _table(runs: Sequence[Measured], lines: Sequence[Line], some: range) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(_corner(runs[some.start].point), no_wrap=True)
    table.add_column("", no_wrap=True)
    for number in some:
        table.add_column(_heading(runs[number]), justify="right", no_wrap=True)
    for line in lines:
        table.add_row(line.name, _unit(line.unit), *(_cell(line, number) for number in some))
    return table


def _corner(point: Mapping[str, object]) -> str:
    return "\n".join(point)


def _heading(run: Measured) -> str:
    """What tells a run apart: its place in the sweep, one value on a line, or its folder's name."""
    return (
        "\n".join(f"{value:g}" if isinstance(value, float) else str(value) for value in run.point.values()) or run.name
    )


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


def _cell(line: Line, number: int) -> Text:
    best = number in line.best
    return Text(f"{line.cells[number]}{_BEST if best else ' '}", style="bold green" if best else "")
