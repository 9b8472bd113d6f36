"""Touches: one outside thing a module, imported only when it is configured."""
