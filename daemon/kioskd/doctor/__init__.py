"""Proves that each part of the kiosk works on this device, and says what to do about one that does not.

One file holds one family of checks; `checks` lists all of them in order. Nothing here stops or starts anything.
"""
