"""Decides: pure functions of frozen values. No await, clock, chance, log, file or thread."""
