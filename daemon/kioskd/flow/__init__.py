"""The moving parts of the daemon: they use asyncio and the ports, and no vendor library."""
