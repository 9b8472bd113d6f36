"""Budget, preferences and records, which outlive a conversation or a restart, and their storage."""
