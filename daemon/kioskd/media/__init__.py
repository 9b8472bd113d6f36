"""Computes on bytes: pure, no devices, no time, no loop."""
