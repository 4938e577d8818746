"""Instruments beside the market: what contracts and tariffs mean for the clearing, for money and for plans. Pure."""
