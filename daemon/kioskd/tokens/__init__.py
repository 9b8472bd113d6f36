"""Mints an ephemeral token for each connection of a fleet, so that no device holds the service key."""
