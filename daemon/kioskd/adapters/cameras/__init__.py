"""Cameras: picamera2, V4L2, and a folder of pictures."""
