"""Captions: shows the words of both sides, in step with the sound that is heard."""
