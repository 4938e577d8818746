"""Pages that are written once: one file that holds everything, also its JavaScript, and loads nothing from anywhere."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from market.figures.run_folder import REPORT


def write_page(folder: Path, template: str, **words: Any) -> Path:
    """Write `report.html` into a folder; returns its path. What the template needs and `words` lacks is an error."""
    loader = PackageLoader("market.figures")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    assets = files("market.figures") / "assets"
    text = pages.get_template(template).render(
        css=(assets / "flexmarket.css").read_text(encoding="utf-8"),
        figures_js=(assets / "figures.js").read_text(encoding="utf-8"),
        plotly_js=get_plotlyjs(),
        **words,
    )
    report = folder / REPORT
    report.write_text(text, encoding="utf-8")
    return report
