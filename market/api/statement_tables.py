"""Statements as CSV (RFC 4180), one row a line; a cell of text can never be taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeAlias

from api_spec.settlement import DsoStatement, SettlementLine, Statement
from api_spec.tariffs import Bill, BillLine

Cell: TypeAlias = str | int | float | Decimal | datetime
AMOUNTS: Final = ("payment_eur", "uplift_eur", "penalty_eur", "adjustment_eur")
_FORMULA: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet begins a formula with; also in full width."""


def statement_table(statement: Statement) -> str:
    """A participant's statement: one row for each bus and period."""
    whole = ("auction", "participant", "version", "rules")
    own = [getattr(statement, name) for name in whole]
    columns = tuple(SettlementLine.model_fields)
    rows = [[*own, *(getattr(line, name) for name in columns)] for line in statement.lines]
    return _table((*whole, *columns), rows)


def dso_table(statement: DsoStatement) -> str:
    """What a DSO pays: one row for each participant, one for rounding, and the DSO's own last."""
    whole: list[Cell] = [statement.auction, statement.version, statement.rules]
    rows: list[list[Cell]] = [
        [*whole, f"participant:{each.participant}", *(getattr(each, name) for name in AMOUNTS), 0, each.net_eur]
        for each in statement.participants
    ]
    rounding = statement.rounding_eur
    rows.append([*whole, f"rounding:{statement.auction}", *[0] * len(AMOUNTS), rounding, rounding])
    sums = [getattr(statement, name) for name in AMOUNTS]
    rows.append([*whole, f"dso:{statement.dso}", *sums, rounding, statement.net_eur])
    return _table(("auction", "version", "rules", "account", *AMOUNTS, "rounding_eur", "net_eur"), rows)


def bill_table(bill: Bill) -> str:
    """A bill: one row for each component and month or window."""
    whole = ("id", "version", "tariff", "participant", "bus")
    own = [getattr(bill, name) for name in whole]
    columns = tuple(BillLine.model_fields)
    rows = [[*own, *(getattr(line, name) for name in columns)] for line in bill.lines]
    return _table(("bill", *whole[1:], *columns), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_written(cell) for cell in row] for row in rows)
    return text.getvalue()


def _written(cell: Cell) -> str:
    """Numbers and times as they are; text that begins like a formula behind an apostrophe, which makes it text."""
    match cell:
        case Decimal():
            return f"{cell:f}"
        case datetime():
            return cell.isoformat()
        case str():
            return f"'{cell}" if cell.lstrip()[:1] in _FORMULA else cell
    return str(cell)
