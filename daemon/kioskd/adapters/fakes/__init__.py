"""Devices, time and the Live service made of memory, for tests and for the in-memory kiosk."""
