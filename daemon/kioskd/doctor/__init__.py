"""Proves that each part of the kiosk works on this device, and names a remedy for each fault.

Each file holds a family of checks; `checks` lists all of them in order. No check stops or starts the daemon.
"""
