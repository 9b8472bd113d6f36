"""The core decides what the kiosk does: pure functions of frozen values, without await, clock, chance, log,
file or thread.
"""
