"""Rehearses conversations with a simulator of the service and a scripted visitor, and reports on them."""
