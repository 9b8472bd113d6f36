"""The core decides: pure functions of frozen values, without await, clock, chance, log, file or thread."""
