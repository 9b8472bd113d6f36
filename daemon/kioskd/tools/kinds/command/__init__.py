"""Tools that run a program."""
