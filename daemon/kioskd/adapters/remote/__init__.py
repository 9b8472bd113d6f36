"""Sockets that this daemon listens on: for commands, and for Prometheus."""
