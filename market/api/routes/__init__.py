"""The endpoints, one file for each part of an auction's life; `MarketClient` has one method for each."""
