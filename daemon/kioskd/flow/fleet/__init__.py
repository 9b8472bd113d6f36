"""The fleet: what a broker is told of this kiosk, and the commands that come from there."""
