"""From plans to what is put on the market: the nominated baseline, and offers of what it could be instead. Pure."""
