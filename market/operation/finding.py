"""What an examination of an installation finds: one line each, with what to do where something is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rich import box
from rich.table import Table
from rich.text import Text

Verdict: TypeAlias = Literal["ok", "warning", "problem"]
_MARKS: Final[dict[Verdict, tuple[str, str]]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "problem": ("✗", "bold red"),
}


@dataclass(frozen=True)
class Finding:
    """area : what was looked at together. advice : what to do; empty where nothing is to be done."""

    area: str
    name: str
    verdict: Verdict
    seen: str
    advice: str = ""


def ok(area: str, name: str, seen: str) -> Finding:
    """As it should be."""
    return Finding(area, name, "ok", seen)


def warning(area: str, name: str, seen: str, advice: str) -> Finding:
    """Works, but not as it should in operation."""
    return Finding(area, name, "warning", seen, advice)


def problem(area: str, name: str, seen: str, advice: str) -> Finding:
    """The market cannot be operated so."""
    return Finding(area, name, "problem", seen, advice)


def findings_table(findings: Iterable[Finding]) -> Table:
    """All of them, in their areas; what to do stands below what is wrong."""
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False, highlight=False)
    table.add_column("area", style="bold", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("name", style="dim", no_wrap=True)
    table.add_column("seen", overflow="fold")
    area = None
    for each in findings:
        if area is not None and each.area != area:
            table.add_section()
        mark, style = _MARKS[each.verdict]
        seen = Text(each.seen, style="" if each.verdict == "ok" else style)
        if each.advice:
            seen.append(f"\n→ {each.advice}", style="default not bold")
        table.add_row(each.area if each.area != area else "", Text(mark, style=style), each.name, seen)
        area = each.area
    return table


def conclusion(findings: Iterable[Finding]) -> Text:
    """One sentence: whether the market can be operated so."""
    verdicts = [each.verdict for each in findings]
    problems, warnings = verdicts.count("problem"), verdicts.count("warning")
    if problems:
        return Text(f"{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}", style="bold red")
    if warnings:
        return Text(f"No problem, {_counted(warnings, 'warning')}", style="yellow")
    return Text("All is well", style="green")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
