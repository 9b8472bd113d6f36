"""What outlives a conversation or a restart: budget, preferences, records; and the one task that writes it."""
