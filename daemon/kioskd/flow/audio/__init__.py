"""Microphone to service (uplink), service to speaker (downlink), and the events that their sound causes."""
