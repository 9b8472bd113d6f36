"""Devices made of memory, for rehearsals and tests."""
