"""Moves: asyncio and ports, no vendor library. The file names are the arrows."""
