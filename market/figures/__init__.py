"""Pictures: plotly figures from tidy tables and contract types, and the report of a run. Pure but for the report.

One set of figures serves the report, the market's pages and notebooks. Colours carry meaning and are fixed in `style`.
"""
