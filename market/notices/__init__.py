"""What is told to whom, and by which rules: events with their audiences, addresses that may be called, retries."""
