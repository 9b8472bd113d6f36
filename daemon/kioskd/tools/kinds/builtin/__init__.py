"""The tools that every kiosk has."""
