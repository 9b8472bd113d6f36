"""One connection to the Live service: dialing, reading, what is written and shown, the end of each turn."""
