"""Computes on bytes: pure functions and streams without devices, time or event loop."""
