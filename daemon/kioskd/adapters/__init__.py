"""Adapters: each module reaches one outside thing, and is imported only when that is configured."""
