"""Kiosks on machines of their own. A package, so that its tests can share a fixture and nobody else's come in between."""
