"""Screens for captions: a page for a browser on this machine, and a terminal."""
