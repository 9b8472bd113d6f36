"""Reports for operators: journal lines, turn timing, metrics."""
