"""Money: what was delivered, what is paid for it, and the double-entry ledger. Pure; Decimal only."""
