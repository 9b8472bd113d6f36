"""Sockets that this daemon listens on: commands, and metrics for Prometheus."""
