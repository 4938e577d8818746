"""What an operator does with a market: looks whether all is well, keeps copies of it, and brings it back."""
