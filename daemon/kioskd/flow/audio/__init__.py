"""Microphone to service (uplink), service to speaker (downlink), and what is noticed in the sound on the way."""
