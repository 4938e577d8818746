"""The market: takes requests and offers, clears them on the network, awards and settles."""
