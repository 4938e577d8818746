"""Events on their way out: the sender of webhooks, and the only code that calls addresses which others have chosen."""
