"""Microphone and speaker by PyAudio over PortAudio over ALSA."""
