"""The market's pages, rendered on the server for people: auctions, runs, prices, the published order book."""
