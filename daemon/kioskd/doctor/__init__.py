"""Proves that each part of the kiosk works on this device, and says what to do about one that does not.

A file a family of checks; `examination` has all of them in order. Nothing here stops or starts anything.
"""
