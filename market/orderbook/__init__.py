"""The rules of the order book: what is admitted, and how an auction moves from open to settled. Pure."""
