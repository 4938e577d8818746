"""The driver's side of an aggregator: a page at every plug, what is said there, and how it reaches the plan."""
