"""Buttons and lamps: GPIO lines, input devices, LEDs of the kernel, commands."""
