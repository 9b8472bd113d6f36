"""Buttons, lamps, and commands over the control socket."""
