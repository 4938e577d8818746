"""A figure as a page shows it: title, one sentence on what is to be seen, and one picture or a choice of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import plotly.graph_objects as go


@dataclass(frozen=True)
class Chart:
    """One place on a page.

    key : name within the page, used as its anchor. summary : what a reader should see, also read aloud in its place.
    labels, figures : the pictures to choose from, the first shown first. pick : where set, a click on a row of the
    map opens the page again with `?pick=row`.
    """

    key: str
    title: str
    summary: str
    labels: tuple[str, ...]
    figures: tuple[go.Figure, ...]
    pick: str | None = None

    @classmethod
    def of(cls, key: str, title: str, summary: str, figure: go.Figure, *, pick: str | None = None) -> Self:
        """A chart with a single picture."""
        return cls(key, title, summary, labels=("",), figures=(figure,), pick=pick)

    @classmethod
    def choice(cls, key: str, title: str, summary: str, figures: Iterable[tuple[str, go.Figure]]) -> Self:
        """A chart with a picture per label."""
        labels, pictures = zip(*figures, strict=True)
        return cls(key, title, summary, labels=labels, figures=pictures)

    @property
    def height(self) -> int:
        """Height of the first picture [px], kept free until it is drawn."""
        return int(self.figures[0].layout.height)

    @property
    def payload(self) -> str:
        """The pictures as JSON that may stand inside a script element, whatever the names in it."""
        document = ",".join(figure.to_json(engine="json") for figure in self.figures)
        return f"[{document}]".replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
