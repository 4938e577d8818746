"""The published order book as a merit order: who asked what, and what of it was taken."""

from collections.abc import Sequence

import plotly.graph_objects as go

from api_spec.auction import BookEntry
from market.figures.style import AFTER, NOT_ACCEPTED, frame


def merit_order(entries: Sequence[BookEntry], period: int) -> go.Figure:
    """Offers of one period and direction of need, cheapest first: width is what is offered [kW], height what is asked.

    The accepted part of each is blue. On a network the cheapest offer is not always the one that helps, so blue need
    not begin at the left; the dashed line marks the volume cleared in all.
    """
    offered = in_merit_order(entries, period)
    figure = frame(
        x_title="offered change of consumption, cheapest first [kW]", y_title="lowest ask [EUR/MWh]", barmode="overlay"
    )
    for name, colour, accepted in (("accepted", AFTER, True), ("not accepted", NOT_ACCEPTED, False)):
        left, width, height, hover = [], [], [], []
        edge = 0.0
        for entry in offered:
            whole, taken = abs(entry.offered_w[period]) / 1e3, abs(entry.accepted_w[period]) / 1e3
            part = taken if accepted else whole - taken
            if part > 0:
                left.append(edge if accepted else edge + taken)
                width.append(part)
                height.append(float(entry.lowest_ask_eur_per_mwh))
                hover.append(f"{entry.kind} at {entry.bus}: {taken:,.3f} of {whole:,.3f} kW accepted")
            edge += whole
        figure.add_bar(
            x=left,
            width=width,
            y=height,
            offset=0,
            name=name,
            marker={"color": colour, "line": {"color": AFTER, "width": 0.5}},
            customdata=hover,
            hovertemplate="%{customdata}<br>asks %{y:,.2f} EUR/MWh<extra></extra>",
        )
    figure.update_layout(hovermode="closest")
    cleared = sum(abs(entry.accepted_w[period]) for entry in offered) / 1e3
    if cleared:
        label = {"text": f"cleared {cleared:,.1f} kW", "textposition": "end", "font": {"color": AFTER}}
        figure.add_shape(
            type="line", x0=cleared, x1=cleared, y0=0, y1=1, yref="paper", line={"color": AFTER, "dash": "dot"}
        )
        figure.add_annotation(
            x=cleared,
            y=1,
            yref="paper",
            text=label["text"],
            showarrow=False,
            xanchor="left",
            xshift=6,
            font=label["font"],
        )
    figure.update_yaxes(zeroline=True)
    return figure


def in_merit_order(entries: Sequence[BookEntry], period: int) -> list[BookEntry]:
    """Entries that offer something in this period, in the direction most of which was accepted, cheapest first."""
    accepted = sum(entry.accepted_w[period] for entry in entries)
    offered = sum(entry.offered_w[period] for entry in entries)
    upwards = (accepted or offered) > 0
    same_way = [entry for entry in entries if (entry.offered_w[period] > 0) == upwards and entry.offered_w[period]]
    return sorted(same_way, key=lambda entry: (entry.lowest_ask_eur_per_mwh, entry.bus, entry.offered_w[period]))


def busiest_period(entries: Sequence[BookEntry]) -> int:
    """The period in which most is accepted (or, where nothing is, most is offered); the first of several."""
    count = len(entries[0].offered_w)
    accepted = [sum(abs(entry.accepted_w[at]) for entry in entries) for at in range(count)]
    offered = [sum(abs(entry.offered_w[at]) for entry in entries) for at in range(count)]
    return max(range(count), key=lambda at: (accepted[at], offered[at], -at))


def cleared_volume(entries: Sequence[BookEntry]) -> list[tuple[int, int]]:
    """Per period: reduction and increase that were accepted [W], both as magnitudes."""
    accepted = [[entry.accepted_w[at] for entry in entries] for at in range(len(entries[0].accepted_w))]
    return [(-sum(w for w in ws if w < 0), sum(w for w in ws if w > 0)) for ws in accepted]
