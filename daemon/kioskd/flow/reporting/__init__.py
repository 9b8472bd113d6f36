"""What operators read: journal lines, turn timing, metrics."""
