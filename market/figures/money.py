"""From what was promised to what was paid."""

from collections.abc import Mapping

import plotly.graph_objects as go

from market.figures.style import ACTUAL, AFTER, INK, LIMIT, frame


def settlement_waterfall(
    *, promised_eur: float, steps_eur: Mapping[str, float], paid_eur: float, paid: str = "paid"
) -> go.Figure:
    """A waterfall: what awards promised, what came off or on, what was paid in the end [EUR].

    steps_eur : signed, in this order; they lead from the first to the last bar. Raises ValueError where they do not: a
    picture of money has to add up.
    """
    left = promised_eur + sum(steps_eur.values()) - paid_eur
    if abs(left) > 0.01:
        raise ValueError(f"{promised_eur:.4f} EUR and its steps do not lead to {paid_eur:.4f} EUR: {left:.4f} is left")
    names = ["promised", *steps_eur, paid]
    values = [promised_eur, *steps_eur.values(), paid_eur]
    figure = frame(x_title="from award to payment", y_title="EUR", height=320, hovermode="closest", showlegend=False)
    figure.add_waterfall(
        x=names,
        y=values,
        measure=["absolute", *["relative"] * len(steps_eur), "total"],
        text=[f"{value + 0.0:,.2f}".replace("-0.00", "0.00") for value in values],
        textposition="outside",
        cliponaxis=False,
        connector={"line": {"width": 1, "dash": "dot"}},
        increasing={"marker": {"color": ACTUAL}},
        decreasing={"marker": {"color": LIMIT}},
        totals={"marker": {"color": AFTER}},
        hovertemplate="%{x}: %{y:,.4f} EUR<extra></extra>",
        meta=INK,
    )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(zeroline=True)
    return figure
