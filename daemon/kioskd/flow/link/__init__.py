"""The connection to the Live service: dialing, reading, sending texts and pictures, ends of turns."""
